"""Show what a saved net says to the first digits of MNIST's test part, as pictures in the terminal.

python examples/predictions.py out/digits.safetensors
"""

import sys

import retia as rt
from retia.view.terminal import gallery

net = rt.load(sys.argv[1])
digits = rt.data("mnist").test.take(8).arrays()
answers = net(digits["input"], top=1)

captions = []
for answer, label in zip(answers, digits["output"], strict=True):
    ((digit, share),) = answer.items()
    captions.append(f"{digit} ({share:.0%})" + ("" if digit == label else f", is {label}"))
print(gallery(digits["input"], captions))

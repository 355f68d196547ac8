"""Show what a saved net says to the first digits of MNIST's test part, as pictures in the terminal.

The first of them, a seven, is left beside the net as ``seven.png``.

    python examples/predictions.py out/digits.safetensors
"""

import sys
from pathlib import Path

from PIL import Image

import retia as rt
from retia.view.terminal import gallery

path = Path(sys.argv[1])
net = rt.load(path)
digits = rt.data("mnist").test.take(8).arrays()
answers = net(digits["input"], top=1)

captions = []
for answer, label in zip(answers, digits["output"], strict=True):
    ((digit, share),) = answer.items()
    captions.append(f"{digit} ({share:.0%})" + ("" if digit == label else f", is {label}"))
print(gallery(digits["input"], captions))

Image.fromarray(digits["input"][0]).save(path.with_name("seven.png"))
print(f"\nTry it: .venv/bin/retia predict {path} {path.with_name('seven.png')} --top 3")

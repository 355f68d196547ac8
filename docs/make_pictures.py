"""Make the pictures of the documentation: what a net trained here says to digits it never saw.

Every caption is the net's answer; where it is wrong, the right one follows.

    python docs/make_pictures.py
"""

from pathlib import Path

import retia as rt
from retia.zoo.small import dense

DOCS = Path(__file__).parent

digits = rt.data("mnist")
run = rt.train(dense([784, 200, 60, 10]), digits, epochs=5, seed=0)

some = digits.test.take(36).arrays()
answers = run.net(some["input"])
captions = [
    str(said) if said == label else f"{said}, is {label}"
    for said, label in zip(answers, some["output"], strict=True)
]
rt.data((some["input"], captions)).show(36, DOCS / "digits.png")

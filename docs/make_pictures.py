"""Make the pictures of the documentation: a net's diagram, and what a net says to digits it never saw.

The diagram is that of a net with equal blocks. Of the digits twenty are shown that the net trained here gets
right, and below them the first five that it gets wrong, with what they are.

    python docs/make_pictures.py
"""

from pathlib import Path

import retia as rt
from retia.zoo.small import dense

DOCS = Path(__file__).parent

block = rt.Graph(lambda x: rt.ReLU()(x + rt.BatchNorm()(rt.Conv2d(32, 3, padding=1)(x))))
residual = rt.Chain(
    first=rt.Conv2d(32, 3, padding=1), blocks=rt.Chain(*[block] * 8), pool=rt.GlobalAvgPool(),
    classifier=rt.Linear(), probabilities=rt.Softmax(),
    input=rt.Image(28, 28, color="gray"), output=rt.Classes(range(10)),
)  # fmt: skip
residual.diagram().save(DOCS / "net.svg")

digits = rt.data("mnist")
run = rt.train(dense([784, 200, 60, 10]), digits, epochs=5, seed=0)

test = digits.test.arrays()
pairs = list(zip(run.net(test["input"]), test["output"], strict=True))
right = [number for number, (said, label) in enumerate(pairs) if said == label]
wrong = [number for number, (said, label) in enumerate(pairs) if said != label]
shown = [*right[:20], *wrong[:5]]
captions = [str(said) if said == label else f"{said}, is {label}" for said, label in pairs]
sheet = rt.data((test["input"][shown], [captions[number] for number in shown]))
sheet.show(25, DOCS / "digits.png")

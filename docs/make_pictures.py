"""Make the pictures of the documentation: the gallery's, a net's diagram, and what a net says to digits.

The gallery is made by running its page: what a notebook would show of the last line of a block is written
into the file of the picture below it. Of the digits twenty are shown that the net trained here gets right,
and below them the first five that it gets wrong, with what they are.

    python docs/make_pictures.py [gallery | net | digits]
"""

import ast
import re
import sys
from pathlib import Path

import retia as rt
from retia.zoo.small import dense

DOCS = Path(__file__).parent
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n!\[[^\]]*\]\(([^)]+)\))?", re.S)


def net() -> None:
    """The diagram of a net with equal blocks."""
    block = rt.Graph(lambda x: rt.ReLU()(x + rt.BatchNorm()(rt.Conv2d(32, 3, padding=1)(x))))
    residual = rt.Chain(
        first=rt.Conv2d(32, 3, padding=1), blocks=rt.Chain(*[block] * 8), pool=rt.GlobalAvgPool(),
        classifier=rt.Linear(), probabilities=rt.Softmax(),
        input=rt.Image(28, 28, color="gray"), output=rt.Classes(range(10)),
    )  # fmt: skip
    residual.diagram().save(DOCS / "net.svg")


def digits() -> None:
    """What a net says to digits that it never saw."""
    data = rt.data("mnist")
    run = rt.train(dense([784, 200, 60, 10]), data, epochs=5, seed=0)
    test = data.test.arrays()
    pairs = list(zip(run.net(test["input"]), test["output"], strict=True))
    right = [number for number, (said, label) in enumerate(pairs) if said == label]
    wrong = [number for number, (said, label) in enumerate(pairs) if said != label]
    shown = [*right[:20], *wrong[:5]]
    captions = [str(said) if said == label else f"{said}, is {label}" for said, label in pairs]
    sheet = rt.data((test["input"][shown], [captions[number] for number in shown]))
    sheet.show(25, DOCS / "digits.png")


def gallery() -> None:
    """All pictures of the gallery."""
    names: dict[str, object] = {}
    for block, place in BLOCK.findall((DOCS / "gallery.md").read_text(encoding="utf8")):
        *first, last = ast.parse(block).body
        exec(compile(ast.Module(first, []), "gallery.md", "exec"), names)
        if not place:
            exec(compile(ast.Module([last], []), "gallery.md", "exec"), names)
            continue
        assert isinstance(last, ast.Expr), block
        shown = eval(compile(ast.Expression(last.value), "gallery.md", "eval"), names)
        made = shown._repr_mimebundle_()
        forms = made[0] if isinstance(made, tuple) else made  # without what is said of a picture
        if place.endswith(".svg"):
            (DOCS / place).write_text(forms["image/svg+xml"], encoding="utf8")
        else:
            (DOCS / place).write_bytes(forms["image/png"])


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["gallery", "net", "digits"]
    for each in wanted:
        {"gallery": gallery, "net": net, "digits": digits}[each]()

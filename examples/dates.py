"""Dates as people write them, into the form that sorts: "7th of March, 1968" becomes 1968-03-07.

A sequence becomes another one. An encoder reads what was written, of any length; a decoder writes the
answer letter by letter, looking back at the reading. In training it sees the letters that are right so far;
afterwards its own. The dates are made here by a seed, in thirteen forms; days that are tested are in no
training example. The figure is the share of test dates that are right in every letter. It takes about three
minutes.

    python examples/dates.py
"""

import random
from datetime import date, timedelta

from job import options, some, tell

import retia as rt

asked = options(__doc__, epochs=6)
FORMS = (
    "%d %B %Y", "%B %d, %Y", "%d.%m.%Y", "%m/%d/%Y", "%d %b %y", "%A, %d %B %Y", "%b %d %Y", "%Y%m%d",
    "%a %d %b %Y", "%d-%b-%Y", "day %d of %B %Y", "%B the %dth, %Y", "%Y, %d %B",
)  # fmt: skip
SIZE = 64


def written(days: list[date], seed: int) -> rt.Data:
    """Each date in two forms: what was written, what is right, and that with a mark before it."""
    draw = random.Random(seed)
    pairs = [(draw.choice(FORMS), day) for day in days for _ in range(2)]
    texts = [day.strftime(form) for form, day in pairs]
    right = [day.isoformat() for _, day in pairs]
    return rt.data({"written": texts, "before": ["^" + answer[:-1] for answer in right], "output": right})


days = [date(1950, 1, 1) + timedelta(number) for number in range(36_500)]
random.Random(0).shuffle(days)
train, validation, test = (
    written(days[:12_000], 1),
    written(days[12_000:13_000], 2),
    written(days[13_000:14_000], 3),
)

reader = rt.Chain(rt.Embedding(SIZE), rt.SinusoidalPositions(), rt.TransformerEncoder(2, 4, size=SIZE))
writer = rt.TransformerDecoder(2, 4, size=SIZE)
begun = rt.Chain(rt.Embedding(SIZE), rt.SinusoidalPositions())
net = rt.Graph(
    {"reader": reader, "begun": begun, "writer": writer, "linear": rt.Linear(), "softmax": rt.Softmax()},
    "written -> reader -> writer.memory",
    "before -> begun -> writer.input",
    "writer -> linear -> softmax -> output",
    input={"written": rt.Characters(length="m"), "before": rt.Characters("^-0123456789", length=10)},
    output=rt.Characters("-0123456789", length=10),
)
run = rt.train(
    net,
    some(train, asked),
    validation=validation,
    epochs=asked.epochs,
    optimizer=rt.Adam(2e-3),
    schedule="cosine",
)


def answers(texts: list[str]) -> list[str]:
    """What the net makes of texts, each letter after its own letters before."""
    found = [""] * len(texts)
    for place in range(10):
        before = [("^" + so_far).ljust(10, "0") for so_far in found]
        said = run.net({"written": texts, "before": before})
        found = [so_far + each[place] for so_far, each in zip(found, said, strict=True)]
    return found


asked_for = test.arrays()
got = answers(asked_for["written"])
for text, answer in [*zip(asked_for["written"], got, strict=True)][:8]:
    print(f"{text:30} {answer}")

right = sum(one == other for one, other in zip(got, asked_for["output"], strict=True)) / len(got)
tell(
    "dates into one form",
    data="dates of 1950 to 2049 in 13 forms, made by a seed",
    split="24,000 train, 2,000 validate, 2,000 test",
    net=run.net,
    figure={"exact match": right},
    baseline={"most frequent answer": 1 / 1000},
)

"""Names that nobody has: a net reads 32,033 first names letter by letter and then makes up its own.

Each name begins and ends with a dot; at every letter the net says what comes next. A tenth of the names
chooses the epoch, another tenth is measured on: how many nats a letter surprises the net. The baseline counts
pairs of letters, which is all that can be known from the letter before. It takes about two minutes.

    python examples/names.py
"""

import math
from collections import Counter

from job import options, some, tell

import retia as rt

asked = options(__doc__, epochs=12)
names = some(rt.data("names"), asked).map(output=lambda each: each["input"] + ".")
names = names.map(input=lambda name: "." + name)
train, validation, test = names.split((0.8, 0.1, 0.1))
letters = rt.Characters(".abcdefghijklmnopqrstuvwxyz")

net = rt.Chain(
    rt.Embedding(24), rt.GRU(128), rt.Dropout(0.2), rt.Linear(), rt.Softmax(),
    input=letters, output=letters,
)  # fmt: skip
run = rt.train(
    net, train, validation=validation, epochs=asked.epochs, optimizer=rt.Adam(3e-3), schedule="cosine"
)
for seed in range(8):
    print(run.net.generate(".", length=20, stop=".", temperature=1, seed=seed))


def by_pairs() -> float:
    """Nats a letter of the test names where only pairs are counted; each is counted once more than it is."""
    pairs = Counter(pair for x, y in train for pair in zip(x, y, strict=True))
    firsts = Counter(first for x, _ in train for first in x)
    chances = [(pairs[p] + 1) / (firsts[p[0]] + 27) for x, y in test for p in zip(x, y, strict=True)]
    return -sum(map(math.log, chances)) / len(chances)


tell(
    "names, letter by letter",
    data="32,033 first names",
    split="80 % train, 10 % validate, 10 % test",
    net=run.net,
    figure={"nats a letter": rt.measure(run.net, test).loss},
    baseline={"pairs of letters": by_pairs()},
)

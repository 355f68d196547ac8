"""A siamese verifier: do two pictures show the same digit? It also says so of digits that it never saw.

Both pictures of a pair go through the same convolutions (``rt.Pair``: one set of arrays in two places),
which make a vector of each; how far the vectors are apart, number by number, decides. Half of all pairs are
alike.

Eights and nines are left out of training: 40,000 pairs of the other digits train, 4,000 validate. Of the test
part, 10,000 pairs of the other digits and 10,000 pairs of eights and nines are judged. The figures are the
share of pairs that are answered rightly, and the area under the ROC curve; the baseline is the share that the
distance of the pixels tells apart, with the best bound there is. It takes two minutes on one core.

    python examples/verifier.py
"""

import numpy as np
from job import options, tell

import retia as rt

UNSEEN = (8, 9)


def pairs(digits: rt.Data, labels: tuple[int, ...], count: int) -> rt.Data:
    """So many pairs of these digits, every other one alike."""
    columns = digits.filter(output=lambda label: label in labels).arrays()
    pictures, digit = columns["input"], columns["output"]
    draw = np.random.default_rng(0)
    left = draw.integers(0, len(digit), count)
    same = np.arange(count) % 2 == 0
    right = np.empty_like(left)
    for label in labels:
        rows = digit[left] == label
        mine, others = (draw.choice(np.flatnonzero(each), count) for each in (digit == label, digit != label))
        right[rows] = np.where(same, mine, others)[rows]
    return rt.data({"left": pictures[left], "right": pictures[right], "output": same})


def by_pixels(data: rt.Data) -> float:
    """The share of pairs that the distance of their pixels tells apart, with the best bound there is."""
    columns = data.arrays()
    left, right = (columns[side].reshape(len(data), -1).astype(np.float32) for side in ("left", "right"))
    alike = columns["output"][np.argsort(((left - right) ** 2).sum(1))]  # the nearest first
    right_so_far = np.cumsum(alike) + (~alike).sum() - np.cumsum(~alike)
    return float(right_so_far.max() / len(data))


asked = options(__doc__, epochs=5)
count = asked.examples or 40_000
digits = rt.data("mnist")
seen = tuple(label for label in range(10) if label not in UNSEEN)
learn, check = digits.train.split(0.9)

eye = rt.Chain(
    rt.Conv2d(16, 5), rt.ReLU(), rt.MaxPool2d(2), rt.Conv2d(32, 5), rt.ReLU(), rt.MaxPool2d(2),
    rt.Flatten(), rt.Linear(64),
)  # fmt: skip
apart = rt.Graph(lambda left, right: (left - right) ** 2)
picture = rt.Image(28, 28, color="gray")
net = rt.Chain(
    rt.Pair(eye, rt.Chain(apart, rt.Linear(1), rt.Sigmoid()), name="eye"),
    input={"left": picture, "right": picture}, output=rt.Boolean(),
)  # fmt: skip
print(net)
run = rt.train(
    net, pairs(learn, seen, count), validation=pairs(check, seen, count // 10), epochs=asked.epochs
)

figure, baseline = {}, {}
for name, labels in {"known digits": seen, "new digits": UNSEEN}.items():
    test = pairs(digits.test, labels, 10_000)
    measured = rt.measure(run.net, test)
    print(f"{name}:", measured, sep="\n")
    figure |= {f"accuracy, {name}": measured.accuracy, f"AUC, {name}": measured.auc}
    baseline |= {f"pixels, {name}": by_pixels(test)}

tell(
    "siamese verifier of digits",
    data="pairs of MNIST's pictures",
    split=f"pairs of 0 to 7: {count:,} train, {count // 10:,} validate, 10,000 test; of 8 and 9: 10,000 test",
    net=run.net,
    figure=figure,
    baseline=baseline,
)

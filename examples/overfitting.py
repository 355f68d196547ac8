"""What helps against over-fitting, measured: 1,000 digits, a net far too large for them, five seeds.

Every way of training is one more argument or layer. Once all labels are right; once a fifth of those that are
trained and validated on is wrong, as in sets that people label in a hurry. The script writes its tables to
docs/overfitting.md. It takes about ten minutes.

    python examples/overfitting.py
"""

from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

import retia as rt

PAGE = Path(__file__).parent.parent / "docs" / "overfitting.md"
SEEDS = range(5)
EPOCHS = 40


def net(*, dropout: float = 0.0, augmented: bool = False) -> rt.Net:
    """784-512-512-10, if asked with dropout, or with pictures that are turned, scaled and shifted."""
    drop = [rt.Dropout(dropout)] if dropout else []
    moved = [rt.RandomAffine(degrees=10, scale=0.1, shift=0.08)] if augmented else []
    return rt.Chain(
        *moved, rt.Flatten(),
        rt.Linear(512), rt.ReLU(), *drop,
        rt.Linear(512), rt.ReLU(), *drop,
        rt.Linear(10), rt.Softmax(),
        input=rt.Image(28, 28, color="gray"), output=rt.Classes(range(10)),
    )  # fmt: skip


STOP = rt.EarlyStopping(patience=5)
WAYS: dict[str, tuple[rt.Net, dict[str, Any]]] = {
    "plain": (net(), {}),
    "dropout": (net(dropout=0.5), {}),
    "weak L2": (net(), {"l2": 1e-4}),
    "strong L2": (net(), {"l2": 0.015}),
    "augmentation": (net(augmented=True), {}),
    "early stopping": (net(), {"stop": STOP}),
    "dropout, augmentation, early stopping": (net(dropout=0.3, augmented=True), {"stop": STOP}),
}
WRITTEN = {
    "plain": "the net of the last epoch",
    "dropout": "`rt.Dropout(0.5)` after each hidden layer",
    "weak L2": "`l2=1e-4`",
    "strong L2": "`l2=0.015`",
    "augmentation": "`rt.RandomAffine(degrees=10, scale=0.1, shift=0.08)`",
    "early stopping": "`stop=rt.EarlyStopping(patience=5)`, and the best net",
    "dropout, augmentation, early stopping": "`rt.Dropout(0.3)`, and the others as above",
}


def parts(wrong: float) -> tuple[rt.Data, rt.Data]:
    """1,000 digits to learn from and 1,000 to validate on, with a share of labels that are wrong."""
    columns = rt.data("mnist").train.take(2000).arrays()
    draw = np.random.default_rng(0)
    hit = draw.random(2000) < wrong
    shift = np.where(hit, draw.integers(1, 10, 2000), 0)
    labels = (columns["output"] + shift) % 10
    made = rt.data((columns["input"], labels))
    return made[:1000], made[1000:]


def trained(way: str, seed: int, data: tuple[rt.Data, rt.Data]) -> tuple[rt.Net, rt.Training]:
    """One training, and the net that this way ends with."""
    start, how = WAYS[way]
    run = rt.train(start, data[0], validation=data[1], epochs=EPOCHS, seed=seed, progress=False, **how)
    return run.net if "stop" in how else run.last, run


def measured(wrong: float) -> tuple[str, rt.Training]:
    """The table for a share of wrong labels, and the first plain training."""
    data, test = parts(wrong), rt.data("mnist").test
    lines = ["| way | written | test accuracy | deviation | test loss |", "| --- | --- | --- | --- | --- |"]
    first = None
    for way in WAYS:
        right, losses = [], []
        for seed in SEEDS:
            kept, run = trained(way, seed, data)
            first = first or run
            found = rt.measure(kept, test)
            right.append(found.accuracy)
            losses.append(found.loss)
        told = f"{mean(right):.2%} | {stdev(right):.2%} | {mean(losses):.2f}"
        lines.append(f"| {way} | {WRITTEN[way]} | {told} |")
        print(lines[-1], flush=True)
    return "\n".join(lines), first


clean, run = measured(0.0)
noisy, noisy_run = measured(0.2)
text = f"""# Over-fitting, and what helps

A net of 784-512-512-10 has 669,706 parameters. Trained on 1,000 digits of MNIST it soon knows them by heart.
`examples/overfitting.py` made this page: each way of training five times, with seeds 0 to 4, for at most
{EPOCHS} epochs of Adam at 0.001 in batches of 64; 1,000 other digits validate; the test part of 10,000 digits
is looked at once, at the end. The deviation is that of the five accuracies.

What the first plain training says of itself (`print(run.verdict)`):

```text
{run.verdict}
```

{clean}

Augmentation raises the accuracy by far, dropout by little more than the seeds differ. L2 and early stopping
do not raise it, here: a net of this kind goes on to get a little better at new digits while it learns the old
ones by heart, and what over-fits is how sure it is. Early stopping brings that down, as the test loss shows.

## When a fifth of the labels is wrong

Then learning by heart does harm, for what is learned is wrong. The labels of the test part are all right.

```text
{noisy_run.verdict}
```

{noisy}

Here each of the four raises the accuracy; L2 if it is strong, and then not with every seed.
"""
PAGE.write_text(text, encoding="utf8")

"""Why deep nets of sigmoids do not learn: the gradient of every layer, beside the same net with ReLU.

Ten hidden layers of 100 units are trained on 10,000 digits of MNIST, once with sigmoids and once with ReLU,
all else alike. The script writes its tables to docs/vanishing.md. It takes half a minute.

    python examples/vanishing.py
"""

from pathlib import Path

import retia as rt
from retia.zoo.small import dense

PAGE = Path(__file__).parent.parent / "docs" / "vanishing.md"
SIZES = [784, *[100] * 10, 10]


def trained(activation: str) -> rt.Training:
    """The same training with one activation or the other."""
    net = dense(SIZES, activation=activation)
    digits = rt.data("mnist").train.take(10_000)
    return rt.train(net, digits, epochs=5, optimizer=rt.SGD(0.1), seed=0)


def table(runs: dict[str, rt.Training]) -> list[str]:
    """The gradient of every linear layer, before the first step and at the end."""
    lines = ["| layer | sigmoid, start | sigmoid, end | ReLU, start | ReLU, end |", "| --- " * 5 + "|"]
    moments = [run.records[at] for run in runs.values() for at in (0, -1)]
    for layer in moments[0].layers:
        if layer.gradient is not None:
            norms = [f"{moment[layer.path].gradient:.1e}" for moment in moments]
            lines.append(f"| {layer.path} {layer.layer} | {' | '.join(norms)} |")
    return lines


runs = {activation: trained(activation) for activation in ("sigmoid", "relu")}
rows = "\n".join(table(runs))
text = f"""# Ten layers of sigmoids

The derivative of a sigmoid is at most 1/4. Going back from the loss, the gradient is multiplied by it in
every layer, so in a deep net next to nothing of it arrives at the first layers. ReLU's derivative is 1 for
every unit that fires. `examples/vanishing.py` made this page: two nets of ten hidden layers of 100 units, one
with `rt.Sigmoid()` and one with `rt.ReLU()`, each trained for five epochs on 10,000 digits with
`optimizer=rt.SGD(0.1)` and seed 0.

The norm of the loss's derivative by the weights of every layer, from `run.records`:

{rows}

What the trainings say of themselves, from `run.verdict`:

With sigmoids:

```text
{runs["sigmoid"].verdict}
```

With ReLU:

```text
{runs["relu"].verdict}
```
"""
PAGE.write_text(text, encoding="utf8")
print(text)

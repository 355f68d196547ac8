"""Two jobs from tables: which species a penguin is, and which mark a wine got.

Rows are dicts of numbers and words, some of them missing. ``rt.Table`` learns from the training part what
stands in each column, so both nets take rows as they are.

Penguins: 344 birds of three species. Cross-validation holds out each bird once, in five folds; the figure is
the share of birds that is named rightly by a net that has not seen them.

Wine: 6,497 wines, which tasters gave marks from 3 to 9. Many wines stand there several times, so only the
first of each counts: else the test part would hold wines that were learned by heart. The figure is the mean
absolute error on the test part, in marks.

Both are compared with the commonest answer and, where scikit-learn is installed, with two of its models,
which get the same numbers. It takes half a minute on one core.

    python examples/tables.py
"""

from statistics import mean, median, mode
from typing import Any

from job import options, some, tell

import retia as rt

try:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression
except ImportError:
    LEARNED: dict[str, Any] = {}
else:
    LEARNED = {
        "class": [LogisticRegression(max_iter=1000), RandomForestClassifier(random_state=0)],
        "number": [LinearRegression(), RandomForestRegressor(random_state=0)],
    }


def answers(model: Any, table: rt.Codec, train: dict[str, Any], test: dict[str, Any]) -> list[Any]:
    """What a model of scikit-learn says of the test part, from the numbers that the net gets."""
    model.fit(table.encode(train["input"]), train["output"])
    return list(model.predict(table.encode(test["input"])))


def penguins() -> None:
    """Name the species from measurements, island and sex."""
    birds = some(rt.data("penguins"), asked)
    net = rt.Chain(
        rt.Linear(32), rt.ReLU(), rt.Linear(), rt.Softmax(),
        input=rt.Table(missing="always"), output=rt.Classes(["Adelie", "Chinstrap", "Gentoo"]),
    )  # fmt: skip
    found = rt.cross_validate(net, birds, epochs=asked.epochs, batch_size=32, l2=1e-4, progress=False)
    print(found)

    shares: dict[str, list[float]] = {"most frequent class": []}
    for fold in found.folds:
        held = set(fold.rows)
        train = birds[[row for row in range(len(birds)) if row not in held]].arrays()
        test = birds[fold.rows].arrays()
        said = {"most frequent class": [mode(train["output"])] * len(held)}
        for model in LEARNED.get("class", ()):
            said[type(model).__name__] = answers(model, fold.run.net.input, train, test)
        for name, each in said.items():
            right = [a == b for a, b in zip(each, test["output"], strict=True)]
            shares.setdefault(name, []).append(mean(right))

    tell(
        "species of penguins from a table",
        data="Palmer penguins, 344 rows of 7 columns",
        split="5 folds, each bird held out once",
        net=found.folds[0].run.net,
        figure={"held-out accuracy": found.mean["accuracy"]},
        baseline={name: mean(each) for name, each in shares.items()},
    )


def wine() -> None:
    """Tell the mark of a wine from eleven measurements and its colour."""
    every = rt.data("wine")
    first = {tuple(row.values()): number for number, (row, _) in reversed([*enumerate(every)])}
    train, validation, test = some(every[sorted(first.values())], asked).split((0.6, 0.2, 0.2))
    net = rt.Chain(
        rt.Linear(256), rt.ReLU(), rt.Dropout(0.3), rt.Linear(128), rt.ReLU(), rt.Dropout(0.3), rt.Linear(),
        input=rt.Table(), output=rt.Scalar(normalize="data"),
    )  # fmt: skip
    run = rt.train(
        net, train, validation=validation, epochs=asked.epochs, batch_size=128, loss="mae",
        optimizer=rt.Adam(3e-3), schedule=rt.CosineDecay(),
    )  # fmt: skip

    learned, held = train.arrays(), test.arrays()
    said = {"net": run.net(held["input"]), "median": [median(learned["output"])] * len(test)}
    for model in LEARNED.get("number", ()):
        said[type(model).__name__] = answers(model, run.net.input, learned, held)
    errors = {
        name: mean(abs(a - b) for a, b in zip(each, held["output"], strict=True))
        for name, each in said.items()
    }
    tell(
        "marks of wines from a table",
        data=f"wine quality, {len(first):,} different wines of 12 columns",
        split="60 % train, 20 % validate, 20 % test",
        net=run.net,
        figure={"test mean absolute error": errors.pop("net")},
        baseline=errors,
    )


asked = options(__doc__, epochs=60)
penguins()
wine()

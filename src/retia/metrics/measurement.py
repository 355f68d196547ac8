"""What ``rt.measure`` answers: the figures of one output, and of several by name.

The class is long because every figure is a property that says what it is; how it is computed stands in
``kept.py``, ``formulas.py``, ``curves.py`` and ``calibration.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from retia._figures import Printed
from retia._late import numpy as np
from retia.errors import ArgumentError, UnknownNameError, did_you_mean
from retia.metrics import curves
from retia.metrics.answers import Answers, answers, surest_mistakes
from retia.metrics.calibration import BINS, Calibration, fitted_temperature
from retia.metrics.confusion import Confusion, confusion, number_of
from retia.metrics.curves import Curve
from retia.metrics.editing import edit_distances
from retia.metrics.formulas import Rates
from retia.metrics.kept import BooleanDecisions, ClassDecisions, Decisions, Detections, Kept, Numbers
from retia.metrics.names import FIGURES, Figure, average_of, find_figure, top_of
from retia.metrics.per_class import OF_BOXES, PerClass, rates_by_class
from retia.metrics.scores import BOOLEAN, BOXES, CLASSES, NOTHING, NUMBERS, ORDERED
from retia.metrics.telling import table
from retia.nets.settings import whole
from retia.sources.dataset import Data

if TYPE_CHECKING:
    from numpy.typing import NDArray

K = TypeVar("K", bound=Kept)

TOLD = {
    CLASSES: (
        "accuracy", "error_rate", "precision", "recall", "f1", "matthews", "log_loss", "brier",
        "calibration_error",
    ),
    BOOLEAN: (
        "accuracy", "error_rate", "precision", "recall", "f1", "auc", "average_precision", "matthews",
        "log_loss", "brier", "calibration_error",
    ),
    NUMBERS: ("mse", "rmse", "mae", "r2"),
    ORDERED: (
        "accuracy", "mae", "error_rate", "precision", "recall", "f1", "matthews", "brier",
        "calibration_error",
    ),
    BOXES: ("map_50", "map_75", "mean_average_precision"),
    NOTHING: (),
}  # fmt: skip
"""What is told unasked."""


@dataclass(frozen=True, eq=False, repr=False)
class Measurement(Printed):
    """How well a net does on a set of examples, every one counting alike; ``rt.measure`` makes it.

    For classes and booleans: ``accuracy``, ``precision``, ``recall``, ``f1``, ``per_class``, ``confusion``,
    ``roc``, ``auc``, ``calibration``, ``temperature``, ...; for numbers ``mse``, ``mae``, ``r2``, ... Every
    figure also goes by name, ``m["f1"]``, ``m["top_5"]``, ``m["f1_weighted"]``. Where a net has several
    outputs, each has its own: ``m["age"].mae``. ``print(m)`` is a table.

    Where an output decides at several positions, as in a sequence, every position counts alike.

    Attributes:
        loss: as training would compute it, in inference behaviour.
        examples: how many.
        parts: by output port, where there are several.
        others: what functions among the metrics gave, by name.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.ReLU(), input=2, output=rt.Classes(["cat", "dog"]))
        >>> m = rt.measure(net, ([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]], ["dog", "cat", "cat"]))
        >>> round(m.accuracy, 4), m.top(2), m.per_class["dog"].precision
        (0.6667, 1.0, 0.5)
        >>> m.predictions, m.confusion["cat", "dog"].examples.arrays()["output"]
        (['dog', 'dog', 'cat'], ['cat'])
    """

    loss: float
    examples: int
    data: Data | None = None
    kept: Kept | None = None
    parts: Mapping[str, Measurement] = field(default_factory=dict)
    asked: tuple[str, ...] | None = None
    others: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """The measurement of one of several outputs, or a figure by its name."""
        if name in self.parts:
            return self.parts[name]
        if name in self.others:
            return self.others[name]
        if self.parts:
            raise UnknownNameError(
                f"There is no output {name!r}; there are {', '.join(self.parts)}."
                + did_you_mean(name, self.parts),
                path=name,
            )
        return self.loss if name == "loss" else self._value(find_figure(name))

    # Decisions ------------------------------------------------------------------------------------

    @property
    def accuracy(self) -> float:
        """Share of right decisions, 0..1. Of sequences it is the token accuracy."""
        return self._decisions("accuracy").counted.accuracy

    @property
    def error_rate(self) -> float:
        """Share of wrong decisions, 0..1."""
        return 1 - self._decisions("error_rate").counted.accuracy

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur, 0..1."""
        return self._decisions("balanced_accuracy").counted.balanced_accuracy

    @property
    def confusion(self) -> Confusion:
        """Which label was taken for which, and in which examples."""
        found = self._decisions("confusion")
        return confusion(found, self._data)

    @property
    def cohen_kappa(self) -> float:
        """How much more often right than by chance, at most 1; NaN where only one label occurs."""
        return self._decisions("cohen_kappa").counted.cohen_kappa

    @property
    def matthews(self) -> float:
        """Matthews' correlation of truths and answers, -1..1; 0 where one of them is always the same."""
        return self._decisions("matthews").counted.matthews

    def top(self, k: int) -> float:
        """Share of decisions whose right class is among the ``k`` best scores, 0..1."""
        found = self._kept("top", ClassDecisions)
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ArgumentError(f"top is of a whole number of at least 1; got {k!r}.", got=k)
        return float(found.flat(found.arrays["rank"] < k).mean())

    @property
    def mean_iou(self) -> float:
        """Mean over the classes of the IoU: right decisions by those that are meant or answered so, 0..1.

        Of classes that neither are meant nor answered there is none. ``per_class`` has it class by class.
        """
        return self._decisions("mean_iou").counted.mean_iou

    @property
    def per_class(self) -> PerClass:
        """Precision, recall, F1 and IoU of each class but one that is ignored, by label; of boxes the average
        precisions. A dict that prints as a table; ``.plot()`` draws it.
        """
        if isinstance(self.kept, Detections):
            return PerClass(self.kept.per_class, OF_BOXES, by="ap_50")
        found = self._decisions("per_class")
        known = [(n, label) for n, label in enumerate(found.labels) if n != found.ignored]
        rates = {label: found.counted.of(number) for number, label in known}
        means = [(how, found.counted.averaged(how)) for how in ("macro", "weighted")]
        return rates_by_class(rates, means, has_iou=self.has_masks)

    def averaged(self, how: str = "macro") -> Rates:
        """Precision, recall, F1 and IoU over the classes: ``"macro"``, ``"micro"`` or ``"weighted"``."""
        return self._decisions("averaged").counted.averaged(how)

    @property
    def precision(self) -> float:
        """Share of those answered so that are: of True, or over classes the macro average."""
        return self._rates("precision").precision

    @property
    def recall(self) -> float:
        """Share of those that are so that were answered so: of True, or over classes the macro average."""
        return self._rates("recall").recall

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: of True, or over classes the macro average."""
        return self._rates("f1").f1

    # Sequences ------------------------------------------------------------------------------------

    @property
    def token_accuracy(self) -> float:
        """Share of right decisions over all positions: the accuracy under its name for texts."""
        return self._decisions("token_accuracy").counted.accuracy

    @property
    def sequence_accuracy(self) -> float:
        """Share of examples that are right at every position, 0..1."""
        found = self._decisions("sequence_accuracy")
        return float(found.hits.reshape(len(found.hits), -1).all(1).mean())

    @property
    def edit_distance(self) -> float:
        """Mean number of insertions, deletions and replacements from an answered sequence to the true one."""
        found = self._decisions("edit_distance")
        if found.true.ndim != 2:
            axes = "one decision" if found.true.ndim == 1 else f"{found.true.ndim - 1} axes of decisions"
            raise UnknownNameError(
                f"edit_distance is of sequences, but an example has {axes}.", fix="accuracy, error_rate"
            )
        if found.known is not None:  # each pair by itself, as long as it is
            pairs = zip(found.answered, found.true, found.known, strict=True)
            each = [edit_distances(a[None, known], t[None, known])[0] for a, t, known in pairs]
            return float(np.mean(each))
        return float(edit_distances(found.answered, found.true).mean())

    # Probabilities --------------------------------------------------------------------------------

    @property
    def log_loss(self) -> float:
        """Mean of -log p of the truth, in nats; whatever the loss of the training was."""
        return self._decisions("log_loss").log_loss

    @property
    def perplexity(self) -> float:
        """The exponential of the log-loss: so many equal choices would be as hard; at least 1."""
        return math.exp(min(self._decisions("perplexity").log_loss, 700))

    @property
    def brier(self) -> float:
        """Mean squared error of the probabilities: of True (0..1), or summed over the classes (0..2)."""
        return self._decisions("brier").brier

    def calibration(self, bins: int = BINS) -> Calibration:
        """Probabilities against how often they came true: of the answer, or of True; ``.plot()`` draws it.

        Args:
            bins: at least 1, of equal width.
        """
        found = self._decisions("calibration")
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
            raise ArgumentError(f"calibration: bins is a whole number of at least 1; got {bins!r}.", got=bins)
        return found.calibration(bins)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error in 15 bins, 0..1."""
        return self._decisions("calibration_error").calibration(BINS).error

    @cached_property
    def temperature(self) -> float:
        """The temperature that lowers the log-loss most; ``rt.calibrated`` gives the net that has it.

        Above 1 the net is too sure. 0.01..100; at an end where the loss would fall on beyond it.
        """
        found = self._decisions("temperature")
        if found.sense == ORDERED:
            raise UnknownNameError("Ordered classes have no temperature.", fix="log_loss, calibration")
        return fitted_temperature(found.logits(), found.flat(found.true))

    def roc(self, label: Any = True) -> Curve:
        """The ROC curve of a label against the rest; of classes a label is said."""
        return self._curve("roc", curves.roc, label)

    def precision_recall(self, label: Any = True) -> Curve:
        """Precision against recall for a label against the rest; of classes a label is said."""
        return self._curve("precision_recall", curves.precision_recall, label)

    @property
    def auc(self) -> float:
        """Area under the ROC curve: how often a True scores above a False, ties counting half.

        Over classes the mean of each against the rest. NaN where all examples are alike.
        """
        return self._area("auc", curves.auc)

    @property
    def average_precision(self) -> float:
        """Area under precision against recall: of True, or the mean of each class against the rest."""
        return self._area("average_precision", curves.average_precision)

    # Numbers --------------------------------------------------------------------------------------

    @property
    def unit(self) -> str | None:
        """The unit of errors, predictions and truths: that of the output's codec, if it says one."""
        scale = self.kept.scale if isinstance(self.kept, Numbers) else None
        return None if scale is None else scale.unit

    @property
    def mse(self) -> float:
        """Mean of the squared errors; these as all errors in the data's own units."""
        return self._kept("mse", Numbers).mse

    @property
    def rmse(self) -> float:
        """Square root of the mean of the squared errors."""
        return math.sqrt(self._kept("rmse", Numbers).mse)

    @property
    def mae(self) -> float:
        """Mean of the absolute errors; of ordered classes the mean number of steps between."""
        if isinstance(self.kept, ClassDecisions) and self.kept.sense == ORDERED:
            return self.kept.mae
        return self._kept("mae", Numbers).mae

    @property
    def mean_deviation(self) -> float:
        """Mean absolute deviation of the answers from the targets: the mean absolute error."""
        return self._kept("mean_deviation", Numbers).mae

    @property
    def median_absolute_error(self) -> float:
        """Median of the absolute errors."""
        return float(
            np.median(np.abs(self._kept("median_absolute_error", Numbers).errors("median_absolute_error")))
        )

    @property
    def max_error(self) -> float:
        """The largest absolute error."""
        return float(np.abs(self._kept("max_error", Numbers).errors("max_error")).max())

    @property
    def r2(self) -> float:
        """Share of the variance that is explained, at most 1; the mean over the numbers of an output."""
        return self._kept("r2", Numbers).r2

    @property
    def explained_variance(self) -> float:
        """As ``r2``, but a constant error does not count."""
        return self._kept("explained_variance", Numbers).explained_variance

    # Boxes ----------------------------------------------------------------------------------------

    @property
    def mean_average_precision(self) -> float:
        """Mean over labels and overlaps of 0.5, 0.55, ..., 0.95 of the average precision (COCO's mAP), 0..1.

        All boxes count that are found, whatever the codec's least score.
        """
        return self._kept("mean_average_precision", Detections).mean("mean")

    @property
    def map_50(self) -> float:
        """Mean over labels of the average precision where an overlap of 0.5 is right, 0..1."""
        return self._kept("map_50", Detections).mean("at_50")

    @property
    def map_75(self) -> float:
        """Mean over labels of the average precision where an overlap of 0.75 is right, 0..1."""
        return self._kept("map_75", Detections).mean("at_75")

    # Example by example ---------------------------------------------------------------------------

    @property
    def predictions(self) -> Any:
        """What the net answers for each example, in the order of the data: labels, numbers or boxes."""
        return self._things("predictions", "answered", "value")

    @property
    def truths(self) -> Any:
        """What the data says of each example, in the form and order of ``predictions``."""
        return self._things("truths", "true", "target")

    @property
    def probabilities(self) -> NDArray[Any]:
        """Of each example: float64 (examples, classes), or (examples) of True."""
        return self._decisions("probabilities").probabilities()

    @property
    def wrong(self) -> Data:
        """The examples with a wrong decision, in the order of the data."""
        found = self._decisions("wrong")
        missed = (~found.hits).reshape(self.examples, -1).any(1)
        return self._data[np.flatnonzero(missed)]  # type: ignore[no-any-return]

    def mistakes(self, n: int = 25) -> Answers:
        """The examples that were answered wrong most surely, the surest first; ``.plot()`` draws them.

        Of an example with several decisions, as a text or a mask has, its surest wrong one counts.

        Args:
            n: how many at most, at least 1.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Softmax(), input=2, output=rt.Classes(["cat", "dog"]))
            >>> m = rt.measure(net, ([[0.0, 3.0], [2.0, 0.0], [0.0, 1.0]], ["cat", "dog", "dog"]))
            >>> m.mistakes().rows, m.mistakes(1).answered
            ((0, 1), ('dog',))
        """
        found = self._decisions("mistakes")
        rows = surest_mistakes(found, whole(1)("mistakes: n", n))
        missed = int((~found.hits).reshape(self.examples, -1).any(1).sum())
        of = f"{missed:,} mistakes among {self.examples:,} examples"
        told = f"{of}, the surest first" if len(rows) == missed else f"The {len(rows)} surest of {of}"
        return answers(found, self._data, rows, told)

    def show(self, n: int = 25) -> Answers:
        """Examples that are evenly spread over the set, with what was answered; right and wrong are marked.

        Args:
            n: how many at most, at least 1.
        """
        found = self._decisions("show")
        some = np.linspace(0, self.examples - 1, min(whole(1)("show: n", n), self.examples)).round()
        return answers(found, self._data, some.astype(np.int64).tolist(), f"{len(some)} of {self.examples:,}")

    # Telling --------------------------------------------------------------------------------------

    def figures(self, names: Iterable[str] | None = None) -> dict[str, float]:
        """Figures by name; those of several outputs as ``"port.figure"``.

        Args:
            names: which; those that ``measure`` was asked for, or a choice, where they are left out.
        """
        chosen = self.asked if names is None else tuple(names)
        if self.parts:
            inner = {f"{p}.{k}": v for p, part in self.parts.items() for k, v in part.figures(names).items()}
            return {"loss": self.loss, **inner, **self.others}
        if names is not None:
            return {name: self[name] for name in names}
        assert self.kept is not None
        told = self._unasked() if chosen is None else chosen
        return {"loss": self.loss, **{name: self[name] for name in told}, **self.others}

    def __str__(self) -> str:
        return table(self)

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value:.4f}" for name, value in self.figures().items())
        return f"<Measurement of {self.examples:,} examples: {told}>"

    # Inside ---------------------------------------------------------------------------------------

    @property
    def _data(self) -> Data:
        assert self.data is not None
        return self.data

    def _unasked(self) -> tuple[str, ...]:
        assert self.kept is not None
        told = TOLD[self.kept.sense]
        return (told[0], "mean_iou", *told[1:]) if self.has_masks else told

    @property
    def has_masks(self) -> bool:
        """Whether an example is decided at the places of an area, as masks are."""
        return isinstance(self.kept, ClassDecisions) and self.kept.true.ndim >= 3

    def _value(self, figure: Figure) -> float:
        k, average = top_of(figure.name), average_of(figure.name)
        if k is not None:
            return self.top(k)
        if average is not None:
            return float(getattr(self.averaged(average[1]), average[0]))
        return float(getattr(self, figure.name))

    def _kept(self, asked: str, kind: type[K]) -> K:
        if self.kept is None:
            first = next(iter(self.parts))
            raise UnknownNameError(f"{asked} is of one output.", fix=f"m[{first!r}].{asked}")
        if not isinstance(self.kept, kind):
            own = {ClassDecisions: CLASSES, Numbers: NUMBERS, Detections: BOXES}
            senses = own.get(kind, f"{CLASSES} or {BOOLEAN}")
            there = [name for name, figure in FIGURES.items() if self.kept.sense in figure.senses]
            raise UnknownNameError(
                f"{asked} is of {senses}, but the output is {self.kept.sense}.", fix=", ".join(there)
            )
        return self.kept

    def _decisions(self, asked: str) -> Decisions:
        return self._kept(asked, Decisions)  # type: ignore[type-abstract]

    def _rates(self, asked: str) -> Rates:
        found = self._decisions(asked).counted
        return found.of(1) if isinstance(self.kept, BooleanDecisions) else found.averaged("macro")

    def _curve(self, asked: str, made: Any, label: Any) -> Curve:
        found = self._decisions(asked)
        scores, true, chances = found.scores(number_of(found.labels, label), asked)
        return made(label, scores, true, chances)  # type: ignore[no-any-return]

    def _area(self, asked: str, area: Any) -> float:
        found = self._decisions(asked)
        numbers = [1] if isinstance(found, BooleanDecisions) else range(len(found.labels))
        areas = np.array([area(*found.scores(number, asked)[:2]) for number in numbers])
        known = ~np.isnan(areas)
        return float(areas[known].mean()) if known.any() else math.nan

    def _things(self, asked: str, decided: str, numbers: str) -> Any:
        kept = self._kept(asked, Kept)
        sizes = kept.arrays.get("sizes")
        if isinstance(kept, Decisions):
            rows = np.array(kept.labels, dtype=object)[kept.arrays[decided]].tolist()
            return rows if sizes is None else [row[:size] for row, size in zip(rows, sizes, strict=True)]
        if isinstance(kept, Detections):
            return kept.decided() if decided == "answered" else kept.true
        assert isinstance(kept, Numbers)
        found = kept.own(numbers, asked)
        found.flags.writeable = False
        return found if sizes is None else np.split(found, sizes.cumsum()[:-1])

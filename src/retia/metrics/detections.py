"""How good found boxes are: average precision, as COCO counts it.

A found box is right when it overlaps (IoU) with a true box of its label by a threshold or more; the boxes of
a picture choose in the order of their scores, each the true box that it overlaps with most among those that
are left. Precision at a recall is the best that is reached there or beyond, and its mean over the recalls 0,
0.01, ..., 1 is the average precision.

Source: Lin et al. 2014, Microsoft COCO; Everingham et al. 2010 for the mean of precisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.codecs.overlap import overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Overlaps from which on a box is right: 0.5, 0.55, ..., 0.95."""


@dataclass(frozen=True)
class AveragePrecision:
    """The average precision of one label; NaN where no true box has it.

    Attributes:
        mean: over the thresholds 0.5, 0.55, ..., 0.95.
        at_50: where boxes that overlap by 0.5 are right.
        at_75: by 0.75.
        boxes: how many true boxes have the label.
    """

    mean: float
    at_50: float
    at_75: float
    boxes: int


@dataclass(frozen=True, eq=False)
class Found:
    """The boxes of one picture.

    Attributes:
        corners: (k, 4): left, top, right, bottom, in any unit.
        labels: of each.
        scores: (k).
    """

    corners: NDArray[Any]
    labels: Sequence[Any]
    scores: NDArray[Any]

    def of(self, label: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Corners and scores of the boxes of a label, the best first."""
        own = np.array([each == label for each in self.labels], bool)
        order = np.argsort(-self.scores[own], kind="stable")
        return self.corners[own][order], self.scores[own][order]


def average_precisions(
    found: Sequence[Found], true: Sequence[Found], labels: Sequence[Any]
) -> Mapping[Any, AveragePrecision]:
    """The average precision of each label, from the boxes of all pictures.

    Example:
        >>> from retia._late import numpy as np
        >>> box, one = np.array([[0.0, 0.0, 1.0, 1.0]]), np.ones(1)
        >>> average_precisions([Found(box, ["cat"], one)], [Found(box * 0.9, ["cat"], one)], ["cat"])
        {'cat': AveragePrecision(mean=0.7, at_50=1.0, at_75=1.0, boxes=1)}
    """
    return {label: _of_label(found, true, label) for label in labels}


def _of_label(found: Sequence[Found], true: Sequence[Found], label: Any) -> AveragePrecision:
    scores, right, count = [np.zeros(0)], [np.zeros((len(THRESHOLDS), 0), bool)], 0
    for answered, meant in zip(found, true, strict=True):
        boxes, score = answered.of(label)
        wanted, _ = meant.of(label)
        scores.append(score)
        right.append(_right(overlaps(boxes, wanted)))
        count += len(wanted)
    if not count:
        return AveragePrecision(np.nan, np.nan, np.nan, 0)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    each = _areas(np.concatenate(right, axis=1)[:, order], count)
    at = dict(zip(THRESHOLDS, each.tolist(), strict=True))
    return AveragePrecision(round(float(each.mean()), 12), at[0.5], at[0.75], count)


def _right(overlap: NDArray[Any]) -> NDArray[Any]:
    """Which found boxes of a picture, best first, are right, by threshold: (10, found)."""
    right = np.zeros((len(THRESHOLDS), len(overlap)), bool)
    for place, threshold in enumerate(THRESHOLDS):
        left = overlap.copy()
        for number in range(len(left) if left.size else 0):
            best = int(left[number].argmax())
            if left[number, best] >= threshold:
                right[place, number] = True
                left[:, best] = -1
    return right


def _areas(right: NDArray[Any], count: int) -> NDArray[Any]:
    """The average precision by threshold, from which boxes are right, best first, and how many there are."""
    hits = right.cumsum(axis=1)
    recall = hits / count
    precision = hits / np.arange(1, right.shape[1] + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.pad(best, ((0, 0), (0, 1)))  # beyond the last recall nothing is found
    asked = np.linspace(0, 1, 101)
    places = [np.searchsorted(each, asked, side="left") for each in recall]
    return np.array([row[place].mean() for row, place in zip(best, places, strict=True)])

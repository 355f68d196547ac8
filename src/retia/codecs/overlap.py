"""Boxes as arrays: their forms, how much two of them overlap, and which of many that overlap are kept.

===================  =============================================
form                 the four numbers of a box
===================  =============================================
``"corners"``        left, top, right, bottom
``"corner"``         left, top, width, height (as COCO has it)
``"center"``         x and y of the middle, width, height (as YOLO)
===================  =============================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia._late import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMS = ("corners", "corner", "center")


def to_corners(boxes: NDArray[Any], form: str) -> NDArray[Any]:
    """Boxes (..., 4) of any form as left, top, right, bottom.

    Example:
        >>> from retia._late import numpy as np
        >>> to_corners(np.array([[5.0, 5.0, 4.0, 2.0]]), "center")
        array([[3., 4., 7., 6.]])
    """
    first, last = boxes[..., :2], boxes[..., 2:]
    if form == "corners":
        return boxes
    if form == "corner":
        return np.concatenate([first, first + last], axis=-1)
    return np.concatenate([first - last / 2, first + last / 2], axis=-1)


def from_corners(boxes: NDArray[Any], form: str) -> NDArray[Any]:
    """Boxes (..., 4), left, top, right and bottom, in another form."""
    first, last = boxes[..., :2], boxes[..., 2:]
    if form == "corners":
        return boxes
    if form == "corner":
        return np.concatenate([first, last - first], axis=-1)
    return np.concatenate([(first + last) / 2, last - first], axis=-1)


def overlaps(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """The overlap of each box with each: the area that both cover by the area that either does (IoU), 0..1.

    Boxes without area overlap with nothing.

    Args:
        one: (n, 4) corners.
        other: (m, 4) corners.
    Returns:
        (n, m).
    Example:
        >>> from retia._late import numpy as np
        >>> overlaps(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3)
        array([[0.333, 0.   ]])
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    first = np.maximum(one[:, None, :2], other[None, :, :2])
    last = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = (last - first).clip(0).prod(axis=2)
    either = _areas(one)[:, None] + _areas(other)[None] - both
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0))


def suppress(
    boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any], overlap: float
) -> NDArray[Any]:
    """Which boxes are kept: the best of those of a class that overlap (non-maximum suppression).

    Args:
        boxes: (n, 4) corners.
        scores: (n); of equal ones the first counts as better.
        classes: (n) whole numbers; boxes of different classes leave each other alone.
        overlap: 0..1; a box goes if it overlaps by more than this with a better one that is kept.
    Returns:
        Their places, best first.
    Example:
        >>> from retia._late import numpy as np
        >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 5], [7, 7, 9, 9]])
        >>> suppress(boxes, np.array([0.5, 0.9, 0.7]), np.zeros(3, int), 0.5)
        array([1, 2])
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    clash = overlaps(boxes[order], boxes[order]) > overlap
    clash &= classes[order][:, None] == classes[order][None]
    gone = np.zeros(len(order), bool)
    for i in range(len(order)):
        if not gone[i]:
            gone[i + 1 :] |= clash[i, i + 1 :]
    return np.asarray(order[~gone])


def _areas(boxes: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1))

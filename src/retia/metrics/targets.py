"""Whether targets fit an output and its loss: shapes, whole numbers, labels in range, finite numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import DataError, ShapeError
from retia.metrics.losses import Loss
from retia.shapes import Extent, Shape, show

if TYPE_CHECKING:
    from torch import Tensor


def check_target(port: str, loss: Loss, shape: Shape | None, axis: int, target: Tensor, rows: Any) -> None:
    """Make sure that an output's targets fit its loss.

    Args:
        port: as errors call it.
        loss: of the output.
        shape: of one example's output; None while it is unknown.
        axis: of the classes in a batch.
        target: batch first.
        rows: the examples' numbers; None counts them from 0.
    Raises:
        ShapeError: another shape than the output's. DataError: a value out of its range, with its row.
    """
    got = tuple(target.shape[1:])
    if loss.classes and shape is not None and len(got) == len(shape) - 1:
        place = (axis if axis < 0 else axis - 1) % len(shape)
        if _fits(shape[:place] + shape[place + 1 :], got):
            _check_labels(port, target, shape[place], rows)
            return
    elif shape is None or _fits(shape, got):
        _check_finite(port, target, rows)
        return
    raise ShapeError(
        f"{port}: the net gives {show(shape)} for each example, but the targets are {show(got)}; "
        f"{loss.name} cannot compare these.",
        fix=_cure(loss, shape or (), got),
        path=port,
        expected=shape,
        got=got,
    )


def _cure(loss: Loss, shape: Shape, got: tuple[int, ...]) -> str:
    if shape == (1,) and got == ():
        return "give the targets a column of their own, y.reshape(-1, 1), or the net output=()"
    if shape == () and got == (1,):
        return "targets without the column, y.reshape(-1)"
    if loss.classes:
        return f"class numbers, one for each of {show(shape[:-1])}, or probabilities of shape {show(shape)}"
    if got == () and len(shape) == 1:
        return "loss='cross-entropy' takes class numbers; else targets of the output's shape"
    return f"targets of shape {show(shape)}, or another size at the net's end"


def _fits(shape: Shape, got: tuple[int, ...]) -> bool:
    return len(shape) == len(got) and all(
        s is None or isinstance(s, Extent) or s == g for s, g in zip(shape, got, strict=True)
    )


def _check_labels(port: str, target: Tensor, classes: Any, rows: Any) -> None:
    if target.is_floating_point() or target.dtype == torch.bool:
        raise DataError(
            f"{port}: class numbers are whole numbers; the targets are {target.dtype}.",
            fix="whole numbers, or probabilities of the output's shape",
            path=port,
            got=target.dtype,
        )
    wrong = target < 0
    if isinstance(classes, int):
        wrong |= target >= classes
    if bool(wrong.any()):
        row, value = _first(wrong, target, rows)
        raise DataError(
            f"{port}: row {row} has the class number {int(value)}, but there are {classes} classes, "
            f"numbered from 0.",
            fix="output=rt.Classes(labels) takes labels of any kind and numbers them",
            path=port,
            expected=classes,
            got=int(value),
        )


def _check_finite(port: str, target: Tensor, rows: Any) -> None:
    if target.is_floating_point() and not bool((finite := target.isfinite()).all()):
        row, value = _first(~finite, target, rows)
        raise DataError(f"{port}: the target in row {row} is {value:g}.", path=port, got=value)


def _first(wrong: Tensor, values: Tensor, rows: Any) -> tuple[int, float]:
    where = wrong.nonzero()[0]
    number = int(where[0])
    return int(rows[number]) if rows is not None else number, float(values[tuple(where)])

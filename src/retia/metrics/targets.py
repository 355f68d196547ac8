"""Whether targets fit an output and its loss: shapes, whole numbers, labels and numbers in range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import DataError, ShapeError
from retia.metrics.loss import CLASSES, LABELS, PAIRS, SEQUENCE, SHARES, Loss
from retia.metrics.sequence_losses import CTC
from retia.shapes import Extent, Shape, show, varies

if TYPE_CHECKING:
    from torch import Tensor

NEAR = 1e-3
"""Probabilities may add up to 1 but for so much."""


def check_target(
    port: str,
    loss: Loss,
    shape: Shape | None,
    axis: int,
    target: Tensor,
    rows: Any,
    ignored: int | None = None,
) -> None:
    """Make sure that an output's targets fit its loss.

    Args:
        port: as errors call it.
        loss: of the output.
        shape: of one example's output; None while it is unknown.
        axis: of the classes in a batch.
        target: batch first.
        rows: the examples' numbers; None counts them from 0.
        ignored: a class number that may stand there whatever the classes.
    Raises:
        ShapeError: another shape than the loss takes. DataError: a value out of its range, with its row.
    """
    got = tuple(target.shape[1:])
    if loss.form == LABELS or loss.form == PAIRS and shape != ():
        if got == ():
            _check_whole(port, target, "labels")
            return
    elif loss.form == SEQUENCE:
        if len(got) == 1:
            assert isinstance(loss, CTC)
            _check_sequences(port, loss, shape, target, rows)
            return
    elif loss.form == CLASSES and shape is not None and len(got) == len(shape) - 1:
        place = (axis if axis < 0 else axis - 1) % len(shape)
        if _fits(shape[:place] + shape[place + 1 :], got):
            _check_labels(port, target, shape[place], rows, ignored)
            return
    elif shape is None or _fits(shape, got):
        _check_numbers(port, loss, target, rows)
        if loss.form in (CLASSES, SHARES) and target.dim() > 1 and not varies(shape):
            _check_shares(port, loss, axis, target, rows)
        return
    raise ShapeError(
        f"{port}: the net gives {show(shape)} for each example, but the targets are {show(got)}; "
        f"{loss.name} cannot compare these.",
        fix=_cure(loss, shape or (), got),
        path=port,
        expected=shape,
        got=got,
    )


def check_column(port: str, name: str, shape: Shape | None, target: Tensor) -> None:
    """Make sure that a function does not compare each number with all numbers of a batch.

    PyTorch makes (N, N) of (N) and (N, 1) where they are subtracted, and no mean of it tells.

    Raises:
        ShapeError: the output is a number and the target a column of one, or the other way round.
    """
    got = tuple(target.shape[1:])
    if {shape, got} == {(), (1,)}:
        raise ShapeError(
            f"{port}: the net gives {show(shape)} for each example, but the targets are {show(got)}; "
            f"{name} would compare each with all.",
            fix=_column(got),
            path=port,
            expected=shape,
            got=got,
        )


def _cure(loss: Loss, shape: Shape, got: tuple[int, ...]) -> str:
    if loss.form == LABELS or loss.form == PAIRS and shape != ():
        return "labels, one whole number for each example"
    if loss.form == SEQUENCE:
        return "sequences of class numbers, one for each example; shorter ones end in -1"
    if {shape, got} == {(), (1,)}:
        return _column(got)
    if loss.form == CLASSES and len(shape) == 1 and got == (1,):
        return "class numbers without the column, y.reshape(-1)"
    if loss.form == CLASSES:
        each = f"{show(shape[:-1])}, one for each place" if len(shape) > 1 else "one for each example"
        return f"class numbers, {each}, or probabilities of shape {show(shape)}"
    if got == () and len(shape) == 1:
        return "loss='cross-entropy' takes class numbers; else targets of the output's shape"
    return f"targets of shape {show(shape)}, or another size at the net's end"


def _column(got: tuple[int, ...]) -> str:
    if got == ():
        return "give the targets a column of their own, y.reshape(-1, 1), or the net output=()"
    return "targets without the column, y.reshape(-1)"


def _fits(shape: Shape, got: tuple[int, ...]) -> bool:
    return len(shape) == len(got) and all(
        s is None or isinstance(s, Extent) or s == g for s, g in zip(shape, got, strict=True)
    )


def _check_whole(port: str, target: Tensor, what: str) -> None:
    if target.is_floating_point() or target.dtype == torch.bool:
        raise DataError(
            f"{port}: {what} are whole numbers; the targets are {target.dtype}.",
            fix=f"y.astype(int), if the numbers are {what}",
            path=port,
            got=target.dtype,
        )


def _check_labels(port: str, target: Tensor, classes: Any, rows: Any, ignored: int | None = None) -> None:
    _check_whole(port, target, "class numbers")
    wrong = target < 0
    if isinstance(classes, int):
        wrong |= target >= classes
    if ignored is not None:
        wrong &= target != ignored
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


def _check_sequences(port: str, loss: CTC, shape: Shape | None, target: Tensor, rows: Any) -> None:
    _check_whole(port, target, "class numbers")
    time, classes = shape or (None, None)
    if isinstance(classes, int) and bool((target >= classes).any()):
        _check_labels(port, target.clamp_min(0), classes, rows)
    counts = loss.lengths(target)
    places = torch.arange(target.shape[1], device=target.device)
    holes = (target >= 0) & (target != loss.blank) & (places >= counts.unsqueeze(1))
    if bool(holes.any()):
        row, _ = _first(holes, target, rows)
        raise DataError(
            f"{port}: row {row} has {loss.blank} (the blank) or a negative number before its end.",
            fix="class numbers without the blank, then only -1; or another CTC(blank=...)",
            path=port,
        )
    if not isinstance(time, int):
        return
    twice = (target[:, 1:] == target[:, :-1]) & (places[1:] < counts.unsqueeze(1))
    short = counts + twice.sum(1) > time
    if bool(short.any()):
        row, needed = _first(short, counts + twice.sum(1), rows)
        raise DataError(
            f"{port}: row {row} needs {int(needed)} times, one for each class number and one between two of "
            f"the same, but the net gives {time}.",
            fix="a net that gives more times, or shorter targets",
            path=port,
            expected=time,
            got=int(needed),
        )


def _check_numbers(port: str, loss: Loss, target: Tensor, rows: Any) -> None:
    if target.is_floating_point() and not bool((finite := target.isfinite()).all()):
        row, value = _first(~finite, target, rows)
        raise DataError(f"{port}: the target in row {row} is {value:g}.", path=port, got=value)
    low, high = (0.0, 1.0) if loss.form in (CLASSES, SHARES) else (loss.low, loss.high)
    wrong = (target < low) | (target > high)
    if bool(wrong.any()):
        row, value = _first(wrong, target, rows)
        raise DataError(
            f"{port}: the target in row {row} is {value:g}, but {loss.name} takes numbers from {low:g} to "
            f"{high:g}.",
            path=port,
            expected=(low, high),
            got=value,
        )


def _check_shares(port: str, loss: Loss, axis: int, target: Tensor, rows: Any) -> None:
    sums = target.sum(axis, dtype=torch.float64)
    wrong = (sums - 1).abs() > NEAR
    if bool(wrong.any()):
        row, total = _first(wrong, sums, rows)
        raise DataError(
            f"{port}: the targets in row {row} add up to {total:g}, but {loss.name} takes probabilities that "
            "add up to 1.",
            fix="end in rt.Sigmoid() with loss='binary-cross-entropy' where several classes are true at once",
            path=port,
            expected=1,
            got=total,
        )


def _first(wrong: Tensor, values: Tensor, rows: Any) -> tuple[int, float]:
    where = wrong.nonzero()[0]
    number = int(where[0])
    return int(rows[number]) if rows is not None else number, float(values[tuple(where)])

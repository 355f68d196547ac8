"""Parts of the data for experiments: one validation part for all trainings, and what is stratified by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from retia.errors import ArgumentError
from retia.sources.columns import Label
from retia.sources.dataset import Data
from retia.training.prepare import parts_of

FEW = 0.2
"""Of too few examples for a tenth, this share is held out, for something must be."""


def judged_apart(what: str, data: Data, validation: Any, seed: int) -> tuple[Data, Data]:
    """The examples to learn from, and those that all trainings of an experiment are judged by.

    Args:
        what: the experiment, for messages.
        data: whose test part is not touched.
        validation: as in ``train``, but something is always held out.
        seed: of the draw.
    Raises:
        ArgumentError: nothing is to be held out.
    Example:
        >>> import retia as rt
        >>> train, held_out = judged_apart("sweep", rt.data((range(10), range(10))), None, 0)
        >>> len(train), len(held_out)
        (8, 2)
    """
    train, held_out, _ = parts_of(data, validation, seed)
    if held_out is None and validation is None:
        held_out, train = train.split(FEW, seed=seed)
    if held_out is None:
        raise ArgumentError(
            f"{what} compares trainings by a validation part, but validation is {validation!r}.",
            fix="validation=0.2, or validation=rt.data(...)",
            got=validation,
        )
    return train, held_out


def labels_of(data: Data, without: str | None = None) -> list[Label] | None:
    """What examples are stratified by: their labels, as ``split`` does; None where that makes no sense.

    Args:
        data: whose labels are meant.
        without: a column that holds none of them.
    """
    columns = {name: column for name, column in data.columns.items() if name != without}
    name = replace(data, columns=columns, parts={}).label_column if columns else None
    labels = None if name is None else data.columns[name].labels(data.rows)
    return labels if labels is not None and 1 < len(set(labels)) < len(labels) else None

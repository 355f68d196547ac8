"""Which way a figure improves."""

from __future__ import annotations

from retia.errors import ArgumentError
from retia.metrics.names import HIGHER, LOWER, find_figure


def better_of(figure: str) -> str:
    """``"higher"`` or ``"lower"``, whichever is better of a figure as the history calls it.

    Raises:
        ArgumentError: a figure of one's own.
    Example:
        >>> better_of("val_loss"), better_of("val_age.accuracy")
        ('lower', 'higher')
    """
    name = figure.removeprefix("val_").rpartition(".")[2]
    try:
        return LOWER if name == "loss" else find_figure(name).better
    except ArgumentError:
        raise ArgumentError(
            f"Nobody knows whether more or less of {name!r} is better.",
            fix="better='higher' or better='lower'",
            got=name,
        ) from None


__all__ = ["HIGHER", "LOWER", "better_of"]

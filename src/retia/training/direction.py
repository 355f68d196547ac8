"""Which way a figure improves, by its name alone."""

from __future__ import annotations

from retia.errors import ArgumentError
from retia.metrics.names import HIGHER, LOWER, find_figure


def better_of(figure: str, who: str = "") -> str:
    """``"higher"`` or ``"lower"``, whichever is better of a figure as the history calls it.

    Args:
        figure: ``"val_loss"``, or with an output's name before the figure's, ``"val_age_mae"``.
        who: asks, for the error.
    Raises:
        ArgumentError: the name does not tell.
    Example:
        >>> better_of("val_loss"), better_of("val_age.accuracy"), better_of("mae")
        ('lower', 'higher', 'lower')
    """
    words = figure.removeprefix("val_").replace(".", "_").split("_")
    for begin in range(len(words)):
        name = "_".join(words[begin:])
        if name == "loss":
            return LOWER
        try:
            return find_figure(name).better
        except ArgumentError:
            continue
    asked = f"{who}: whether" if who else "Whether"
    raise ArgumentError(
        f"{asked} a higher or a lower {figure!r} is better cannot be known from its name.",
        fix='better="higher" or better="lower"',
        got=figure,
    )


__all__ = ["HIGHER", "LOWER", "better_of"]

"""Patterns of paths: ``"classifier"`` covers everything below it, ``*`` stands for anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from retia.errors import UnknownNameError, did_you_mean


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern matches a path or anything above it.

    Example:
        >>> matches("block", "block.conv.weight"), matches("*.bias", "0.bias"), matches("b", "block")
        (True, True, False)
    """
    parts = path.split(".")
    return any(fnmatchcase(".".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))


def winner(patterns: Iterable[str], path: str, matching: Callable[[str, str], bool] = matches) -> str | None:
    """The first of some patterns that matches a path.

    Args:
        matching: what it is for a pattern to match a path.
    Example:
        >>> winner(["*.bias", "head", "*"], "head.weight")
        'head'
    """
    return next((pattern for pattern in patterns if matching(pattern, path)), None)


def refuse_idle(
    what: str, patterns: Iterable[str], paths: list[str], matching: Callable[[str, str], bool] = matches
) -> None:
    """Make sure that every pattern says something.

    Args:
        what: the argument that the patterns are of, as errors call it.
        patterns: in their order.
        paths: that they may match.
        matching: as in ``winner``.
    Raises:
        UnknownNameError: one that matches nothing, or nothing that an earlier one has not.
    """
    patterns = tuple(patterns)
    won = {winner(patterns, path, matching) for path in paths}
    for pattern in patterns:
        if pattern in won:
            continue
        if any(matching(pattern, path) for path in paths):
            raise UnknownNameError(
                f"{what}: all that {pattern!r} matches is matched by a pattern before it.",
                fix="put the narrower pattern first",
                path=pattern,
            )
        known = sorted({path.split(".")[0] for path in paths})
        raise UnknownNameError(
            f"{what}: {pattern!r} matches no path.{did_you_mean(pattern, [*paths, *known])}",
            fix=f"the net has {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}",
            path=pattern,
        )

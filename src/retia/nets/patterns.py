"""Patterns of paths: ``"classifier"`` covers everything below it, ``*`` stands for anything."""

from __future__ import annotations

from fnmatch import fnmatchcase


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern matches a path or anything above it.

    Example:
        >>> matches("block", "block.conv.weight"), matches("*.bias", "0.bias"), matches("b", "block")
        (True, True, False)
    """
    parts = path.split(".")
    return any(fnmatchcase(".".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))

"""The order that people expect of names and labels."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import Any


def sort_labels(labels: Iterable[Hashable]) -> list[Any]:
    """Labels in the order that people expect: truth values, numbers, then words, "10" after "2"."""
    return sorted(labels, key=lambda label: (isinstance(label, str), natural(label)))


def natural(label: Any) -> tuple[Any, ...]:
    """The key of natural order: runs of digits count as numbers.

    Example:
        >>> sorted(["img10.png", "img2.png"], key=natural)
        ['img2.png', 'img10.png']
    """
    if not isinstance(label, str):
        return (label,)
    runs = re.split(r"(\d+)", label)  # text and digits by turns, so that like is compared with like
    digits = [run.lstrip("0") for run in runs]
    return [(len(digits[n]), digits[n]) if n % 2 else run for n, run in enumerate(runs)], label

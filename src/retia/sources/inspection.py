"""Looking over a set of examples: the table that describes it, and the search for unreadable pictures."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from retia.errors import ArgumentError, DataError, RetiaWarning
from retia.sources import pictures
from retia.sources.columns import FileColumn

if TYPE_CHECKING:
    from retia.sources.columns import Label
    from retia.sources.dataset import Data


def table(data: Data) -> str:
    """How many examples there are, what each column holds, how often each label occurs."""
    sizes = [f"{len(part):,} ({name})" for name, part in data.parts.items()] or [f"{len(data):,}"]
    lines = [f"{data.name or 'Data'}: {', '.join(sizes)} examples"]
    width = max(map(len, data.columns))
    for name, column in data.columns.items():
        lines.append(f"  {name:<{width}}  {column.kind()}")
        if name == data.label_column:
            lines.append(f"  {'':<{width}}  {_tell(data.counts(name))}")
    return "\n".join(lines)


def _tell(counts: Mapping[Label, int]) -> str:
    shown = ", ".join(f"{label} {count:,}" for label, count in [*counts.items()][:12])
    return f"{len(counts):,} labels: {shown}{', ...' if len(counts) > 12 else ''}"


def check(data: Data, on_error: str) -> Data:
    """The set, its parts too, without its unreadable pictures; see ``Data.check``."""
    if on_error not in ("raise", "skip"):
        raise ArgumentError(f"on_error is 'raise' or 'skip'; got {on_error!r}.", got=on_error)
    if data.parts:
        parts = {name: check(part, on_error) for name, part in data.parts.items()}
        return data.of_parts(parts, name=data.name, about=data.about)
    bad: dict[int, str] = {}
    for column in data.columns.values():
        if isinstance(column, FileColumn):
            bad |= pictures.unreadable(column.things(data.rows))
    if not bad:
        return data
    what = f"{len(bad):,} of {len(data):,} unreadable pictures: {pictures.listed(bad)}"
    if on_error == "raise" or len(bad) == len(data):
        raise DataError(
            f"There are {what}",
            because=[*bad.values()][:10],
            fix='rt.data(folder, on_error="skip") leaves them out' if len(bad) < len(data) else None,
            got=sorted(bad),
        )
    warnings.warn(f"skipped {what}", RetiaWarning, stacklevel=3)
    return data[[n for n in range(len(data)) if n not in bad]]  # type: ignore[no-any-return]

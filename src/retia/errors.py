"""The one family of errors. Each says where, what was expected, what was found, and what to do.

``Error`` is the root; leaves are also the built-in kind that a caller would expect. Facts stand as
attributes as well as in the text, so programs need not parse it. This module imports nothing of Retia.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Error(Exception):
    """Root of everything that Retia raises on purpose.

    Args:
        message: one line: where, what was expected, what was found.
        because: lines that tell where an expectation came from.
        fix: the call that repairs it.
        path: the layer, port, file or row that is meant.
        expected: the value that was expected.
        got: the value that was found.
    """

    def __init__(
        self,
        message: str,
        *,
        because: Iterable[str] = (),
        fix: str | None = None,
        path: str | None = None,
        expected: object = None,
        got: object = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.because = tuple(because)
        self.fix = fix
        self.path = path
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  from  {line}" for line in self.because]
        if self.fix:
            lines.append(f"  fix   {self.fix}")
        return "\n".join(lines)


class ShapeError(Error, ValueError):
    """Sizes that cannot be true together, or a size that is needed and not known."""


class ArgumentError(Error, TypeError, ValueError):
    """An argument of the wrong kind, out of its range, or of a name that is not there."""


class StructureError(Error, ValueError):
    """A net whose parts do not fit together: cycles, unknown, unused or repeated names."""


class ArraysError(Error, ValueError):
    """Arrays that are missing, of another shape, or changed behind the net's back."""


class CodecError(Error, ValueError):
    """A thing that a codec cannot encode, or an array that it cannot decode."""


class DataError(Error, ValueError):
    """Examples that are missing, unreadable, or do not match the net."""


class RowError(DataError, IndexError):
    """A row that a set of examples does not have."""


class FormatError(Error, ValueError):
    """A file that is not what it should be. Nothing of it was executed."""


class FileError(FormatError, OSError):
    """A file that cannot be opened, read or written. ``errno`` and ``filename`` are the system's."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that is not there."""


class TrainingError(Error, ValueError):
    """A training that cannot start, or that had to stop; ``run`` is then what there is of it."""

    run: object = None


class OutOfMemoryError(TrainingError, MemoryError):
    """A batch that the memory cannot hold. ``expected`` is a size that fits, where there is one."""


class UnknownNameError(Error, KeyError, AttributeError):
    """A name that nothing here has."""


class NotYetError(Error, NotImplementedError):
    """Something that is planned and not there yet."""


class MissingExtraError(Error, ImportError):
    """An optional package that this call needs."""


class RetiaWarning(UserWarning):
    """Root of everything that Retia warns of."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A hint for a misspelt name: " Did you mean 'relu'?", or nothing.

    Example:
        >>> did_you_mean("relo", ["relu", "tanh"])
        " Did you mean 'relu'?"
    """
    if not isinstance(name, str) or len(name) > 100:  # no misspelling, and long ones take long to compare
        return ""
    known = [str(k) for k in known]
    lowered = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f" Did you mean {lowered[close[0]]!r}?" if close else ""


def plain(text: str, longest: int = 400) -> str:
    """A sentence that quotes from a file, without what a terminal would act on."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:longest])
    return text if len(text) < longest else text[: longest - 3] + "..."

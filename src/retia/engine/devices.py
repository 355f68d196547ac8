"""Where nets are computed: the choice of a device, and what to say when its memory is too small.

Knows PyTorch's devices and nothing of nets. A batch that the memory cannot hold is answered with one that
it can: found by trying, with the same work on fewer examples.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, Error, OutOfMemoryError, did_you_mean

if TYPE_CHECKING:
    from torch.types import Device

PROGRAMS = ("cpu", "cuda", "mps")
"""Types of devices that run flat programs; the others walk."""

OTHER_NAMES = {"gpu": "cuda", "nvidia": "cuda", "rocm": "cuda", "amd": "cuda", "metal": "mps", "apple": "mps"}

EXHAUSTED = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "alloc_failed",
)
"""What the errors of allocators say that have no type of their own."""


def read_device(given: Any = None, *, float64: bool = False) -> torch.device:
    """A device that is there and computes; the best there is if none is named: cuda, mps, else cpu.

    Args:
        given: None, or what ``torch.device`` takes: ``"cpu"``, ``"cuda:1"``, ``"mps"``, or any other that
            PyTorch knows (``"xpu"``, ``"xla"``), where it works.
        float64: whether float64 is needed, which mps has not.
    Raises:
        ArgumentError: it is not there, computes nothing, or has no float64.
    Example:
        >>> read_device("cpu")
        device(type='cpu')
    """
    if given is None:
        return _best(float64)
    try:
        device = torch.device(given)
    except TypeError:
        raise _refused(given, "is no device. It is a name like 'cuda:1'.") from None
    except RuntimeError as error:
        raise _refused(given, "is not there" + (_meant(given) or f": {_said(error)}.")) from None
    if device.type == "meta":
        raise _refused(given, "computes no numbers.")
    try:
        _compute(device, torch.float32)
    except (RuntimeError, AssertionError, ImportError, ValueError) as error:
        raise _refused(given, f"is not there: {_said(error)}.") from None
    if float64:
        try:
            _compute(device, torch.float64)
        except (RuntimeError, TypeError) as error:
            raise _refused(given, f"has no float64, which the net's arrays are: {_said(error)}.") from None
    return torch.device("cpu") if device.type == "cpu" else device  # there is one, whatever its number


def program_on(device: Device) -> bool:
    """Whether flat programs run on a device; nets are walked on the others.

    Example:
        >>> program_on("cpu"), program_on("xla")
        (True, False)
    """
    return torch.device(device).type in PROGRAMS  # type: ignore[arg-type]


def captured_on(device: Device) -> bool:
    """Whether a program is captured there and replayed without the host: CUDA's graphs.

    Example:
        >>> captured_on("cuda"), captured_on("cpu")
        (True, False)
    """
    return torch.device(device).type == "cuda"  # type: ignore[arg-type]


# Memory -------------------------------------------------------------------------------------------


@contextmanager
def fits(
    size: int,
    attempt: Callable[[int], Any],
    *,
    what: str = "A training step",
    argument: str = "batch_size",
) -> Iterator[None]:
    """Around work on a batch: when the memory is too small for it, the error names a batch that fits.

    Args:
        size: at least 1, examples in the batch.
        attempt: does the same work with so many examples, and changes nothing.
        what: the work, for the error.
        argument: what sets the size, for the error.
    Raises:
        OutOfMemoryError: the memory is too small. ``.expected`` is the size that fits, or None.
    Example:
        >>> def work(size):
        ...     if size > 30:
        ...         raise MemoryError("not enough memory")
        >>> with fits(100, work):
        ...     work(100)
        Traceback (most recent call last):
        retia.errors.OutOfMemoryError: A training step with 100 examples does not fit into the memory.
          from  not enough memory
          fix   batch_size=25, which was tried just now and fits
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        said = _said(error)
        _release(error)
    else:
        return
    fitting = batch_that_fits(attempt, size)
    found = f"{argument}={fitting}, which was tried just now and fits"
    raise OutOfMemoryError(
        f"{what} with {size:,} example{'s' * (size > 1)} does not fit into the memory.",
        because=[said],
        fix=found if fitting else "a smaller net, or a device with more memory: no smaller batch fits",
        path=argument,
        expected=fitting,
        got=size,
    ) from None


def batch_that_fits(attempt: Callable[[int], Any], size: int) -> int | None:
    """The first of size/2, size/4, ..., 1 for which there is memory, found by trying; None if for none.

    Args:
        attempt: does the work with so many examples, and changes nothing. An error of Retia's says that it
            cannot be done with so few.
        size: that was too large.
    Example:
        >>> batch_that_fits(lambda size: bytearray(size), 1000)
        500
    """
    while size := size // 2:
        try:
            attempt(size)
        except Exception as error:
            if not is_out_of_memory(error):
                if isinstance(error, Error):
                    return None
                raise
            _release(error)
        else:
            return size
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is exhausted, on whatever device.

    Example:
        >>> is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: ...)"))
        True
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and _speaks_of_memory(str(error))


def _release(error: BaseException) -> None:
    """Let go of what an error holds: the tensors in the frames that it came through."""
    held: BaseException | None = error
    while held is not None:
        traceback.clear_frames(held.__traceback__)
        held = held.__cause__ or held.__context__
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


# How ----------------------------------------------------------------------------------------------


def _best(float64: bool) -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() and not float64 else "cpu")


def _compute(device: torch.device, kind: torch.dtype) -> None:
    torch.ones(1, device=device, dtype=kind).add(1).item()


def _refused(given: Any, why: str) -> ArgumentError:
    return ArgumentError(f"device={given!r} {why}", fix="device='cpu'", path="device", got=given)


def _said(error: BaseException) -> str:
    """The sentence of an error that speaks of memory, else the first one, else its kind."""
    lines = str(error).splitlines()
    sentences = lines[0].split(". ") if lines else [type(error).__name__]
    telling = [each for each in sentences if _speaks_of_memory(each)]
    return (telling or sentences)[0].rstrip(".")


def _speaks_of_memory(text: str) -> bool:
    return any(words in text.lower() for words in EXHAUSTED)


def _meant(given: Any) -> str:
    name = str(given).lower().partition(":")[0]
    if name in OTHER_NAMES:
        return f". It is called {OTHER_NAMES[name]!r} here."
    hint = did_you_mean(name, [*PROGRAMS, "xpu", "xla"])
    return f".{hint}" if hint and name not in hint else ""

"""Numbers: one, a vector of them, or an array of any rank, encoded as float32.

Whole numbers and truth values become real ones. What is ragged, not a number, not finite or beyond
float32 is refused, and the error names the row.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import as_numbers, brief, is_array, rows_where
from retia.errors import CodecError
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import setting, whole, whole_tuple
from retia.shapes import Shape, show

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAIN = (bool, int, float, list, tuple)


class Numbers(Codec):
    """The interface of codecs of numbers. An example has the axes of ``sizes``; a batch has one more."""

    properties: ClassVar[tuple[str, ...]] = ("decision",)

    @property
    @abstractmethod
    def sizes(self) -> tuple[int | None, ...]:
        """Sizes of one example's axes, None for those that are not known yet."""

    def with_sizes(self, sizes: tuple[int, ...]) -> Codec:
        """The same codec with all its sizes; for leaves whose sizes can be open."""
        return self

    # Finished -------------------------------------------------------------------------------------

    @property
    def shape(self) -> Shape | None:
        return self.sizes

    def is_fitted(self) -> bool:
        return None not in self.sizes

    def fit(self, things: Sequence[Any]) -> Codec:
        if self.is_fitted():
            return self
        batch = self._rows(things)
        if not len(batch):
            raise CodecError(f"{self!r}: there are no examples to learn the size from.")
        return self.with_sizes(batch.shape[1:])

    def with_shape(self, shape: Shape | None) -> Codec:
        if self.is_fitted() or shape is None or not all(isinstance(size, int) for size in shape):
            return self
        return self.with_sizes(shape)  # type: ignore[arg-type]

    def is_one(self, thing: Any) -> bool:
        rank, own = rank_of(thing), len(self.sizes)
        if isinstance(thing, list | tuple) and not thing:
            return False
        if rank in (own, own + 1):
            return rank == own
        if not rank:
            return True
        raise CodecError(
            f"{self!r}: one example has {own} axes and a batch {own + 1}; got {brief(thing)} with {rank}.",
            fix="y.ravel()" if own == 0 and rank == 2 else None,
            expected=own,
            got=rank,
        )

    def pack(self, things: Sequence[Any]) -> torch.Tensor:
        rows = self._rows(things)
        with np.errstate(over="ignore"):
            packed = np.array(rows, dtype=np.float32)
        bad = rows_where(~np.isfinite(packed))
        if bad.any():
            row = int(bad.argmax())
            worst = rows[row][~np.isfinite(packed[row])].ravel()[0]
            wrong = "beyond float32" if np.isfinite(worst) else "not a finite number"
            raise CodecError(
                f"{self!r}: row {row} has {worst!s}, which is {wrong} ({int(bad.sum())} of {len(bad)} rows).",
                fix="leave such rows out, or fill in a number, first",
                path=f"row {row}",
                got=worst,
            )
        return torch.from_numpy(packed)

    def _rows(self, things: Sequence[Any]) -> NDArray[Any]:
        """A batch as one array of numbers of any kind."""
        if is_array(things):
            array = as_numbers(things, repr(self))
        elif len(things) == 0:
            array = np.zeros((0, *(size or 0 for size in self.sizes)), np.float32)
        else:
            array = self._together(things)
        if array.ndim != len(self.sizes) + 1 or not _fits(self.sizes, array.shape[1:]):
            flat = array.ndim == 2 and not self.sizes
            raise CodecError(
                f"{self!r}: an example has shape {show(self.sizes)}, but the batch is {show(array.shape)}.",
                fix="y.ravel()" if flat else None,
                expected=self.sizes,
                got=array.shape[1:],
            )
        return array

    def _together(self, things: Sequence[Any]) -> NDArray[Any]:
        if {type(thing) for thing in things} <= set(PLAIN):
            try:
                array = np.asarray(things)
            except (ValueError, TypeError, OverflowError):
                array = None
            if array is not None and array.dtype.kind in "biuf":
                return array
        rows = [as_numbers(thing, f"{self!r}: row {row}") for row, thing in enumerate(things)]
        for row, array in enumerate(rows):
            wanted = self.sizes if self.is_fitted() else rows[0].shape
            if not _fits(wanted, array.shape):
                raise CodecError(
                    f"{self!r}: row {row} has shape {show(array.shape)}, expected {show(wanted)}.",
                    because=[] if self.is_fitted() else ["row 0 has that shape, and all rows have one"],
                    path=f"row {row}",
                    expected=wanted,
                    got=array.shape,
                )
        return np.stack(rows)

    def unpack(self, batch: torch.Tensor, reading: Reading) -> list[Any]:
        self.asked(reading)
        if not _fits(self.sizes, tuple(batch.shape[1:])):
            raise CodecError(
                f"{self!r} decodes arrays of shape {show(self.sizes)}; got {show(tuple(batch.shape[1:]))}.",
                expected=self.sizes,
                got=tuple(batch.shape[1:]),
            )
        real = batch.detach().cpu()
        real = real.float() if real.dtype in (torch.bfloat16, torch.float16) else real
        if not self.sizes:
            return [float(number) for number in real.tolist()]
        array = np.array(real.numpy())
        array.flags.writeable = False
        return list(array)


def rank_of(thing: Any) -> int:
    """Number of axes of an array or of nested lists, by their first entries; 0 for anything else."""
    if is_array(thing):
        return len(getattr(thing, "shape", ()))
    if isinstance(thing, list | tuple):
        return 1 + (rank_of(thing[0]) if thing else 0)
    return 0


def _fits(sizes: tuple[int | None, ...], got: tuple[int, ...]) -> bool:
    return len(sizes) == len(got) and all(s in (None, g) for s, g in zip(sizes, got, strict=True))


@codec
class Scalar(Numbers):
    """One number for each example; decoded to a float.

    Shape:  (), at an output also (1)
    Raises:
        CodecError: what is no finite number, with its row.
    Example:
        >>> import retia as rt
        >>> rt.Scalar().encode([1, 2.5])
        tensor([1.0000, 2.5000])
        >>> rt.Scalar().decode(2.5)
        2.5
    """

    column: ClassVar[bool] = True

    @property
    def sizes(self) -> tuple[int | None, ...]:
        return ()


@codec
class Vector(Numbers):
    """A row of numbers for each example; decoded to a read-only NumPy array.

    Shape:  (size)
    Args:
        size: how many numbers; learned from the net or the data when left out.
    Raises:
        CodecError: what is ragged, no number or not finite, with its row.
    Example:
        >>> import retia as rt
        >>> rt.Vector(2).encode([[1, 2], [3, 4]])
        tensor([[1., 2.],
                [3., 4.]])
        >>> rt.Vector(2).decode([1.0, 2.0]).tolist()
        [1.0, 2.0]
    """

    cure: ClassVar[str] = "Tensor((3, 4)) has several axes"

    size: int | None = setting(whole(0, optional=True), default=None)

    @property
    def sizes(self) -> tuple[int | None, ...]:
        return (self.size,)

    def with_sizes(self, sizes: tuple[int, ...]) -> Vector:
        return Vector(*sizes)


@codec
class Tensor(Numbers):
    """An array of numbers of any rank for each example; decoded to a read-only NumPy array.

    Shape:  (*size)
    Args:
        size: a tuple with the size of each axis; None for one that is learned from the net or the data.
    Raises:
        CodecError: what is ragged, no number or not finite, with its row.
    Example:
        >>> import retia as rt
        >>> rt.Tensor((2, 2)).encode([[1, 2], [3, 4]])
        tensor([[1., 2.],
                [3., 4.]])
        >>> rt.Tensor((2, 2)).decode([[1.0, 2.0], [3.0, 4.0]]).shape
        (2, 2)
    """

    cure: ClassVar[str] = "Tensor((3, 4)) takes the sizes as one tuple"

    size: tuple[int | None, ...] = setting(whole_tuple(0, nothing=True))

    @property
    def sizes(self) -> tuple[int | None, ...]:
        return self.size

    def with_sizes(self, sizes: tuple[int, ...]) -> Tensor:
        return Tensor(tuple(sizes))

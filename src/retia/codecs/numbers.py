"""Numbers: one, a vector of them, or an array of any rank, encoded as float32.

One number and vectors can be standardised, which decoding undoes. Whole numbers and truth values become real
ones. What is ragged, not a number, not finite or beyond float32 is refused, and the error names the row.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import as_numbers, brief, is_array, rows_where
from retia.codecs.scaling import LEARNED, learn_scale, plain, read_normalize
from retia.errors import ArgumentError, CodecError
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import make, setting, whole, whole_tuple
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

    @property
    def scale(self) -> Any:
        """None, (mean, deviation), or how they are learned; for leaves that standardise."""
        return None

    def with_sizes(self, sizes: tuple[int, ...]) -> Numbers:
        """The same codec with all its sizes; for leaves whose sizes can be open."""
        return self

    def with_scale(self, scale: tuple[Any, Any]) -> Numbers:
        """The same codec with the mean and deviation that it has learned; for leaves that standardise."""
        return self

    # Finished -------------------------------------------------------------------------------------

    @property
    def shape(self) -> Shape | None:
        return self.sizes

    def is_fitted(self) -> bool:
        return None not in self.sizes and self.scale not in LEARNED

    def fit(self, things: Sequence[Any]) -> Codec:
        if self.is_fitted():
            return self
        batch = self._rows(things)
        if not len(batch):
            what = "size" if None in self.sizes else "mean and deviation"
            raise CodecError(f"{self!r}: there are no examples to learn the {what} from.")
        sized = self.with_sizes(batch.shape[1:])
        if self.scale not in LEARNED:
            return sized
        self._refuse_wild(np.isfinite(batch), batch)
        mean, deviation = learn_scale(batch, self.scale, repr(self))
        return sized.with_scale((plain(mean), plain(deviation)))

    def with_shape(self, shape: Shape | None) -> Codec:
        if None not in self.sizes or shape is None or not all(isinstance(size, int) for size in shape):
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
        scale = self._known_scale()
        with np.errstate(over="ignore"):
            packed = np.array(rows if scale is None else (rows - scale[0]) / scale[1], dtype=np.float32)
        self._refuse_wild(np.isfinite(packed), rows)
        return torch.from_numpy(packed)

    def _known_scale(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Mean and deviation in float64; None where numbers stay as they are."""
        if self.scale is None:
            return None
        if self.scale in LEARNED:
            raise CodecError(
                f"{self!r} has learned no mean and deviation yet.", fix="codec.fit(numbers), or rt.train"
            )
        return np.asarray(self.scale[0], np.float64), np.asarray(self.scale[1], np.float64)

    def _refuse_wild(self, fine: NDArray[Any], rows: NDArray[Any]) -> None:
        """Make sure that no number is NaN, infinite, or beyond what the net computes in."""
        bad = rows_where(~fine)
        if bad.any():
            row = int(bad.argmax())
            worst = rows[row][~fine[row]].ravel()[0]
            wrong = "beyond float32" if np.isfinite(worst) else "not a finite number"
            raise CodecError(
                f"{self!r}: row {row} has {worst!s}, which is {wrong} ({int(bad.sum())} of {len(bad)} rows).",
                fix="leave such rows out, or fill in a number, first",
                path=f"row {row}",
                got=worst,
            )

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
        scale = self._known_scale()
        if scale is not None:
            real = torch.from_numpy(np.asarray(real.double().numpy() * scale[1] + scale[0]))
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


def read_unit(name: str, value: Any) -> str | None:
    """The rule of ``unit=``: a text that is not empty, or None."""
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise ArgumentError(f"{name} is a text such as 'kg', or None; got {brief(value)}.", got=value)


@codec
class Scalar(Numbers):
    """One number for each example; decoded to a float.

    Standardised, the net computes with ``(number - mean) / deviation`` and its answers are multiplied out
    again. The loss is that of the standardised numbers; errors are measured in the numbers' own unit.

    Shape:  (), at an output also (1)
    Args:
        normalize: None for numbers as they are; ``"data"`` to learn mean and deviation from the training
            part, ``"robust"`` to learn median and quartiles; or the pair (mean, deviation).
        unit: of the numbers, such as ``"kg"``; told by the repr.
    Raises:
        CodecError: what is no finite number, with its row.
    Example:
        >>> import retia as rt
        >>> rt.Scalar().encode([1, 2.5])
        tensor([1.0000, 2.5000])
        >>> height = rt.Scalar(normalize="data", unit="cm").fit([160, 180])
        >>> height
        Scalar(normalize=(170.0, 10.0), unit='cm')
        >>> height.encode(185), height.decode(1.5)
        (tensor(1.5000), 185.0)
    """

    column: ClassVar[bool] = True
    cure: ClassVar[str] = 'Scalar(normalize="data", unit="kg"); rt.Vector(3) for several numbers'

    _: KW_ONLY
    normalize: Any = setting(read_normalize, default=None)
    unit: str | None = setting(read_unit, default=None)

    def validate(self) -> None:
        if isinstance(self.normalize, tuple) and any(isinstance(each, tuple) for each in self.normalize):
            raise ArgumentError(
                "Scalar: normalize has several means or deviations, but there is one number.",
                fix=f"Vector({max(len(each) for each in self.normalize if isinstance(each, tuple))}, ...)",
                got=self.normalize,
            )

    @property
    def scale(self) -> Any:
        return self.normalize

    def with_scale(self, scale: tuple[Any, Any]) -> Scalar:
        return make(Scalar, {**self.settings(), "normalize": scale})

    @property
    def sizes(self) -> tuple[int | None, ...]:
        return ()


@codec
class Vector(Numbers):
    """A row of numbers for each example; decoded to a read-only NumPy array.

    Shape:  (size)
    Args:
        size: how many numbers; learned from the net or the data when left out.
        normalize: None for numbers as they are; ``"data"`` to learn mean and deviation of each place from
            the training part, ``"robust"`` to learn median and quartiles; or the pair (mean, deviation),
            numbers for all places or tuples with one for each. Decoding multiplies out again.
        unit: of the numbers, such as ``"kg"``; told by the repr.
    Raises:
        CodecError: what is ragged, no number or not finite, with its row.
    Example:
        >>> import retia as rt
        >>> rt.Vector(2).encode([[1, 2], [3, 4]])
        tensor([[1., 2.],
                [3., 4.]])
        >>> rt.Vector(2).decode([1.0, 2.0]).tolist()
        [1.0, 2.0]
        >>> rt.Vector(normalize="data").fit([[1, 50], [3, 90]])
        Vector(2, normalize=((2.0, 70.0), (1.0, 20.0)))
    """

    cure: ClassVar[str] = "Tensor((3, 4)) has several axes"

    size: int | None = setting(whole(0, optional=True), default=None)
    _: KW_ONLY
    normalize: Any = setting(read_normalize, default=None)
    unit: str | None = setting(read_unit, default=None)

    def validate(self) -> None:
        several = [each for each in self.normalize or () if isinstance(each, tuple)]
        if several and self.size is None:
            object.__setattr__(self, "size", len(several[0]))
        for each in several:
            if len(each) != self.size:
                raise ArgumentError(
                    f"Vector: normalize has {len(each)} numbers, the vectors have {self.size}.",
                    expected=self.size,
                    got=len(each),
                )

    @property
    def sizes(self) -> tuple[int | None, ...]:
        return (self.size,)

    @property
    def scale(self) -> Any:
        return self.normalize

    def with_sizes(self, sizes: tuple[int, ...]) -> Vector:
        return make(Vector, {**self.settings(), "size": sizes[0]})

    def with_scale(self, scale: tuple[Any, Any]) -> Vector:
        return make(Vector, {**self.settings(), "normalize": scale})


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

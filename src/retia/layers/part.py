"""Layers that take a part of an array, or put something around it."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.layers.axes import MOST, filled
from retia.nets.layer import Layer, layer
from retia.nets.settings import choice, real, setting
from retia.shapes import Signature, Size, signature

if TYPE_CHECKING:
    from types import EllipsisType

    from torch import Tensor

    Item: TypeAlias = "int | slice | EllipsisType | None"

_SLICE = re.compile(r"(-?\d{1,18})?:(-?\d{1,18})?(?::(\d{1,18})?)?")
_WHOLE = slice(None)

WORDS = "whole numbers, slices, ... and None, as between brackets"


def read_index(name: str, value: Any) -> int | str:
    """The rule of an index: one whole number as it is, anything else as the text between brackets."""
    items = _items(name, value) if isinstance(value, str) else value
    items = items if isinstance(items, tuple) else (items,)
    known = tuple(_item(name, value, item) for item in items)
    if sum(item is ... for item in known) > 1:
        raise ArgumentError(f"{name} has one ... at most; got {value!r}.", got=value)
    if len(known) > 1 and known[-1] is ...:
        known = known[:-1]
    if len(known) > MOST:
        raise ArgumentError(f"{name} has {MOST} axes at most; got {len(known)}.", got=value)
    if len(known) == 1 and isinstance(known[0], int):
        return known[0]
    return ", ".join(map(_text, known))


def _items(name: str, text: str) -> tuple[Item, ...]:
    return tuple(_parsed(name, text, word.strip()) for word in text.split(",") if text.strip())


def _parsed(name: str, text: str, word: str) -> Item:
    if word in ("...", "None"):
        return ... if word == "..." else None
    if re.fullmatch(r"-?\d{1,18}", word):
        return int(word)
    found = _SLICE.fullmatch(word)
    if found is None:
        raise ArgumentError(f"{name} holds {WORDS}; got {text!r}.", expected=WORDS, got=text)
    return slice(*(None if number is None else int(number) for number in found.groups()))


def _item(name: str, value: Any, item: Any) -> Item:
    if item is None or item is ...:
        return item
    if isinstance(item, slice):
        start, stop, step = (None if n is None else _number(name, value, n) for n in _ends(item))
        if step is not None and step < 1:
            raise ArgumentError(f"{name}: a step is at least 1; got {value!r}.", got=value)
        return slice(start or None, stop, None if step == 1 else step)
    return _number(name, value, item)


def _ends(item: slice) -> tuple[Any, Any, Any]:
    return item.start, item.stop, item.step


def _number(name: str, value: Any, item: Any) -> int:
    if isinstance(item, bool) or not hasattr(item, "__index__"):
        raise ArgumentError(f"{name} holds {WORDS}; got {value!r}.", expected=WORDS, got=value)
    return operator.index(item)


def _text(item: Item) -> str:
    if not isinstance(item, slice):
        return "..." if item is ... else str(item)
    ends = ["" if n is None else str(n) for n in _ends(item)]
    return ":".join(ends if item.step is not None else ends[:2])


@layer
class Part(Layer):
    """A part of an array, by Python's indexing: ``y = x[index]``. ``x[0, 1:]`` on wires makes it.

    Whole numbers take out an axis, slices shorten one, ``...`` skips some, ``None`` puts in a new axis of
    size 1. Negative numbers count from the end; where an axis varies, from the end of each example.

    Shape:  (n, *s) -> (*s) for a whole number, (m, *s) for a slice
    Args:
        index: a whole number, a slice, or a tuple of these with ``...`` and ``None``; kept as the text
            that would stand between the brackets, ``Part("..., 0, 1:3")``.
    Raises:
        ShapeError: the axis is shorter; a slice of a varying axis whose size is no sum (``x[:5]``).
    Example:
        >>> import retia as rt
        >>> rt.Part("1:", input=3)([1.0, 2.0, 3.0])
        tensor([2., 3.])
    """

    solves = ("*s",)
    axes = {"*": "pass"}
    kinds = {"*": "same"}
    cure = "Part((0, 1)) takes parts along two axes, as x[0, 1] does"

    index: int | str = setting(read_index)

    def items(self) -> tuple[Item, ...]:
        """The index as Python's own objects."""
        return (self.index,) if isinstance(self.index, int) else _items("Part", self.index)

    def ports(self, arity: int | None = None) -> Signature:
        left: list[str] = []
        right: list[str] = []
        items = self.items()
        for number, item in enumerate(items if ... in items else (*items, ...)):
            if item is None:
                right.append("1")
            elif item is ...:
                left.append("*s")
                right.append("*s")
            else:
                left.append(f"x{number}")
                if isinstance(item, slice):
                    right.append(f"x{number}" if item == _WHOLE else f"y{number}")
        return signature(f"{' '.join(left)} -> {' '.join(right)}")

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for number, item in enumerate(self.items()):
            size = known.get(f"x{number}")
            if isinstance(item, int) and isinstance(size, int) and not -size <= item < size:
                raise ShapeError(f"there is no part {item} of an axis of {size}.", expected=size, got=item)
            if isinstance(item, slice) and item != _WHOLE:
                if size is not None:
                    found[f"y{number}"] = _length(item, size)
                else:
                    found[f"x{number}"] = _whole_of(item, known[f"y{number}"])
        return found

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        items = list(self.items())
        mask = moment.mask()
        if mask is not None:
            x = self._by_lengths(x, mask, items)
        return x[(slice(None), *items)]

    def _by_lengths(self, x: Tensor, mask: Tensor, items: list[Item]) -> Tensor:
        """Check the index against each example, and take what is counted from the end of each."""
        axes = sum(item is not None and item is not ... for item in items)
        axis = 0
        for place, item in enumerate(items):
            axis += x.dim() - 1 - axes if item is ... else item is not None
            if not isinstance(item, int | slice) or mask.shape[axis] == 1:
                continue
            others = tuple(other for other in range(1, mask.dim()) if other != axis)
            lengths = (mask.any(others) if others else mask).sum(1)  # (batch, ..., n, ...) -> (batch)
            needed = max(item + 1, -item) if isinstance(item, int) else (item.start or 0) - (item.stop or 0)
            if bool((lengths < needed).any()):
                raise ShapeError(f"{self.brief}: an example is shorter than {needed}.", expected=needed)
            if isinstance(item, int) and item < 0:
                at = (lengths + item).reshape(-1, *(1,) * (x.dim() - 1))
                x = x.take_along_dim(at, axis)
                items[place] = 0
        return x


def _length(item: slice, size: Size) -> Size:
    """How much a slice leaves of an axis."""
    if isinstance(size, int):
        return len(range(*item.indices(size)))
    start, stop, step = _ends(item)
    if (start or 0) < 0 or (stop is not None and stop >= 0) or step is not None:
        raise ShapeError(
            f"the part {_text(item)} of an axis that varies ({size}) has no one size.",
            fix="x[a:], x[:-b] and x[a:-b] have one",
            got=size,
        )
    return size - (start or 0) + (stop or 0)


def _whole_of(item: slice, size: Any) -> Size | None:
    """The size of an axis of which a slice leaves so much; None where that does not fix it."""
    start, stop, step = _ends(item)
    if size is None or size == 0 or (start or 0) < 0 or (stop is not None and stop >= 0) or step is not None:
        return None
    return size + (start or 0) - (stop or 0)  # type: ignore[no-any-return]


def read_amounts(name: str, value: Any) -> tuple[tuple[int, int], ...]:
    """The rule of ``amounts``: a whole number or a pair of them for each of the last axes."""
    entries = value if isinstance(value, tuple) else (value,)
    pairs = [each if isinstance(each, Sequence) else (each, each) for each in entries]
    for pair in pairs:
        numbers = [n for n in pair if not isinstance(n, bool) and hasattr(n, "__index__") and 0 <= n < 2**31]
        if isinstance(pair, str) or len(pair) != 2 or len(numbers) != 2:
            raise ArgumentError(
                f"{name} is, for each of the last axes, a whole number or a pair (before, after) of them, "
                f"at least 0; got {value!r}.",
                got=value,
            )
    if not 1 <= len(pairs) <= MOST:
        raise ArgumentError(f"{name} is for 1 to {MOST} axes; got {len(pairs)}.", got=value)
    return tuple((int(before), int(after)) for before, after in pairs)


@layer
class Pad(Layer):
    """More elements at both ends of the last axes.

    Shape:  (*s, n) -> (*s, before + n + after), and so for each of the axes
    Args:
        amounts: for each of the last axes a number (at both ends) or a pair (before, after): ``Pad(2)``
            pads the last axis, ``Pad(1, 1)`` the last two, ``Pad((0, 1))`` the last at its end.
        mode: ``"constant"``, ``"reflect"`` (mirrored, without the end itself) or ``"replicate"`` (the end
            again and again).
        value: of the constant.
    Raises:
        ShapeError: reflected amounts that are not below the size.
    Example:
        >>> import retia as rt
        >>> rt.Pad((1, 2), mode="reflect", input=3)([1.0, 2.0, 3.0])
        tensor([2., 1., 2., 3., 2., 1.])
    """

    solves = ("*s",)
    axes = {"*s": "pass", **{f"c{i}": "mix" for i in range(MOST)}}
    kinds = {"*": "same"}
    gathers = True

    amounts: tuple[tuple[int, int], ...] = setting(read_amounts)
    _: KW_ONLY
    mode: str = setting(choice("constant", "reflect", "replicate"), default="constant")
    value: float = setting(real(), default=0.0)

    def ports(self, arity: int | None = None) -> Signature:
        kind = self._kind()
        left = [f"{kind}{i}" for i in range(len(self.amounts))]
        right = [f"y{i}" for i in range(len(self.amounts))]
        return signature(f"*s {' '.join(left)} -> *s {' '.join(right)}")

    def _kind(self) -> str:
        return "c" if self.mode == "constant" else "x"

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for number, (before, after) in enumerate(self.amounts):
            size, padded = known[f"{self._kind()}{number}"], known[f"y{number}"]
            if size is not None:
                self._check(size, max(before, after))
                found[f"y{number}"] = size + before + after
            elif padded is not None:
                found[f"{self._kind()}{number}"] = self._inner(padded, before + after)
        return found

    def _inner(self, padded: Size, amount: int) -> Size:
        if isinstance(padded, int) and padded < amount:
            raise ShapeError(f"{padded} elements cannot be {amount} more than there were.", got=padded)
        return padded - amount

    def _check(self, size: Size, amount: int) -> None:
        least = {"constant": 0, "reflect": amount + 1, "replicate": 1}[self.mode]
        if isinstance(size, int) and size < least:
            raise ShapeError(
                f"{self.mode} by {amount} needs {least} elements; got {size}.", expected=least, got=size
            )

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if self.mode == "constant":
            flat = [amount for pair in reversed(self.amounts) for amount in pair]
            return torch.nn.functional.pad(filled(x, moment.mask(), self.value), flat, value=self.value)
        for axis, (before, after) in enumerate(self.amounts, x.dim() - len(self.amounts)):
            last = x.shape[axis] - 1
            places = torch.arange(-before, last + after + 1, device=x.device)
            mirrored = last - (last - places.abs()).abs()
            x = x.index_select(axis, places.clamp(0, last) if self.mode == "replicate" else mirrored)
        return x

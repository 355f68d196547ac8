"""Layers that make the axes after the first longer or shorter by interpolation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.nets.layer import Layer, layer
from retia.nets.settings import Rule, choice, flag, per_axis, setting, whole_tuple
from retia.shapes import Extent, Shape, Size

if TYPE_CHECKING:
    from torch import Tensor

WORDS = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}
"""PyTorch's names of the modes that go by the number of axes."""

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def mode_of(*modes: str) -> Rule:
    """The rule of ``mode``: one of a few words, or what PyTorch calls them."""
    plain = choice(*modes)
    return lambda name, value: plain(name, WORDS.get(value, value) if isinstance(value, str) else value)


def interpolate(x: Tensor, size: tuple[int, ...], mode: str, antialias: bool = False) -> Tensor:
    """A batch with its axes after the channels brought to a size."""
    if antialias and size[0] > size[1] == 1:
        # PyTorch's smoothing repeats the first row where the result is one wide; one high is right.
        return interpolate(x.transpose(2, 3), size[::-1], mode, antialias).transpose(2, 3)
    if mode == "linear":
        mode = LINEAR[len(size)]
    elif mode == "cubic":
        mode = "bicubic"
    aligned = {"align_corners": False} if mode.endswith(("linear", "cubic")) else {}
    return torch.nn.functional.interpolate(x, size=size, mode=mode, antialias=antialias, **aligned)


@layer
class Upsample(Layer):
    """Makes each axis after the first a whole number of times as long.

    ``y[c, p] = x[c, floor(p / factor)]`` in mode ``"nearest"``; ``"linear"`` and ``"cubic"`` interpolate
    between the middles of the elements. To a given size: ``Resize``.

    Shape:  (c, *s) -> (c, *t), t = factor s, for one to three axes s
    Args:
        factor: how many times as long, at least 1; or one for each axis after the first.
        mode: ``"nearest"``, ``"linear"`` (PyTorch's ``"bilinear"`` and ``"trilinear"`` name it too) or
            ``"cubic"`` (``"bicubic"``; two axes only).
    Raises:
        ShapeError: an output size that factor does not divide; a number of axes that mode does not take;
            a size varies and mode is not ``"nearest"``.
    Source: computed by ``torch.nn.functional.interpolate`` with ``align_corners=False``.
    Example:
        >>> import retia as rt
        >>> rt.Upsample(2, input=(1, "n"))([[1.0, 5.0]])
        tensor([[1., 1., 5., 5.]])
    """

    signature = "c *s -> c *t"
    solves = ("*s", "*t")
    axes = {"*s": "pass"}
    cure = "Upsample(2) doubles each axis; to a given size, Resize(64, 64)"

    factor: int | tuple[int, ...] = setting(per_axis(1))
    _: KW_ONLY
    mode: str = setting(mode_of("nearest", "linear", "cubic"), default="nearest")

    def validate(self) -> None:
        if isinstance(self.factor, tuple) and not 1 <= len(self.factor) <= 3:
            raise ArgumentError(
                "Upsample: factor is a whole number, or one for each of one to three axes; "
                f"got {self.factor!r}.",
                got=self.factor,
            )

    def sizes(self) -> Mapping[str, Any]:
        return {"*s": (None,) * len(self.factor)} if isinstance(self.factor, tuple) else {}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        sizes, results = known["*s"], known["*t"]
        if sizes is None and results is None:
            return {}
        sizes = (None,) * len(results) if sizes is None else sizes
        if results is None or len(results) != len(sizes):
            results = (None,) * len(sizes)
        self._check(sizes, results)
        both = list(zip(sizes, results, self._factors(len(sizes)), strict=True))
        return {
            "*s": tuple(_part(result, factor) if size is None else size for size, result, factor in both),
            "*t": tuple(result if size is None else size * factor for size, result, factor in both),
        }

    def _factors(self, rank: int) -> tuple[int, ...]:
        return self.factor if isinstance(self.factor, tuple) else (self.factor,) * rank

    def _check(self, sizes: Shape, results: Shape) -> None:
        rank = len(sizes)
        takes = "two" if self.mode == "cubic" else "one to three"
        if not 1 <= rank <= 3 or (self.mode == "cubic" and rank != 2):
            raise ShapeError(
                f"mode {self.mode!r} takes {takes} axes after the channels; got {rank}.",
                expected=takes,
                got=rank,
            )
        varying = [size for size in sizes + results if isinstance(size, Extent)]
        if varying and self.mode != "nearest":
            raise ShapeError(
                f"mode {self.mode!r} reads across the end of an example, and a size varies ({varying[0]}).",
                fix="mode='nearest'",
                got=varying[0],
            )

    def forward(self, x: Tensor) -> Tensor:
        shape = tuple(x.shape[2:])
        size = tuple(n * factor for n, factor in zip(shape, self._factors(len(shape)), strict=True))
        if 0 in size:
            return x.reshape(*x.shape[:2], *size)
        # Whole multiples of the nearest are the same either way, but the exact one stays so for factors
        # whose reciprocal is rounded down.
        return interpolate(x, size, "nearest-exact" if self.mode == "nearest" else self.mode)


@layer
class Resize(Layer):
    """Brings the axes after the first to a given size.

    The elements' middles are laid over each other and read off by mode: the nearest element, a line
    through the nearest two, a cubic through the nearest four, or (``"area"``) the average of the elements
    that an element of the output covers. A whole number of times as long: ``Upsample``.

    Shape:  (c, *s) -> (c, *size), for one to three axes s
    Args:
        size: of each axis after the first, at least 1: ``Resize(64, 64)``.
        mode: ``"linear"`` (PyTorch's ``"bilinear"`` and ``"trilinear"`` name it too), ``"nearest"`` (as
            PyTorch has it, rounded down), ``"nearest-exact"`` (whose middle is nearest),
            ``"cubic"`` (``"bicubic"``; two axes only) or ``"area"``.
        antialias: smooth before making smaller, as Pillow does; for ``"linear"`` and ``"cubic"`` over two
            axes.
    Raises:
        ArgumentError: antialias with another mode or number of axes; ``"cubic"`` over one or three axes.
        ShapeError: another number of axes; an axis of size 0; a size that varies.
    Source: computed by ``torch.nn.functional.interpolate`` with ``align_corners=False``.
    Example:
        >>> import retia as rt
        >>> rt.Resize(4, input=(1, 2))([[0.0, 4.0]])
        tensor([[0., 1., 3., 4.]])
    """

    signature = "c *s -> c *t"
    solves = ("*s",)
    gathers = True

    size: tuple[int, ...] = setting(whole_tuple(1))
    _: KW_ONLY
    mode: str = setting(mode_of("nearest", "nearest-exact", "linear", "cubic", "area"), default="linear")
    antialias: bool = setting(flag, default=False)

    def validate(self) -> None:
        if not 1 <= len(self.size) <= 3:
            raise ArgumentError(
                f"Resize: size is one whole number for each of one to three axes; got {self.size!r}.",
                fix="Resize(64, 64) for pictures",
                got=self.size,
            )
        if self.antialias and self.mode not in ("linear", "cubic"):
            raise ArgumentError(
                f"Resize: antialias belongs to the modes 'linear' and 'cubic'; got {self.mode!r}.",
                fix="mode='linear', or mode='area', which averages",
                got=self.mode,
            )
        if len(self.size) != 2 and (self.mode == "cubic" or self.antialias):
            what = "antialias" if self.antialias else "mode='cubic'"
            raise ArgumentError(
                f"Resize: {what} is for two axes; size has {len(self.size)}.",
                fix="mode='linear'",
                got=self.size,
            )

    def sizes(self) -> Mapping[str, Any]:
        return {"*s": (None,) * len(self.size), "*t": self.size}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if 0 in (known["*s"] or ()):
            raise ShapeError("there is nothing to resize along an axis of size 0.", got=known["*s"])
        return {}

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(x, self.size, self.mode, self.antialias)


def _part(size: Size | None, factor: int) -> Size | None:
    """A size that was made ``factor`` times as long, before."""
    if size is None:
        return None
    part = size // factor
    if part * factor == size:
        return part
    if isinstance(size, int):
        raise ShapeError(f"{size} is not {factor} times a whole number.", expected=part * factor, got=size)
    return None

"""Functions of one number as layers, by name, and arithmetic with a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import ArgumentError, did_you_mean
from retia.layers.axes import filled
from retia.layers.elementwise import Unary
from retia.nets.layer import layer
from retia.nets.settings import choice, flag, real, setting

if TYPE_CHECKING:
    from torch import Tensor

FUNCTIONS = (
    "abs", "acos", "asin", "asinh", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1",
    "floor", "frac", "log", "log10", "log1p", "log2", "neg", "reciprocal", "relu", "round", "rsqrt",
    "sigmoid", "sign", "sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
)  # fmt: skip
"""What ``Elementwise`` knows: PyTorch's functions of these names."""

SAFE = 0.5
"""Stands in padding, where every function above is finite and smooth."""


def _function(name: str, value: Any) -> str:
    if value not in FUNCTIONS:
        known = ", ".join(FUNCTIONS)
        raise ArgumentError(
            f"{name} is one of {known}; got {value!r}.{did_you_mean(value, FUNCTIONS)}",
            fix="a graph of these, or a layer of your own (@rt.layer)",
            expected=FUNCTIONS,
            got=value,
        )
    return str(value)


@layer
class Elementwise(Unary):
    """A function of each element, by its name: ``y = f(x)``. ``abs(x)`` on wires makes one.

    Shape:  (*s) -> (*s)
    Args:
        function: ``"abs"``, ``"acos"``, ``"asin"``, ``"asinh"``, ``"atan"``, ``"ceil"``, ``"cos"``,
            ``"cosh"``, ``"erf"``, ``"erfc"``, ``"exp"``, ``"exp2"``, ``"expm1"``, ``"floor"``, ``"frac"``,
            ``"log"``, ``"log10"``, ``"log1p"``, ``"log2"``, ``"neg"``, ``"reciprocal"``, ``"relu"``,
            ``"round"``, ``"rsqrt"``, ``"sigmoid"``, ``"sign"``, ``"sin"``, ``"sinc"``, ``"sinh"``,
            ``"sqrt"``, ``"square"``, ``"tan"``, ``"tanh"``, ``"trunc"``.
    Raises:
        ArgumentError: another name.
    Source: the functions of these names in PyTorch.
    Example:
        >>> import retia as rt
        >>> rt.Elementwise("square", input=2)([-1.0, 3.0])
        tensor([1., 9.])
    """

    function: str = setting(_function)

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        found: Callable[[Tensor], Tensor] = getattr(torch, self.function)
        return found(filled(x, moment.mask(), SAFE))


@layer
class Arithmetic(Unary):
    """Arithmetic with a number: ``y = x + value``, and so on. ``x * 2`` on wires makes it.

    Shape:  (*s) -> (*s)
    Args:
        operator: ``"+"``, ``"-"``, ``"*"``, ``"/"`` or ``"**"``.
        value: the number.
        reverse: the number stands first, ``y = value - x``.
    Raises:
        ArgumentError: division by zero.
    Example:
        >>> import retia as rt
        >>> rt.Arithmetic("-", 1, reverse=True, input=2)([0.25, 1.0])
        tensor([0.7500, 0.0000])
    """

    kinds: ClassVar[Mapping[str, str]] = {"*": "same"}

    operator: str = setting(choice("+", "-", "*", "/", "**"))
    value: float = setting(real())
    _: KW_ONLY
    reverse: bool = setting(flag, default=False)

    def validate(self) -> None:
        if self.operator in ("+", "*"):
            # The order is nothing here, and equal layers have equal expressions.
            object.__setattr__(self, "reverse", False)
        if self.operator == "/" and self.value == 0 and not self.reverse:
            raise ArgumentError("Arithmetic: division by zero.", got=self.value)
        if self.operator in ("/", "**") or not isinstance(self.value, int):
            # Whole numbers stay whole only in sums, differences and products with whole numbers.
            self.__dict__["kinds"] = {}

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if self.operator == "+":
            return x + self.value
        if self.operator == "*":
            return x * self.value
        if self.operator == "-":
            return self.value - x if self.reverse else x - self.value
        x = filled(x, moment.mask(), 1)
        if self.operator == "/":
            return self.value / x if self.reverse else x / self.value
        return self.value**x if self.reverse else x**self.value

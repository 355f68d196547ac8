"""Ports: named, typed inputs and outputs, and what may stand at them.

``input=`` and ``output=`` of any net take a whole number (a vector), a tuple of sizes (names for those
that vary, None for the unknown), a codec, or a dict of these by the port's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from retia.errors import ArgumentError
from retia.nets.codec import Codec
from retia.shapes import Extent, Shape, extent, show

Spec: TypeAlias = "int | tuple[int | str | None, ...] | Codec"


@dataclass(frozen=True)
class Port:
    """One input or output of a net.

    Attributes:
        name: as calls and edges name it.
        shape: of one example, without the batch; None while its rank is unknown.
        kind: ``"float"``, or ``"int"`` for whole numbers (tokens, class numbers).
        codec: what converts there, or None.
    """

    name: str
    shape: Shape | None
    kind: str = "float"
    codec: Codec | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.codec!r}" if self.codec else f"{self.name}: {show(self.shape)}"


def read_specs(what: str, value: Any) -> Any:
    """Check ``input=`` or ``output=`` and bring it into its stored form."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str) or not name or "." in name or " " in name:
                raise ArgumentError(f"{what}: a port's name is a word without dots; got {name!r}.", got=name)
        return MappingProxyType({name: _spec(f"{what}[{name!r}]", v) for name, v in value.items()})
    return _spec(what, value)


def specs(value: Any, names: tuple[str, ...], what: str) -> dict[str, Spec]:
    """The stored form as one spec a port name; a single spec belongs to the only port."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        for name in value:
            if name not in names:
                raise ArgumentError(
                    f"{what}={{{name!r}: ...}}: there is no such port; there are {', '.join(names)}.",
                    expected=names,
                    got=name,
                )
        return {name: spec for name, spec in value.items() if spec is not None}
    if len(names) != 1:
        raise ArgumentError(
            f"{what}= is one type, but there are {len(names)} ports: {', '.join(names)}.",
            fix=f"{what}={{" + ", ".join(f"{name!r}: ..." for name in names) + "}",
        )
    return {names[0]: value}


def spec_shape(spec: Spec, side: str) -> Shape | None:
    """The shape that a spec stands for at a port of the ``"input"`` or ``"output"`` side."""
    if isinstance(spec, Codec):
        return spec.output_shape if side == "output" else spec.shape
    if isinstance(spec, int):
        return (spec,)
    return tuple(extent(size) if isinstance(size, str) else size for size in spec)


def _spec(what: str, value: Any) -> Any:
    value = getattr(value, "as_spec", value)
    if value is None or isinstance(value, Codec):
        return value
    if isinstance(value, type) and issubclass(value, Codec):
        raise ArgumentError(f"{what} is the class {value.__name__}, not a value.", fix=f"{value.__name__}()")
    if isinstance(value, tuple | list):
        return tuple(_dimension(what, size) for size in value)
    return _dimension(what, value, ints=True)


def _dimension(what: str, size: Any, ints: bool = False) -> Any:
    if isinstance(size, str) and size.isidentifier() and not ints:
        return size
    if size is None and not ints:
        return None
    if isinstance(size, Extent) and not ints:
        return str(size)
    if not isinstance(size, bool) and hasattr(size, "__index__") and size.__index__() >= 0:
        return size.__index__()
    raise ArgumentError(
        f"{what} is a whole number, a tuple of sizes or names, a codec, or a dict of these; got {size!r}.",
        got=size,
    )

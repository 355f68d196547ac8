"""Wires: the notation in which a graph is written as ordinary Python.

``x = rt.Input(64); y = rt.ReLU()(x) * x`` builds a small tree of applications; ``rt.Graph(y)`` makes
the net of it. A wire is notation, not a value: using one wire twice means the same value twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retia.errors import ArgumentError, StructureError
from retia.nets import registry
from retia.nets.net import Net
from retia.nets.ports import read_specs


@dataclass(eq=False)
class Applied:
    """One use of a net on wires."""

    net: Net
    sources: Mapping[str, Wire]


class Wire:
    """What flows from one net to the next, while a graph is being written.

    ``+ - * / ** @``, ``-x``, ``abs(x)`` and ``x[...]`` work as on arrays, element by element with NumPy's
    broadcasting (``@`` multiplies matrices), with other wires, numbers and arrays.
    """

    __array_ufunc__ = None
    __array_priority__ = 1000

    def __init__(self, origin: Applied | Input, port: str) -> None:
        self.origin = origin
        self.port = port

    def __add__(self, other: Any) -> Wire:
        return _combine("Plus", "+", self, other)

    def __radd__(self, other: Any) -> Wire:
        return _combine("Plus", "+", other, self)

    def __sub__(self, other: Any) -> Wire:
        return _combine("Minus", "-", self, other)

    def __rsub__(self, other: Any) -> Wire:
        return _combine("Minus", "-", other, self)

    def __mul__(self, other: Any) -> Wire:
        return _combine("Times", "*", self, other)

    def __rmul__(self, other: Any) -> Wire:
        return _combine("Times", "*", other, self)

    def __truediv__(self, other: Any) -> Wire:
        return _combine("Divide", "/", self, other)

    def __rtruediv__(self, other: Any) -> Wire:
        return _combine("Divide", "/", other, self)

    def __pow__(self, other: Any) -> Wire:
        return _combine("Power", "**", self, other)

    def __rpow__(self, other: Any) -> Wire:
        return _combine("Power", "**", other, self)

    def __matmul__(self, other: Any) -> Wire:
        return _apply("Dot", [self, _as_wire(other)])

    def __rmatmul__(self, other: Any) -> Wire:
        return _apply("Dot", [_as_wire(other), self])

    def __neg__(self) -> Wire:
        return self * -1

    def __pos__(self) -> Wire:
        return self

    def __abs__(self) -> Wire:
        return _apply("Elementwise", [self], "abs")

    def __getitem__(self, index: Any) -> Wire:
        return _apply("Part", [self], index)

    def __iter__(self) -> Any:
        raise ArgumentError("A wire has no length of its own; take parts with x[0], x[1:3].")

    def __bool__(self) -> bool:
        raise ArgumentError("A wire carries no value yet, so it is neither true nor false.")

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Arithmetic of a PyTorch tensor with a wire is the wire's."""
        reflected = _REFLECTED.get(getattr(func, "__name__", ""))
        if reflected is None or len(args) != 2:
            return NotImplemented
        left, right = args
        if isinstance(right, Wire):
            return getattr(right, reflected)(left)
        return getattr(left, reflected.replace("__r", "__", 1))(right)

    def __repr__(self) -> str:
        if isinstance(self.origin, Input):
            return repr(self.origin)
        return f"<wire: {self.port} of {self.origin.net!r}>"


_REFLECTED = {
    "add": "__radd__", "__add__": "__radd__", "sub": "__rsub__", "__sub__": "__rsub__", "mul": "__rmul__",
    "__mul__": "__rmul__", "div": "__rtruediv__", "__truediv__": "__rtruediv__",
    "true_divide": "__rtruediv__", "pow": "__rpow__", "__pow__": "__rpow__", "matmul": "__rmatmul__",
    "__matmul__": "__rmatmul__",
}  # fmt: skip


class Input(Wire):
    """An input of a graph, as a wire.

    Args:
        sizes: whole numbers; names for sizes that vary from example to example; None for the unknown;
            or one codec. Nothing at all leaves the shape open (a scalar is ``rt.Input(())``).
        name: the port's name.
    Example:
        >>> import retia as rt
        >>> x = rt.Input(3)
        >>> rt.Graph(x * 2 + 1)([1.0, 2.0, 3.0])
        tensor([3., 5., 7.])
    """

    def __init__(self, *sizes: Any, name: str = "input") -> None:
        super().__init__(self, name)
        spec: Any = None
        if len(sizes) == 1 and not isinstance(sizes[0], str):
            spec = sizes[0]
        elif sizes:
            spec = sizes
        self.as_spec = read_specs("Input", spec)
        if isinstance(self.as_spec, Mapping):
            raise ArgumentError("Input is one port; write one rt.Input for each.")

    def __repr__(self) -> str:
        said = [] if self.as_spec is None else [repr(self.as_spec)]
        said += [] if self.port == "input" else [f"name={self.port!r}"]
        return f"Input({', '.join(said)})"


def apply(net: Net, wires: Sequence[Any] | Mapping[str, Any]) -> Any:
    """A net on wires: a wire for its output, or a dict of them where there are several."""
    if isinstance(wires, Mapping):
        sources = {name: _as_wire(wire) for name, wire in wires.items()}
        names = net.input_names(len(sources))
        if set(sources) != set(names):
            raise StructureError(f"{net!r} takes {', '.join(names)}; got {', '.join(sources) or 'nothing'}.")
        sources = {name: sources[name] for name in names}
    else:
        names = net.input_names(len(wires)) if len(wires) != len(net.input_names()) else net.input_names()
        if len(names) != len(wires):
            raise StructureError(f"{net!r} takes {len(names)} inputs; got {len(wires)} wires.")
        sources = {name: _as_wire(wire) for name, wire in zip(names, wires, strict=True)}
    applied = Applied(net, sources)
    made = {port: Wire(applied, port) for port in net.output_names()}
    return next(iter(made.values())) if len(made) == 1 else made


def _apply(name: str, wires: list[Wire], *settings: Any) -> Wire:
    made: Wire = apply(registry.find(name)(*settings), wires)
    return made


def _combine(name: str, operator: str, left: Any, right: Any) -> Wire:
    number = right if isinstance(left, Wire) else left
    if isinstance(number, int | float) and not isinstance(number, bool):
        arithmetic = registry.find("Arithmetic")
        swapped = not isinstance(left, Wire)
        wire = right if swapped else left
        made: Wire = apply(
            arithmetic(operator, number, reverse=swapped and operator in ("-", "/", "**")), [wire]
        )
        return made
    return _apply(name, [_as_wire(left), _as_wire(right)])


def _as_wire(value: Any) -> Wire:
    if isinstance(value, Wire):
        return value
    if isinstance(value, Net):
        if value.input_names():
            raise ArgumentError(f"{value!r} is a net, not a wire: apply it to one.", fix="net(x)")
        made: Wire = apply(value, [])
        return made
    return _as_wire(registry.find("Constant")(value))


@dataclass
class Collected:
    """The parts of a graph that lead to some wires."""

    names: dict[int, str] = field(default_factory=dict)
    nodes: dict[str, Net] = field(default_factory=dict)
    inputs: dict[str, Input] = field(default_factory=dict)
    edges: list[tuple[str, str, str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def source(self, wire: Wire) -> tuple[str, str]:
        """Collect all that is behind a wire; answers (node, port), ("", name) for an input."""
        stack: list[tuple[Wire, bool]] = [(wire, False)]
        while stack:
            top, ready = stack.pop()
            origin = top.origin
            if isinstance(origin, Input):
                known = self.inputs.setdefault(origin.port, origin)
                if known is not origin:
                    raise StructureError(
                        f"Graph: two inputs are called {origin.port!r}.", fix="rt.Input(..., name=...)"
                    )
            elif id(origin) not in self.names:
                if ready:
                    self._add(origin)
                else:
                    stack.append((top, True))
                    stack += [(each, False) for each in [*origin.sources.values()][::-1]]
        return self._end(wire)

    def _add(self, applied: Applied) -> None:
        base = type(applied.net).__name__.lower()
        name = base
        while name in self.nodes:
            self.counts[base] += 1
            name = f"{base}{self.counts[base] + 1}"
        self.names[id(applied)] = name
        self.nodes[name] = applied.net
        for port, wire in applied.sources.items():
            self.edges.append((*self._end(wire), name, port))

    def _end(self, wire: Wire) -> tuple[str, str]:
        origin = wire.origin
        return ("", origin.port) if isinstance(origin, Input) else (self.names[id(origin)], wire.port)

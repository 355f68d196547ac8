"""What a traced module computes, turned into layers one operation after another.

``Trace`` holds the values met so far and the layers made of them. What depends neither on inputs nor on
parameters is computed once and becomes a constant.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import StructureError
from retia.formats.pytorch.places import FIRST, Place, Sizes, measured, times
from retia.formats.pytorch.values import (
    Call,
    Fixed,
    Flow,
    Item,
    Rows,
    Weight,
    flat,
    follow,
    kind_of,
    path_of,
)
from retia.layers import Constant, Operation, Parameter
from retia.layers.operation import NUMBERS, PURE, TYPES, parted
from retia.nets.layer import Layer
from retia.nets.sharing import Shared

if TYPE_CHECKING:
    from torch import Tensor, fx

WITHOUT = ("device", "pin_memory", "layout", "memory_format", "non_blocking", "requires_grad")
"""Arguments that say where and how a tensor lies, which nets decide elsewhere."""


FILLED = {
    "zeros_like": 0, "ones_like": 1, "full_like": None, "new_zeros": 0, "new_ones": 1, "new_full": None,
}  # fmt: skip
"""Operations that take nothing but sizes of a value, and what they fill in; None: their last argument."""

SPELLED = {"__and__": "bitwise_and", "__or__": "bitwise_or", "__xor__": "bitwise_xor"}


Converter = Callable[["Trace", Call], Any]


@dataclass
class Trace:
    """A module on its way to a net.

    Attributes:
        batch: how many examples the traced call had.
        converters: by operation, what makes layers of it; they answer None where it has to be kept.
        uses: the operations that take each parameter.
        buffers: what the module keeps beside its parameters, by name.
    """

    batch: int
    converters: Mapping[str, Converter]
    uses: Mapping[str, list[fx.Node]]
    buffers: Mapping[str, Tensor]
    items: list[Item] = field(default_factory=list)
    values: dict[Any, Any] = field(default_factory=dict)
    node: Any = None
    _flows: dict[int, Flow] = field(default_factory=dict)
    _shared: set[str] = field(default_factory=set)

    def read(self, node: fx.Node) -> None:
        """Take in one operation."""
        self.node = node
        try:
            self.values[node] = self._read(node)
        except StructureError as error:
            where = ".".join(path_of(node)) or "the module"
            raise StructureError(
                f"from_torch: {where}, {_called(node)}: {error.message}",
                because=["a net is written for one example, and examples do not meet in it"],
                fix=error.fix,
                path=where,
            ) from None

    def _read(self, node: fx.Node) -> Any:
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt | int) and not isinstance(value, bool):
            size, batched = times(value)
            return Rows(size) if batched else size
        if isinstance(value, torch.SymFloat | torch.SymBool):
            raise StructureError("it computes a number from the size of the batch.")
        given = self.resolved(node.args), self.resolved(node.kwargs)
        if node.target is operator.getitem:
            made, place = given[0]
            return made(node, place) if callable(made) else made[place]
        name = str(node.target).removeprefix("aten.")
        known = name in self.converters or name.partition(".")[0] in PURE
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and not known:
            raise StructureError("it draws random numbers.")
        fill = FILLED.get(name.partition(".")[0])
        if fill is not None or not any(isinstance(each, Flow | Weight) for each in flat(given)):
            return self._folded(node, given) if fill is None else self._filled(node, given, fill)
        name, bound = _bound(node, *given)
        call = Call(node, name, bound, value)
        converter = self.converters.get(name)
        found = None if converter is None else converter(self, call)
        if found is not None:
            return found
        if isinstance(value, tuple | list):
            return lambda taken, place: self.keep(taken, node, given, value[place], place)
        return self.keep(node, node, given, value)

    def resolved(self, value: Any) -> Any:
        """Arguments of an operation, as what they became."""
        return torch.fx.node.map_aggregate(
            value, lambda each: self.values[each] if isinstance(each, torch.fx.Node) else each
        )

    def _folded(self, node: fx.Node, given: tuple[Any, Any]) -> Any:
        """What an operation gives that depends on nothing."""

        def plain(each: Any) -> Any:
            if isinstance(each, Fixed):
                return each.tensor
            return each.times * self.batch if isinstance(each, Rows) else each

        args, kwargs = torch.fx.node.map_aggregate(given, plain)
        with torch.no_grad():
            result = node.target(*args, **kwargs)  # type: ignore[operator]
        return self._fixed(result, node.meta["val"])

    def _filled(self, node: fx.Node, given: tuple[Any, Any], fill: float | None) -> Any:
        """What has the sizes of a value and nothing else of it."""
        value = node.meta["val"]
        sizes = measured(value.shape)
        dims = [n * self.batch if axis == sizes.axis else n for axis, n in enumerate(sizes.dims)]
        number = given[0][-1] if fill is None else fill
        if not isinstance(number, bool | int | float):
            raise StructureError("it fills a tensor with a number that it computes.")
        return self._fixed(torch.full(dims, number, dtype=value.dtype, device=value.device), value)

    def _fixed(self, result: Any, value: Any) -> Any:
        if isinstance(result, tuple | list):
            return [self._fixed(*pair) for pair in zip(result, value, strict=True)]
        sizes = measured(value.shape)
        return Fixed(result, sizes, None if sizes.axis is None else (sizes.axis, 1, sizes.dims[sizes.axis]))

    # Layers ---------------------------------------------------------------------------------------

    def add(
        self,
        node: fx.Node,
        net: Layer,
        sources: Sequence[Any],
        sizes: Sizes,
        place: Place | None,
        kind: str = "float",
        word: str | None = None,
        arrays: Mapping[str, Tensor] | None = None,
    ) -> Flow:
        """Put in a layer without parameters, called by the operation that it stands for."""
        path = (*path_of(node), word or type(net).__name__.lower())
        return self._put(Item(path, net, tuple(map(self.flow, sources)), arrays or {}), sizes, place, kind)

    def absorb(
        self, call: Call, net: Layer, sources: Sequence[Flow], weights: Mapping[str, Any], place: Place | None
    ) -> Flow | None:
        """Put in a layer with parameters and buffers under their own names; None where that cannot be."""
        known = {name: each for name, each in weights.items() if each is not None}
        if set(known) != set(net.owns()):
            return None
        named = {name: each for name, each in known.items() if isinstance(each, Weight)}
        arrays = {name: each.tensor for name, each in known.items()}
        tied = {name: each for name, each in named.items() if len(self.uses[each.name]) > 1}
        path = self._home(call.node, named)
        if not tied:
            item = None if path is None else Item(path, net, tuple(sources), arrays, True)
        else:
            item = self._lent(call.node, net, tuple(sources), arrays, named, tied)
        return None if item is None else self._put(item, call.sizes, place, "float")

    def _lent(
        self,
        node: fx.Node,
        net: Layer,
        sources: tuple[Flow, ...],
        arrays: Mapping[str, Tensor],
        named: Mapping[str, Weight],
        tied: Mapping[str, Weight],
    ) -> Item | None:
        """A layer that shares all its arrays with its other places, or one with another layer."""
        path = self._home(node, named)
        users = [user for each in tied.values() for user in self.uses[each.name]]
        if path is not None and all(self._alike(node, user) for user in users):
            name = ".".join(path)
            first, shared = name not in self._shared, Shared(name, net)
        else:
            name = next(iter(tied.values())).name
            if len(tied) > 1 or not all(map(_scores, users)):
                return None
            first, shared = name not in self._shared, Shared(name, net, only=tuple(tied))
            rest = {each: weight for each, weight in named.items() if each not in tied}
            path = path if first else self._home(node, rest) if rest else path_of(node)
        if path is None:
            return None
        self._shared.add(name)
        return Item(path if first else path_of(node) or path, shared, sources, arrays, True)

    def _alike(self, node: fx.Node, other: fx.Node) -> bool:
        """Whether two operations are one layer at two places."""

        def plain(each: fx.Node) -> list[Any]:
            return [self.values.get(a, a) if isinstance(a, torch.fx.Node) else a for a in each.args[1:]]

        return node.target is other.target and [*map(_told, plain(node))] == [*map(_told, plain(other))]

    def _home(self, node: fx.Node, named: Mapping[str, Weight]) -> tuple[str, ...] | None:
        """The path under which arrays keep their names; None where they are not called as the layer's."""
        if not named:
            return path_of(node)
        if all(each.name == name for name, each in named.items()):
            return ()
        homes = {each.name.removesuffix(f".{name}") for name, each in named.items()}
        fitting = all(each.name.endswith(f".{name}") for name, each in named.items())
        return tuple(homes.pop().split(".")) if fitting and len(homes) == 1 else None

    def _put(self, item: Item, sizes: Sizes, place: Place | None, kind: str) -> Flow:
        self.items.append(item)
        return Flow(len(self.items) - 1, "output", sizes, place, kind)

    def flow(self, value: Any) -> Flow:
        """A value as one in the net: a parameter or a constant becomes a layer where it is needed as such."""
        if isinstance(value, Flow):
            return value
        if isinstance(value, Weight):
            key = id(value.tensor)
            if key not in self._flows:
                sizes = Sizes(tuple(value.tensor.shape), None)
                net = Parameter(tuple(value.tensor.shape), nameless=True)
                item = Item(tuple(value.name.split(".")), net, (), {"": value.tensor}, True)
                self._flows[key] = self._put(item, sizes, None, "float")
            return self._flows[key]
        key = id(value)
        if key not in self._flows:
            self._flows[key] = self.constant(self.of_one(value), value.sizes, value.place)
        return self._flows[key]

    def of_one(self, value: Fixed) -> Tensor:
        """A constant as every example has it."""
        if value.place is None:
            return value.tensor
        rows = parted(value.tensor, value.place, self.batch)
        if not bool((rows == rows[:1]).all()):
            raise StructureError("it takes numbers that depend on an example's place in the batch.")
        one: Tensor = rows[0]
        return one

    def constant(self, one: Tensor, sizes: Sizes, place: Place | None) -> Flow:
        """Put in a layer that gives every example the same."""
        kind = kind_of(one)
        if kind == "float":
            item = Item(
                (*path_of(self.node), "constant"), Constant(size=tuple(one.shape)), (), {"value": one.float()}
            )
        else:
            fixed = ((kind, *one.shape),)
            net = Operation("clone", ({"array": 0},), place=None, gives=kind, constants=fixed)
            item = Item(
                (*path_of(self.node), "constant"),
                net,
                (),
                {"constant0": one.long() if kind == "int" else one},
            )
        return self._put(item, sizes, place, kind)

    def keep(
        self, taken: fx.Node, node: fx.Node, given: tuple[Any, Any], value: Any, take: int | None = None
    ) -> Flow:
        """Put in an operation as it is."""
        base, _, overload = str(node.target).removeprefix("aten.").partition(".")
        base = SPELLED.get(base, base if base in PURE else base.removesuffix("_"))
        if base not in PURE:
            raise StructureError(f"{base} is no operation of a net.")
        writing = _Writing(self)
        args = tuple(writing.mark(each) for each in given[0])
        named = {name: writing.mark(each) for name, each in given[1].items() if name not in WITHOUT}
        sizes = measured(value.shape)
        places = tuple(flow.place for flow in writing.flows)
        place = follow(sizes, places)
        kinds = tuple(flow.kind for flow in writing.flows)
        net = Operation(
            base if overload == "default" else f"{base}.{overload}",
            args,
            named=named or None,
            places=() if set(places) <= {FIRST} else places,
            place=place,
            takes=() if set(kinds) <= {"float"} else kinds,
            gives=kind_of(value),
            result=take,
            constants=tuple((kind_of(one), *one.shape) for one in writing.arrays),
        )
        arrays = {f"constant{i}": one for i, one in enumerate(writing.arrays)}
        path = (*path_of(node), base.strip("_"))
        return self._put(Item(path, net, tuple(writing.flows), arrays), sizes, place, kind_of(value))


@dataclass
class _Writing:
    """Arguments as data: tensors become marks of inputs and of constants."""

    trace: Trace
    flows: list[Flow] = field(default_factory=list)
    arrays: list[Tensor] = field(default_factory=list)

    def mark(self, value: Any) -> Any:
        if isinstance(value, tuple | list):
            return tuple(map(self.mark, value))
        if isinstance(value, Fixed) and value.place is None:
            one = value.tensor
            self.arrays.append(one.long() if kind_of(one) == "int" else one)
            return {"array": len(self.arrays) - 1}
        if isinstance(value, Flow | Fixed | Weight):
            flow = self.trace.flow(value)
            if flow not in self.flows:
                self.flows.append(flow)
            return {"input": self.flows.index(flow)}
        if isinstance(value, Rows):
            return {"batch": value.times}
        if isinstance(value, torch.dtype):
            word = str(value).removeprefix("torch.")
            if word not in TYPES:
                raise StructureError(f"it works with {word}, and nets are real.")
            return {"type": word}
        if isinstance(value, float) and not math.isfinite(value):
            return {"number": next(word for word in NUMBERS if word == str(value))}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise StructureError(f"it takes {value!r}, which nets do not keep.")


def _bound(node: fx.Node, args: Any, kwargs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    schema = node.target._schema  # type: ignore[union-attr]
    names = [each.name for each in schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    bound = {each.name: given.get(each.name, each.default_value) for each in schema.arguments}
    return str(node.target).removeprefix("aten."), bound


def _called(node: fx.Node) -> str:
    return str(node.target).removeprefix("aten.").removesuffix(".default")


def _told(value: Any) -> Any:
    return value.name if isinstance(value, Weight) else repr(value)


def _scores(node: fx.Node) -> bool:
    """Whether an operation is one that always becomes a layer with its weight: a table, or a matrix."""
    if str(node.target) == "aten.embedding.default":
        return True
    taken = node.args[0]
    if str(node.target) != "aten.linear.default" or not isinstance(taken, torch.fx.Node):
        return False
    sizes = measured(taken.meta["val"].shape)
    return sizes.axis is not None and sizes.axis < sizes.rank - 1

"""The words in which a trace speaks: values of a module as they are in a net, and where operations stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import StructureError
from retia.formats.pytorch.places import Place, Sizes, measured, of_example
from retia.nets.net import Net

if TYPE_CHECKING:
    from torch import Tensor, fx


@dataclass(frozen=True)
class Flow:
    """A value in the net: where it comes from, and what it is in the module.

    Attributes:
        item: the number of the layer that gives it; None for an input of the net.
        port: of the input.
        sizes: in the module.
        place: of the batch in the module; None where all examples have it in common.
        kind: ``"float"``, ``"int"`` or ``"bool"``.
    """

    item: int | None
    port: str
    sizes: Sizes
    place: Place | None
    kind: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example in the net."""
        return of_example(self.sizes, self.place)


@dataclass(frozen=True)
class Fixed:
    """A value that depends on nothing: the module's tensor for the example's batch."""

    tensor: Tensor
    sizes: Sizes
    place: Place | None


@dataclass(frozen=True)
class Weight:
    """A parameter of the module, under its own name."""

    name: str
    tensor: Tensor


@dataclass(frozen=True)
class Rows:
    """A size that is so many times the batch's."""

    times: int


@dataclass
class Item:
    """A layer in its place.

    Attributes:
        path: names of modules, then the layer's own.
        net: the layer.
        sources: the values at its inputs.
        arrays: by name.
        said: its name comes from its parameters, so that their names stay.
    """

    path: tuple[str, ...]
    net: Net
    sources: tuple[Flow, ...]
    arrays: Mapping[str, Tensor] = field(default_factory=dict)
    said: bool = False


@dataclass
class Call:
    """One operation of the traced module: its name, its arguments by name, and what it gives."""

    node: fx.Node
    name: str
    given: Mapping[str, Any]
    value: Any

    @property
    def sizes(self) -> Sizes:
        """Of the result."""
        return measured(self.value.shape)

    @property
    def kind(self) -> str:
        """Of the result."""
        return kind_of(self.value)

    def __getitem__(self, name: str) -> Any:
        return self.given[name]


def follow(sizes: Sizes, places: Sequence[Place | None]) -> Place | None:
    """The place of the batch in what an operation gives, from those in what it takes."""
    batched = [place for place in places if place is not None]
    if sizes.axis is None:
        if batched:
            raise StructureError("it makes one result of all examples.")
        return None
    rows = sizes.dims[sizes.axis]
    if rows == 1:
        return (sizes.axis, 1, 1)
    found = {place[1:] for place in batched if place[1] * place[2] == rows}
    if len(found) != 1:
        raise StructureError("it makes several rows of an example, and which ones cannot be told.")
    return (sizes.axis, *found.pop())


def kind_of(tensor: Any) -> str:
    """Real numbers, whole ones or truth values."""
    if tensor.is_complex():
        raise StructureError("it works with complex numbers, and nets are real.")
    if tensor.is_floating_point():
        return "float"
    return "bool" if tensor.dtype == torch.bool else "int"


def path_of(node: fx.Node) -> tuple[str, ...]:
    """The module in which an operation stands, by names; a module's second call has names of its own."""
    path: list[str] = []
    before = ""
    for key, (name, _) in (node.meta.get("nn_module_stack") or {}).items():
        if name == before or name.startswith("_empty_nn"):
            continue
        inner = name.removeprefix(f"{before}.") if before and name.startswith(f"{before}.") else name
        path = [*path, *inner.split(".")] if inner != name or not before else name.split(".")
        _, _, call = key.partition("@")
        path[-1] += f"_{int(call) + 1}" if call.isdigit() and int(call) else ""
        before = name
    return tuple(path)


def flat(value: Any) -> list[Any]:
    """All that stands in nested arguments."""
    if isinstance(value, Mapping):
        return [each for inner in value.values() for each in flat(inner)]
    if isinstance(value, tuple | list):
        return [each for inner in value for each in flat(inner)]
    return [value]

"""The view model: a net as plain data, of which everything that draws is made.

The terminal's table, the diagrams and the page read a ``View`` and nothing else. It holds texts, numbers,
tuples and dicts alone, so ``dataclasses.asdict(view(net))`` goes into JSON as it is. It is made from the
expression and the solved sizes; arrays are not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from retia.errors import UnknownNameError, did_you_mean
from retia.nets import Chain, Graph, Layer, Net, Shared
from retia.nets.operator import Operator
from retia.nets.wiring import Node, Value, join
from retia.shapes import Shape
from retia.training.rates import Rates, read_rates

Sizes: TypeAlias = "tuple[int | str | None, ...] | None"
"""A shape: whole numbers, texts for sizes that vary, None for unknown ones; None for no known rank."""

End: TypeAlias = "tuple[str, str]"
"""The name of a part and its port; the name is "" for the part around it."""

FAMILIES = {
    "affine": "random", "attention": "sequence", "augmentation": "random", "colors": "random",
    "combine": "combine", "constants": "shape", "convolution": "convolution", "distances": "combine",
    "elementwise": "activation", "embedding": "linear", "fold": "sequence", "functions": "activation",
    "gather": "shape", "linear": "linear", "normalization": "normalization", "operators": "sequence",
    "part": "shape", "pooling": "pooling", "positions": "sequence", "random": "random",
    "recurrent": "sequence", "reduce": "pooling", "regularization": "random", "resize": "pooling",
    "sequences": "shape", "softmax": "activation", "structure": "shape", "transforms": "linear",
    "warp": "random",
}  # fmt: skip
"""The family of a layer, by the file that it stands in; of one's own layers it is ``"other"``."""


LONG = 60
"""Letters of a label, at most."""


@dataclass(frozen=True)
class Held:
    """One array of a layer.

    Attributes:
        name: what the layer calls it.
        path: where it is kept.
        lent: whether that is with another layer, as it is shared.
        shape: its sizes.
        count: its elements; None while a size is unknown.
        learned: whether gradients move it.
        frozen: whether a learning rate of 0 keeps it.
    """

    name: str
    path: str
    lent: bool
    shape: Sizes
    count: int | None
    learned: bool
    frozen: bool


@dataclass(frozen=True)
class PortFacts:
    """An input or output of the net: its name, sizes, kind of numbers, and codec as text ("" for none)."""

    name: str
    shape: Sizes
    kind: str
    codec: str


@dataclass(frozen=True)
class Part:
    """A layer, or a group of parts.

    Attributes:
        path: where it stands; ``""`` for the whole net.
        name: the last step of the path.
        kind: ``"layer"`` or ``"group"``.
        type: the name of its class.
        family: of a layer, what its colour follows; of a group ``"group"``.
        label: the expression without ports; of a group its class.
        expression: a layer with its ports, as code.
        inputs: sizes of one example by input port.
        outputs: the same by output port.
        carried: sizes of what an operator's net is given from its own last run, by port.
        sources: what feeds each input, among the parts around it.
        ends: of a group, which of its parts gives each output.
        arrays: of a layer, what it owns.
        count: its parameters and those within, shared ones once; None while a size is unknown.
        shared: the name that its arrays are shared under; ``""`` for none.
        only: the arrays that are, where that is not all of them.
        frozen: whether nothing in it is trained.
        children: of a group, the paths of its parts in the order of computation.
    """

    path: str
    name: str
    kind: str
    type: str
    family: str
    label: str
    expression: str
    inputs: Mapping[str, Sizes]
    outputs: Mapping[str, Sizes]
    carried: Mapping[str, Sizes] = field(default_factory=dict)
    sources: Mapping[str, End] = field(default_factory=dict)
    ends: Mapping[str, End] = field(default_factory=dict)
    arrays: tuple[Held, ...] = ()
    count: int | None = 0
    shared: str = ""
    only: tuple[str, ...] = ()
    frozen: bool = False
    children: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """A net as plain data.

    Attributes:
        inputs: the net's input ports. outputs: its output ports.
        parts: all parts by path, each after what it stands in; the net itself has the path ``""``.
        count: the parameters; None while a size is unknown.
        others: elements of arrays that gradients do not move; None while a size is unknown.
        note: a sentence on the arrays.
        attached: what was attached, by its name and then by the parts' paths.
    """

    inputs: tuple[PortFacts, ...]
    outputs: tuple[PortFacts, ...]
    parts: Mapping[str, Part]
    count: int | None
    others: int | None
    note: str
    attached: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[Part, ...]:
        """The parts that are layers, in the order of computation."""
        return tuple(part for part in self.parts.values() if part.kind == "layer")

    def attach(self, name: str, things: Mapping[str, Any]) -> View:
        """The same view with something for its parts (values, contributions, gradients), by path.

        Raises:
            UnknownNameError: a path that no part has.
        Example:
            >>> import retia as rt
            >>> seen = view(rt.Chain(rt.ReLU(), input=2)).attach("values", {"0": [0.0, 1.0]})
            >>> seen.attached["values"]["0"]
            [0.0, 1.0]
        """
        for path in things:
            if path not in self.parts:
                raise UnknownNameError(
                    f"There is no part {path!r}.{did_you_mean(path, filter(None, self.parts))}", path=path
                )
        return replace(self, attached={**self.attached, name: dict(things)})


def view(net: Net, *, rates: Mapping[str, float] | None = None) -> View:
    """The view model of a net.

    Args:
        net: any net.
        rates: multipliers of the learning rate by path pattern, as ``rt.train`` takes them: what has 0 is
            marked as frozen.
    Example:
        >>> import retia as rt
        >>> seen = view(rt.Chain(rt.Linear(30), rt.Tanh(), input=2))
        >>> [(part.path, part.label, part.outputs["output"], part.count) for part in seen.layers]
        [('0', 'Linear(30)', (30,), 90), ('1', 'Tanh()', (30,), 0)]
    """
    parts = _Maker(net, read_rates(net, rates) if rates else None).parts()
    arrays = {held.path: held for part in parts.values() for held in part.arrays}.values()
    return View(
        inputs=tuple(_port(port) for port in net.inputs.values()),
        outputs=tuple(_port(port) for port in net.outputs.values()),
        parts=parts,
        count=total(held.count for held in arrays if held.learned),
        others=total(held.count for held in arrays if not held.learned),
        note=_note(net),
    )


def sizes(shape: Shape | None) -> Sizes:
    """A shape as plain data."""
    if shape is None:
        return None
    return tuple(size if size is None or isinstance(size, int) else str(size) for size in shape)


def show_sizes(shape: Sizes) -> str:
    """A shape as a person reads it.

    Example:
        >>> show_sizes((28, "n", None)), show_sizes((3,)), show_sizes(None)
        ('(28, n, ?)', '(3)', '(...)')
    """
    if shape is None:
        return "(...)"
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"


def total(counts: Any) -> int | None:
    """The sum of counts; None where one is unknown."""
    found = list(counts)
    return None if None in found else sum(found)


def number(count: int | None) -> str:
    """A count with commas; ``"?"`` for an unknown one."""
    return "?" if count is None else f"{count:,}"


class _Maker:
    """Makes the parts of one net."""

    def __init__(self, net: Net, rates: Rates | None) -> None:
        self.net = net
        self.rates = rates
        self.nodes: dict[str, Node] = {node.path: node for node in net.wiring.nodes}
        self.places = {path: place for place, path in enumerate(net.wiring.starts)}
        self.order: list[str] = []
        self.made: dict[str, Part] = {}
        self.held: dict[str, tuple[Held, ...]] = {}
        self.shapes: dict[Value, Sizes] = {}

    def parts(self) -> dict[str, Part]:
        self._add(self.net, "", {})
        return {path: self.made[path] for path in self.order}

    def _add(self, net: Net, path: str, sources: Mapping[str, End]) -> set[str]:
        """Add a part and those within; answers the paths of the layers in it."""
        sharing = None
        while isinstance(net, Shared):
            sharing, net = net, net.net
        self.order.append(path)
        keys = {path} if path in self.nodes else set()
        facts: dict[str, Any] = {}
        if isinstance(net, Operator):
            facts = self._operator(net, path, keys)
        elif net.children:
            facts = self._group(net, path, keys)
        node = self.nodes.get(path)
        said = type(net).__name__ if net.children else repr(net)
        learned = {h.path: h.count for key in keys for h in self._held(self.nodes[key]) if h.learned}
        self.made[path] = Part(
            path=path,
            name=path.rpartition(".")[2],
            kind="group" if net.children else "layer",
            type=type(net).__name__,
            family="group" if net.children else _family(net),
            label=_label(net, said),
            expression=said,
            inputs=self._shapes(self.net.wiring.starts[path]),
            outputs=self._shapes(self.net.wiring.ends[path]),
            sources=sources,
            arrays=self._held(node) if node is not None else (),
            count=total(learned.values()),
            shared=sharing.name if sharing is not None else "",
            only=sharing.only if sharing is not None else (),
            frozen=self._is_frozen(keys, learned),
            **facts,
        )
        return keys

    def _is_frozen(self, keys: set[str], learned: Mapping[str, int | None]) -> bool:
        rates = self.rates
        if rates is None or not keys:
            return False
        return keys <= rates.still and not any(array in rates.moved for array in learned)

    def _group(self, net: Net, path: str, keys: set[str]) -> dict[str, Any]:
        wiring = self.net.wiring
        given: dict[Value, End] = {value: ("", port) for port, value in wiring.starts[path].items()}
        children = []
        for name in self._order(net, path):
            inner = join(path, name)
            if isinstance(net, Graph):  # what passes something on unchanged is told apart by the links alone
                sources = dict(net.links[name])
            else:
                sources = {port: given[value] for port, value in wiring.starts[inner].items()}
            keys |= self._add(net.children[name], inner, sources)
            given.update({value: (name, port) for port, value in wiring.ends[inner].items()})
            children.append(inner)
        if isinstance(net, Graph):
            return {"children": tuple(children), "ends": dict(net.ends)}
        ends = wiring.ends[path].items()
        found = {port: given.get(value) or self._deep(value, path) for port, value in ends}
        return {"children": tuple(children), "ends": found}

    def _operator(self, net: Operator, path: str, keys: set[str]) -> dict[str, Any]:
        inner = join(path, "net")
        wiring = self.net.wiring
        ports = {target: port for port, target in net.targets([*wiring.starts[path]]).items()}
        starts = wiring.starts[inner]
        keys |= self._add(net.net, inner, {name: ("", ports.get(name, name)) for name in starts})
        carried = self._shapes({name: value for name, value in starts.items() if name not in ports})
        ends = {port: ("net", origin) for port, origin in net.origins().items() if port in wiring.ends[path]}
        return {"children": (inner,), "ends": ends, "carried": carried}

    def _order(self, net: Net, path: str) -> list[str]:
        if isinstance(net, Chain):
            return list(net.children)
        return sorted(net.children, key=lambda name: self.places[join(path, name)])

    def _deep(self, value: Value, path: str) -> End:
        """The child within which a value is made."""
        rest = value[0].rstrip(">").removeprefix(f"{path}." if path else "")
        return rest.partition(".")[0], value[1]

    def _shapes(self, values: Mapping[str, Value]) -> dict[str, Sizes]:
        for value in values.values():
            if value not in self.shapes:
                self.shapes[value] = sizes(self.net.solution.shape(value))
        return {port: self.shapes[value] for port, value in values.items()}

    def _held(self, node: Node) -> tuple[Held, ...]:
        if node.path not in self.held:
            self.held[node.path] = tuple(self._arrays(node))
        return self.held[node.path]

    def _arrays(self, node: Node) -> Iterator[Held]:
        for name, array in node.layer.owns().items():
            layer, there = node.home(name)
            at, shape = node.at(name), sizes(self.net.solution.array_shape(layer, there))
            still = self.rates is not None and array.learned and at not in self.rates.moved
            yield Held(name, at, layer != node.path, shape, _elements(shape), array.learned, still)


def _label(net: Net, said: str) -> str:
    """The expression without ports, not longer than a line."""
    if not isinstance(net, Layer) or net.children:
        return type(net).__name__
    return said if net.input is net.output is None and len(said) <= LONG else net.brief


def _family(net: Net) -> str:
    room, _, file = type(net).__module__.rpartition(".")
    return FAMILIES.get(file, "other") if room == "retia.layers" else "other"


def _elements(shape: Sizes) -> int | None:
    if shape is None or not all(isinstance(size, int) for size in shape):
        return None
    return math.prod(size for size in shape if isinstance(size, int))


def _port(port: Any) -> PortFacts:
    return PortFacts(port.name, sizes(port.shape), port.kind, repr(port.codec) if port.codec else "")


def _note(net: Net) -> str:
    wanted, made = net.array_shapes(), net.arrays
    if not wanted:
        return "It has no arrays."
    if not len(made):
        return "Its arrays are not made yet; net.init(seed=0) makes them."
    if len(made) < len(wanted):
        return f"{len(made)} of its {len(wanted)} arrays are made; net.init(seed=0) makes the rest."
    size = sum(tensor.numel() * tensor.element_size() for tensor in made.values())
    kinds = sorted({f"{str(t.dtype).removeprefix('torch.')} on {t.device}" for t in made.values()})
    return f"Its arrays take {_bytes(size)}: {', '.join(kinds)}."


def _bytes(size: int) -> str:
    power = min(max(len(str(size)) - 1, 0) // 3, 3)
    return f"{size / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB')[power]}"

"""A net laid flat: its layers in the order of computation, and which value feeds which.

Every net, however nested, is laid out once into a ``Wiring``. Inference, the engine, files, diagrams
and export read this; none of them needs to know of chains and graphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from retia.errors import StructureError
from retia.nets.ports import Spec, specs
from retia.shapes import Signature, Term

if TYPE_CHECKING:
    from retia.nets.layer import Layer
    from retia.nets.net import Net
    from retia.nets.operator import Operator

Value: TypeAlias = "tuple[str, str]"
"""What a wire carries: the path of the layer that gives it ("" for the net's inputs), and the port."""


@dataclass(frozen=True)
class Inside:
    """The net that an operator runs within itself, laid flat.

    Attributes:
        signature: its ports, in the variables of the operator's own signature.
        given: the values at its inputs, in the order of the signature.
        steps: its nodes, in the order of computation.
        ends: the values at its outputs.
        alike: pairs of a value outside and one inside that are of one kind.
        rows: the variable of the operator's signature that says how many rows an example has at once; ""
            where it has one.
    """

    signature: Signature
    given: tuple[Value, ...]
    steps: tuple[Node, ...]
    ends: tuple[Value, ...]
    alike: tuple[tuple[Value, Value], ...]
    rows: str


@dataclass(frozen=True)
class Node:
    """One layer in its place.

    Attributes:
        path: where it stands, ``"block.conv"``; ``""`` if the net is one layer.
        layer: what stands there.
        sources: the value at each of its inputs, in the order of its signature.
        key: the path under which its arrays are kept (another one's, where they are shared).
        signature: its ports, for as many inputs as it has here.
        inside: of an operator, the net that it runs.
        lent: its arrays that are kept elsewhere one by one, by name: the path of a layer, and the name there.
    """

    path: str
    layer: Layer
    sources: tuple[Value, ...]
    key: str
    signature: Signature
    inside: Inside | None = None
    lent: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def home(self, name: str) -> tuple[str, str]:
        """Where an array of the layer is kept: the path of a layer, and the array's name there."""
        return self.lent.get(name, (self.key, name))

    def at(self, name: str) -> str:
        """The path of an array of the layer."""
        return join(*self.home(name))

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of the arrays that are kept here; of shared ones, at the first place alone."""
        if self.key != self.path:
            return ()
        return tuple(name for name in self.layer.owns() if name not in self.lent)

    @property
    def parts(self) -> tuple[Node, ...]:
        """Itself, and of an operator all nodes of the net that it runs, at any depth."""
        if self.inside is None:
            return (self,)
        return (self, *(part for step in self.inside.steps for part in step.parts))

    @property
    def owned(self) -> tuple[str, ...]:
        """The paths of its arrays, and of those within it."""
        return tuple(part.at(name) for part in self.parts for name in part.layer.owns())

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values it gives."""
        return tuple((self.path or "*", term.name) for term in self.signature.outputs)

    @property
    def label(self) -> str:
        """Path and expression, as errors name it."""
        return f"{self.path} ({self.layer.brief})" if self.path else self.layer.brief


@dataclass(frozen=True)
class Declared:
    """A type that some part of the net declares for one of its ports."""

    path: str
    side: str
    port: str
    value: Value
    spec: Spec


@dataclass
class Wiring:
    """The flat form of a net. ``ends[path]`` and ``starts[path]`` are the values at a part's ports.

    ``steps`` are the nodes that are run one after another, an operator with all that is within it being one;
    ``nodes`` are those within operators too, each after its operator.
    """

    inputs: tuple[str, ...] = ()
    outputs: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    declared: list[Declared] = field(default_factory=list)
    starts: dict[str, dict[str, Value]] = field(default_factory=dict)
    ends: dict[str, dict[str, Value]] = field(default_factory=dict)
    steps: list[Node] = field(default_factory=list)
    _shared: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _lenders: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    _homes: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def place(self, net: Net, path: str, key: str, sources: Mapping[str, Value]) -> dict[str, Value]:
        """Lay a part of the net; ``sources`` are the values at its input ports."""
        self.starts[path] = dict(sources)
        for port, spec in specs(net.input, tuple(sources), "input").items():
            self.declared.append(Declared(path, "input", port, sources[port], spec))
        outputs = net.lay(self, path, key, sources)
        self.ends[path] = outputs
        for port, spec in specs(net.output, tuple(outputs), "output").items():
            self.declared.append(Declared(path, "output", port, outputs[port], spec))
        return outputs

    def add(self, layer: Layer, path: str, key: str, sources: Mapping[str, Value]) -> dict[str, Value]:
        """Lay one layer."""
        ports, lent = layer.ports(len(sources)), self._lent(layer, key)
        node = Node(path, layer, tuple(sources.values()), key, ports, lent=lent)
        self.nodes.append(node)
        self.steps.append(node)
        return _by_port(node.signature.outputs, node.outputs)

    def enclose(
        self, operator: Operator, path: str, key: str, sources: Mapping[str, Value]
    ) -> dict[str, Value]:
        """Lay an operator, and within it the net that it runs."""
        around, self.steps, place = self.steps, [], len(self.nodes)
        own = operator.within(len(sources))
        given = {term.name: (f"{path or '*'}>", term.name) for term in own.inputs}
        ends = self.place(operator.net, join(path, "net"), join(key, "net"), given)
        ports = operator.ports(len(sources))
        outputs = _by_port(ports.outputs, [(path or "*", term.name) for term in ports.outputs])
        alike = [(sources[name], given[target]) for name, target in operator.targets([*sources]).items()]
        alike += [(ends[origin], outputs[name]) for name, origin in operator.origins().items()]
        inside = Inside(
            own, tuple(given.values()), tuple(self.steps), tuple(ends.values()), tuple(alike), operator.rows
        )
        lent = self._lent(operator, key)
        node = Node(path, operator, tuple(sources.values()), key, ports, inside, lent)
        self.nodes.insert(place, node)
        self.steps = [*around, node]
        return outputs

    def share(self, name: str, net: Net, path: str, key: str) -> str:
        """The key of what is shared under a name: that of its first place."""
        if any(name == lender for lender, _ in self._homes):
            raise StructureError(
                f"{path}: Shared({name!r}) shares everything here and some arrays at another place.",
                fix="give one of them another name",
                path=path,
            )
        first, known = self._shared.setdefault(name, (key, net))
        if known is not net and known.expression_hash != net.expression_hash:
            raise StructureError(
                f"{path}: Shared({name!r}) is {net!r} here and {known!r} at {first}.",
                fix="give one of them another name",
                path=path,
            )
        return first

    def lend(
        self, name: str, only: tuple[str, ...], net: Net, path: str, key: str, sources: Mapping[str, Value]
    ) -> dict[str, Value]:
        """Lay a net of which some arrays are shared under a name, by their paths within it."""
        if name in self._shared:
            first = self._shared[name][0]
            raise StructureError(
                f"{path}: Shared({name!r}) shares {' and '.join(only)} here and everything at {first}.",
                fix="give one of them another name",
                path=path,
            )
        self._lenders.append((name, key, only))
        made = self.place(net, path, key, sources)
        self._lenders.pop()
        return made

    def _lent(self, layer: Layer, key: str) -> dict[str, tuple[str, str]]:
        """The arrays of a layer that are kept at another, as what is around it shares them."""
        lent = {}
        for name, around, only in self._lenders:
            for own in layer.owns():
                inner = join(key, own)[len(around) + bool(around) :]
                home = self._homes.setdefault((name, inner), (key, own)) if inner in only else (key, own)
                if home != (key, own):
                    lent[own] = home
        return lent

    def needed(self, values: Iterable[Value] | None = None) -> list[Node]:
        """The nodes that some values depend on, in order; the outputs, where no values are named."""
        wanted = set(self.outputs.values() if values is None else values)
        kept = []
        for node in reversed(self.steps):
            if wanted & set(node.outputs):
                wanted |= set(node.sources)
                kept.append(node)
        return kept[::-1]

    def producer(self, value: Value) -> Node | None:
        """The node that gives a value; None for an input of the net."""
        return next((node for node in self.nodes if value in node.outputs or value in _given(node)), None)


def _given(node: Node) -> tuple[Value, ...]:
    return node.inside.given if node.inside is not None else ()


def _by_port(terms: Iterable[Term], values: Iterable[Value]) -> dict[str, Value]:
    return {term.name: value for term, value in zip(terms, values, strict=True)}


def join(path: str, name: str) -> str:
    """A path one step deeper; an array without a name is called as the layer that has it."""
    return f"{path}.{name}" if path and name else path or name or "weight"


def lay_out(net: Net) -> Wiring:
    """The wiring of a whole net."""
    wiring = Wiring(inputs=net.input_names())
    wiring.outputs = wiring.place(net, "", "", {name: ("", name) for name in wiring.inputs})
    return wiring

"""The net: an immutable value with named, typed input and output ports.

What every net can do (its ports, sizes, arrays, equality, parts) is written here once; what a layer, a
chain or a graph is, in their own files. ``==`` and hashes go by content, never by identity.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from retia.errors import ArgumentError, ArraysError, ShapeError, UnknownNameError, did_you_mean
from retia.nets import expression
from retia.nets.arrays import Arrays, own
from retia.nets.codec import Codec
from retia.nets.inference import Solution, infer
from retia.nets.initial import read_initial, stream
from retia.nets.lineage import Step, descended, lineage_of, remember
from retia.nets.patterns import matches
from retia.nets.ports import Port
from retia.nets.registry import find
from retia.nets.surgery.verbs import SurgeryVerbs
from retia.nets.verbs import NetVerbs
from retia.nets.wiring import Value, Wiring, join, lay_out
from retia.shapes import Shape, show, varies
from retia.shapes.solver import reasons, spread, value

if TYPE_CHECKING:
    from retia._torch import torch
    from retia.nets.layer import Layer


class Net(NetVerbs, SurgeryVerbs, ABC):
    """The interface of nets: layers, chains, graphs. All of it is a value; operations return new nets."""

    version: ClassVar[int] = 1
    input: Any
    output: Any

    # For leaves -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def children(self) -> Mapping[str, Net]:
        """The parts, by name."""

    @abstractmethod
    def with_children(self, children: Mapping[str, Net]) -> Net:
        """The same net with other parts under the same names."""

    @abstractmethod
    def input_names(self, arity: int | None = None) -> tuple[str, ...]:
        """Names of the input ports."""

    @abstractmethod
    def output_names(self) -> tuple[str, ...]:
        """Names of the output ports."""

    @abstractmethod
    def lay(self, wiring: Wiring, path: str, key: str, sources: Mapping[str, Value]) -> dict[str, Value]:
        """Put the parts into a wiring; answers the values at the output ports."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the expression says, as JSON stores it."""

    # Ports and sizes ------------------------------------------------------------------------------

    @cached_property
    def wiring(self) -> Wiring:
        """The net laid flat."""
        return lay_out(self)

    @cached_property
    def solution(self) -> Solution:
        """The sizes of everything, as far as they are known."""
        return infer(self.wiring)

    @property
    def inputs(self) -> dict[str, Port]:
        """The input ports by name."""
        return dict(self._ports[0])

    @property
    def outputs(self) -> dict[str, Port]:
        """The output ports by name."""
        return dict(self._ports[1])

    @cached_property
    def _ports(self) -> tuple[dict[str, Port], dict[str, Port]]:
        wiring = self.wiring
        return (
            {name: self._port(name, ("", name), "input") for name in wiring.inputs},
            {name: self._port(name, value, "output") for name, value in wiring.outputs.items()},
        )

    def _port(self, name: str, value: Value, side: str) -> Port:
        codec: Codec | None = None
        depth = -1
        for declared in self.wiring.declared:
            if declared.value == value and declared.side == side and isinstance(declared.spec, Codec):
                deep = declared.path.count(".") + bool(declared.path)
                if codec is None or deep < depth:
                    codec, depth = declared.spec, deep
        sizes = self.solution.shape(value)
        return Port(
            name, sizes, self.solution.kinds.get(value, "float"), codec.with_shape(sizes) if codec else None
        )

    def why(self, what: str) -> str:
        """The chain of facts that fixed a size: of an array (``"3.weight"``), a port, or a layer's output.

        Example:
            >>> import retia as rt
            >>> print(rt.Linear(10, input=784).why("weight"))
            weight is (10, 784)
              10   because Linear(10) says so
              784  because the input is 784
        """
        raw = spread(self._pattern(what))
        sizes = ["?" if value(item) is None else str(value(item)) for item in raw]
        width = max(map(len, sizes), default=0)
        lines = [f"{what} is ({', '.join(sizes)})"]
        for size, item in zip(sizes, raw, strict=True):
            told = [*reasons(item)] or ["nothing says yet" if size == "?" else "the layer is made so"]
            lines.append(f"  {size:<{width}}  because {'; '.join(told)}")
        return "\n".join(lines)

    def _pattern(self, what: str) -> Any:
        solution = self.solution
        array = self._array_at(what)
        if array is not None:
            return solution.arrays[array[0]][array[1]]
        ends = self.wiring.ends.get(what) if what else None
        if ends is not None and len(ends) == 1:
            return solution.values[next(iter(ends.values()))]
        ports = {**{n: ("", n) for n in self.wiring.inputs}, **self.wiring.outputs}
        if what in ports:
            return solution.values[ports[what]]
        known = [join(p, n) for p, names in solution.arrays.items() for n in names]
        known += [*filter(None, self.wiring.ends), *ports]
        raise UnknownNameError(
            f"There is no array, layer or port {what!r}.{did_you_mean(what, known)}", path=what
        )

    def _array_at(self, path: str) -> tuple[str, str] | None:
        """The layer's path and the array's name, which may have points (``"0.out_proj.weight"``)."""
        parts = path.split(".")
        for cut in range(len(parts) + 1):
            key, name = ".".join(parts[:cut]), ".".join(parts[cut:])
            if name in self.solution.arrays.get(key, {}):
                return key, name
        homes = (
            node.home(name)
            for node in self.wiring.nodes
            for name in node.layer.owns()
            if join(node.path, name) == path
        )
        return next(homes, None)

    # Parts ----------------------------------------------------------------------------------------

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """All layers with their paths, in the order of computation."""
        for node in self.wiring.nodes:
            yield node.path, node.layer

    def part(self, path: str) -> Net:
        """A part at any depth, ``"block.conv"``."""
        net: Net = self
        for name in path.split("."):
            if name not in net.children:
                raise UnknownNameError(
                    f"There is no part {path!r}; {name!r} is not one of: {', '.join(net.children) or 'none'}."
                    + did_you_mean(name, net.children),
                    path=path,
                )
            net = net.children[name]
        return net

    def __getitem__(self, key: Any) -> Net:
        if isinstance(key, slice):
            return self._slice(key)
        if isinstance(key, str):
            return self.part(key)
        raise ArgumentError(f"Parts of a {type(self).__name__} go by name; got {key!r}.", got=key)

    def at(self, *paths: str) -> Net:
        """The net that answers what these inner parts give, ``net.at("relu1")(x)``."""
        made: Net = find("At")(self, *paths)
        return descended(made, self, f"at({', '.join(map(repr, paths))})")

    # Arrays ---------------------------------------------------------------------------------------

    @cached_property
    def arrays(self) -> Arrays:
        """The arrays by path; those that were not made yet are missing."""
        return Arrays(
            {
                join(node.path, name): node.layer.held[name]
                for node in self.wiring.nodes
                for name in node.kept
                if name in node.layer.held
            }
        )

    def array_shapes(self) -> dict[str, Shape | None]:
        """The shape of every array by path, made or not; None, or None in places, where it is unknown."""
        return {
            join(node.path, name): self.solution.array_shape(node.path, name)
            for node in self.wiring.nodes
            for name in node.kept
        }

    def learned(self) -> list[str]:
        """The paths of arrays that training moves by gradients."""
        return [
            join(node.path, name)
            for node in self.wiring.nodes
            for name in node.kept
            if node.layer.owns()[name].learned
        ]

    @property
    def count(self) -> int:
        """Number of parameters: elements of all learned arrays. Raises ``ShapeError`` while unknown."""
        shapes = self.array_shapes()
        self._check_known({path: shapes[path] for path in self.learned()})
        total = 0
        for path in self.learned():
            number = 1
            for size in shapes[path] or ():
                assert isinstance(size, int)
                number *= size
            total += number
        return total

    def init(self, seed: int = 0, *, method: Any = None, only: str | None = None) -> Net:
        """The net with arrays: those that are missing are made; with ``only``, those are made anew.

        Args:
            seed: a whole number; the same seed gives the same arrays on every machine.
            method: how to start the weights (``"xavier"``, ``rt.Initial(...)``) instead of as they say.
            only: a path or pattern (``"classifier"``, ``"block.*"``); everything below it is made anew.
        Raises:
            ShapeError: sizes that are not known yet, all of them.
        Example:
            >>> import retia as rt
            >>> rt.Linear(2, input=3).init(seed=1).arrays["weight"].shape
            torch.Size([2, 3])
        """
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise ArgumentError(f"init: seed is a whole number from 0 to 2**63 - 1; got {seed!r}.", got=seed)
        chosen = None if method is None else read_initial("init: method", method)
        shapes = self.array_shapes()
        wanted = (
            [path for path in shapes if path not in self.arrays]
            if only is None
            else self._chosen("init", only)
        )
        self._check_known({path: shapes[path] for path in wanted})
        made = {}
        for node in self.wiring.nodes:
            for name, array in node.layer.owns().items():
                path = node.at(name)
                if path in wanted and path not in made:
                    initial = chosen if chosen is not None and name == "weight" else node.layer.initial(name)
                    shape = tuple(int(s) for s in shapes[path] or ())  # type: ignore[arg-type]
                    made[path] = initial.draw(shape, stream(seed, path))
                    if not array.learned and array.kind == "int":
                        made[path] = made[path].long()
        said = [f"seed={seed}"]
        said += [f"method={method!r}"] if method is not None else []
        said += [f"only={only!r}"] if only is not None else []
        return descended(self._put(made), self, f"init({', '.join(said)})")

    def with_arrays(self, arrays: Mapping[str, Any]) -> Net:
        """The same net with other arrays under some of its paths.

        Raises:
            ArraysError: a path that is not there, or a shape that does not fit; all of them at once.
        """
        said = next(iter(arrays)) if len(arrays) == 1 else f"{len(arrays)} arrays"
        return descended(self._put(arrays), self, f"with_arrays({said})")

    def without_arrays(self, only: str | None = None) -> Net:
        """The net without its arrays, so that it fits other sizes: ``init`` makes new ones then.

        Args:
            only: a path or pattern (``"classifier"``, ``"block.*"``); everything below it is taken away. All
                arrays by default.
        Raises:
            UnknownNameError: a pattern that matches no array.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(body=rt.Linear(4), head=rt.Linear(2), input=3).init()
            >>> wider = net.without_arrays("head").replace("body", rt.Linear(8)).init()
            >>> wider.arrays["head.weight"].shape
            torch.Size([2, 8])
        """
        gone = set(self.array_shapes()) if only is None else set(self._chosen("without_arrays", only))
        nodes = {node.path: node for node in self.wiring.nodes}

        def change(path: str, layer: Layer) -> Layer:
            kept = {name: tensor for name, tensor in layer.held.items() if nodes[path].at(name) not in gone}
            return layer if len(kept) == len(layer.held) else layer.with_held(kept)

        said = "" if only is None else repr(only)
        return descended(self._map_layers(change), self, f"without_arrays({said})")

    def _chosen(self, verb: str, only: str) -> list[str]:
        """The paths of arrays that a path or pattern matches."""
        paths = self.array_shapes()
        wanted = [path for path in paths if matches(only, path)]
        if not wanted:
            raise UnknownNameError(
                f"{verb}: only={only!r} matches no array.{did_you_mean(only, paths)}", path=only
            )
        return wanted

    def _put(self, arrays: Mapping[str, Any]) -> Net:
        shapes = self.array_shapes()
        faults = []
        new: dict[str, torch.Tensor] = {}
        for path, array in arrays.items():
            if path not in shapes:
                faults.append(f"there is no array {path!r}.{did_you_mean(path, shapes)}")
                continue
            try:
                new[path] = own(array, path)
            except ArraysError as error:
                faults.append(error.message)
                continue
            if not _fits(shapes[path], tuple(new[path].shape)):
                faults.append(f"{path} has shape {tuple(new[path].shape)}, expected {show(shapes[path])}")
        if faults:
            raise ArraysError(f"with_arrays: {faults[0]}", because=faults[1:])
        nodes = {node.path: node for node in self.wiring.nodes}

        def change(path: str, layer: Layer) -> Layer:
            found = {name: new[at] for name in layer.owns() if (at := nodes[path].at(name)) in new}
            return layer.with_held({**layer.held, **found}) if found else layer

        result = self._map_layers(change)
        if all(shape is not None and None not in shape for shape in shapes.values()):
            result.__dict__["solution"] = self.solution
        return result

    def _map_layers(self, change: Callable[[str, Layer], Layer], path: str = "") -> Net:
        """The net with every layer changed by a function of its path and itself."""
        children = {name: net._map_layers(change, join(path, name)) for name, net in self.children.items()}
        if all(children[name] is net for name, net in self.children.items()):
            return self
        return self.with_children(children)

    def to(self, device: Any) -> Net:
        """The net with its arrays on a device (``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``)."""
        moved = {path: tensor.to(device) for path, tensor in self.arrays.items()}
        return descended(self._put(moved), self)

    def _check_known(self, shapes: Mapping[str, Shape | None]) -> None:
        unknown = [path for path, shape in shapes.items() if shape is None or None in shape]
        varying = [p for p, s in shapes.items() if varies(s)]
        if varying:
            raise ShapeError(
                f"{varying[0]} has shape {show(shapes[varying[0]])}, but an array's size cannot vary.",
                path=varying[0],
            )
        if unknown:
            lines = []
            for path in unknown:
                at = self._array_at(path)
                assert at is not None
                lines.append(f"{path} has shape {self.solution.describe_array(*at)}")
            raise ShapeError(
                f"{len(unknown)} arrays have sizes that nothing fixes yet: {', '.join(unknown[:5])}"
                + ("..." if len(unknown) > 5 else "."),
                because=lines[:10],
                fix="say what comes in, input=..., or what goes out, output=...",
                path=unknown[0],
            )

    # Value ----------------------------------------------------------------------------------------

    @cached_property
    def expression_hash(self) -> str:
        """sha256 of the expression, without the arrays."""
        return expression.digest(self)

    @property
    def hash(self) -> str:
        """sha256 of the expression and all arrays."""
        arrays = self.arrays
        arrays.check()
        known = self.__dict__.get("_hash")
        if known is None:
            known = hashlib.sha256((self.expression_hash + arrays.digest()).encode()).hexdigest()
            self.__dict__["_hash"] = known
        return str(known)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Net):
            return NotImplemented
        return self is other or (self.expression_hash == other.expression_hash and self.hash == other.hash)

    def __hash__(self) -> int:
        return hash(self.expression_hash)

    @property
    def lineage(self) -> tuple[Step, ...]:
        """Where it comes from: the operations that made it, with hashes of nets that they began from.

        No part of ``==`` and hashes. Files keep it; of old steps only the last 64.

        Example:
            >>> import retia as rt
            >>> [str(step) for step in rt.Linear(2, input=3).init(seed=1).lineage]
            ['init(seed=1)']
        """
        return lineage_of(self)

    def __reduce__(self) -> Any:
        return _rebuild, (expression.canonical(self), dict(self.arrays), self.lineage)

    def __str__(self) -> str:
        return self.table()

    def __bool__(self) -> bool:
        return True


def _rebuild(text: str, arrays: Mapping[str, Any], lineage: tuple[Step, ...] = ()) -> Net:
    net: Net = expression.from_json(json.loads(text))
    return remember(net._put(arrays), lineage)


def missing_arrays(net: Net) -> None:
    """Raise the one error of a net that is computed with before its arrays are there."""
    if "_complete" in net.__dict__:
        return
    missing = [path for path in net.array_shapes() if path not in net.arrays]
    net.__dict__.update({} if missing else {"_complete": True})
    if missing:
        raise ArraysError(
            f"This net has no arrays yet: {', '.join(missing[:4])}{'...' if len(missing) > 4 else ''}.",
            fix="net = net.init(seed=0), or rt.train(net, data)",
            path=missing[0],
        )


def _fits(shape: Shape | None, got: tuple[int, ...]) -> bool:
    if shape is None:
        return True
    return len(shape) == len(got) and all(s is None or s == g for s, g in zip(shape, got, strict=True))

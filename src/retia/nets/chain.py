"""Chains: nets one after another."""

from __future__ import annotations

import keyword
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from retia.errors import ArgumentError, FormatError, RetiaWarning, StructureError, did_you_mean
from retia.nets import registry
from retia.nets.codec import Codec
from retia.nets.lineage import descended
from retia.nets.net import Net
from retia.nets.ports import read_specs
from retia.nets.wiring import Value, Wiring, join


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Chain(Net):
    """Nets one after another: the output of each is the input of the next.

    Children that are given by position are called ``"0"``, ``"1"``, ...; keywords name theirs. Names that
    keywords cannot say go into a dict: ``rt.Chain({"1x1": net})``. The chain takes over what stands at
    its ends: the input codec of its first child and the output codec of its last.

    Shape:  that of the first child's input -> that of the last child's output
    Args:
        parts: nets, or one dict of nets by name.
        input: what comes in: a number, a shape, a codec, or a dict of these.
        output: what goes out, the same way.
    Raises:
        ShapeError: neighbours that do not fit. StructureError: a child with several ports in the middle.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.Linear(30), rt.Tanh(), rt.Linear(3), input=2)
        >>> net.count
        183
        >>> net[:-1]
        Chain(Linear(30), Tanh(), input=2)
    """

    parts: Mapping[str, Net]
    input: Any
    output: Any

    def __init__(self, *parts: Any, input: Any = None, output: Any = None, **named: Any) -> None:
        self.__dict__["parts"] = MappingProxyType(gather(parts, named))
        self.__dict__["input"] = read_specs("Chain: input", input)
        self.__dict__["output"] = read_specs("Chain: output", output)
        _ = self.solution
        _tell_dropped(self)

    @property
    def children(self) -> Mapping[str, Net]:
        """The parts, by name."""
        return self.parts

    def with_children(self, children: Mapping[str, Net]) -> Chain:
        """The same chain with other nets under the same names."""
        return _chain(children, self.input, self.output)

    def input_names(self, arity: int | None = None) -> tuple[str, ...]:
        """Those of the first child."""
        if not self.parts:
            return ("input",)
        return next(iter(self.parts.values())).input_names(arity)

    def output_names(self) -> tuple[str, ...]:
        """Those of the last child."""
        return [*self.parts.values()][-1].output_names() if self.parts else ("output",)

    def lay(self, wiring: Wiring, path: str, key: str, sources: Mapping[str, Value]) -> dict[str, Value]:
        """Lay the children one after another."""
        values = dict(sources)
        if not self.parts:
            return {"output": next(iter(values.values()))}
        for number, (name, net) in enumerate(self.parts.items()):
            if number:
                values = hand_over(join(path, name), net, values)
            values = wiring.place(net, join(path, name), join(key, name), values)
        return values

    def settings(self) -> dict[str, Any]:
        """Children and ports, as JSON stores them."""
        return {"parts": self.parts, "input": self.input, "output": self.output}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Chain:
        """The chain of these settings; sizes are solved with the whole net, once."""
        parts = settings.get("parts")
        if not isinstance(parts, Mapping) or set(settings) != {"parts", "input", "output"}:
            raise FormatError("A Chain has parts, input and output.")
        return _chain(gather((parts,), {}), settings["input"], settings["output"])

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, key: Any) -> Net:
        """A child by number or dotted name, or a chain of a slice of them (by numbers or names)."""
        names = list(self.parts)
        if isinstance(key, slice):
            if key.step is not None:
                raise ArgumentError("A chain is not sliced with a step.", got=key.step)
            if any(isinstance(place, str) and "." in place for place in (key.start, key.stop)):
                return self._slice(key)
            start, stop = self._position(key.start, 0), self._position(key.stop, len(names))
            said = ["" if place is None else repr(place) for place in (key.start, key.stop)]
            return descended(self._cut(start, max(stop, start)), self, f"[{':'.join(said)}]")
        if isinstance(key, int) and not isinstance(key, bool):
            if not -len(names) <= key < len(names):
                raise ArgumentError(f"There is no child {key}: the chain has {len(names)}.", got=key)
            return self.parts[names[key]]
        return super().__getitem__(key)

    def _position(self, key: Any, default: int) -> int:
        if key is None:
            return default
        names = list(self.parts)
        if isinstance(key, str):
            if key not in names:
                raise ArgumentError(f"There is no child {key!r}.{did_you_mean(key, names)}", got=key)
            return names.index(key)
        if isinstance(key, bool) or not isinstance(key, int):
            raise ArgumentError(f"A chain is sliced by whole numbers or names; got {key!r}.", got=key)
        return min(max(key + len(names) if key < 0 else key, 0), len(names))

    def _cut(self, start: int, stop: int) -> Chain:
        kept = list(self.parts.items())[start:stop]
        parts: dict[str, Net] = {}
        for number, (name, net) in enumerate(kept):
            new = str(number) if name.isdigit() else name
            parts[new] = net
        whole = len(self.parts)
        return _chain(
            parts, self.input if start == 0 else None, self.output if stop == whole else None, check=True
        )

    def __iter__(self) -> Any:
        return iter(self.parts.values())

    def __repr__(self) -> str:
        numbered = [name == str(i) for i, name in enumerate(self.parts)]
        plain = (
            all(numbered[: numbered.index(False)]) and not any(numbered[numbered.index(False) :])
            if (False in numbered)
            else True
        )
        sayable = all(
            name.isdigit() or (name.isidentifier() and not keyword.iskeyword(name) and name not in _RESERVED)
            for name in self.parts
        )
        if plain and sayable:
            inside = [repr(n) if name.isdigit() else f"{name}={n!r}" for name, n in self.parts.items()]
        else:
            inside = ["{" + ", ".join(f"{name!r}: {n!r}" for name, n in self.parts.items()) + "}"]
        inside += [f"{side}={spec_text(spec)}" for side, spec in _ports(self) if spec is not None]
        return f"Chain({', '.join(inside)})"


_RESERVED = ("input", "output")


def _ports(net: Net) -> list[tuple[str, Any]]:
    return [("input", net.input), ("output", net.output)]


def spec_text(spec: Any) -> str:
    """A declared port, or a dict of them, as an expression."""
    return repr(dict(spec)) if isinstance(spec, Mapping) else repr(spec)


def _chain(parts: Mapping[str, Net], input: Any, output: Any, *, check: bool = False) -> Chain:
    made = object.__new__(Chain)
    made.__dict__["parts"] = MappingProxyType(dict(parts))
    made.__dict__["input"] = read_specs("Chain: input", input)
    made.__dict__["output"] = read_specs("Chain: output", output)
    if check:
        _ = made.solution
    return made


def gather(parts: tuple[Any, ...], named: Mapping[str, Any], whole: str = "Chain") -> dict[str, Net]:
    """The parts of a chain by name, from positionals or one dict, and keywords."""
    if len(parts) == 1 and isinstance(parts[0], Mapping):
        pairs = [*parts[0].items(), *named.items()]
    else:
        pairs = [*((str(i), part) for i, part in enumerate(parts)), *named.items()]
    gathered: dict[str, Net] = {}
    for position, (name, part) in enumerate(pairs):
        check_part(whole, name, part)
        if name.isdigit() and name != str(position):
            raise StructureError(
                f"{whole}: a child that is called by a number stands at it; {name!r} is at {position}.",
                path=name,
            )
        if name in gathered:
            raise StructureError(f"{whole}: two children are called {name!r}.", path=name)
        gathered[name] = part
    return gathered


def check_part(whole: str, name: Any, part: Any) -> None:
    """A part of a container is a net under a name without dots; else an error that helps."""
    if not isinstance(name, str) or not name or "." in name or any(c.isspace() for c in name):
        raise StructureError(f"{whole}: a part's name is a word without dots or spaces; got {name!r}.")
    if isinstance(part, Net):
        return
    _refuse(whole, name, part)


def _refuse(whole: str, name: str, part: Any) -> NoReturn:
    if isinstance(part, type) and issubclass(part, Net):
        raise ArgumentError(
            f"{whole}: {name} is the class {part.__name__}, not a net.", fix=f"{part.__name__}()"
        )
    if isinstance(part, Codec):
        raise ArgumentError(
            f"{whole}: {name} is a codec, {part!r}; codecs stand at the ports.",
            fix=f"input={part!r} or output={part!r}",
        )
    if isinstance(part, list | tuple):
        raise ArgumentError(
            f"{whole}: its parts are given one by one, not as a {type(part).__name__}.",
            fix=f"{whole}(*parts), or {whole}({whole}(*inner), ...) for a part of parts",
        )
    module = type(part).__module__
    if module.startswith("torch.nn"):
        there = type(part).__name__
        raise ArgumentError(
            f"{whole}: {name} is PyTorch's {there}.", fix=f"rt.{registry.FOREIGN.get(there, there)}(...)"
        )
    raise ArgumentError(f"{whole}: {name} is {part!r}, which is not a net.", got=part)


def hand_over(path: str, net: Net, values: Mapping[str, Value]) -> dict[str, Value]:
    """Values that one part of a chain gives as the next one takes them: the only one, or all by name."""
    names = net.input_names(len(values)) if len(values) > 1 else net.input_names()
    if len(values) == 1:
        names = net.input_names(1) if len(net.input_names()) != 1 else names
    if len(names) == len(values) == 1:
        return {names[0]: next(iter(values.values()))}
    if set(names) == set(values):
        return {name: values[name] for name in names}
    raise StructureError(
        f"{path} takes {len(names)} inputs ({', '.join(names)}), but what comes before gives "
        f"{len(values)} ({', '.join(values)}).",
        fix="say which goes where with rt.Graph",
        path=path,
    )


def _tell_dropped(chain: Chain) -> None:
    parts = list(chain.parts.items())
    for position, (name, net) in enumerate(parts):
        sides = [("input", position > 0), ("output", position < len(parts) - 1)]
        for side, inside in sides:
            spec = getattr(net, side)
            if inside and isinstance(spec, Codec):
                warnings.warn(
                    f"Chain: the {side} codec of {name}, {spec!r}, is inside now and does nothing; "
                    "codecs act at the outer ports.",
                    RetiaWarning,
                    stacklevel=3,
                )


registry.register(Chain)

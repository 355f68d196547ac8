"""Nets around one net: ``Shared`` writes the sharing of arrays, ``At`` stops at an inner part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from retia.errors import ArgumentError, FormatError, UnknownNameError, did_you_mean
from retia.nets import registry
from retia.nets.chain import check_part
from retia.nets.net import Net
from retia.nets.wiring import Value, Wiring, join


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Shared(Net):
    """A net that shares its arrays with every other ``Shared`` of its name in the same net.

    The arrays stand once, under the path of the first; training moves them by the sum of all gradients.
    With ``only`` the nets may differ: an ``Embedding`` and the ``Linear`` that scores its tokens share
    ``only="weight"``. ``net.tie`` writes both.

    Args:
        name: what is shared, within the outermost net.
        net: the same net at every place.
        only: the path within it of the one array that is shared, or a list of them; all by default.
    Raises:
        StructureError: another net under the same name.
    Example:
        >>> import retia as rt
        >>> siamese = rt.Graph(lambda a, b: rt.Shared("f", rt.Linear(3))(a) - rt.Shared("f", rt.Linear(3))(b),
        ...                    input={"a": 2, "b": 2})
        >>> siamese.count
        9
    """

    name: str
    net: Net
    only: tuple[str, ...]
    input: Any
    output: Any

    def __init__(self, name: str, net: Net, *, only: str | Iterable[str] = ()) -> None:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"Shared: the name is a text; got {name!r}.", got=name)
        check_part("Shared", "net", net)
        chosen = (only,) if isinstance(only, str) else tuple(only)
        self.__dict__.update(name=name, net=net, only=chosen, input=None, output=None)
        own = [join(node.path, each) for node in net.wiring.nodes for each in node.kept] if chosen else []
        for path in chosen:
            if path not in own:
                raise UnknownNameError(
                    f"Shared: only={path!r}, but the net's arrays are {', '.join(own) or 'none'}."
                    + did_you_mean(path, own),
                    path=str(path),
                )

    def around(self, net: Net) -> Shared:
        """The same sharing of another net."""
        return Shared(self.name, net, only=self.only)

    @property
    def children(self) -> Mapping[str, Net]:
        """The parts of the net that is shared: sharing adds no step to paths."""
        return self.net.children

    def with_children(self, children: Mapping[str, Net]) -> Shared:
        """The same sharing with other parts."""
        return self.around(self.net.with_children(children))

    def _map_layers(self, change: Any, path: str = "") -> Net:
        """The sharing with its layers changed."""
        changed = self.net._map_layers(change, path)
        return self if changed is self.net else self.around(changed)

    def input_names(self, arity: int | None = None) -> tuple[str, ...]:
        """Those of the net."""
        return self.net.input_names(arity)

    def output_names(self) -> tuple[str, ...]:
        """Those of the net."""
        return self.net.output_names()

    def lay(self, wiring: Wiring, path: str, key: str, sources: Mapping[str, Value]) -> dict[str, Value]:
        """Lay the net with the arrays of its first place."""
        if self.only:
            return wiring.lend(self.name, self.only, self.net, path, key, sources)
        return wiring.place(self.net, path, wiring.share(self.name, self.net, path, key), sources)

    def settings(self) -> dict[str, Any]:
        """Name and net, as JSON stores them, and which arrays where these are not all."""
        return {"name": self.name, "net": self.net, **({"only": self.only} if self.only else {})}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Shared:
        """The sharing of these settings."""
        if {*settings} - {"only"} != {"name", "net"}:
            raise FormatError("A Shared has name and net, and may have only.")
        if not isinstance(settings.get("only", ()), tuple | list):
            raise FormatError("A Shared's only is a list of paths.")
        return cls(**settings)

    def __repr__(self) -> str:
        only = self.only[0] if len(self.only) == 1 else self.only
        return f"Shared({self.name!r}, {self.net!r}{f', {only=}' if self.only else ''})"


@dataclass(frozen=True, init=False, eq=False, repr=False)
class At(Net):
    """A net that answers what inner parts give, instead of its output. Made by ``net.at(...)``.

    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.Arithmetic("+", 1), rt.Arithmetic("*", 2), input=2)
        >>> net.at("0")([0.0, 1.0])
        tensor([1., 2.])
    """

    net: Net
    paths: tuple[str, ...]
    input: Any
    output: Any

    def __init__(self, net: Net, *paths: str) -> None:
        check_part("At", "net", net)
        known = net.wiring.ends
        for path in paths:
            if path not in known or not path:
                raise UnknownNameError(
                    f"There is no part {path!r}.{did_you_mean(path, filter(None, known))}", path=path
                )
            _refuse_inside(net, path)
        if not paths:
            raise ArgumentError("at: name at least one part.", expected=[*filter(None, known)])
        self.__dict__.update(net=net, paths=paths, input=None, output=None)

    @property
    def children(self) -> Mapping[str, Net]:
        """The parts of the net."""
        return self.net.children

    def with_children(self, children: Mapping[str, Net]) -> At:
        """The same view of other parts."""
        return At(self.net.with_children(children), *self.paths)

    def _map_layers(self, change: Any, path: str = "") -> Net:
        """The view with its layers changed."""
        changed = self.net._map_layers(change, path)
        return self if changed is self.net else At(changed, *self.paths)

    def input_names(self, arity: int | None = None) -> tuple[str, ...]:
        """Those of the net."""
        return self.net.input_names(arity)

    def output_names(self) -> tuple[str, ...]:
        """``"output"`` for one value; else the parts' paths, with ports where a part has several."""
        ends = self._ends()
        return ("output",) if len(ends) == 1 else tuple(ends)

    def _ends(self) -> dict[str, tuple[str, str]]:
        found = {}
        for path in self.paths:
            ports = self.net.wiring.ends[path]
            found.update({path if len(ports) == 1 else f"{path}.{port}": (path, port) for port in ports})
        return found

    def lay(self, wiring: Wiring, path: str, key: str, sources: Mapping[str, Value]) -> dict[str, Value]:
        """Lay the net and answer other values of it."""
        wiring.place(self.net, path, key, sources)
        values = {}
        for name, (part, port) in self._ends().items():
            full = f"{path}.{part}" if path else part
            values[name] = wiring.ends[full][port]
        return dict(zip(self.output_names(), values.values(), strict=True))

    def settings(self) -> dict[str, Any]:
        """Net and paths, as JSON stores them."""
        return {"net": self.net, "paths": self.paths}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> At:
        """The view of these settings."""
        if set(settings) != {"net", "paths"}:
            raise FormatError("An At has net and paths.")
        if not isinstance(settings["paths"], tuple | list) or not all(
            isinstance(p, str) for p in settings["paths"]
        ):
            raise FormatError("An At's paths are texts.")
        return cls(settings["net"], *settings["paths"])

    def __repr__(self) -> str:
        return f"{self.net!r}.at({', '.join(map(repr, self.paths))})"


def _refuse_inside(net: Net, path: str) -> None:
    for node in net.wiring.nodes:
        if node.inside is not None and f"{path}.".startswith(f"{join(node.path, 'net')}."):
            raise ArgumentError(
                f"at: {path} is within {node.label}, which runs it many times.",
                fix=f"net.at({node.path!r})" if node.path else "net",
                got=path,
            )


registry.register(Shared)
registry.register(At)

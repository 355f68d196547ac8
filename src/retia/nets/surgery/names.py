"""Names of parts: renaming, numbers in chains, names that graphs give by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from retia.errors import ArgumentError, StructureError
from retia.nets.chain import Chain, check_part, gather
from retia.nets.graph import Graph
from retia.nets.net import Net
from retia.nets.sharing import At, Shared
from retia.nets.surgery.paths import above, container, deep, finished, put, read_path, words
from retia.nets.surgery.sketch import Sketch, apart


def rename(net: Net, names: Mapping[Any, str] | Callable[[str], str]) -> Net:
    """The net with other names. See ``Net.rename``."""
    if callable(names):
        return finished(_all_renamed(net, names), net, words("rename", names))
    if not isinstance(names, Mapping):
        raise ArgumentError(f"rename: a dict from paths to names, or a function of a name; got {names!r}.")
    by_parent: dict[str, dict[str, str]] = {}
    for place, new in names.items():
        parent, name = above(read_path("rename", net, place))
        by_parent.setdefault(parent, {})[name] = new
    made = net
    for parent in sorted(by_parent, key=deep, reverse=True):
        made = put("rename", made, parent, _renaming(by_parent[parent]), within=True)
    return finished(made, net, words("rename", dict(names)))


def _renaming(names: Mapping[str, str]) -> Callable[[Net], Net]:
    return lambda net: renamed(container("rename", net), names)


def _all_renamed(net: Net, change: Callable[[str], str]) -> Net:
    if isinstance(net, Shared):
        return net.around(_all_renamed(net.net, change))
    if isinstance(net, At):
        container("rename", net)
    made = net
    for name, part in net.children.items():
        new = _all_renamed(part, change)
        made = made if new is part else made.with_children({**made.children, name: new})
    return (
        renamed(made, {name: change(name) for name in made.children})
        if isinstance(made, Chain | Graph)
        else made
    )


def renamed(net: Chain | Graph, names: Mapping[str, str]) -> Net:
    """A chain or graph with some parts renamed.

    Raises:
        StructureError: a name that is no word, that two parts would have, or a number at another place.
    """
    new = {name: names.get(name, name) for name in net.children}
    for name, part in net.children.items():
        check_part("rename", new[name], part)
    refuse_twice("rename", new.values())
    if isinstance(net, Chain):
        return chained([(new[name], part) for name, part in net.parts.items()], net.input, net.output)
    return apart(net).renamed(new).made()


def refuse_twice(verb: str, names: Iterable[str]) -> None:
    """Make sure that no two parts have one name."""
    names = list(names)
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        said = "two parts would be called" if len(twice) == 1 else "pairs of parts would be called"
        raise StructureError(
            f"{verb}: {said} {', '.join(map(repr, twice))}.",
            fix=f'net.rename({{{twice[0]!r}: "..."}}) gives one of them another name',
            path=twice[0],
        )


def chained(parts: Iterable[tuple[str, Net]], input: Any = None, output: Any = None) -> Chain:
    """A chain of named parts as they stand; its sizes are solved with the whole net."""
    parts = list(parts)
    refuse_twice("Chain", [name for name, _ in parts])
    return Chain.from_settings({"parts": dict(parts), "input": input, "output": output})


def numbered(verb: str, parts: Iterable[tuple[str, Net]]) -> list[tuple[str, Net]]:
    """Parts of a chain, those without names of their own by their places."""
    told = [(str(i) if name.isdigit() else name, part) for i, (name, part) in enumerate(parts)]
    refuse_twice(verb, [name for name, _ in told])
    return told


def is_automatic(name: str, net: Net) -> bool:
    """Whether a node is called as a graph calls those that nobody named: ``relu``, ``relu2``."""
    base = type(net).__name__.lower()
    return name.startswith(base) and (name == base or name[len(base) :].isdigit())


def read_parts(verb: str, given: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Net]:
    """The parts that a method is given, by name: those without one by number."""
    for side in ("input", "output"):
        if side in named:
            raise ArgumentError(
                f"{verb}: {side}= would be a part of this name; got {named[side]!r}.",
                fix=f"net.with_ports({side}=...) sets the type of a port",
                got=named[side],
            )
    return gather(given, named, verb)


def newly_named(verb: str, sketch: Sketch, parts: Mapping[str, Net]) -> list[tuple[str, Net]]:
    """Parts that come into a graph, with names: their own, or by their types if they have numbers."""
    new: list[tuple[str, Net]] = []
    for name, part in parts.items():
        known = [each for each, _ in new]
        named = sketch.free_name(type(part).__name__.lower(), [*known, *parts]) if name.isdigit() else name
        refuse_twice(verb, [*sketch.nodes, *known, named])
        new.append((named, part))
    return new

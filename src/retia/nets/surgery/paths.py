"""What stands at a path, and the net in which something else stands there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from retia.errors import ArgumentError, StructureError, UnknownNameError, did_you_mean
from retia.nets.chain import Chain
from retia.nets.graph import Graph
from retia.nets.lineage import descended
from retia.nets.net import Net
from retia.nets.operator import Operator
from retia.nets.sharing import At, Shared
from retia.nets.surgery.sketch import apart
from retia.nets.wiring import join

Change = Callable[[Net], Net]


def parts(net: Net, path: str = "", seen: set[str] | None = None) -> Iterator[tuple[str, Net]]:
    """All parts at any depth with their paths, a net before its own parts; what is shared, at one place."""
    seen = set() if seen is None else seen
    if isinstance(net, Shared | At):
        if isinstance(net, Shared) and not net.only:
            if net.name in seen:
                return
            seen.add(net.name)
        yield from parts(net.net, path, seen)
        return
    for name, part in net.children.items():
        yield join(path, name), part
        yield from parts(part, join(path, name), seen)


def read_path(verb: str, net: Net, place: Any) -> str:
    """The path that a place means: a path, or the number of a chain's child.

    Raises:
        ArgumentError: it is neither. UnknownNameError: there is no such part.
    """
    if isinstance(place, int) and not isinstance(place, bool):
        if not isinstance(net, Chain):
            raise ArgumentError(
                f"{verb}: numbers count the parts of a chain; those of a {type(net).__name__} have names: "
                f"{', '.join(net.children) or 'none'}.",
                got=place,
            )
        names = list(net.parts)
        if not -len(names) <= place < len(names):
            raise ArgumentError(f"{verb}: there is no child {place}: the chain has {len(names)}.", got=place)
        return names[place]
    if not isinstance(place, str) or not place:
        raise ArgumentError(f"{verb}: a place is a path or a number; got {place!r}.", got=place)
    at: Net = net
    for name in place.split("."):
        if name not in at.children:
            raise unknown(verb, net, place)
        at = at.children[name]
    return place


def unknown(verb: str, net: Net, path: str) -> UnknownNameError:
    """The error of a path that is not there."""
    known = [place for place, _ in parts(net)]
    return UnknownNameError(
        f"{verb}: there is no part {path!r}.{did_you_mean(path, known)}",
        fix=f"the net has {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}" if known else None,
        path=path,
    )


def is_pattern(what: Any) -> bool:
    """Whether a place is a pattern of paths."""
    return isinstance(what, str) and any(sign in what for sign in "*?[")


def matching_paths(verb: str, net: Net, pattern: str) -> list[str]:
    """The outermost parts whose paths a pattern matches."""
    known = [path for path, _ in parts(net)]
    found: list[str] = []
    for path in known:
        if fnmatchcase(path, pattern) and not (found and path.startswith(f"{found[-1]}.")):
            found.append(path)
    if not found:
        raise UnknownNameError(
            f"{verb}: {pattern!r} matches no part.{did_you_mean(pattern, known)}",
            fix=f"the net has {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}",
            path=pattern,
        )
    return found


def deep(path: str) -> int:
    """How many parts a path is within."""
    return path.count(".") + bool(path)


def above(path: str) -> tuple[str, str]:
    """A path as that of the part above it and the name there."""
    parent, _, name = path.rpartition(".")
    return parent, name


def put(verb: str, net: Net, path: str, change: Change, *, within: bool = False) -> Net:
    """The net with the part at a path changed; what is shared changes in all its places.

    Args:
        verb: as errors call the operation.
        path: of the part; ``""`` for the whole.
        change: the new part from the old one.
        within: change the chain or graph that is shared there, instead of the sharing.
    """
    changed: dict[str, Net] = {}
    made = _put(verb, net, path.split(".") if path else [], change, within, changed)
    return _spread(verb, made, changed) if changed else made


def _put(verb: str, net: Net, names: list[str], change: Change, within: bool, changed: dict[str, Net]) -> Net:
    if isinstance(net, Shared) and (names or within):
        made = net.around(_put(verb, net.net, names, change, within, changed))
        if not net.only:
            changed[net.name] = made
        return made
    if isinstance(net, At) and within:
        container(verb, net)
    if isinstance(net, At) and names:
        return At(_put(verb, net.net, names, change, within, changed), *net.paths)
    if not names:
        return change(net)
    name = names[0]
    return swap(verb, net, {name: _put(verb, net.children[name], names[1:], change, within, changed)})


def _spread(verb: str, net: Net, changed: Mapping[str, Net]) -> Net:
    """The net with what is shared as it became."""
    if isinstance(net, Shared):
        if not net.only and net.name in changed:
            return changed[net.name]
        return _rewrapped(net, _spread(verb, net.net, changed))
    if isinstance(net, At):
        return _rewrapped(net, _spread(verb, net.net, changed))
    return swap(verb, net, {name: _spread(verb, part, changed) for name, part in net.children.items()})


def _rewrapped(net: Shared | At, new: Net) -> Net:
    if new is net.net:
        return net
    return net.around(new) if isinstance(net, Shared) else At(new, *net.paths)


def swap(verb: str, net: Net, new: Mapping[str, Net]) -> Net:
    """The net with other children under some names, wired as the old ones were."""
    changed = {name: part for name, part in new.items() if part is not net.children[name]}
    if not changed:
        return net
    if isinstance(net, Graph):
        sketch = apart(net)
        for name, part in changed.items():
            sketch.refit(name, part, verb)
        return sketch.made()
    made = net.with_children({**net.children, **changed})
    if isinstance(made, Operator):
        made.validate()
    return made


def container(verb: str, net: Net) -> Chain | Graph:
    """The chain or graph that a part is; else the error."""
    if isinstance(net, Chain | Graph):
        return net
    what = f"a view of inner parts, {net!r}" if isinstance(net, At) else f"{net!r}, which has no places"
    raise StructureError(
        f"{verb}: this is {what}; parts come and go in chains and graphs.",
        fix="change the net first, and view it then" if isinstance(net, At) else None,
    )


def finished(made: Net, old: Net, words: str) -> Net:
    """What an operation answers: its sizes are known to fit, and it knows where it comes from."""
    _ = made.solution
    return descended(made, old, words)


def words(verb: str, *things: Any, **named: Any) -> str:
    """An operation as it is called, for the lineage."""
    said = [getattr(thing, "__name__", None) or repr(thing) for thing in things]
    said += [f"{name}={thing!r}" for name, thing in named.items()]
    return f"{verb}({', '.join(said)})"

"""Tying: parts, or single arrays of different layers, that are one from now on; and the way back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.errors import ArgumentError, RetiaWarning, StructureError, UnknownNameError, did_you_mean
from retia.nets.lineage import descended
from retia.nets.net import Net
from retia.nets.sharing import At, Shared
from retia.nets.wiring import join

if TYPE_CHECKING:
    from torch import Tensor


def tie(net: Net, paths: Sequence[str], name: str | None = None) -> Net:
    """The net in which the parts, or the arrays, at some paths are one; ``net.tie`` tells all of it."""
    if len(set(paths)) < 2:
        raise ArgumentError("tie: name the paths of two parts or arrays, or of more.", got=tuple(paths))
    places = _places(net)
    arrays = [path for path in paths if path in places]
    if arrays and len(arrays) != len(paths):
        raise ArgumentError(
            f"tie: {arrays[0]} is an array, but {next(p for p in paths if p not in places)} is not.",
            fix="tie parts with parts, and arrays with arrays",
            got=tuple(paths),
        )
    name = _free(net, name or paths[0])
    made, kept = (_tie_arrays if arrays else _tie_parts)(net, paths, name)
    _ = made.solution
    return descended(made.with_arrays(kept) if kept else made, net, f"tie({', '.join(map(repr, paths))})")


def untie(net: Net, path: str) -> Net:
    """The net in which the part, or the array, at a path is its own again; ``net.untie`` tells all of it."""
    layer, array = _places(net).get(path, (path, ""))
    shared = _part(net, layer)
    if not isinstance(shared, Shared) or array and array not in shared.only:
        tied = [
            p for p, each in _shared(net) for p in ([p] if not each.only else [f"{p}.{o}" for o in each.only])
        ]
        raise StructureError(
            f"untie: {path} is not tied; " + (f"tied are {', '.join(tied)}." if tied else "nothing is."),
            path=path,
        )
    name = shared.name
    made = _put(net, layer, lambda part: _loose(part, array))
    rest = [at for at, each in _shared(made) if each.name == name]
    if len(rest) == 1:
        made = _put(made, rest[0], lambda part: _loose(part, array))
    _ = made.solution
    return descended(made, net, f"untie({path!r})")


def _tie_parts(net: Net, paths: Sequence[str], name: str) -> tuple[Net, dict[str, Tensor]]:
    parts = [_part(net, path) for path in paths]
    for path, other in zip(paths, parts, strict=True):
        if other.expression_hash != parts[0].expression_hash:
            raise StructureError(
                f"tie: {paths[0]} is {parts[0]!r}, but {path} is {other!r}.",
                fix="tied parts are the same but for their arrays; of others single arrays may be tied, "
                f'net.tie("{paths[0]}.weight", "{path}.weight")',
                path=path,
            )
    shared = parts[0] if isinstance(parts[0], Shared) else Shared(name, parts[0])
    first = _held(net, paths[0])
    _tell_lost(paths, [_held(net, path) for path in paths])
    made = net
    for path in paths:
        made = _put(made, path, lambda part: shared)
    homes = _places_by_home(made)
    return made, {homes[join(paths[0], inner)]: tensor for inner, tensor in first.items()}


def _tie_arrays(net: Net, paths: Sequence[str], name: str) -> tuple[Net, dict[str, Tensor]]:
    places = _places(net)
    homes = _places_by_home(net)
    held = [{"": net.arrays[homes[path]]} if homes[path] in net.arrays else {} for path in paths]
    _tell_lost(paths, held)
    made = net
    for path in paths:
        layer, array = places[path]
        made = _put(made, layer, lambda part, array=array: Shared(name, part, only=array))  # type: ignore[misc]
    return made, {_places_by_home(made)[paths[0]]: tensor for tensor in held[0].values()}


def _tell_lost(paths: Sequence[str], held: Sequence[dict[str, Tensor]]) -> None:
    for path, other in zip(paths, held, strict=True):
        same = [inner for inner in other if inner in held[0] and torch.equal(other[inner], held[0][inner])]
        if len(same) != len(other):
            warnings.warn(
                f"tie: the arrays of {path} differ from those of {paths[0]}, which both have now.",
                RetiaWarning,
                stacklevel=5,  # the caller of net.tie
            )


def _loose(part: Net, array: str) -> Net:
    """A part without its sharing, or with less of it."""
    assert isinstance(part, Shared)
    rest = tuple(each for each in part.only if each != array) if array else ()
    return Shared(part.name, part.net, only=rest) if rest else part.net


def _places(net: Net) -> dict[str, tuple[str, str]]:
    """The layer and the array's name of every path of an array, at each of its places."""
    return {
        join(node.path, name): (node.path, name) for node in net.wiring.nodes for name in node.layer.owns()
    }


def _places_by_home(net: Net) -> dict[str, str]:
    """Where the array of every such path is kept."""
    return {join(node.path, name): node.at(name) for node in net.wiring.nodes for name in node.layer.owns()}


def _held(net: Net, path: str) -> dict[str, Tensor]:
    """The arrays of a part by their paths within it."""
    begin = f"{path}."
    found = {
        place.removeprefix(begin): home
        for place, home in _places_by_home(net).items()
        if place.startswith(begin)
    }
    return {inner: net.arrays[home] for inner, home in found.items() if home in net.arrays}


def _shared(net: Net, path: str = "") -> list[tuple[str, Shared]]:
    """All sharing with its paths."""
    found = []
    while isinstance(net, Shared | At):
        found += [(path, net)] if isinstance(net, Shared) else []
        net = net.net
    for name, part in net.children.items():
        found += _shared(part, join(path, name))
    return found


def _free(net: Net, name: str) -> str:
    """A name that no sharing has."""
    taken = {each.name for _, each in _shared(net)}
    return next(new for new in [name, *(f"{name} {n}" for n in range(2, len(taken) + 3))] if new not in taken)


def _part(net: Net, path: str) -> Net:
    part = net
    for step in path.split(".") if path else []:
        if step not in part.children:
            known = [*filter(None, net.wiring.starts), *_places(net)]
            raise UnknownNameError(
                f"There is no part or array {path!r}.{did_you_mean(path, known)}", path=path
            )
        part = part.children[step]
    return part


def _put(net: Net, path: str, change: Callable[[Net], Net]) -> Net:
    """The net with the part at a path changed."""
    if not path:
        return change(net)
    step, _, rest = path.partition(".")
    return net.with_children({**net.children, step: _put(net.children[step], rest, change)})

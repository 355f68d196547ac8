"""Other parts in the same places: replace, and layers changed by a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from retia.errors import UnknownNameError, did_you_mean
from retia.nets.chain import check_part
from retia.nets.layer import Layer
from retia.nets.net import Net
from retia.nets.sharing import At, Shared
from retia.nets.surgery.paths import above, finished, is_pattern, matching_paths, put, read_path, swap, words
from retia.nets.wiring import join


def replace(net: Net, what: Any, new: Any) -> Net:
    """The net with other parts in the place of some. See ``Net.replace``."""
    if not isinstance(new, Net) and (isinstance(new, type) or not callable(new)):
        check_part("replace", "new", new)
    if isinstance(what, type) or (callable(what) and not isinstance(what, Net)):
        made = _layers_replaced(net, what, new)
    elif is_pattern(what):
        chosen = set(matching_paths("replace", net, what))
        made = _Change("replace", lambda path, part: _new(part, new) if path in chosen else part).of(net)
    else:
        made = put("replace", net, read_path("replace", net, what), lambda old: _new(old, new))
    return finished(made, net, words("replace", what, new))


def map_layers(net: Net, change: Callable[[str, Layer], Net]) -> Net:
    """The net with every layer changed. See ``Net.map_layers``."""

    def checked(path: str, layer: Layer) -> Net:
        made = change(path, layer)
        check_part("map_layers", above(path)[1] or "net", made)
        return made

    made = _Change("map_layers", layers=checked).of(net)
    return finished(made, net, words("map_layers", change))


def _new(old: Net, new: Any) -> Net:
    made = new if isinstance(new, Net) else new(old)
    check_part("replace", "new", made)
    return made


def _layers_replaced(net: Net, wanted: Any, new: Any) -> Net:
    """The net with every layer replaced that is of a class, or that a function says yes to."""
    found = []

    def change(path: str, layer: Layer) -> Net:
        if not (isinstance(layer, wanted) if isinstance(wanted, type) else wanted(layer)):
            return layer
        found.append(path)
        return _new(layer, new)

    made = _Change("replace", layers=change).of(net)
    if not found:
        known = sorted({type(layer).__name__ for _, layer in net.layers()})
        name = wanted.__name__ if isinstance(wanted, type) else "the function"
        raise UnknownNameError(
            f"replace: {name} matches no layer.{did_you_mean(name, known)}",
            fix=f"the net has layers of {', '.join(known)}" if known else None,
        )
    return made


@dataclass
class _Change:
    """One pass over a net that changes parts, and what is shared only once.

    Attributes:
        verb: as errors call the operation.
        parts: what stands in the place of a part, of its path and itself; what is new is not entered.
        layers: what stands in the place of a layer; those within an operator come before it.
    """

    verb: str
    parts: Callable[[str, Net], Net] = lambda path, part: part
    layers: Callable[[str, Layer], Net] = lambda path, layer: layer
    shared: dict[str, Net] = field(default_factory=dict)

    def of(self, net: Net, path: str = "") -> Net:
        """The net changed."""
        new = self.parts(path, net) if path else net
        if new is not net:
            return new
        if isinstance(net, Shared):
            return self._of_shared(net, path)
        if isinstance(net, At):
            inner = self.of(net.net, path)
            return net if inner is net.net else At(inner, *net.paths)
        children = {name: self.of(part, join(path, name)) for name, part in net.children.items()}
        made = swap(self.verb, net, children)
        return self.layers(path, made) if isinstance(made, Layer) else made

    def _of_shared(self, net: Shared, path: str) -> Net:
        if net.name in self.shared and not net.only:
            return self.shared[net.name]
        inner = self.of(net.net, path)
        made = net if inner is net.net else net.around(inner)
        return made if net.only else self.shared.setdefault(net.name, made)

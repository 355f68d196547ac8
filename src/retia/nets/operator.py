"""Operators: layers that run a net of any kind within themselves, on rows that they make.

The net is a part like those of a chain, ``"net"``: its sizes are solved with everything around it, its arrays
stand under ``"3.net.0.weight"``, and the walk runs it as often as the operator asks.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar

from retia.errors import RetiaWarning, ShapeError
from retia.nets.chain import check_part
from retia.nets.codec import Codec
from retia.nets.layer import Layer, Steps
from retia.nets.net import Net
from retia.nets.settings import setting
from retia.nets.wiring import Value, Wiring, join
from retia.shapes import Signature


def read_net(name: str, value: Any) -> Net:
    """The rule of an operator's net."""
    check_part(name.partition(":")[0], "net", value)
    net: Net = value
    return net


@dataclass(frozen=True, eq=False, repr=False)
class Operator(Layer):
    """The interface of layers that run a net within, on elements along an axis ``n``.

    Class attributes:
        rows: the variable of the signature that says how many rows the net is run on at once for each
            example; "" for one.
    """

    kinds: ClassVar[Mapping[str, str]] = {"*": "any"}
    axes: ClassVar[Mapping[str, str]] = {"n": "pass", "*": "pass"}
    rows: ClassVar[str] = ""

    net: Net = setting(read_net)
    _: KW_ONLY

    def __post_init__(self) -> None:
        super().__post_init__()
        for side in ("input", "output"):
            spec = getattr(self.net, side)
            if isinstance(spec, Codec):
                warnings.warn(
                    f"{type(self).__name__}: the {side} codec of its net, {spec!r}, is inside now and does "
                    "nothing; codecs act at the outer ports.",
                    RetiaWarning,
                    stacklevel=5,  # the constructor's caller
                )

    # For leaves -----------------------------------------------------------------------------------

    @abstractmethod
    def within(self, arity: int | None = None) -> Signature:
        """The ports of the net, in the variables of the operator's own signature, for so many inputs."""

    def targets(self, names: Sequence[str]) -> Mapping[str, str]:
        """For each of its inputs the net's input that it goes to."""
        return {name: name for name in names}

    def origins(self) -> Mapping[str, str]:
        """For each output the net's output that it is made of."""
        return {name: name for name in self.net.output_names()}

    def steps(self, along: Sequence[str | None]) -> Steps:
        if set(along) - {"n", None}:
            raise ShapeError("the net within it would have to go along too.")
        return super().steps(along)

    # Finished -------------------------------------------------------------------------------------

    @property
    def children(self) -> Mapping[str, Net]:
        """The net."""
        return {"net": self.net}

    def with_children(self, children: Mapping[str, Net]) -> Layer:
        """The same operator with another net."""
        made = self._changed(net=children["net"])
        made.validate()
        return made

    def bare(self) -> Layer:
        """The operator without declared ports."""
        return self._changed(input=None, output=None)

    def _changed(self, **settings: Any) -> Layer:
        """The same with other settings, which need no checks and no warning a second time."""
        made = object.__new__(type(self))
        made.__dict__.update({each.name: getattr(self, each.name) for each in fields(self)})
        made.__dict__.update(settings, held={})
        return made

    def _map_layers(self, change: Callable[[str, Layer], Layer], path: str = "") -> Net:
        """The operator with the layers of its net changed, and then itself."""
        net = self.net._map_layers(change, join(path, "net"))
        return change(path, self if net is self.net else self.with_children({"net": net}))

    def lay(self, wiring: Wiring, path: str, key: str, sources: Mapping[str, Value]) -> dict[str, Value]:
        """Lay it as one step that has steps within."""
        return wiring.enclose(self, path, key, sources)

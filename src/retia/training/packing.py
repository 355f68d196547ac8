"""What a step is, as data: its values by name from a fixed table, tensors beside them, nets as expressions.

Only the classes of this table, and the settings that the registry knows, come back out of a file. Functions
do not: their places are noted, and whoever reads gives them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from retia._torch import torch
from retia.errors import ArgumentError, FormatError
from retia.formats.blueprint import build
from retia.formats.strict import quote
from retia.metrics.examples import Batch
from retia.metrics.objective import Objective
from retia.metrics.terms import Term
from retia.nets import expression
from retia.nets.expression import Content
from retia.nets.net import Net
from retia.training.mixing import Mixing
from retia.training.motion import Motion
from retia.training.optimizer import Memory
from retia.training.penalties import Penalties
from retia.training.precision import Precision, Scale
from retia.training.rates import Rates
from retia.training.step import State, Step

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Batch,
        Memory,
        Mixing,
        Motion,
        Objective,
        Penalties,
        Precision,
        Rates,
        Scale,
        State,
        Step,
        Term,
    )  # fmt: skip
}


class Packing:
    """Takes values apart.

    Attributes:
        tensors: that they hold, by the place where they stood.
        nets: that they hold, as JSON data, each once.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nets: list[Any] = []
        self._known: dict[str, int] = {}

    def pack(self, value: Any, where: str) -> Any:
        """A value as JSON data; its tensors and nets go beside it.

        Args:
            where: it stands; part of the tensors' names and of errors.
        Raises:
            FormatError: something that is not of the table.
        """
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Net):
            return {"net": self._net(value)}
        if isinstance(value, Content):
            return {"value": expression.to_json(value)}
        if is_dataclass(value) and type(value).__name__ in KINDS:
            held = {f.name: self.pack(getattr(value, f.name), f"{where}.{f.name}") for f in fields(value)}
            return {"kind": type(value).__name__, "fields": held}
        if isinstance(value, list | tuple):
            items = [self.pack(each, f"{where}.{number}") for number, each in enumerate(value)]
            return {"list" if isinstance(value, list) else "tuple": items}
        if isinstance(value, frozenset):
            return {"set": sorted(value)}
        if isinstance(value, Mapping):
            return {"dict": [[self.pack(k, where), self.pack(v, f"{where}.{k}")] for k, v in value.items()]}
        if isinstance(value, torch.Tensor):
            self.tensors[where] = value
            return {"tensor": where}
        if callable(value):
            return {"function": getattr(value, "__name__", type(value).__name__)}
        raise FormatError(f"{where} is a {type(value).__name__}, which no file holds.", path=where, got=value)

    def _net(self, net: Net) -> int:
        number = self._known.setdefault(net.expression_hash, len(self.nets))
        if number == len(self.nets):
            self.nets.append(expression.to_json(net))
        return number


class Unpacking:
    """Puts together what ``Packing`` took apart.

    Args:
        tensors: by name.
        nets: as JSON data.
        loss: in the place of functions: one, or a dict from output ports to them, each with or without
            its weight.
    """

    def __init__(self, tensors: Mapping[str, Tensor], nets: Any, loss: Any = None) -> None:
        self._tensors = tensors
        self._nets = [build(data) for data in nets]
        self._loss = loss
        self._missing: list[str] = []

    def refuse_missing(self) -> None:
        """Make sure that no function is missing. Raises ``ArgumentError``."""
        if self._missing:
            raise ArgumentError(
                f"replay: the loss {quote(self._missing[0])} is a function, which no file holds.",
                fix="rt.replay(file, loss=...) with the loss that rt.train was given",
                path=self._missing[0],
                got=self._loss,
            )

    def unpack(self, data: Any, kind: type[T]) -> T:
        """The value of some data.

        Raises:
            FormatError: it is not of this kind, or not of the table.
        """
        made = self._made(data)
        if not isinstance(made, kind):
            raise FormatError(f"expected a {kind.__name__}, got a {type(made).__name__}.", expected=kind)
        return made

    def _made(self, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.keys() == {"kind", "fields"}:
            return self._value(data["kind"], data["fields"])
        if len(data) != 1:
            raise FormatError(f"{quote(str([*data]))} means nothing.")
        ((tag, held),) = data.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "net": lambda number: self._nets[number],
            "value": expression.from_json,
            "list": lambda items: [self._made(each) for each in items],
            "tuple": lambda items: tuple(self._made(each) for each in items),
            "set": frozenset,
            "dict": lambda pairs: {self._made(key): self._made(each) for key, each in pairs},
            "tensor": lambda name: self._tensors[name],
            "function": lambda name: self._function(name, None),
        }
        if tag not in readers:
            raise FormatError(f"{quote(tag)} means nothing.")
        return readers[tag](held)

    def _value(self, name: str, held: dict[str, Any]) -> Any:
        kind = KINDS.get(name)
        if kind is None:
            raise FormatError(f"there is no {quote(str(name))} in a step.")
        unknown = held.keys() - {field.name for field in fields(kind)}
        if unknown:
            raise FormatError(f"{name} has no {quote(min(unknown))}: another Retia wrote it.")
        given = {}
        if kind is Term and isinstance(held.get("loss"), dict) and "function" in held["loss"]:
            given["loss"] = self._function(held["loss"]["function"], held["port"])
        return kind(**{n: given[n] if n in given else self._made(each) for n, each in held.items()})

    def _function(self, name: str, port: str | None) -> Any:
        found = self._loss.get(port) if isinstance(self._loss, Mapping) else self._loss
        found = found[0] if isinstance(found, tuple) else found
        if not callable(found):
            self._missing.append(str(name))
        return found

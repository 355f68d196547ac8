"""Expressions: nets and codecs as text that pastes back, and as JSON that rebuilds them.

JSON holds registered names and plain settings only, so reading it can build values and do nothing
else. Numbers, texts and truth values keep their type; tuples are arrays; dicts are tagged.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from retia.errors import FormatError
from retia.nets import registry
from retia.nets.settings import given, make, settings_of

LONGEST = 100
LONGEST_TEXT = 300
"""Sequences and texts longer than this are cut in a repr (never in JSON)."""


class Expressed:
    """What a declared value (a layer, a codec, an optimizer) is as an expression."""

    version: ClassVar[int] = 1

    def settings(self) -> dict[str, Any]:
        """All settings, as JSON stores them."""
        return settings_of(self)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """The value of these settings."""
        return make(cls, settings)

    def __repr__(self) -> str:
        return show(self)


class Content(Expressed):
    """A declared value that is compared by what it says."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and canonical(self) == canonical(other)

    def __hash__(self) -> int:
        return hash(canonical(self))


Migration = Callable[[dict[str, Any]], dict[str, Any]]
MIGRATIONS: dict[tuple[str, int], Migration] = {}
"""How the settings of a type at one version become those of the next, by (type, version)."""


def show(value: Any) -> str:
    """A value as an expression that can be pasted back."""
    settings: list[str] = []
    for name, v, positional in given(value):
        if positional and getattr(value, "gathers", False) and v:
            settings += map(_literal, v)
        else:
            settings.append(_literal(v) if positional else f"{name}={_literal(v)}")
    return f"{type(value).__name__}({', '.join(settings)})"


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        if value and value == tuple(range(len(value))) and len(value) > 3 and _ints(value):
            return f"range({len(value)})"
        if len(value) > LONGEST:
            digest = hashlib.sha256(json.dumps(to_json(value)).encode()).hexdigest()[:12]
            return f"<{len(value)} entries, {_literal(value[0])} to {_literal(value[-1])}, {digest}>"
        inner = ", ".join(map(_literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:12]
        return f"<{len(value)} characters, {value[:20]!r}..., {digest}>"
    return repr(value)


def _ints(values: tuple[Any, ...]) -> bool:
    return all(type(v) is int for v in values)


def to_json(value: Any) -> Any:
    """A net, a codec or a setting as JSON data."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise FormatError(f"{value!r} cannot stand in an expression.", got=value)
        return value
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    if isinstance(value, Mapping):
        return {"type": "dict", "items": [[k, to_json(v)] for k, v in value.items()]}
    fields = {name: to_json(v) for name, v in value.settings().items()}
    return {"type": type(value).__name__, "version": value.version, **fields}


def from_json(data: Any, where: str = "net") -> Any:
    """The value that JSON data describes. Names are looked up in the registry, never imported."""
    if isinstance(data, list):
        return tuple(from_json(v, f"{where}[{i}]") for i, v in enumerate(data))
    if not isinstance(data, dict):
        if isinstance(data, float) and not math.isfinite(data):
            raise FormatError(f"{where}: {data!r} is not a finite number.", path=where, got=data)
        return data
    kind = data.get("type")
    if not isinstance(kind, str):
        raise FormatError(f"{where}: the type is missing.", path=where)
    if kind == "dict":
        return MappingProxyType(_items(data, where))
    cls = registry.find(kind)
    version = data.get("version")
    if type(version) is not int or not 1 <= version <= cls.version:
        raise FormatError(
            f"{where}: {kind} version {version!r}; this Retia reads 1 to {cls.version}.",
            fix="update Retia",
            path=where,
            expected=cls.version,
            got=version,
        )
    stored = {k: v for k, v in data.items() if k not in ("type", "version")}
    for older in range(version, cls.version):
        stored = MIGRATIONS[kind, older](stored)
    settings = {k: from_json(v, f"{where}.{k}") for k, v in stored.items()}
    return cls.from_settings(settings)


def _items(data: dict[str, Any], where: str) -> dict[Any, Any]:
    items = data.get("items")
    if not isinstance(items, list) or any(not isinstance(i, list) or len(i) != 2 for i in items):
        raise FormatError(f"{where}: a dict needs a list of pairs.", path=where)
    keys = [pair[0] for pair in items]
    if any(not isinstance(key, str | int | bool) for key in keys):
        raise FormatError(f"{where}: a dict's keys are texts or numbers.", path=where)
    if len({(type(key), key) for key in keys}) != len(keys):
        raise FormatError(f"{where}: a key is repeated.", path=where)
    return {key: from_json(item, f"{where}.{key}") for key, item in items}


def canonical(value: Any) -> str:
    """The one JSON text of a value: equal values have equal texts."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: Any) -> str:
    """sha256 of the canonical text."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()

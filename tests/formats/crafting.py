"""Files made by hand for the tests: taken apart, changed, and put together with checksums that agree."""

from __future__ import annotations

import hashlib
import json
from typing import Any

Arrays = dict[str, tuple[str, list[int], bytes]]
"""Type, shape and bytes by path."""


def apart(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the arrays' bytes of a file."""
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def together(header: Any, data: bytes = b"") -> bytes:
    """A file of a header (a text, or data that becomes one) and the arrays' bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def metadata(
    expression: str, arrays: dict[str, tuple[str, list[int], bytes]], **other: str
) -> dict[str, str]:
    """The metadata of a file, its checksums right."""
    lines = sorted([p, d, s, hashlib.sha256(raw).hexdigest()] for p, (d, s, raw) in arrays.items())
    return {
        "retia.format": "1",
        "retia.version": "0.1.0",
        "retia.expression": expression,
        "retia.expression_sha256": sha(expression),
        "retia.arrays_sha256": sha(json.dumps([1, *lines])),
        **{f"retia.{name}": value for name, value in other.items()},
    }


def forge(expression: Any, arrays: Arrays | None = None, **other: str) -> bytes:
    """A whole file about any expression (data, or its text) and any arrays, all checksums right."""
    text = expression if isinstance(expression, str) else json.dumps(expression)
    header: dict[str, Any] = {"__metadata__": metadata(text, arrays or {}, **other)}
    data = b""
    for path, (dtype, shape, raw) in (arrays or {}).items():
        header[path] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return together(header, data)


def layer(kind: str, **settings: Any) -> dict[str, Any]:
    """A layer's JSON."""
    return {"type": kind, "version": 1, "init": None, "input": None, "output": None, **settings}


def linear(size: Any = 2, **settings: Any) -> dict[str, Any]:
    return layer("Linear", **{"size": size, "bias": True, **settings})


def chain(*parts: Any, input: Any = 3, output: Any = None) -> dict[str, Any]:
    """A chain's JSON."""
    items = [[str(number), part] for number, part in enumerate(parts)]
    table = {"type": "dict", "items": items}
    return {"type": "Chain", "version": 1, "parts": table, "input": input, "output": output}


WEIGHT = ("F32", [2, 3], bytes(24))
BIAS = ("F32", [2], bytes(8))
ARRAYS = {"0.weight": WEIGHT, "0.bias": BIAS}
"""The arrays of ``chain(linear())``."""

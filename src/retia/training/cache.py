"""A folder in which what frozen layers give is kept between runs, by content.

The layers and their arrays, and every example's packed bytes, are known by sha256, so a changed picture or
weight is simply another one, and a set that grew is computed only where it did. Each run adds one
safetensors file; files that are damaged or strange are passed over. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.errors import RetiaWarning
from retia.formats import shelf
from retia.formats.shelf import Item
from retia.nets.arrays import Arrays
from retia.nets.expression import canonical
from retia.nets.net import Net
from retia.nets.wiring import Value
from retia.training.frozen import Cut

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "2"
KEYS = "keys"
"""The path of the examples' keys; values are called by their numbers."""


class Cache:
    """What the layers before a cut gave for examples, in a folder.

    Args:
        folder: that is there.
        net: that is cut.
        cut: where.
        arrays: by path.
    Attributes:
        ports: the inputs that make up an example.
    """

    def __init__(self, folder: str, net: Net, cut: Cut, arrays: Mapping[str, Tensor]) -> None:
        self.ports = cut.ports
        self._folder = folder
        self._trunk = trunk_key(net, cut, arrays)
        self._likes = cut.values

    def find(self, keys: Sequence[bytes], values: Mapping[Value, Tensor]) -> Tensor:
        """Bring what is there to its rows; answers the numbers of the rows that are missing.

        Args:
            keys: of the examples, in their order.
            values: room for them, one row an example.
        """
        missing = torch.arange(len(keys))
        for name in sorted(os.listdir(self._folder)):
            if name.startswith(self._trunk[:32]) and len(missing):
                missing = self._take(os.path.join(self._folder, name), keys, missing, values)
        return missing

    def add(self, keys: Sequence[bytes], values: Mapping[Value, Tensor]) -> None:
        """Keep the values of these examples. If the system refuses, it warns and goes on."""
        known = b"".join(keys)
        items = {KEYS: Item.of(torch.frombuffer(bytearray(known), dtype=torch.uint8).reshape(-1, 32))}
        items |= {str(n): Item.of(values[value]) for n, value in enumerate(self._likes)}
        name = f"{self._trunk[:32]}-{hashlib.sha256(known).hexdigest()[:16]}.safetensors"
        try:
            shelf.put(os.path.join(self._folder, name), items, self._trunk)
        except OSError as error:
            warnings.warn(f"What the frozen layers give is not kept: {error}", RetiaWarning, stacklevel=2)

    def _take(
        self, path: str, keys: Sequence[bytes], missing: Tensor, values: Mapping[Value, Tensor]
    ) -> Tensor:
        """Bring the rows that a file has."""
        found = shelf.get(path, self._trunk)
        if found is None or not self._fits(found):
            return missing
        at = {row.tobytes(): number for number, row in enumerate(found[KEYS].numpy())}
        here = [(row, at[keys[row]]) for row in missing.tolist() if keys[row] in at]
        if not here:
            return missing
        rows, places = (torch.tensor(each) for each in zip(*here, strict=True))
        for number, value in enumerate(self._likes):
            values[value].index_copy_(0, rows, found[str(number)][places])
        return torch.tensor([row for row in missing.tolist() if keys[row] not in at], dtype=torch.int64)

    def _fits(self, found: Mapping[str, Tensor]) -> bool:
        """Whether a file holds what is looked for."""
        number = len(found[KEYS]) if KEYS in found else 0
        expected = {KEYS: (torch.uint8, (number, 32))}
        for place, like in enumerate(self._likes.values()):
            expected[str(place)] = (like.dtype, (number, *like.shape[1:]))
        return {path: (tensor.dtype, tuple(tensor.shape)) for path, tensor in found.items()} == expected


def trunk_key(net: Net, cut: Cut, arrays: Mapping[str, Tensor]) -> str:
    """sha256 of the layers before a cut, however they are called, with their arrays and codecs."""
    names: dict[Value, str] = {("", port): f"input {n}" for n, port in enumerate(cut.ports)}
    ports = net.inputs
    lines = [FORMAT]
    for port in cut.ports:
        codec = ports[port].codec
        lines.append(f"{names['', port]} {canonical(codec) if codec is not None else ports[port].kind}")
    own = {}
    for number, node in enumerate(cut.nodes):
        lines.append(f"{number} {canonical(node.layer.bare())} {[names[source] for source in node.sources]}")
        names.update({value: f"{number} {value[1]}" for value in node.outputs})
        own.update({f"{number}.{place}": arrays[path] for place, path in enumerate(node.owned)})
    lines += [names[value] for value in cut.values]
    return hashlib.sha256("\n".join([*lines, Arrays(own).digest()]).encode()).hexdigest()


def example_keys(packed: Sequence[Tensor]) -> list[bytes]:
    """sha256 of each example: types, shapes and bytes of its packed inputs.

    Args:
        packed: input by input, one row an example.
    Example:
        >>> first, second, third = example_keys([torch.tensor([[1, 2], [1, 3], [1, 2]])])
        >>> first == third, first == second
        (True, False)
    """
    start = hashlib.sha256("; ".join(f"{t.dtype} {tuple(t.shape[1:])}" for t in packed).encode())
    blocks = [t.cpu().contiguous().reshape(len(t), -1).view(torch.uint8).numpy() for t in packed]
    keys = []
    for row in range(len(packed[0])):
        total = start.copy()
        for block in blocks:
            total.update(block[row].data)
        keys.append(total.digest())
    return keys

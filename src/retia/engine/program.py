"""``net.program``: a net as a bare function of tensors, for one size of batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.intake import check_lengths, check_shapes, device_of, float_kind
from retia.engine.pools import Pool, compute, in_pieces, pieces, pool_for
from retia.errors import ArgumentError, ShapeError
from retia.nets.net import Net, missing_arrays
from retia.shapes import Extent, show

if TYPE_CHECKING:
    from torch import Tensor


class NetProgram:
    """A net as a function of tensors: no codecs, as little as can be between a batch and its answer.

    Made by ``net.program``. Any number of threads may call it at once; each answer has its own memory.

    Attributes:
        net: what it computes.
        batch: how many examples it takes.
    """

    def __init__(self, net: Net, batch: int) -> None:
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise ArgumentError(f"program: batch is a whole number of at least 1; got {batch!r}.", got=batch)
        missing_arrays(net)
        self.net, self.batch = net, batch
        self._ports = net.inputs
        self._outputs = tuple(net.wiring.outputs)
        self._wanted = tuple(net.wiring.outputs.values())
        self._device = device_of(net)
        real = float_kind(net)
        self._kinds = {n: torch.int64 if p.kind == "int" else real for n, p in self._ports.items()}
        self._shape: Any = None
        self._kind = real
        self._pool = self._prepared()

    def __repr__(self) -> str:
        return f"<program of {type(self.net).__name__} for {self.batch} examples>"

    def __call__(self, x: Any, *, lengths: Mapping[str, Tensor] | None = None) -> Any:
        """Compute a batch.

        Args:
            x: a tensor, ``batch`` examples first, as the input port takes it behind its codec; a dict of
                these by port where there are several.
            lengths: of sizes that vary from example to example, by name; by default none is shorter than x.
        Returns:
            The output, batch first; a dict by port where there are several.
        Raises:
            ShapeError: a tensor of another shape, type or device.
        """
        if self._pool is not None and self._fits(x):
            self.net.arrays.check()
            return self._answer(self._pool.run((x,)))
        inputs = self._checked(x)
        long = self._lengths(inputs, lengths or {})
        sizes = {name: int(each.max()) for name, each in long.items()}
        self.net.arrays.check()
        return self._answer(
            in_pieces(
                pieces(self.net, self.batch, sizes),
                inputs,
                long,
                lambda a, b: compute(self.net, self._wanted, a, b),
            )
        )

    def _prepared(self) -> Pool | None:
        """The programs for the only tensor, where its shape is known and it is computed in one piece."""
        if len(self._ports) != 1:
            return None
        name, port = next(iter(self._ports.items()))
        sizes = [size for size in port.shape or (None,) if isinstance(size, int)]
        if port.shape is None or len(sizes) != len(port.shape) or len(pieces(self.net, self.batch)) > 1:
            return None
        self._shape, self._kind = torch.Size([self.batch, *sizes]), self._kinds[name]
        like = {name: torch.zeros(self.batch, *sizes, dtype=self._kind, device=self._device)}
        return pool_for(self.net, self._wanted, like)

    def _fits(self, x: Any) -> bool:
        return (
            isinstance(x, torch.Tensor)
            and x.shape == self._shape
            and x.dtype is self._kind
            and x.device == self._device
        )

    def _answer(self, found: tuple[Tensor, ...]) -> Any:
        return found[0] if len(found) == 1 else dict(zip(self._outputs, found, strict=True))

    def _checked(self, x: Any) -> dict[str, Tensor]:
        """Inputs by port, each of the shape, type and device that the net takes."""
        given = x if isinstance(x, Mapping) else dict.fromkeys(self._ports, x)
        named = set(given) == set(self._ports) and (isinstance(x, Mapping) or len(given) < 2)
        faults = [] if named else [f"its inputs are {', '.join(self._ports) or 'none'}, in one dict"]
        for name, port in self._ports.items() if named else ():
            wanted = (self.batch, *(port.shape or ("...",)))
            kind = self._kinds[name]
            if not self._takes(given[name], port.shape, kind):
                got = _told(given[name])
                faults.append(f"{name} takes {show(wanted)} of {_word(kind)} on {self._device}; got {got}")
        if faults:
            raise ShapeError(
                f"program: {faults[0]}.",
                because=faults[1:],
                fix="net.program(batch=n) for n examples; net(x) takes anything and any number",
            )
        inputs = {name: given[name].detach() for name in self._ports}
        check_shapes(self.net, inputs)
        return inputs

    def _takes(self, tensor: Any, shape: Any, kind: torch.dtype) -> bool:
        plain = isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided
        if not plain or tensor.dtype is not kind or tensor.device != self._device:
            return False
        rows, *sizes = tensor.shape or (0,)
        open_ = shape is None or len(shape) == len(sizes)
        known = zip(shape or (), sizes, strict=False)
        return rows == self.batch and open_ and all(s == g for s, g in known if isinstance(s, int))

    def _lengths(self, inputs: Mapping[str, Tensor], given: Mapping[str, Any]) -> dict[str, Tensor]:
        """Every varying size of every example."""
        longest: dict[str, int] = {}
        for name, port in self._ports.items():
            for size, got in zip(port.shape or (), inputs[name].shape[1:], strict=False):
                if isinstance(size, Extent):
                    longest[str(size)] = got
        found = {n: torch.as_tensor(given.get(n, [most] * self.batch)) for n, most in longest.items()}
        fitting = all(
            tuple(each.shape) == (self.batch,) and int(each.min()) >= 0 and int(each.max()) <= longest[name]
            for name, each in found.items()
        )
        if set(given) - set(longest) or not fitting:
            told = ", ".join(f"{name} (0 to {most})" for name, most in longest.items()) or "none"
            raise ShapeError(f"program: lengths are {self.batch} whole numbers for each of: {told}.")
        check_lengths(self.net, found)
        return found


def program(net: Net, batch: int) -> NetProgram:
    """What ``net.program(...)`` does; see there."""
    return NetProgram(net, batch)


def _told(thing: Any) -> str:
    if not isinstance(thing, torch.Tensor):
        return type(thing).__name__
    return f"{show(tuple(thing.shape))} of {_word(thing.dtype)} on {thing.device}"


def _word(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")

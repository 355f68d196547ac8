"""``net.torch()``: a net as a plain PyTorch module.

The module runs the net's own walk, so it trains and infers as the net does, with batches of any size. It
needs Retia where it is used: a flat graph of PyTorch's operations would have one mode and lose dropout, batch
statistics and lengths. What ``torch.export`` makes of the module runs without Retia.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine import draws
from retia.engine.walk import Run, asks, walk
from retia.errors import ArgumentError, ShapeError
from retia.nets import expression
from retia.nets.net import Net, missing_arrays
from retia.shapes import show

if TYPE_CHECKING:
    from torch import Tensor, nn


def module_of(net: Net) -> nn.Module:
    """What ``net.torch()`` does; see there."""
    missing_arrays(net)
    made: nn.Module = _classes()[0](net)
    return made


def net_of(module: nn.Module) -> Net | None:
    """The net of a module that ``module_of`` made, with the module's arrays; None of any other module."""
    kind = _classes()[0]
    return module.as_net() if type(module) is kind else None  # type: ignore[operator]


def __getattr__(name: str) -> Any:
    """The classes of modules, which pickles name; they are made when PyTorch is there."""
    for kind in _classes() if name in ("NetModule", "PartModule") else ():
        if kind.__name__ == name:
            return kind
    raise AttributeError(name)


@functools.cache
def _classes() -> tuple[Any, Any]:
    class PartModule(torch.nn.Module):
        """A part of the net: its arrays under their names, and whether it behaves as in training."""

        told = ""

        def extra_repr(self) -> str:
            return self.told

        def forward(self, *inputs: Any) -> Any:
            raise ArgumentError("A part of a net's module does not run alone.", fix='net["part"].torch()')

    class NetModule(torch.nn.Module):
        """A net as a module. The parameters are those that the net learns, the other arrays buffers."""

        def __init__(self, net: Net) -> None:
            super().__init__()
            learned = set(net.learned())
            arrays = net.arrays.check()
            for node in net.wiring.nodes:
                if node.path in arrays:
                    continue  # a bare parameter is one, and no part
                part = _descend(self, node.path.split(".") if node.path else [], PartModule)
                if node.path:
                    part.told = node.layer.brief
            for path, array in arrays.items():
                *inner, name = path.split(".")
                part = _descend(self, inner, PartModule)
                own = array.detach().clone()
                if path in learned:
                    part.register_parameter(name, torch.nn.Parameter(own, own.is_floating_point()))
                else:
                    part.register_buffer(name, own)
            self._net = _without_arrays(net)

        def __setstate__(self, state: dict[str, Any]) -> None:
            super().__setstate__(state)  # type: ignore[no-untyped-call]
            self._net = _without_arrays(self.as_net())

        def extra_repr(self) -> str:
            ports = [str(port) for port in (*self._net.inputs.values(), *self._net.outputs.values())]
            return ", ".join(ports)

        def forward(
            self, *inputs: Tensor, lengths: Mapping[str, Tensor] | None = None, **named: Tensor
        ) -> Any:
            net = self._net
            given = _by_port(net, inputs, named)
            parts = dict(self.named_modules())
            rests = lambda path: not parts.get(path, self).training  # noqa: E731
            run = Run(training=True, lengths=lengths or {}, inference=rests)
            if self.training:
                run.keys = _keys(net, next(iter(given.values()), None))
            found = walk(net, given, self._arrays(), run)
            for path, value in run.updates.items():
                _array(self, path).copy_(value)
            return found["output"] if [*found] == ["output"] else found

        def as_net(self) -> Net:
            """The net, with the arrays as they are now."""
            return self._net.with_arrays({p: a.detach().clone() for p, a in self._arrays().items()})

        def _arrays(self) -> dict[str, Tensor]:
            return {path: _array(self, path) for path in self._net.array_shapes()}

    for kind in (NetModule, PartModule):
        kind.__qualname__ = kind.__name__
    return NetModule, PartModule


def _descend(module: nn.Module, names: list[str], kind: Any) -> Any:
    """The part at a path; what is missing on the way is made."""
    for name in names:
        # As a net names its parts, also by words that are methods of modules, which add_module refuses.
        if name not in module._modules:
            module._modules[name] = kind()
        module = module._modules[name]  # type: ignore[assignment]
    return module


def _array(module: nn.Module, path: str) -> Any:
    *inner, name = path.split(".")
    return getattr(_descend(module, inner, None), name)


def _without_arrays(net: Net) -> Net:
    """The net without arrays, of which the module has its own; its sizes stay as they were solved."""
    bare: Net = expression.from_json(expression.to_json(net))
    bare.__dict__["solution"] = net.solution
    return bare


def _by_port(net: Net, inputs: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    ports = net.wiring.inputs
    given = {**dict(zip(ports, inputs, strict=False)), **named}
    if len(inputs) > len(ports) or set(given) != set(ports) or len(inputs) + len(named) != len(ports):
        raise ArgumentError(
            f"The module takes {', '.join(ports) or 'nothing'}; "
            f"got {len(inputs)} by position" + (f" and {', '.join(named)}." if named else "."),
            expected=ports,
        )
    for name, x in given.items():
        shape = net.solution.shape(("", name))
        if shape is not None and x.dim() != len(shape) + 1:
            raise ShapeError(
                f"The module takes a batch at {name}, (batch, {show(shape)[1:]}; got {tuple(x.shape)}.",
                fix="x.unsqueeze(0) is a batch of one",
                expected=shape,
                got=tuple(x.shape),
            )
    return given


def _keys(net: Net, like: Tensor | None) -> dict[str, Any]:
    """Keys of all draws of a call, from PyTorch's own generator, so that ``torch.manual_seed`` rules them."""
    asking = [node.path for node in net.wiring.nodes if asks(type(node.layer))]
    if not asking:
        return {}
    device = None if like is None else like.device
    drawn = torch.randint(2**32, (2,), device=device).unbind()
    return {
        path: tuple(own ^ new for own, new in zip(drawn, draws.halves(0, 0, path), strict=True))
        for path in asking
    }

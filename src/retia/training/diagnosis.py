"""Where numbers first left their range: which step, which layer, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.walk import Run, walk_values
from retia.errors import TrainingError
from retia.metrics.examples import Batch
from retia.nets.net import Net

if TYPE_CHECKING:
    from torch import Tensor

FIX = "a smaller learning rate, or inputs of about -1 to 1"


def diverged(
    net: Net, arrays: Mapping[str, Tensor], batch: Batch, run: Run, loss: float, where: str
) -> TrainingError:
    """The error that says why a loss is not finite.

    Args:
        net: that is trained.
        arrays: as they stood when the loss was computed.
        batch: that gave it.
        run: training or not, and the draws' keys.
        loss: NaN or infinite.
        where: epoch and step.
    """
    said = f"The loss became {loss:g} in {where}"
    broken = _broken_arrays(net, arrays)
    if broken is not None:
        label, path = broken
        return TrainingError(
            f"{said}: the step before gave {label} a gradient that is not finite, so its {path} is not.",
            fix=FIX,
            path=path,
            got=loss,
        )
    first = _broken_output(net, arrays, batch, run)
    if first is None:
        return TrainingError(f"{said}, though all outputs are finite: the loss overflows.", fix=FIX, got=loss)
    label, path, worst = first
    return TrainingError(
        f"{said}: the first layer whose output is not finite is {label}, which gives {worst}.",
        fix=FIX,
        path=path,
        got=loss,
    )


def _broken_arrays(net: Net, arrays: Mapping[str, Tensor]) -> tuple[str, str] | None:
    """The layer nearest to the loss that has an array which is not finite: gradients come from there."""
    for node in reversed(net.wiring.nodes):
        for name in node.layer.owns():
            array = arrays[node.at(name)]
            if array.is_floating_point() and not bool(array.isfinite().all()):
                return node.label, node.at(name)
    return None


def _broken_output(
    net: Net, arrays: Mapping[str, Tensor], batch: Batch, run: Run
) -> tuple[str, str, str] | None:
    nodes = net.wiring.needed()
    wanted = [value for node in nodes for value in node.outputs]
    with torch.no_grad():
        values = walk_values(net, batch.inputs, arrays, run, wanted)
    for node in nodes:
        for value in node.outputs:
            tensor = values[value]
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                return node.label, node.path, "NaN" if bool(tensor.isnan().any()) else "infinity"
    return None

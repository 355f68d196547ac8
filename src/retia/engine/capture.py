"""A program as one CUDA graph: recorded on the device once, launched in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from retia._torch import torch

if TYPE_CHECKING:
    from torch import Tensor

WARM = 3
"""Runs before the capture: libraries choose their kernels and take their memory in them."""


def captured(run: Callable[[], Any], device: torch.device, changed: Sequence[Tensor]) -> Callable[[], Any]:
    """The same run, replayed by the device. PyTorch registers its generator with the graph.

    Args:
        run: reads and writes fixed memory on the device, and answers nothing.
        device: of CUDA.
        changed: memory that a run adds to; warming up leaves it as it was.
    Returns:
        The graph's replay; ``run`` itself where something in it cannot be captured.
    """
    before = [tensor.clone() for tensor in changed]
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    graph = torch.cuda.CUDAGraph()
    replay: Callable[[], Any] = graph.replay
    try:
        with torch.no_grad(), torch.cuda.stream(stream):
            for _ in range(WARM):
                run()
        torch.cuda.current_stream(device).wait_stream(stream)
        with torch.no_grad(), torch.cuda.graph(graph):
            run()
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        torch.cuda.synchronize(device)
        replay = run
    for tensor, kept in zip(changed, before, strict=True):
        tensor.copy_(kept)
    return replay

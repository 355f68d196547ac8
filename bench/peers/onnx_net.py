"""onnxruntime, with the net that PyTorch exports."""

from typing import Any

import onnxruntime
import torch
import workloads
from turns import Turns

from peers import torch_net
from peers.common import timed_calls


def answer(turns: Turns, folder: str, net: str, batch: int, **_: Any) -> None:
    """A batch of pictures as float32 numbers, to logits."""
    x, reference = workloads.questions(folder, net, batch)
    file = torch_net.onnx_bytes(torch_net.loaded(folder, net), torch.from_numpy(x))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    timed_calls(turns, lambda: session.run(None, {"x": x})[0], reference)

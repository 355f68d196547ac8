"""Operations with parameters as layers that have them under their own names."""

from __future__ import annotations

from typing import Any

from retia._torch import torch
from retia.formats.pytorch.places import FIRST, Sizes, axis_in_net
from retia.formats.pytorch.trace import Converter, Trace
from retia.formats.pytorch.values import Call, Fixed, Flow, Weight, path_of
from retia.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNorm,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Embedding,
    GroupNorm,
    LayerNorm,
    Linear,
    PReLU,
    RMSNorm,
)
from retia.nets.layer import Layer

KERNELS = {1: Conv1d, 2: Conv2d, 3: Conv3d}
TURNED = {1: ConvTranspose1d, 2: ConvTranspose2d, 3: ConvTranspose3d}


def one(value: Any) -> Any:
    """A number for all axes, where they have the same."""
    if isinstance(value, str | int):
        return value
    return value[0] if len(set(value)) == 1 else tuple(value)


def weighted(value: Any) -> bool:
    """Whether a layer can have it as its own: a parameter, or nothing at all."""
    return value is None or isinstance(value, Weight)


def linear(trace: Trace, call: Call) -> Flow | None:
    """A matrix and a bias, on the last axis."""
    x = call["input"]
    if not isinstance(x, Flow) or not weighted(call["weight"]) or not weighted(call["bias"]):
        return None
    if x.place is None or axis_in_net(-1, x.sizes.rank, x.place) is None:
        return None
    weights = {"weight": call["weight"], "bias": call["bias"]}
    size = call["weight"].tensor.shape[0]
    return trace.absorb(call, Linear(size, bias=call["bias"] is not None), [x], weights, x.place)


def conv(trace: Trace, call: Call) -> Flow | None:
    """A convolution or its transpose."""
    x, weight, bias = call["input"], call["weight"], call["bias"]
    if not isinstance(x, Flow) or x.place != FIRST or not isinstance(weight, Weight) or not weighted(bias):
        return None
    axes = weight.tensor.dim() - 2
    how = {name: one(call[name]) for name in ("stride", "padding", "dilation")}
    how.update(groups=call["groups"], bias=bias is not None)
    kernel = one(tuple(weight.tensor.shape[2:]))
    if "transpose" in call.name:
        how["output_padding"] = one(call["output_padding"])
        net: Layer = TURNED[axes](weight.tensor.shape[1] * call["groups"], kernel, **how)
    else:
        net = KERNELS[axes](weight.tensor.shape[0], kernel, **how)
    return trace.absorb(call, net, [x], {"weight": weight, "bias": bias}, FIRST)


def batch_norm(trace: Trace, call: Call) -> Flow | None:
    """Batch normalization, with its running statistics."""
    x = call["input"]
    mean, variance = call["running_mean"], call["running_var"]
    if not isinstance(x, Flow) or x.place != FIRST or not isinstance(mean, Fixed) or call["momentum"] is None:
        return None
    weights = {name: call[name] for name in ("weight", "bias")}
    if not all(map(weighted, weights.values())) or (weights["weight"] is None) != (weights["bias"] is None):
        return None
    net = BatchNorm(eps=call["eps"], momentum=call["momentum"], affine=weights["weight"] is not None)
    tracked = trace.buffers.get(".".join((*path_of(call.node), "num_batches_tracked")))
    tracked = mean.tensor.new_zeros((), dtype=torch.int64) if tracked is None else tracked
    count = Fixed(tracked, Sizes((), None), None)
    known = {**weights, "running_mean": mean, "running_var": variance, "num_batches_tracked": count}
    return trace.absorb(call, net, [x], known, FIRST)


def functional_batch_norm(trace: Trace, call: Call) -> list[Flow] | None:
    """The same as ``torch.export`` writes it where a module changes tensors in place."""
    flow = batch_norm(trace, Call(call.node, call.name, call.given, call.value[0]))
    return None if flow is None else [flow]


def layer_norm(trace: Trace, call: Call) -> Flow | None:
    """Normalization of the last axes."""
    x, shape = call["input"], call["normalized_shape"]
    if not isinstance(x, Flow) or x.place is None or x.place[0] >= x.sizes.rank - len(shape):
        return None
    weights = {"weight": call["weight"]}
    how = {"axes": len(shape), "eps": call["eps"], "affine": call["weight"] is not None}
    if "bias" in call.given:
        weights["bias"] = call["bias"]
        how["bias"] = call["bias"] is not None
    net: Layer = LayerNorm(**how) if "bias" in weights else RMSNorm(**how)
    if not any(weights.values()):
        return trace.add(call.node, net, [x], x.sizes, x.place)
    return trace.absorb(call, net, [x], weights, x.place) if all(map(weighted, weights.values())) else None


def group_norm(trace: Trace, call: Call) -> Flow | None:
    """Normalization of groups of channels."""
    x, weights = call["input"], {"weight": call["weight"], "bias": call["bias"]}
    if (
        not isinstance(x, Flow)
        or x.place != FIRST
        or not all(isinstance(w, Weight) for w in weights.values())
    ):
        return None
    return trace.absorb(call, GroupNorm(call["num_groups"], eps=call["eps"]), [x], weights, FIRST)


def embedding(trace: Trace, call: Call) -> Flow | None:
    """A row of a table for each number."""
    x, weight = trace.flow(call["indices"]), call["weight"]
    if not isinstance(weight, Weight):
        return None
    classes, size = weight.tensor.shape
    return trace.absorb(call, Embedding(size, classes=classes), [x], {"weight": weight}, x.place)


def prelu(trace: Trace, call: Call) -> Flow | None:
    """ReLU with learned slopes."""
    x, weight = call["self"], call["weight"]
    if not isinstance(x, Flow) or x.place != FIRST or not isinstance(weight, Weight):
        return None
    if weight.tensor.shape != (1,) and x.sizes.rank < 2:
        return None
    return trace.absorb(call, PReLU(shared=weight.tensor.shape == (1,)), [x], {"weight": weight}, FIRST)


RECURRENT = {
    "lstm.input": (LSTM, {}),
    "gru.input": (GRU, {}),
    "rnn_tanh.input": (RNN, {}),
    "rnn_relu.input": (RNN, {"nonlinearity": "relu"}),
}


def recurrent(trace: Trace, call: Call) -> Any:
    """A recurrent layer that begins at nothing, and of which only the sequence is used."""
    x, params = call["input"], call["params"]
    states = call["hx"] if isinstance(call["hx"], list) else [call["hx"]]
    begins = all(isinstance(s, Fixed) and not bool(s.tensor.any()) for s in states)
    place = (0 if call["batch_first"] else 1, 1, 1)
    used = {user.args[1] for user in call.node.users if user.users}
    if not begins or not isinstance(x, Flow) or x.place != place or used != {0}:
        return None
    net, how = RECURRENT[call.name]
    if not all(isinstance(p, Weight) for p in params):
        return None
    names = [p.name.rpartition(".")[2] for p in params]
    made = net(
        states[0].sizes.dims[-1], layers=call["num_layers"], bidirectional=call["bidirectional"],
        dropout=float(call["dropout"]), bias=call["has_biases"], **how,
    )  # fmt: skip
    there = Call(call.node, call.name, call.given, call.value[0])
    flow = trace.absorb(there, made, [x], dict(zip(names, params, strict=True)), place)
    return None if flow is None else [flow]


CONVERTERS: dict[str, Converter] = {
    "linear.default": linear,
    **dict.fromkeys([f"conv{n}d.{kind}" for n in (1, 2, 3) for kind in ("default", "padding")], conv),
    "conv_transpose1d.default": conv,
    "conv_transpose2d.input": conv,
    "conv_transpose3d.input": conv,
    "batch_norm.default": batch_norm,
    "_native_batch_norm_legit_no_training.default": functional_batch_norm,
    "layer_norm.default": layer_norm,
    "rms_norm.default": layer_norm,
    "group_norm.default": group_norm,
    "embedding.default": embedding,
    "prelu.default": prelu,
    **dict.fromkeys(RECURRENT, recurrent),
}

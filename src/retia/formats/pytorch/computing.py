"""Operations that compute, as layers: those with weights, activations, arithmetic, pools and means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retia._torch import torch
from retia.errors import StructureError
from retia.formats.pytorch.moving import aligned, reshaped
from retia.formats.pytorch.places import FIRST, Sizes, axis_in_net
from retia.formats.pytorch.trace import Converter, Trace
from retia.formats.pytorch.values import Call, Fixed, Flow, Rows
from retia.formats.pytorch.weights import one
from retia.layers import (
    ELU,
    GELU,
    SELU,
    AlphaDropout,
    Arithmetic,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    Divide,
    Dropout,
    Elementwise,
    GlobalAvgPool,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LeakyReLU,
    LogSoftmax,
    Maximum,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    Minimum,
    Minus,
    Mish,
    Plus,
    Reduce,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    Times,
)
from retia.nets.layer import Layer

AVERAGES = {1: AvgPool1d, 2: AvgPool2d, 3: AvgPool3d}
GREATEST = {1: MaxPool1d, 2: MaxPool2d, 3: MaxPool3d}


def each(make: Callable[[Call], Layer]) -> Converter:
    """The converter of a function of each element alone."""

    def convert(trace: Trace, call: Call) -> Flow | None:
        x = trace.flow(call["self"])
        if x.kind != "float":
            return None
        return trace.add(call.node, make(call), [x], x.sizes, x.place)

    return convert


def _tanh(call: Call) -> Layer:
    low, high = call["min_val"], call["max_val"]
    return ReLU6() if (low, high) == (0, 6) else HardTanh(low, high)


def elu(trace: Trace, call: Call) -> Flow | None:
    """ELU, where it has one factor."""
    if call["scale"] != 1 or call["input_scale"] != 1:
        return None
    return each(lambda call: ELU(float(call["alpha"])))(trace, call)  # type: ignore[no-any-return]


def softplus(trace: Trace, call: Call) -> Flow | None:
    """Softplus, which is a straight line from 20 on."""
    if call["threshold"] != 20:
        return None
    return each(lambda call: Softplus(float(call["beta"])))(trace, call)  # type: ignore[no-any-return]


def dropout(trace: Trace, call: Call) -> Flow:
    """Dropout, which training brings back."""
    x, rate = trace.flow(next(iter(call.given.values()))), call["p"]
    if rate == 0 or x.place is None or rate >= 1:
        return x
    kinds = {"alpha_dropout.default": AlphaDropout, "feature_alpha_dropout.default": AlphaDropout}
    channels = call.name.startswith("feature") and x.place == FIRST
    net = kinds.get(call.name, Dropout)(float(rate), channels=channels)
    return trace.add(call.node, net, [x], x.sizes, x.place)


# Arithmetic ---------------------------------------------------------------------------------------

SIGNS = {
    "add": ("+", Plus),
    "sub": ("-", Minus),
    "mul": ("*", Times),
    "div": ("/", Divide),
    "pow": ("**", None),
}


def arithmetic(trace: Trace, call: Call) -> Flow | None:
    """Two values, or a value and a number."""
    base = call.name.partition(".")[0].strip("_")
    reverse = base == "rsub"
    sign, net = SIGNS["sub" if reverse else base]
    left, right = list(call.given.values())[:2]
    left, right = (number(value) for value in (left, right))
    if call.given.get("alpha", 1) != 1 or call.given.get("rounding_mode") is not None:
        return None
    plain = [isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right)]
    if any(plain):
        reverse = reverse or plain[0]
        value, x = (left, right) if plain[0] else (right, left)
        x = trace.flow(x)
        if x.kind not in ("float", call.kind) or abs(value) == float("inf") or value != value:
            return None
        if sign == "/" and not reverse and value == 0:
            return None
        layer = Arithmetic(sign, value, reverse=reverse)
        return trace.add(call.node, layer, [x], call.sizes, x.place, call.kind, word=base)
    if reverse or net is None or isinstance(left, Rows) or isinstance(right, Rows):
        return None
    return together(net)(trace, call)  # type: ignore[no-any-return]


def number(value: Any) -> Any:
    """A constant of one element as a number."""
    if isinstance(value, Fixed) and value.tensor.numel() == 1 and value.tensor.dim() == 0:
        return value.tensor.item()
    return value


def together(net: Callable[[], Layer]) -> Converter:
    """The converter of two values, element by element."""

    def convert(trace: Trace, call: Call) -> Flow | None:
        values = list(call.given.values())[:2]
        flows = [trace.flow(value) if not isinstance(value, int | float) else None for value in values]
        if any(flow is None or flow.kind != call.kind or flow.kind == "bool" for flow in flows):
            return None
        found = aligned(trace, call, values)
        if found is None:
            return None
        base = call.name.partition(".")[0].strip("_")
        return trace.add(call.node, net(), found[0], call.sizes, found[1], call.kind, word=base)

    return convert


def attention(trace: Trace, call: Call) -> Flow | None:
    """Fused attention, without a mask that hides nothing."""
    mask = call["attn_mask"]
    if not isinstance(mask, Fixed):
        return None
    hides = mask.tensor if mask.tensor.dtype != torch.bool else ~mask.tensor
    if bool(hides.any()):
        return None
    args, kwargs = trace.resolved(call.node.args), trace.resolved(call.node.kwargs)
    args = tuple(None if each is mask else each for each in args)
    kwargs = {name: None if each is mask else each for name, each in kwargs.items()}
    return trace.keep(call.node, call.node, (args, kwargs), call.value)


# Along axes ---------------------------------------------------------------------------------------


def softmax(trace: Trace, call: Call) -> Flow | None:
    """Softmax along an axis of an example."""
    x = trace.flow(call["self"])
    axis = axis_in_net(call["dim"], x.sizes.rank, x.place)
    if axis is None:
        raise StructureError("it goes over the batch.")
    if x.kind != "float" or x.place is None:
        return None
    net = LogSoftmax if call.name.startswith("log") else Softmax
    return trace.add(call.node, net(axis=axis - len(x.shape)), [x], x.sizes, x.place)


MEANS = {"mean": "mean", "sum": "sum", "amax": "max", "amin": "min"}


def reduced(trace: Trace, call: Call) -> Flow | None:
    """Sum, mean, greatest or least along axes of an example."""
    x, sizes = trace.flow(call["self"]), call.sizes
    axes = call["dim"] if call["dim"] is not None else range(x.sizes.rank)
    axes = [axes] if isinstance(axes, int) else [axis % x.sizes.rank for axis in axes]
    inner = [axis_in_net(axis, x.sizes.rank, x.place) for axis in axes]
    if x.place is not None and None in inner:
        raise StructureError("it makes one result of all examples.")
    if x.kind != "float" or x.place is None or not inner:
        return None
    over = tuple(sorted(axis - len(x.shape) for axis in inner if axis is not None))
    gone = () if call["keepdim"] else [axis for axis in axes if axis < x.place[0]]
    place = (x.place[0] - len(gone), *x.place[1:])
    how = MEANS[call.name.partition(".")[0]]
    picture = (
        x.place == FIRST and how == "mean" and len(x.shape) > 2 and over == (-2, -1)[-len(x.shape) + 1 :]
    )
    net: Layer = GlobalAvgPool() if picture and len(x.shape) == 3 else Reduce(how, over)
    left = tuple(size for axis, size in enumerate(x.shape) if axis - len(x.shape) not in over)
    middle = Sizes((1, *left), 0)
    flow = trace.add(call.node, net, [x], middle, FIRST)
    return reshaped(trace, call, flow, sizes, place)


def adaptive(trace: Trace, call: Call) -> Flow | None:
    """A pool to one number a channel."""
    x = call["self"]
    if not isinstance(x, Flow) or x.place != FIRST or set(call["output_size"]) != {1}:
        return None
    if len(x.shape) != len(call["output_size"]) + 1:
        return None
    flow = trace.add(call.node, GlobalAvgPool(), [x], Sizes((1, x.shape[0]), 0), FIRST)
    return reshaped(trace, call, flow, call.sizes, FIRST)


def pooled(trace: Trace, call: Call) -> Flow | None:
    """The greatest or the average of windows."""
    x = call["self"]
    axes = int(call.name.partition(".")[0][-2])
    if not isinstance(x, Flow) or x.place != FIRST or len(x.shape) != axes + 1:
        return None
    how = {"padding": one(call["padding"]), "ceil_mode": call["ceil_mode"]}
    if call["stride"]:
        how["stride"] = one(call["stride"])
    if "avg" in call.name:
        if call.given.get("divisor_override") is not None:
            return None
        how["count_include_pad"] = call["count_include_pad"]
        net: Layer = AVERAGES[axes](one(call["kernel_size"]), **how)
    else:
        net = GREATEST[axes](one(call["kernel_size"]), dilation=one(call["dilation"]), **how)
    return trace.add(call.node, net, [x], call.sizes, FIRST)


FUNCTIONS = (
    "abs", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "log", "log10", "log1p",
    "log2", "neg", "reciprocal", "round", "rsqrt", "sign", "sin", "sinh", "sqrt", "square", "tan", "trunc",
)  # fmt: skip

ALONE: dict[str, Callable[[Call], Layer]] = {
    "relu": lambda call: ReLU(),
    "relu6": lambda call: ReLU6(),
    "sigmoid": lambda call: Sigmoid(),
    "tanh": lambda call: Tanh(),
    "silu": lambda call: SiLU(),
    "selu": lambda call: SELU(),
    "mish": lambda call: Mish(),
    "hardswish": lambda call: HardSwish(),
    "hardsigmoid": lambda call: HardSigmoid(),
    "hardtanh": _tanh,
    "gelu": lambda call: GELU(approximate=call["approximate"]),
    "leaky_relu": lambda call: LeakyReLU(float(call["negative_slope"])),
    **{name: lambda call, name=name: Elementwise(name) for name in FUNCTIONS},  # type: ignore[misc]
}

CONVERTERS: dict[str, Converter] = {
    **{f"{name}{mark}.default": each(make) for name, make in ALONE.items() for mark in ("", "_")},
    **{f"elu{mark}.default": elu for mark in ("", "_")},
    "softplus.default": softplus,
    **dict.fromkeys(
        [
            f"{n}.default"
            for n in ("dropout", "dropout_", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
        ],
        dropout,
    ),
    **{f"{name}{mark}.Tensor": arithmetic for name in ("add", "sub", "mul", "div") for mark in ("", "_")},
    **{f"{name}.Scalar": arithmetic for name in ("add", "sub", "mul", "div", "rsub")},
    "div.Tensor_mode": arithmetic,
    "pow.Tensor_Scalar": arithmetic,
    "pow.Scalar": arithmetic,
    "maximum.default": together(Maximum),
    "minimum.default": together(Minimum),
    "scaled_dot_product_attention.default": attention,
    "softmax.int": softmax,
    "log_softmax.int": softmax,
    "mean.dim": reduced,
    "sum.dim_IntList": reduced,
    "amax.default": reduced,
    "amin.default": reduced,
    **{f"adaptive_avg_pool{n}d.default": adaptive for n in (1, 2, 3)},
    **{f"{kind}_pool{n}d.default": pooled for kind in ("max", "avg") for n in (1, 2, 3)},
}

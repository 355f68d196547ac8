"""PyTorch's own operations as layers, by name: what a traced module does where no layer says it.

A name is looked up in the fixed table of pure operations below, and never evaluated.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, Error, ShapeError, did_you_mean
from retia.nets.layer import ZEROS, Array, Layer, layer
from retia.nets.settings import choice, setting, whole
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor

PURE = frozenset(
    """
    abs acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv addcmul addmm addmv addr affine_grid_generator
    alias all amax amin aminmax angle any argmax argmin argsort asin asinh atan atan2 atanh avg_pool1d
    avg_pool2d avg_pool3d baddbmm bilinear bitwise_and bitwise_not bitwise_or bitwise_xor bmm broadcast_to
    bucketize cat cdist ceil celu channel_shuffle chunk clamp clamp_max clamp_min clone col2im
    complex constant_pad_nd conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d cos cosh
    cosine_similarity count_nonzero cross cummax cummin cumprod cumsum deg2rad diag_embed diagonal diff dist
    div dot einsum elu embedding eq erf erfc erfinv exp exp2 expand expm1 flip floor floor_divide fmax fmin
    fmod frac gather ge gelu glu grid_sampler grid_sampler_2d grid_sampler_3d group_norm gru gt
    hardshrink hardsigmoid hardswish hardtanh heaviside hinge_embedding_loss hypot im2col index index_add
    index_copy index_fill index_select inner instance_norm isfinite isinf isnan kron kthvalue layer_norm le
    leaky_relu lerp lgamma linalg_norm linalg_vector_norm linear log log10 log1p log2 log_sigmoid log_softmax
    logaddexp logaddexp2 logcumsumexp logical_and logical_not logical_or logical_xor logsumexp lstm lt
    masked_fill masked_scatter matmul max max_pool1d max_pool2d max_pool3d maximum mean median min minimum
    mish mm movedim mul mv narrow ne neg norm one_hot outer pad pairwise_distance permute pixel_shuffle
    pixel_unshuffle pow prelu prod rad2deg reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu
    relu6 remainder repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape
    rms_norm rnn_relu rnn_tanh roll rot90 round rsqrt rsub scalar_tensor scaled_dot_product_attention scatter
    scatter_add scatter_reduce select select_scatter selu sgn sigmoid sign silu sin sinc sinh slice
    slice_scatter softmax softplus softshrink sort split split_with_sizes sqrt square squeeze stack std sub
    sum swapaxes t take_along_dim tan tanh tensordot threshold tile to topk trace transpose tril triu trunc
    unbind unflatten unfold unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_linear1d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d _upsample_bicubic2d_aa
    _upsample_bilinear2d_aa var var_mean view where xlogy fill full_like ones_like zeros_like
    """.split()  # noqa: SIM905
)
"""The operations that give new tensors from tensors and do nothing else: no draws, files or devices."""

FIRST = (0, 1, 1)
"""The place of the batch that a net itself has: the first axis."""

KINDS = ("float", "int", "bool")
WORDS = ("input", "array", "batch", "type", "number")
TYPES = ("float16", "bfloat16", "float32", "float64", "bool", "uint8", "int8", "int16", "int32", "int64")
NUMBERS = ("inf", "-inf", "nan")


def read_operation(name: str, value: Any) -> str:
    """The rule of an operation's name, ``"roll"`` or ``"add.Tensor"``: one of the table."""
    base = value.partition(".")[0] if isinstance(value, str) else ""
    overload = value.partition(".")[2] if base else ""
    if base not in PURE or not all(part.isidentifier() for part in overload.split(".") if overload):
        hint = did_you_mean(base, PURE)
        raise ArgumentError(f"{name} is one of PyTorch's pure operations; got {value!r}.{hint}", got=value)
    return str(value)


def read_argument(name: str, value: Any) -> Any:
    """The rule of an argument: plain data, and marks for what is known only later."""
    if isinstance(value, Mapping):
        word, content = next(iter(value.items())) if len(value) == 1 else ("", None)
        good = {"type": content in TYPES, "number": content in NUMBERS}.get(word, type(content) is int)
        if word not in WORDS or not good:
            raise ArgumentError(f"{name} marks {', '.join(WORDS)}; got {dict(value)!r}.", got=value)
        return MappingProxyType(dict(value))
    if isinstance(value, tuple | list):
        return tuple(read_argument(name, each) for each in value)
    if (
        value is None
        or isinstance(value, bool | int | str)
        or (type(value) is float and math.isfinite(value))
    ):
        return value
    raise ArgumentError(f"{name} are numbers, words and tuples of them; got {value!r}.", got=value)


def read_arguments(name: str, value: Any) -> Any:
    """The rule of all arguments by position."""
    if not isinstance(value, tuple | list):
        raise ArgumentError(f"{name} is a tuple; got {value!r}.", got=value)
    return read_argument(name, value)


def read_named(name: str, value: Any) -> Any:
    """The rule of the arguments that go by name; None where there are none."""
    if value is None or value == {}:
        return None
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ArgumentError(f"{name} is a dict by name; got {value!r}.", got=value)
    return MappingProxyType({key: read_argument(name, each) for key, each in value.items()})


def read_place(name: str, value: Any) -> Any:
    """The rule of a place of the batch: None, or (axis, before, after)."""
    if value is None:
        return None
    if not isinstance(value, tuple | list) or [type(n) for n in value] != [int] * 3 or value[0] < 0:
        raise ArgumentError(f"{name} is None or (axis, before, after); got {value!r}.", got=value)
    if min(value[1:]) < 1:
        raise ArgumentError(f"{name}: before and after are at least 1; got {value!r}.", got=value)
    return tuple(value)


def _each(rule: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def read(name: str, value: Any) -> Any:
        if not isinstance(value, tuple | list):
            raise ArgumentError(f"{name} is a tuple, one entry for each; got {value!r}.", got=value)
        return tuple(rule(name, each) for each in value)

    return read


def read_constant(name: str, value: Any) -> Any:
    """The rule of a fixed array that an operation has: its kind and its sizes."""
    good = isinstance(value, tuple | list) and len(value) > 0 and value[0] in KINDS
    if not good or not all(type(size) is int and size >= 0 for size in value[1:]):
        raise ArgumentError(f"{name} are a kind and sizes each, ('int', 2, 3); got {value!r}.", got=value)
    return tuple(value)


def merged(x: Tensor, place: tuple[int, int, int] | None) -> Tensor:
    """A batch as the operation takes it: the batch at its place, or one for all examples without one."""
    if place is None:
        return x[0] if x.shape[0] else x.new_zeros(x.shape[1:])
    axis, before, after = place
    extra = (before != 1) + (after != 1)
    x = x.movedim(0, axis + (before != 1))
    return x.flatten(axis, axis + extra) if extra else x


def parted(y: Tensor, place: tuple[int, int, int] | None, batch: int) -> Tensor:
    """What an operation gives as a batch: examples first."""
    if place is None:
        return y.expand(batch, *y.shape)
    axis, before, after = place
    if before * after != 1:
        sizes = [*([before] if before != 1 else []), batch, *([after] if after != 1 else [])]
        y = y.unflatten(axis, sizes)  # type: ignore[no-untyped-call]
    return y.movedim(axis + (before != 1), 0)


@layer
class Operation(Layer):
    """One of PyTorch's own operations. ``rt.from_torch`` keeps so what no layer says.

    Arguments are those of ``torch.ops.aten``, with the batch counted as an axis: plain data, and marks:
    ``{"input": 0}`` for the first input, ``{"array": 0}`` for the first constant, ``{"batch": 4}`` for four
    times the number of examples, ``{"type": "int64"}``, ``{"number": "-inf"}``.

    The batch may stand elsewhere in the operation than in the net. A place ``(axis, before, after)`` is the
    axis that holds it, between so many rows that count slower and so many that count faster (both 1 where
    it is alone); None is what all examples have in common. Use a layer where there is one: it knows masks,
    axes that vary and its arrays.

    Shape:  (*s0), (*s1), ... -> (*out), as the operation has it
    Arrays: constant0, constant1, ... as ``constants`` says, not learned
    Args:
        name: of the operation, with its overload where it has several: ``"roll"``, ``"add.Tensor"``.
        arguments: by position. named: by name.
        places: of the batch in each input, the first axis where they are left out.
        place: of the batch in the result.
        takes: ``"float"``, ``"int"`` or ``"bool"`` for each input; all real where left out.
        gives: the same of the result.
        result: which of several, where it gives several.
        constants: kind and sizes of fixed arrays.
    Raises:
        ArgumentError: an operation that is not pure, or is not known.
        ShapeError: sizes that the operation does not take.
    Source: the operations of these names in PyTorch.
    Example:
        >>> import retia as rt
        >>> rt.Operation("roll", ({"input": 0}, (1,), (1,)), input=3)([1.0, 2.0, 3.0])
        tensor([3., 1., 2.])
    """

    solves = ("*out",)

    name: str = setting(read_operation)
    arguments: tuple[Any, ...] = setting(read_arguments, default=({"input": 0},))
    _: KW_ONLY
    named: Any = setting(read_named, default=None)
    places: tuple[Any, ...] = setting(_each(read_place), default=())
    place: tuple[int, int, int] | None = setting(read_place, default=FIRST)
    takes: tuple[str, ...] = setting(_each(choice(*KINDS)), default=())
    gives: str = setting(choice(*KINDS), default="float")
    result: int | None = setting(whole(0, optional=True), default=None)
    constants: tuple[Any, ...] = setting(_each(read_constant), default=())

    def validate(self) -> None:
        count = self._count()
        for said, what in ((self.places, "places"), (self.takes, "takes")):
            if said and len(said) != count:
                raise ArgumentError(
                    f"Operation: {what} has {len(said)} entries for {count} inputs.", got=said
                )
        takes = zip(self.ports().inputs, self.takes, strict=False)
        kinds = {term.name: "float" if kind == "float" else "int" for term, kind in takes}
        self.__dict__["kinds"] = {**kinds, "output": "float" if self.gives == "float" else "int"}

    def _count(self) -> int:
        marks = [*_marks((self.arguments, tuple((self.named or {}).values())))]
        numbers = {content for word, content in marks if word == "input"}
        arrays = {content for word, content in marks if word == "array"}
        if numbers != set(range(len(numbers))) or arrays != set(range(len(self.constants))):
            raise ArgumentError("Operation: inputs and arrays are marked from 0 on, each of them.")
        return len(numbers)

    def ports(self, arity: int | None = None) -> Signature:
        count = self._count()
        names = [""] if count == 1 else [f"{i + 1}: " for i in range(count)]
        return signature(f"{', '.join(f'{name}*s{i}' for i, name in enumerate(names))} -> *out")

    def owns(self) -> Mapping[str, Array]:
        return {
            f"constant{i}": Array(
                " ".join(map(str, sizes)) or "()",
                ZEROS,
                learned=False,
                kind="float" if kind == "float" else "int",
            )
            for i, (kind, *sizes) in enumerate(self.constants)
        }

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        shapes = [known[f"*s{i}"] for i in range(self._count())]
        if any(shape is None or not all(type(size) is int for size in shape) for shape in shapes):
            return {}
        kinds = self.takes or ("float",) * len(shapes)
        try:
            given = [_meta(kind, (TRIED, *shape)) for kind, shape in zip(kinds, shapes, strict=True)]
            arrays = [_meta(kind, tuple(sizes)) for kind, *sizes in self.constants]
            return {"*out": tuple(self._run(given, arrays, TRIED).shape[1:])}
        except Error:
            raise
        except Exception as error:  # PyTorch's rules of sizes are written with errors of every kind
            told = str(error).strip().partition("\n")[0]
            raise ShapeError(f"{self.name} does not go with {_shown(shapes)}: {told}", got=shapes) from None

    def forward(self, *x: Tensor, moment: Any, **constants: Tensor) -> Tensor:
        arrays = [constants[f"constant{i}"] for i in range(len(self.constants))]
        arrays = [
            a.bool() if kind == "bool" else a for a, (kind, *_) in zip(arrays, self.constants, strict=True)
        ]
        return self._run(x, arrays, x[0].shape[0] if x else moment.batch)

    def _run(self, x: Any, arrays: list[Tensor], batch: int) -> Tensor:
        places = self.places or (FIRST,) * len(x)
        given = [merged(each, place) for each, place in zip(x, places, strict=True)]

        def fill(value: Any) -> Any:
            if isinstance(value, tuple):
                return [fill(each) for each in value]
            if not isinstance(value, Mapping):
                return value
            word, content = next(iter(value.items()))
            if word in ("input", "array"):
                return (given if word == "input" else arrays)[content]
            if word == "batch":
                return content * batch
            return getattr(torch, content) if word == "type" else float(content)

        named = {key: fill(value) for key, value in (self.named or {}).items()}
        made = _found(self.name)(*map(fill, self.arguments), **named)
        return parted(made if self.result is None else made[self.result], self.place, batch)


TRIED = 3
"""So many examples a batch has with which sizes are tried out."""


def _meta(kind: str, shape: tuple[int, ...]) -> Tensor:
    dtype = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}[kind]
    return torch.empty(shape, dtype=dtype, device="meta")


def _shown(shapes: list[Any]) -> str:
    return " and ".join(str(shape) for shape in shapes) or "its arguments"


def _marks(value: Any) -> Any:
    if isinstance(value, tuple):
        for each in value:
            yield from _marks(each)
    elif isinstance(value, Mapping):
        yield from value.items()


@functools.cache
def _found(name: str) -> Callable[..., Any]:
    base, _, overload = name.partition(".")
    packet = getattr(torch.ops.aten, base, None)
    found = getattr(packet, overload or "default", None)
    if found is None or found._schema.is_mutable:
        raise ArgumentError(f"Operation: this PyTorch has no pure operation {name!r}.", got=name)
    return found  # type: ignore[no-any-return]

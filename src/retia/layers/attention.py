"""Attention: each element of a sequence takes up, from all elements of a sequence, what fits it.

The weights come from PyTorch's fused kernel; where some are dropped in training they are computed openly,
because which ones are dropped follows from seed, step, example and place. Where lengths vary, no query
sees a key beyond its own example's end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.layers.axes import filled
from retia.layers.memory import Growing
from retia.layers.positions import rotated
from retia.nets.initial import Initial
from retia.nets.layer import ZEROS, Array, Layer, Steps, layer
from retia.nets.settings import flag, real, setting, whole
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor

RATE = real(0, 1, open_high=True)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    moment: Any,
    *,
    mask: Tensor | None,
    causal: bool,
    scale: float | None = None,
    dropout: float = 0.0,
    ragged: bool = False,
    start: int = 0,
) -> Tensor:
    """``softmax(scale query key^T) value``, of tensors (batch, heads, elements, size).

    Args:
        mask: True where a key is real, broadcastable to (batch, heads, queries, keys).
        causal: query i sees the keys 0 to i.
        ragged: lengths vary, so that draws must not depend on how long a batch is padded.
        start: the place of the first query; the keys begin at 0.
    """
    if start and query.shape[-2] == 1:
        causal = False  # it is the last place, and sees every key
    if causal and (mask is not None or start):
        past = _past(start, query.shape[-2], key.shape[-2], query.device)
        mask = past if mask is None else mask & past
    if scale is not None:  # PyTorch's kernel on the CPU scales what it masked, so a negative one would unmask
        query, scale = query * scale, 1.0
    if not (dropout and moment.training):
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal and mask is None, scale=scale,
            enable_gqa=key.shape[1] != query.shape[1],
        )  # fmt: skip
    if causal and mask is None:
        mask = _past(0, query.shape[-2], key.shape[-2], query.device)
    shared = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(shared, 1) if shared > 1 else x for x in (key, value))
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    # Not minus infinity: a query that sees no key at all would have NaN.
    weights = torch.softmax(filled(scores, mask, torch.finfo(scores.dtype).min), -1)
    kept = _drawn(weights, moment, ragged) >= dropout
    kept = kept if mask is None else kept & mask
    return torch.where(kept, weights / (1 - dropout), 0.0) @ value


def _past(start: int, queries: int, keys: int, device: torch.device) -> Tensor:
    """True where a query, the first of which has a place, may see a key: those of its place and before."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(start)


def _longer(memory: Any, key: Tensor, value: Tensor) -> tuple[Growing, Growing]:
    """Keys and values with those of a new piece, by head: (batch, heads, elements, size)."""
    if memory is None:
        return Growing(key, 2), Growing(value, 2)
    keys, values = memory
    return keys.plus(key), values.plus(value)


def _sees_later() -> ShapeError:
    return ShapeError("each element takes up what comes after it.", fix="causal=True")


def _drawn(weights: Tensor, moment: Any, ragged: bool) -> Tensor:
    """A random number for each weight, which does not change when a ragged batch is padded further."""
    if not ragged:
        return moment.uniform(weights)  # type: ignore[no-any-return]
    batch, heads, queries, keys = weights.shape
    side = max(queries, keys)
    drawn = moment.uniform(weights.new_empty(batch, side * side, heads))
    # Numbers go in shells around the corner (0, 0), so that longer examples only add to them.
    i = torch.arange(queries, device=weights.device).unsqueeze(1)
    j = torch.arange(keys, device=weights.device)
    shell = torch.maximum(i, j)
    at = shell * shell + torch.where(i >= j, j, shell + 1 + i)
    picked: Tensor = drawn.index_select(1, at.flatten()).reshape(batch, queries, keys, heads)
    return picked.permute(0, 3, 1, 2)


def _of_keys(mask: Tensor | None) -> Tensor | None:
    """The mask of a batch of sequences, (batch, n, 1), as one of weights, (batch, 1, 1, n)."""
    return None if mask is None else mask.transpose(1, 2).unsqueeze(1)


@layer
class Attention(Layer):
    """Means of values, weighted by how well their keys fit a query: ``y = softmax(scale Q K^T) V``.

    Nothing is learned; ``MultiHeadAttention`` has weights. Where lengths vary, each query sees the keys of
    its own example alone.

    Shape:  query (m, d), key (n, d), value (n, v) -> (m, v)
    Args:
        causal: query i sees the keys 0 to i alone.
        scale: factor of the products; 1 / sqrt(d) if None.
        dropout: in training, the probability that a weight is 0; from 0 to below 1.
    Source: Vaswani et al. 2017; Dao et al. 2022 for the fused kernel, which is PyTorch's.
    Example:
        >>> import retia as rt
        >>> attend = rt.Attention(input={"query": (1, 2), "key": ("n", 2), "value": ("n", 1)})
        >>> keys = [[[9.0, 0.0], [0.0, 9.0]]]
        >>> attend({"query": [[[0.0, 9.0]]], "key": keys, "value": [[[1.0], [2.0]]]})
        tensor([[[2.]]])
    """

    signature = "query: m d, key: n d, value: n v -> m v"
    axes = {"m": "mix", "n": "mix"}  # queries are zeroed too, else NaN in padding would reach the keys
    foreign: ClassVar[Mapping[str, str]] = {
        "is_causal": "it is called causal",
        "use_causal_mask": "it is called causal, and set once",
        "dropout_p": "it is called dropout",
        "use_scale": "scale is a number",
        "attn_mask": "masks follow from the lengths of the examples, and from causal",
    }
    cure = "Attention() has the ports query, key and value; MultiHeadAttention(8) has heads and weights"

    _: KW_ONLY
    causal: bool = setting(flag, default=False)
    scale: float | None = setting(real(optional=True), default=None)
    dropout: float = setting(RATE, default=0.0)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *, moment: Any) -> Tensor:
        mask = _of_keys(moment.mask(1))
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))  # one head: (batch, 1, n, size)
        y = attend(
            query, key, value, moment, mask=mask, causal=self.causal, scale=self.scale, dropout=self.dropout,
            ragged=mask is not None or moment.mask(0) is not None,
        )  # fmt: skip
        return y.squeeze(1)

    def steps(self, along: Sequence[str | None]) -> Steps:
        if tuple(along) == ("m", None, None) and not self.causal:
            return Steps()
        if tuple(along) != ("m", "n", "n"):
            return super().steps(along)
        if not self.causal:
            raise _sees_later()
        return Steps(remembers=True)

    def advance(self, memory: Any, *given: Tensor, moment: Any) -> tuple[Tensor, Any]:
        query, key, value = (x.unsqueeze(1) for x in given)
        start = 0 if memory is None else len(memory[0])
        keys, values = memory = _longer(memory, key, value)
        y = attend(query, keys.all, values.all, moment, mask=None, causal=True, scale=self.scale, start=start)
        return y.squeeze(1), memory


@layer
class MultiHeadAttention(Layer):
    """Attention with weights, several times at once: ``y = [head_1, head_2, ...] W_o^T + b_o``.

    ``head_i = softmax(Q_i K_i^T / sqrt(d)) V_i``, where Q, K and V are affine maps of what comes in and
    head i has its own d numbers of each. One sequence attends to itself, or, with ``cross``, a query to the
    keys and values of another.

    Shape:  (n, size) -> (n, size); with ``cross`` query (n, size), key and value (m, size) -> (n, size)
    Arrays: in_proj_weight (3 size, size) and in_proj_bias (3 size) of queries, keys and values in order,
        out_proj.weight (size, size), out_proj.bias (size); with ``separate`` q_proj_weight, k_proj_weight
        and v_proj_weight instead of the first: PyTorch's names
    Args:
        heads: how many, at least 1.
        size: of the result, a multiple of ``heads``; that of the queries when left out.
        causal: element i sees the elements 0 to i alone.
        cross: take query, key and value at ports of these names.
        separate: with ``cross``, a weight for each port, so that their sizes may differ.
        key_value_heads: keys and values have so many heads, each for as many of the queries; a divisor of
            ``heads``, which it is if None.
        rotary: turn queries and keys by angles that grow with their positions, number k with number
            k + d/2, so that products depend on distances.
        bias: have in_proj_bias and out_proj.bias.
        dropout: in training, the probability that a weight of the attention is 0; from 0 to below 1.
    Raises:
        ShapeError: a size that is no multiple of the heads, or, with ``rotary``, of twice the heads.
        ArgumentError: settings that do not go together.
    Source: Vaswani et al. 2017; Ainslie et al. 2023 (grouped queries); Su et al. 2021 (rotary), with the
        pairs as in GPT-NeoX.
    Example:
        >>> import retia as rt
        >>> rt.MultiHeadAttention(8, input=("n", 64)).count
        16640
    """

    solves = ("size", "shared", "packed")
    axes = {"n": "mix", "m": "mix"}
    foreign: ClassVar[Mapping[str, str]] = {
        "num_heads": "it is called heads, and comes first",
        "embed_dim": "it is called size, and that of the input when left out",
        "key_dim": "size is that of all heads together",
        "kdim": "sizes of inputs are inferred; separate=True lets them differ",
        "vdim": "sizes of inputs are inferred; separate=True lets them differ",
        "num_query_heads": "it is called heads, and comes first",
        "num_key_value_heads": "it is called key_value_heads",
        "is_causal": "it is called causal",
        "batch_first": "nets are written for one example, so there is no batch to place",
        "attn_mask": "masks follow from the lengths of the examples, and from causal",
    }
    cure = (
        "MultiHeadAttention(8) has 8 heads, of the input's size together; "
        "PyTorch's MultiheadAttention(512, 8) is MultiHeadAttention(8)"
    )

    heads: int = setting(whole(1))
    _: KW_ONLY
    size: int | None = setting(whole(1, optional=True), default=None)
    causal: bool = setting(flag, default=False)
    cross: bool = setting(flag, default=False)
    separate: bool = setting(flag, default=False)
    key_value_heads: int | None = setting(whole(1, optional=True), default=None)
    rotary: bool = setting(flag, default=False)
    bias: bool = setting(flag, default=True)
    dropout: float = setting(RATE, default=0.0)

    def validate(self) -> None:
        name = "MultiHeadAttention"
        if self.separate and not self.cross:
            raise ArgumentError(
                f"{name}: separate weights are for inputs of their own.", fix="cross=True", got=True
            )
        if self.rotary and self.cross:
            raise ArgumentError(f"{name}: rotary positions are those of one sequence, but cross has two.")
        if self.heads % self._groups:
            raise ArgumentError(
                f"{name}: key_value_heads divides heads; got {self._groups} and {self.heads}.",
                got=self.key_value_heads,
            )

    @property
    def _groups(self) -> int:
        return self.heads if self.key_value_heads is None else self.key_value_heads

    def ports(self, arity: int | None = None) -> Signature:
        taken = "in" if self.size is not None else "size"
        if not self.cross:
            return signature(f"n {taken} -> n size")
        key, value = ("keys", "values") if self.separate else (taken, taken)
        return signature(f"query: n {taken}, key: m {key}, value: m {value} -> n size")

    def sizes(self) -> Mapping[str, Any]:
        return {"size": self.size}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        size = known["size"]
        if not isinstance(size, int):
            return {}
        least = self.heads * (2 if self.rotary else 1)
        if size % least:
            what = "heads of an even size, which rotary needs" if self.rotary else "heads of one size"
            raise ShapeError(
                f"a size of {size} is not {self.heads} {what}.", fix=f"a multiple of {least}", got=size
            )
        shared = size // self.heads * self._groups
        return {"shared": shared, "packed": size + 2 * shared}

    def owns(self) -> Mapping[str, Array]:
        start = Initial("xavier_uniform")
        taken = "in" if self.size is not None else "size"
        found = {"in_proj_weight": Array(f"packed {taken}", start)}
        if self.separate:
            found = {
                "q_proj_weight": Array(f"size {taken}", start),
                "k_proj_weight": Array("shared keys", start),
                "v_proj_weight": Array("shared values", start),
            }
        if self.bias:
            found["in_proj_bias"] = Array("packed", ZEROS)
        found["out_proj.weight"] = Array("size size", start)
        if self.bias:
            found["out_proj.bias"] = Array("size", ZEROS)
        return found

    def forward(self, *given: Tensor, moment: Any, **arrays: Tensor) -> Tensor:
        query, key, value = self._projected(given, arrays)
        if self.rotary:
            query, key = (rotated(x, moment.real) for x in (query, key))
        mask = moment.mask(len(given) - 1)
        # In one causal sequence, what is real sees nothing behind it, so no padding either.
        hidden = None if self.causal and not self.cross else _of_keys(mask)
        y = attend(
            query, key, value, moment, mask=hidden, causal=self.causal, dropout=self.dropout,
            ragged=mask is not None or moment.mask(0) is not None,
        )  # fmt: skip
        return self._joined(y, arrays)

    def steps(self, along: Sequence[str | None]) -> Steps:
        if self.cross and tuple(along) == ("n", None, None):
            if self.causal:
                raise ShapeError("its queries go on while its keys stay.", fix="causal=False")
            return Steps(remembers=True)
        if tuple(along) != (("n", "m", "m") if self.cross else ("n",)):
            return super().steps(along)
        if not self.causal:
            raise _sees_later()
        return Steps(remembers=True)

    def advance(self, memory: Any, *given: Tensor, moment: Any, **arrays: Tensor) -> tuple[Tensor, Any]:
        if self.cross and not self.causal:  # the other sequence stays, and so do its keys and values
            query, *others = self._projected(given if memory is None else given[:1], arrays)
            key, value = memory = memory or tuple(others)
            return self._joined(attend(query, key, value, moment, mask=None, causal=False), arrays), memory
        start = 0 if memory is None else len(memory[0])
        query, key, value = self._projected(given, arrays)
        if self.rotary:
            query, key = (rotated(x, moment.real, start) for x in (query, key))
        keys, values = memory = _longer(memory, key, value)
        y = attend(query, keys.all, values.all, moment, mask=None, causal=True, start=start)
        return self._joined(y, arrays), memory

    def _joined(self, y: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """The results of all heads through the last linear map."""
        y = y.transpose(1, 2).flatten(2)  # (batch, heads, n, d) -> (batch, n, size)
        return torch.nn.functional.linear(y, arrays["out_proj.weight"], arrays.get("out_proj.bias"))

    def _projected(self, given: Sequence[Tensor], arrays: Mapping[str, Tensor]) -> list[Tensor]:
        """Queries, keys and values (or the first of them) by head: (batch, heads, elements, d)."""
        size = arrays["out_proj.weight"].shape[0]
        shared = size // self.heads * self._groups
        widths = [size, shared, shared]
        linear = torch.nn.functional.linear
        bias = arrays.get("in_proj_bias")
        parts: Sequence[Tensor]
        if not self.cross:
            parts = torch.split(linear(given[0], arrays["in_proj_weight"], bias), widths, -1)
        else:
            weights = (
                [arrays[f"{name}_proj_weight"] for name in "qkv"]
                if self.separate
                else torch.split(arrays["in_proj_weight"], widths)
            )
            biases = [None] * 3 if bias is None else torch.split(bias, widths)
            parts = [linear(*each) for each in zip(given, weights, biases, strict=False)]
        numbers = (self.heads, self._groups, self._groups)
        return [
            part.reshape(*part.shape[:2], heads, size // self.heads).transpose(1, 2)
            for part, heads in zip(parts, numbers, strict=False)
        ]

"""Transformers as ready nets: blocks of attention and linear layers, by PyTorch's names.

These are functions that answer chains and graphs, so every part can be sliced, replaced and drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retia.layers.attention import RATE, MultiHeadAttention
from retia.layers.combine import Plus
from retia.layers.elementwise import GELU, ReLU
from retia.layers.linear import Linear
from retia.layers.normalization import LayerNorm
from retia.layers.regularization import Dropout
from retia.nets import Chain, Graph, Net
from retia.nets.settings import choice, flag, whole

ACTIVATIONS = {"gelu": GELU, "relu": ReLU}


def TransformerEncoder(
    layers: int,
    heads: int,
    *,
    size: int,
    hidden: int | None = None,
    norm_first: bool = True,
    activation: str = "gelu",
    dropout: float = 0.0,
    causal: bool = False,
    rotary: bool = False,
    key_value_heads: int | None = None,
    bias: bool = True,
) -> Chain:
    """Blocks in which a sequence attends to itself, each followed by two linear layers.

    With ``causal`` it is what language models are made of. Arrays have the names that they have in
    ``torch.nn.TransformerEncoder`` (``layers.0.self_attn.in_proj_weight``). It knows nothing of positions:
    put ``PositionEmbedding`` or ``SinusoidalPositions`` before it, or say ``rotary``.

    Shape:  (n, size) -> (n, size)
    Args:
        layers: how many blocks, at least 1.
        heads: of each attention; divides the size.
        size: of each element, at least 1.
        hidden: numbers between the two linear layers, at least 1; four times the size if None.
        norm_first: normalize what goes into a branch, and the result at the end; else each sum, as at first.
        activation: between the two linear layers, ``"gelu"`` or ``"relu"``.
        dropout: at the end of each branch, between the linear layers and of the attention's weights; 0 to
            below 1.
        causal: element i sees the elements 0 to i alone.
        rotary: positions by turning queries and keys.
        key_value_heads: heads of keys and values, a divisor of ``heads``, which it is if None.
        bias: of the attention and the linear layers.
    Source: Vaswani et al. 2017; Xiong et al. 2020 for ``norm_first``.
    Example:
        >>> import retia as rt
        >>> net = rt.TransformerEncoder(2, 4, size=16, causal=True)
        >>> rt.Chain(net, input=("n", 16)).count
        6592
        >>> list(net["layers"][0].children)
        ['self_attn', 'plus1', 'norm1', 'linear1', 'gelu', 'linear2', 'plus2', 'norm2']
    """
    number, settings = _read("TransformerEncoder", layers, size, hidden, activation, dropout, norm_first)
    attention = MultiHeadAttention(
        heads, causal=causal, rotary=rotary, key_value_heads=key_value_heads, bias=bias, dropout=dropout
    )
    branches = [
        {"self_attn": attention, **_dropped("dropout1", dropout)},
        _forward("dropout2", bias=bias, **settings),
    ]
    block = _block(branches, norm_first)
    end = {"norm": LayerNorm()} if norm_first else {}
    return Chain({"layers": Chain(*[block] * number), **end})


def TransformerDecoder(
    layers: int,
    heads: int,
    *,
    size: int,
    hidden: int | None = None,
    norm_first: bool = True,
    activation: str = "gelu",
    dropout: float = 0.0,
    causal: bool = True,
    rotary: bool = False,
    key_value_heads: int | None = None,
    bias: bool = True,
) -> Graph:
    """Blocks in which a sequence attends to itself and then to another one, the port ``memory``.

    Arrays have the names that they have in ``torch.nn.TransformerDecoder``. Of a net that only goes on with
    what it is given, ``TransformerEncoder`` with ``causal`` is the right one.

    Shape:  input (n, size), memory (m, size) -> (n, size)
    Args:
        layers: how many blocks, at least 1.
        heads: of each attention; divides the size.
        size: of each element, at least 1.
        hidden: numbers between the two linear layers, at least 1; four times the size if None.
        norm_first: normalize what goes into a branch, and the result at the end; else each sum, as at first.
        activation: between the two linear layers, ``"gelu"`` or ``"relu"``.
        dropout: at the end of each branch, between the linear layers and of the attentions' weights; 0 to
            below 1.
        causal: in its own sequence, element i sees the elements 0 to i alone.
        rotary: positions in its own sequence by turning queries and keys.
        key_value_heads: heads of keys and values, a divisor of ``heads``, which it is if None.
        bias: of the attentions and the linear layers.
    Source: Vaswani et al. 2017; Xiong et al. 2020 for ``norm_first``.
    Example:
        >>> import retia as rt
        >>> net = rt.TransformerDecoder(1, 4, size=16)
        >>> rt.Graph(lambda x, memory: net(x, memory), input={"x": ("n", 16), "memory": ("m", 16)}).count
        4432
    """
    number, settings = _read("TransformerDecoder", layers, size, hidden, activation, dropout, norm_first)
    common: dict[str, Any] = {"key_value_heads": key_value_heads, "bias": bias, "dropout": dropout}
    own = MultiHeadAttention(heads, causal=causal, rotary=rotary, **common)
    branches = [
        {"self_attn": own, **_dropped("dropout1", dropout)},
        {"multihead_attn": MultiHeadAttention(heads, cross=True, **common), **_dropped("dropout2", dropout)},
        _forward("dropout3", bias=bias, **settings),
    ]
    # Edges into an attention count in their order: the query first, then key and value.
    block = _block(branches, norm_first, *["memory -> multihead_attn"] * 2)
    names = [str(place) for place in range(number)]
    ports = {"input": None, "memory": None}
    way = ["input", *names, "output"]
    stack = Graph(
        dict.fromkeys(names, block), " -> ".join(way), *(f"memory -> {n}" for n in names), input=ports
    )
    end = {"norm": LayerNorm()} if norm_first else {}
    way = ["input", "layers", *end, "output"]
    return Graph({"layers": stack, **end}, " -> ".join(way), "memory -> layers", input=ports)


def _read(
    name: str, layers: Any, size: Any, hidden: Any, activation: Any, dropout: Any, norm_first: Any
) -> tuple[int, dict[str, Any]]:
    """The number of blocks, and the settings of the linear layers."""
    flag(f"{name}: norm_first", norm_first)
    settings = {
        "size": whole(1)(f"{name}: size", size),
        "activation": choice(*ACTIVATIONS)(f"{name}: activation", activation),
        "dropout": RATE(f"{name}: dropout", dropout),
    }
    hidden = whole(1, optional=True)(f"{name}: hidden", hidden)
    settings["hidden"] = 4 * settings["size"] if hidden is None else hidden
    return whole(1, 10_000)(f"{name}: layers", layers), settings


def _dropped(name: str, rate: float) -> dict[str, Net]:
    return {name: Dropout(rate)} if rate else {}


def _forward(
    last: str, *, size: int, hidden: int, activation: str, dropout: float, bias: bool
) -> dict[str, Net]:
    """The two linear layers."""
    return {
        "linear1": Linear(hidden, bias=bias), activation: ACTIVATIONS[activation](),
        **_dropped("dropout", dropout), "linear2": Linear(size, bias=bias), **_dropped(last, dropout),
    }  # fmt: skip


def _block(branches: list[dict[str, Net]], norm_first: bool, *others: str) -> Graph:
    """Branches one after another, each added to what goes into it."""
    nodes: dict[str, Net] = {}
    edges: list[str] = []
    at = "input"
    for number, branch in enumerate(branches, 1):
        plus, norm = f"plus{number}", f"norm{number}"
        nodes |= {**branch, plus: Plus(), norm: LayerNorm()}
        way = [at, norm, *branch, plus] if norm_first else [at, *branch, plus, norm]
        edges += [" -> ".join(way), f"{at} -> {plus}"]
        at = way[-1]
    ports: Mapping[str, None] | None = {"input": None, "memory": None} if others else None
    return Graph(nodes, *edges, f"{at} -> output", *others, input=ports)

"""Nets as values: ports, chains, graphs, sharing, arrays, and expressions to and from JSON.

This room knows shapes, and nothing of engines, files or training. PyTorch is only its array type.
"""

from retia.nets.chain import Chain
from retia.nets.codec import Codec, Reading, codec
from retia.nets.compare import diff
from retia.nets.graph import Graph
from retia.nets.initial import Initial
from retia.nets.layer import Array, Layer, Steps, layer
from retia.nets.net import Net
from retia.nets.ports import Port
from retia.nets.sharing import At, Shared
from retia.nets.wires import Input, Wire

__all__ = [
    "Array", "At", "Chain", "Codec", "Graph", "Initial", "Input", "Layer", "Net", "Port", "Reading", "Shared",
    "Steps", "Wire", "codec", "diff", "layer",
]  # fmt: skip

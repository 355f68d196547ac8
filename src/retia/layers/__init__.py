"""The layers, one file a family. Each is one class: signature, arrays, forward, docstring."""

from retia.layers.combine import Concat, Divide, Dot, Maximum, Minimum, Minus, Plus, Power, Times
from retia.layers.elementwise import ReLU, Sigmoid, Softmax, Tanh
from retia.layers.linear import Linear
from retia.layers.structure import Flatten

__all__ = [
    "Concat", "Divide", "Dot", "Flatten", "Linear", "Maximum", "Minimum", "Minus", "Plus", "Power", "ReLU",
    "Sigmoid", "Softmax", "Tanh", "Times",
]  # fmt: skip

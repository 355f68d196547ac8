"""Retia: neural nets as values.

A net is an expression that you can print, draw, slice, join, train, look inside, save and ship.
``import retia as rt``; every public name is here and has one home in a room below.
"""

from retia.codecs import Boolean, Classes, Image, Scalar, Tensor, Vector
from retia.errors import (
    ArgumentError,
    ArraysError,
    CodecError,
    DataError,
    Error,
    FormatError,
    MissingExtraError,
    NotYetError,
    RetiaWarning,
    ShapeError,
    StructureError,
    TrainingError,
    UnknownNameError,
)
from retia.formats import load
from retia.layers import *  # noqa: F403  (pinned by layers.__all__)
from retia.metrics import measure
from retia.nets import (
    Array,
    Chain,
    Codec,
    Graph,
    Initial,
    Input,
    Layer,
    Net,
    Port,
    Shared,
    codec,
    layer,
)
from retia.sources import Data, data
from retia.training import SGD, Adagrad, Adam, AdamW, RMSprop, Training, step, train

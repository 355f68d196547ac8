"""The codecs: images, labels and numbers. Each is a value that converts both ways at a port.

What is one example, and what is a batch of them, follows from the codec:

=================  =======================================  ==============================================
codec              one                                      a batch
=================  =======================================  ==============================================
Image              a path, a Pillow image, bytes of a file  a list of these
                   or an open file; an array of one         an array of several (``layouts.py`` has the
                   picture, or nested lists                 table)
Mask               as Image; an array (h, w), with colors   a list of these; an array with one axis more
                   (h, w, 3)
Boxes              a dict of boxes and labels               a list of these
Audio              a path, bytes of a sound, an open file, a      a list of these; an array with two axes,
                   (samples, rate) pair, an array with one  one sound in each row
                   axis, a list of numbers
Classes, Ordinal,  a label, a NumPy or PyTorch scalar       a list, a range, an array
Boolean
Tags               a set, list or tuple of labels; an       a list of these; an array with two axes
                   array of zeros and ones
Table              a dict of things                         a list of these, a dict of columns, a frame
Scalar             a number                                 a list, an array with one axis
Characters, Bytes, a text; ``rt.Tokens([...])``             a list of these, an array of texts
Words, Subwords
Vector, Tensor     an array of as many axes, nested lists   one axis more; a list of arrays
=================  =======================================  ==============================================

``[]`` is an empty batch. What fits both readings is refused, with ``net.one(x)`` and ``net.batch(xs)``.
"""

from retia.codecs.audio import Audio
from retia.codecs.boolean import Boolean
from retia.codecs.boxes import Boxes
from retia.codecs.characters import Bytes, Characters
from retia.codecs.classes import Classes
from retia.codecs.dates import DateColumn
from retia.codecs.image import Image
from retia.codecs.kinds import BooleanColumn, CategoryColumn, NumberColumn
from retia.codecs.mask import Mask
from retia.codecs.numbers import Scalar, Tensor, Vector
from retia.codecs.ordinal import Ordinal
from retia.codecs.subwords import Subwords
from retia.codecs.table import Table
from retia.codecs.tags import Tags
from retia.codecs.tokens import Tokens
from retia.codecs.words import Words

__all__ = [
    "Audio",
    "Boolean",
    "BooleanColumn",
    "Boxes",
    "Bytes",
    "CategoryColumn",
    "Characters",
    "Classes",
    "DateColumn",
    "Image",
    "Mask",
    "NumberColumn",
    "Ordinal",
    "Scalar",
    "Subwords",
    "Table",
    "Tags",
    "Tensor",
    "Tokens",
    "Vector",
    "Words",
]

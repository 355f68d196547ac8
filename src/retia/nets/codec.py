"""The interface of codecs: what stands at a port and converts both ways.

A codec is a value. Its *host half* turns things that people have into compact arrays (``pack``), its
*device half* is a net that turns those into what the port takes (``device``). The codecs themselves
live in ``codecs/``; this file knows none of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from retia.errors import CodecError, did_you_mean
from retia.nets import registry
from retia.nets.expression import Content
from retia.nets.settings import declared, setting, settle
from retia.nets.verbs import CodecVerbs
from retia.shapes import Shape

if TYPE_CHECKING:
    from retia._torch import torch
    from retia.nets.net import Net


@dataclass(frozen=True)
class Reading:
    """How a decoder is asked to answer.

    Attributes:
        property: ``"decision"``, ``"probabilities"``, ``"entropy"``, or another word of the codec's; a pair
            of a word and what it asks about, ``("probability", "cat")``, where the word needs one.
        top: so many of the best answers instead of one.
        temperature: above 0; divides the logits of a random draw.
        seed: of a random draw; None draws anew each time.
        top_k: a random draw is among so many of the likeliest.
        top_p: a random draw is among the likeliest that have this chance together (the nucleus).
        beam: so many sequences are followed in the search for the best one.
        row: number of the batch's first example, a part of the key of its random draws.
        ending: ``"softmax"``, ``"log_softmax"`` or ``"sigmoid"`` if the net ends so, else None (logits).
    """

    property: str | tuple[str, Any] = "decision"
    top: int | None = None
    temperature: float | None = None
    seed: int | None = None
    top_k: int | None = None
    top_p: float | None = None
    beam: int | None = None
    row: int = 0
    ending: str | None = None


class Codec(Content, CodecVerbs, ABC):
    """Converts between things that people have and the array at a port. Leaves are ``@codec`` classes."""

    properties: ClassVar[tuple[str, ...]] = ("decision",)
    ending: ClassVar[str | None] = None
    """How arrays that it decodes without a net are read: as what follows ``"softmax"``, ``"sigmoid"``..."""
    axis: ClassVar[int] = -1
    """Along which the scores of classes stand in what it decodes, of one example."""
    column: ClassVar[bool] = False
    """Whether at an output its number may also stand in a column of one, (1), as ``Linear()`` gives it."""
    writes: ClassVar[bool] = False
    """Whether it decodes sequences, and so takes ``top_k=``, ``top_p=`` and ``beam=``."""

    def __post_init__(self) -> None:
        settle(self)
        self.validate()

    def validate(self) -> None:
        """Check settings against each other; for leaves to fill in."""

    @property
    @abstractmethod
    def shape(self) -> Shape | None:
        """Shape of one encoded example; None (or None in places) while it is unknown."""

    @property
    def kind(self) -> str:
        """``"float"``, or ``"int"`` where an encoded example is whole numbers."""
        return "float"

    @property
    def output_shape(self) -> Shape | None:
        """Shape of what it decodes, where an output port has another one than an input (class scores)."""
        return self.shape

    @property
    def output_kind(self) -> str:
        """``"float"`` or ``"int"``: what it decodes."""
        return self.kind

    @abstractmethod
    def is_one(self, thing: Any) -> bool:
        """Whether a thing is one example; else it is a batch."""

    @abstractmethod
    def pack(self, things: Sequence[Any]) -> torch.Tensor:
        """Host half: many things to one compact tensor, batch first. Raises ``CodecError``."""

    def rows(self, things: Sequence[Any]) -> list[torch.Tensor]:
        """Host half where a size varies: one compact tensor for each thing, none of them padded."""
        return list(self.pack(things))

    def pieces(self, things: Sequence[Any], begins: bool) -> list[torch.Tensor]:
        """Host half of pieces of things, which come one after another: one compact tensor for each.

        Args:
            things: one piece of each example.
            begins: whether these are the first, so that what stands before a whole thing stands before them.
        Raises:
            CodecError: it encodes whole things only.
        """
        raise CodecError(
            f"{type(self).__name__} encodes whole things; a piece of one is not a piece of its array.",
            fix="step through a net without this codec, by pieces of codec.encode(thing)",
        )

    def of_pieces(self) -> Codec:
        """The codec of pieces of any length, at an output that goes along a sequence."""
        return self

    @property
    def class_count(self) -> int | None:
        """Its whole numbers are below this at an input, as far as that is known: what Embedding takes."""
        return None

    def device(self) -> Net | None:
        """Device half: the net from packed arrays to the port's array; None where they are the same."""
        return None

    @abstractmethod
    def unpack(self, batch: torch.Tensor, reading: Reading) -> list[Any]:
        """The port's arrays back to things, one for each row of the batch."""

    def is_fitted(self) -> bool:
        """Whether nothing is left to learn from data."""
        return True

    def fit(self, things: Sequence[Any]) -> Codec:
        """The codec that has learned from training examples what was left open."""
        return self

    def with_shape(self, shape: Shape | None) -> Codec:
        """The codec with what the net's inference found for its port filled in."""
        return self

    def loss(self) -> str:
        """Name of the loss that suits an output with this codec."""
        return "mse"

    def pack_target(self, things: Sequence[Any], loss: str) -> torch.Tensor:
        """Targets for a loss, batch first: as packed, unless the loss wants another form."""
        return self.pack(things)

    def target_rows(self, things: Sequence[Any], loss: str) -> list[torch.Tensor]:
        """``pack_target`` where sizes vary: one tensor for each thing, none of them padded."""
        return [self.pack_target([thing], loss)[0] for thing in things]

    # Finished -------------------------------------------------------------------------------------

    def asked(self, reading: Reading) -> tuple[str, Any]:
        """The word that a reading asks, and what about. Raises ``CodecError`` for what it cannot answer."""
        word, about = reading.property if isinstance(reading.property, tuple) else (reading.property, None)
        name = type(self).__name__
        if word not in self.properties:
            raise CodecError(
                f"{name} does not answer {word!r}.{did_you_mean(str(word), self.properties)}",
                fix=f"it answers: {', '.join(map(repr, self.properties))}, and None for the raw array",
                expected=self.properties,
                got=word,
            )
        if reading.top is not None and "probabilities" not in self.properties:
            raise CodecError(f"{name} has no best answers to choose from; top={reading.top!r} was asked.")
        if reading.temperature is not None and word != "sample":
            raise CodecError(
                f"{name}: a temperature belongs to a random draw, but {word!r} was asked.",
                fix='net(x, "sample", temperature=...)' if "sample" in self.properties else None,
            )
        for name_of, given in (("top_k", reading.top_k), ("top_p", reading.top_p), ("beam", reading.beam)):
            if given is not None and not self.writes:
                raise CodecError(f"{name} decodes no sequences; {name_of}={given!r} was asked.")
            if given is not None and (word == "sample") is (name_of == "beam"):
                right = "a search for the best sequence" if name_of == "beam" else "a random draw"
                raise CodecError(f"{name}: {name_of} belongs to {right}, but {word!r} was asked.")
        return word, about

    def __bool__(self) -> bool:
        return True


C = TypeVar("C", bound=Codec)


@dataclass_transform(frozen_default=True, field_specifiers=(setting,))
def codec(cls: type[C]) -> type[C]:
    """Make a class a codec: a frozen value, known to expressions under its name."""
    made = declared(cls)
    registry.register(made)
    return made

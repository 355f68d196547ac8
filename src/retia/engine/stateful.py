"""Nets that are led along a sequence piece by piece: what ``net.stateful()`` answers.

The net stays a value; the view holds what its layers remember. That is never changed in place, so a copy of
a view costs nothing, and a step that fails leaves the view as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.call import DECISION, answer
from retia.engine.course import course
from retia.engine.ending import ending
from retia.engine.intake import device_of, float_kind
from retia.engine.pieces import Pieces
from retia.engine.walk import Moment, Run, Scene, asks, fit, is_mixed, step
from retia.errors import ArgumentError, DataError, ShapeError
from retia.layers.memory import Growing
from retia.nets.codec import Reading
from retia.nets.layer import Steps
from retia.nets.net import Net, missing_arrays
from retia.nets.wiring import Node, Value

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Turn:
    """A layer that is led, with all that does not change from piece to piece."""

    node: Node
    how: Steps
    own: Mapping[str, Tensor]
    moment: Moment
    outputs: tuple[Value, ...]

    def results(self, values: Mapping[Value, Tensor], memory: dict[str, Any]) -> tuple[Tensor, ...]:
        """What the layer gives for a piece; ``memory`` gets what it remembers."""
        node, moment = self.node, self.moment
        taken = [values[source] for source in node.sources]
        if not self.how.remembers:
            return step(node, taken, self.own, moment)
        own = fit(node, taken, self.own, moment)
        extra = {"moment": moment} if asks(type(node.layer)) else {}
        before = memory.get(node.path)
        result, memory[node.path] = node.layer.advance(before, *taken, **own, **extra)
        return result if isinstance(result, tuple) else (result,)


class Stateful:
    """A net that takes a sequence piece by piece and answers what the whole would give at these elements.

    Called like a net, with the next piece, of any length from one element on. Where a port has no codec, a
    single element without the sequence's axis may come instead, and is answered without it. What has no
    such axis at all (after ``Last()``) is answered for the run so far.

    Attributes:
        net: whose view it is.
        batch: how many sequences go side by side; None for one that is no batch.
        course: how the layers are led.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.GRU(3), rt.Last(), rt.Linear(1), input=("n", 2)).init()
        >>> steps = net.stateful()
        >>> for element in [[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]:
        ...     now = steps(element)
        >>> len(steps), bool((now - net([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])).abs().max() < 1e-6)
        (3, True)
    """

    def __init__(self, net: Net, batch: int | None = None, given: Mapping[str, Any] | None = None) -> None:
        if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
            raise ArgumentError(
                f"stateful: batch is a whole number of at least 1, or None; got {batch!r}.", got=batch
            )
        missing_arrays(net)
        self.net, self.batch = net, batch
        self._memory: dict[str, Any] = {}
        self._count = 0
        whole = Pieces(net, batch).whole(given or {})
        self.course = course(net, {name: tuple(tensor.shape[1:]) for name, tensor in whole.items()})
        self._values: dict[Value, Tensor] = {("", name): tensor for name, tensor in whole.items()}
        with torch.no_grad():
            for turn in self._turns_of([(node, Steps()) for node in self.course.fixed]):
                self._values.update(zip(turn.outputs, turn.results(self._values, {}), strict=True))
        self._turns = self._turns_of(self.course.led)

    def __call__(
        self,
        piece: Any,
        *property: Any,
        top: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        beam: int | None = None,
    ) -> Any:
        """Take the next piece.

        Args:
            piece: of one sequence, or a list of one for each of the batch, all equally long; a dict by port
                where several inputs go along. Of a text, a piece of text (``rt.Tokens`` for ready tokens).
            property: what the decoder answers, and the others: as in a call of the net.
        Raises:
            DataError: more elements than the net has places for. ShapeError: another shape than the port's.
            CodecError: a codec that encodes whole things only.
        """
        if len(property) > 1:
            raise ArgumentError(f"A piece comes with one property at most; got {len(property)}.")
        values, single = Pieces(self.net, self.batch).next(piece, self.course.inputs, not self._count)
        found = self.led(values)
        asked = property[0] if property else DECISION
        reading = Reading(top=top, temperature=temperature, seed=seed, top_k=top_k, top_p=top_p, beam=beam)
        answers = {}
        for name in self.net.outputs:
            each = asked.get(name, DECISION) if isinstance(asked, Mapping) else asked
            answers[name] = self._answer(name, each, found, reading, single)
        return answers if len(answers) > 1 else next(iter(answers.values()))

    def __len__(self) -> int:
        """Elements that it has taken."""
        return self._count

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        batch = "" if self.batch is None else f" of {self.batch} sequences"
        return f"<a view{batch} of {self.net!r} after {self._count} elements>"

    @property
    def most(self) -> int | None:
        """Elements that it can take; None without a bound."""
        return self.course.most

    def reset(self) -> None:
        """Forget all elements. What was given whole stays."""
        self._memory, self._count = {}, 0

    def copy(self) -> Stateful:
        """Another view that goes on from here by itself. It costs next to nothing."""
        made = Stateful.__new__(Stateful)
        made.__dict__.update(self.__dict__)
        return made

    def take(self, rows: Sequence[int]) -> Stateful:
        """A view of some sequences of the batch, in another order or several times, as a beam search asks.

        Example:
            >>> import retia as rt
            >>> view = rt.GRU(1, input=("n", 1)).init().stateful()
            >>> view.take([0, 0]).batch
            2
        """
        known = 1 if self.batch is None else self.batch
        for row in rows:
            if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < known:
                raise ArgumentError(f"take: there are the rows 0 to {known - 1}; got {row!r}.", got=row)
        if not len(rows):
            raise ArgumentError("take: name at least one row.")
        numbers = torch.tensor(rows, device=device_of(self.net))
        made = self.copy()
        made.batch = len(rows)
        made._values = {value: each.index_select(0, numbers) for value, each in self._values.items()}
        made._memory = {path: _rows(memory, numbers) for path, memory in self._memory.items()}
        made._turns = made._turns_of(made.course.led)
        return made

    def led(self, values: Mapping[str, Tensor]) -> dict[Value, Tensor]:
        """The bare step: the net's values at the next elements, by their names in its wiring.

        Args:
            values: a piece for each port that goes along, batch first, as the walk takes it.
        """
        count = self._count + self._length(values)
        self.net.arrays.check()
        memory = dict(self._memory)
        found = {**self._values, **{("", name): each for name, each in values.items()}}
        with torch.no_grad():
            for turn in self._turns:
                found.update(zip(turn.outputs, turn.results(found, memory), strict=True))
        self._memory, self._count = memory, count
        return found

    def _turns_of(self, led: Sequence[tuple[Node, Steps]]) -> list[Turn]:
        net, arrays = self.net, self.net.arrays
        frame = self.batch or 1, device_of(net), float_kind(net)
        scene = Scene(net, arrays, Run(), *frame, mixed=is_mixed(arrays))
        turns = []
        for node, how in led:
            own = {name: arrays[node.at(name)] for name in node.layer.owns()}
            moment = scene.moment(node, [None] * len(node.sources))
            turns.append(Turn(node, how, own, moment, node.outputs))
        return turns

    def _length(self, values: Mapping[str, Tensor]) -> int:
        """How many elements come. Raises ``ShapeError`` and ``DataError``."""
        sizes = {name: each.shape[self.course.inputs[name] + 1] for name, each in values.items()}
        more = next(iter(sizes.values()))
        if len({*sizes.values()}) > 1:
            told = ", ".join(f"{size} at {name}" for name, size in sizes.items())
            raise ShapeError(f"A piece has as many elements at every input; got {told}.", got=sizes)
        if not more:
            raise DataError("A piece has at least one element; got none.", expected=1, got=0)
        if self.most is not None and self._count + more > self.most:
            raise DataError(
                f"This net goes along {self.most} elements at most, because of {self.course.bound}: "
                f"{self._count} were taken, and {more} more came.",
                fix="view.reset() begins anew; net.generate goes on with the last part of a text",
                expected=self.most,
                got=self._count + more,
            )
        return more

    def _answer(
        self, name: str, asked: Any, found: Mapping[Value, Tensor], reading: Reading, single: bool
    ) -> Any:
        value, codec = self.net.wiring.outputs[name], self.net.outputs[name].codec
        if asked == "logits":
            value = ending(self.net, value, -1 if codec is None else codec.axis)[1]
        axis = self.course.axes.get(value)
        batch = found[value]
        bare = asked is None or asked == "logits" or codec is None
        if single and bare and axis is not None:
            batch = batch.select(axis + 1, 0)
        batch = batch.clone() if bare else batch  # what a layer remembers may be the same memory
        result = answer(self.net, name, asked, batch, reading, codec and codec.of_pieces())
        return result[0] if self.batch is None else result


def _rows(memory: Any, numbers: Tensor) -> Any:
    """Some rows of what a layer remembers."""
    if isinstance(memory, torch.Tensor):
        return memory.index_select(0, numbers)
    if isinstance(memory, Growing):
        return memory.rows(numbers)
    return tuple(_rows(each, numbers) for each in memory) if isinstance(memory, tuple) else memory

"""One number of a net's answer to one example, as a function of what stands somewhere in the net.

What explains an answer (saliency, the linear map at an input) asks this: which number is meant, where it is
derived, and what it is for other inputs. Before a Softmax or a Sigmoid at the end the logits are meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs import Boolean, Classes, Image, Mask, Tags
from retia.engine.ending import ending
from retia.engine.intake import Intake, encode, intake
from retia.engine.walk import Run, walk_values
from retia.errors import ArgumentError, ShapeError, StructureError, UnknownNameError, did_you_mean
from retia.metrics.confusion import number_of
from retia.nets import Net
from retia.nets.codec import Reading
from retia.nets.net import missing_arrays
from retia.nets.wiring import Value

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

ROWS, NUMBERS = 64, 2**20
"""Examples that are computed at once at most, and numbers in them."""


@dataclass(frozen=True, eq=False)
class Example:
    """One example at a net, and the place that it is looked at.

    Attributes:
        net: with all its arrays.
        arrays: by path.
        taken: the example as the walk takes it.
        port: the input that is meant.
        at: the value that is derived by: the port, or the vectors that its whole numbers are looked up as.
        start: what stands there, of a batch of one.
    """

    net: Net
    arrays: Mapping[str, Tensor]
    taken: Intake
    port: str
    at: Value
    start: Tensor

    @property
    def is_looked_up(self) -> bool:
        """Whether the port takes whole numbers, and vectors stand for them."""
        return self.at != ("", self.port)

    @property
    def is_picture(self) -> bool:
        """Whether pixels stand at the port: by its codec, or by one or three channels of two axes."""
        if isinstance(self.net.inputs[self.port].codec, Image):
            return True
        return not self.is_looked_up and self.start.dim() == 4 and self.start.shape[1] in (1, 3)

    def values(self, wanted: tuple[Value, ...], given: Mapping[Value, Tensor]) -> dict[Value, Tensor]:
        """Some values of the net, for one or more rows of others."""
        rows = next(iter(given.values())).shape[0]
        inputs = {name: each.expand(rows, *each.shape[1:]) for name, each in self.taken.values.items()}
        lengths = {name: each.expand(rows) for name, each in self.taken.lengths.items()}
        # All rows are the same example, so what a layer draws for it is the same too.
        same = torch.zeros(rows, dtype=torch.int64, device=self.start.device)
        return walk_values(self.net, inputs, self.arrays, Run(lengths=lengths, rows=same), wanted, given)

    def pieces(self, points: Tensor) -> tuple[Tensor, ...]:
        """Rows in pieces that are computed at once."""
        size = max(1, min(ROWS, NUMBERS // max(self.start.numel(), 1)))
        return torch.split(points, size)


@dataclass(frozen=True, eq=False)
class Score:
    """A number of the answer.

    Attributes:
        port: the output.
        of: the label, place or function that says which.
        before: the value that it is read from: before a Softmax or Sigmoid at the end.
        ending: that activation, ``"softmax"``, ``"log_softmax"`` or ``"sigmoid"``, or None.
        read: the number in one row of that value.
    """

    port: str
    of: Any
    before: Value
    ending: str | None
    read: Callable[[Tensor], Tensor]

    def of_rows(self, example: Example, points: Tensor, at: Value | None = None) -> Tensor:
        """The number for each of many rows of what stands at a value."""
        found = example.values((self.before,), {example.at if at is None else at: points})[self.before]
        return torch.stack([self.read(row) for row in found])

    def slopes(self, example: Example, points: Tensor, at: Value | None = None) -> tuple[Tensor, Tensor]:
        """The number for each row, and its derivatives by the row."""
        scores, slopes = [], []
        for piece in example.pieces(points):
            leaf = piece.detach().clone().requires_grad_(True)
            with torch.enable_grad():
                found = self.of_rows(example, leaf, at)
                (slope,) = torch.autograd.grad(found.sum(), leaf, allow_unused=True)
            scores.append(found.detach())
            slopes.append(torch.zeros_like(leaf) if slope is None else slope)
        return torch.cat(scores), torch.cat(slopes)


def example(verb: str, net: Net, thing: Any, input: str | None) -> Example:
    """Take one example.

    Args:
        verb: as errors call what is asked.
        net: with all its arrays.
        thing: as in a call.
        input: the port that is meant; the only one, or the only picture, where it is left out.
    Raises:
        ArgumentError: a batch, or several inputs of which none is named. StructureError: whole numbers that
            are not looked up.
    """
    missing_arrays(net)
    if not net.inputs:
        raise StructureError(f"{verb}: the net has no inputs.")
    taken = intake(net, thing)
    if taken.many is not False:
        raise ArgumentError(
            f"{verb} takes one example; got a batch of {len(taken)}.", fix=f"[net.{verb}(x) for x in xs]"
        )
    port = _port(verb, net, input)
    arrays = net.arrays.check()
    at = ("", port) if net.inputs[port].kind != "int" else _looked_up(verb, net, port)
    made = Example(net, arrays, taken, port, at, taken.values[port])
    if made.is_looked_up:
        start = made.values((at,), {("", port): taken.values[port]})[at]
        made = Example(net, arrays, taken, port, at, start)
    return made


def _port(verb: str, net: Net, input: str | None) -> str:
    names = [*net.inputs]
    if input is not None:
        if input not in names:
            raise UnknownNameError(
                f"{verb}: there is no input {input!r}; the inputs are {', '.join(names)}."
                + did_you_mean(input, names),
                path=input,
            )
        return input
    pictures = [name for name in names if isinstance(net.inputs[name].codec, Image)]
    if len(names) == 1 or len(pictures) == 1:
        return (names if len(names) == 1 else pictures)[0]
    raise ArgumentError(
        f"{verb}: the net has {len(names)} inputs, {', '.join(names)}; one of them is looked at.",
        fix=f"net.{verb}(x, input={names[0]!r})",
    )


def _looked_up(verb: str, net: Net, port: str) -> Value:
    """The vectors that stand for whole numbers."""
    readers = [node for node in net.wiring.needed() if ("", port) in node.sources]
    if len(readers) == 1 and type(readers[0].layer).__name__ in ("Embedding", "OneHot"):
        return readers[0].outputs[0]
    told = ", ".join(node.label for node in readers) or "nothing"
    raise StructureError(
        f"{verb}: the input {port!r} is whole numbers, which have no derivative, and is read by {told}.",
        fix="a net in which one Embedding or OneHot reads it",
        path=port,
    )


def baseline_of(example: Example, baseline: Any) -> Tensor:
    """What an input is compared with: black for a picture, 0 for other numbers, or what was said.

    Args:
        example: at the net.
        baseline: None, a number that stands everywhere at the port, or another thing as in a call.
    Raises:
        ShapeError: it has another shape.
    """
    start = example.start
    if isinstance(baseline, int | float):
        return torch.full_like(start, float(baseline))
    if baseline is None:
        codec = example.net.inputs[example.port].codec
        if not isinstance(codec, Image):
            return torch.zeros_like(start)
        black = torch.zeros(start.shape[2:], dtype=torch.uint8)
        return encode(codec, black).unsqueeze(0).to(start)
    given = {("", example.port): intake(example.net, baseline).values[example.port]}
    other = example.values((example.at,), given)[example.at] if example.is_looked_up else [*given.values()][0]
    if other.shape != start.shape:
        raise ShapeError(
            f"saliency: the baseline is {tuple(other.shape[1:])}, the example {tuple(start.shape[1:])}.",
            expected=tuple(start.shape[1:]),
            got=tuple(other.shape[1:]),
        )
    return other


# Which number --------------------------------------------------------------------------------------


def score(verb: str, example: Example, of: Any) -> Score:
    """The number that is meant.

    Args:
        verb: as errors call what is asked.
        example: at the net.
        of: a label or place of the output; an output, or a pair of these; a function of the logits; None for
            what is decided.
    Raises:
        ArgumentError: it cannot be told which. UnknownNameError: no such label or place.
    """
    net = example.net
    port, of = which_output(verb, net, of)
    codec = net.outputs[port].codec
    kind, before = ending(net, net.wiring.outputs[port], -1 if codec is None else codec.axis)
    found = example.values((before,), {example.at: example.start})[before][0]
    if callable(of):
        return Score(port, of, before, kind, lambda row: _one_number(verb, of(row)))
    if isinstance(codec, Boolean):
        said = _decided(example, port, codec, kind) if of is None else of
        if not isinstance(said, bool):
            raise UnknownNameError(f"{verb}: of= is True or False; got {of!r}.", got=of)
        sign = 1.0 if said else -1.0
        return Score(port, said, before, kind, lambda row: sign * row.reshape(()))
    if isinstance(codec, Mask):
        return _of_mask(verb, codec, found, port, of, before, kind)
    labels = codec.labels if isinstance(codec, Classes | Tags) else None
    place = _place(verb, found, labels, codec is None or labels is not None, of)
    said = labels[place] if labels is not None else place if found.numel() > 1 else port
    return Score(port, said, before, kind, lambda row: row.reshape(-1)[place])


def which_output(verb: str, net: Net, of: Any) -> tuple[str, Any]:
    """The output that is meant, and what of it."""
    names = [*net.outputs]
    if isinstance(of, tuple) and len(of) == 2 and of[0] in names:
        return of
    if len(names) == 1:
        return names[0], of
    if isinstance(of, str) and of in names:
        return of, None
    raise ArgumentError(
        f"{verb}: the net has {len(names)} outputs, {', '.join(names)}; of= says which is meant.",
        fix=f"of={names[0]!r}, or of=({names[0]!r}, label)",
        got=of,
    )


def _decided(example: Example, port: str, codec: Boolean, kind: str | None) -> Any:
    value = example.net.wiring.outputs[port]
    found = example.values((value,), {example.at: example.start})[value]
    return codec.unpack(found.reshape(1).cpu(), Reading(ending=kind))[0]


def _place(verb: str, found: Tensor, labels: Any, decides: bool, of: Any) -> int:
    if of is None and found.numel() == 1:
        return 0
    if labels is not None and of is not None:
        return number_of(labels, of)
    if of is None and found.dim() == 1 and decides:
        return int(found.argmax())
    size = found.numel()
    if isinstance(of, int) and not isinstance(of, bool) and found.dim() <= 1:
        if -size <= of < size:
            return of % size
        raise UnknownNameError(f"{verb}: of={of}, but the output has {size} numbers.", got=of)
    many = " × ".join(map(str, found.shape))
    raise ArgumentError(
        f"{verb}: the output has {many} numbers; of= says which is meant"
        + ("." if of is None else f", 0 to {size - 1}; got {of!r}."),
        fix=f"of=lambda scores: scores{[0] * found.dim()}" if found.dim() > 1 else "of=0",
        got=of,
    )


def _of_mask(
    verb: str, codec: Mask, found: Tensor, port: str, of: Any, before: Value, kind: str | None
) -> Score:
    """The sum of a class's scores over the pixels that it is decided for."""
    if of is None:
        raise ArgumentError(
            f"{verb}: every pixel has a decision; of= says which class is meant.",
            fix=f"of={codec.labels[-1]!r}",
            expected=codec.labels,
        )
    place = number_of(codec.labels, of)
    here = found.argmax(0) == place
    return Score(port, of, before, kind, lambda row: torch.where(here, row[place], 0.0).sum())


def _one_number(verb: str, number: Any) -> Tensor:
    if not isinstance(number, torch.Tensor) or number.numel() != 1:
        raise ShapeError(f"{verb}: of= answers one number.")
    return number.reshape(())


def numbers_of(tensor: Tensor) -> NDArray[Any]:
    """A tensor's numbers in an array of their own, read-only."""
    array = np.array(tensor.detach().cpu().numpy())
    array.flags.writeable = False
    return array

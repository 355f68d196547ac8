"""Recurrent layers: a state goes along a sequence and takes up one element after another.

They run PyTorch's kernels. Where lengths vary, what they give for an example is what they would give for
it alone: padding comes after all that is real, the other direction turns each example by its own length,
and final states are those after its own last element.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.layers.sequences import last_of, lengths_of, turned
from retia.nets.initial import Initial
from retia.nets.layer import Array, Layer, Steps, layer
from retia.nets.settings import choice, declared, flag, real, setting, whole
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor

SHUT = 3e4
"""A gate that is given this is wholly open, or wholly shut by its negative; half precision has it."""


@declared
class Recurrent(Layer):
    """The interface of recurrent layers.

    Class attributes:
        gates: rows of the weights for each number of the state.
        memory: names of what goes along the sequence.
        frozen: what each gate is given beyond an example's end so that its last memory stays; none where
            all memory comes out at every element.
    """

    axes: ClassVar[Mapping[str, str]] = {"n": "mix"}
    solves: ClassVar[tuple[str, ...]] = ("size", "gates", "out")
    gates: ClassVar[int] = 1
    memory: ClassVar[tuple[str, ...]] = ("hidden",)
    frozen: ClassVar[tuple[float, ...]] = ()
    foreign: ClassVar[Mapping[str, str]] = {
        "hidden_size": "it is called size, and comes first",
        "input_size": "input sizes are inferred; input= gives them",
        "num_layers": "it is called layers",
        "batch_first": "nets are written for one example, so there is no batch to place",
        "return_sequences": "every element has its result; Last() after it takes the last one",
        "return_state": 'states="out" gives the final states',
        "stateful": 'states="both" takes states and gives them',
        "go_backwards": "Reverse() before it turns the sequence",
    }

    size: int | None = setting(whole(1, optional=True), default=None)
    _: KW_ONLY
    depth: int = setting(whole(1, 1000), default=1, alias="layers")
    bidirectional: bool = setting(flag, default=False)
    dropout: float = setting(real(0, 1, open_high=True), default=0.0)
    bias: bool = setting(flag, default=True)
    states: str | None = setting(choice(None, "in", "out", "both"), default=None)

    def validate(self) -> None:
        if self.dropout and self.depth == 1:
            raise ArgumentError(
                f"{type(self).__name__}: dropout stands between layers, and there is only one.",
                fix=f"layers=2, or rt.Dropout({self.dropout}) after it",
                got=self.dropout,
            )

    @property
    def directions(self) -> int:
        """How many there are."""
        return 2 if self.bidirectional else 1

    def ports(self, arity: int | None = None) -> Signature:
        states = [f"{name}: {self.depth * self.directions} size" for name in self.memory]
        taken = states if self.states in ("in", "both") else []
        given = states if self.states in ("out", "both") else []
        out = "out" if self.bidirectional else "size"
        return signature(f"{', '.join(['input: n in', *taken])} -> {', '.join([f'output: n {out}', *given])}")

    def sizes(self) -> Mapping[str, Any]:
        return {"size": self.size}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for name, times in (("gates", self.gates), ("out", self.directions)):
            if known["size"] is not None:
                found[name] = times * known["size"]
            elif known[name] is not None:
                found["size"] = _part(name, known[name], times)
        return found

    def owns(self) -> Mapping[str, Array]:
        start = Initial("fan_out_uniform", gain=self.gates**0.5)
        found: dict[str, Array] = {}
        for level in range(self.depth):
            takes = "in" if level == 0 else "out" if self.bidirectional else "size"
            for end in self._ends(level):
                found[f"weight_ih{end}"] = Array(f"gates {takes}", start)
                found[f"weight_hh{end}"] = Array("gates size", start)
                for name in ("bias_ih", "bias_hh") if self.bias else ():
                    found[name + end] = Array("gates", start)
        return found

    def forward(self, x: Tensor, *given: Tensor, moment: Any, **arrays: Tensor) -> Any:
        y, end = self._led(x, given, moment, arrays)
        return (y, *end) if self._gives else y

    def steps(self, along: Sequence[str | None]) -> Steps:
        if set(along) - {"n", None}:
            return super().steps(along)
        if self.bidirectional:
            raise ShapeError("its other direction begins at the last element.", fix="bidirectional=False")
        return Steps(remembers=True)

    def advance(self, memory: Any, x: Tensor, *given: Tensor, moment: Any, **arrays: Tensor) -> Any:
        y, end = self._led(x, given if memory is None else memory, moment, arrays)
        return (y, *end) if self._gives else y, end

    def _led(
        self, x: Tensor, given: Sequence[Tensor], moment: Any, arrays: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The results at every element and the final states, batch first."""
        batch, n = x.shape[:2]
        start = [
            state.transpose(0, 1).contiguous() for state in given
        ]  # batch first to (layers, batch, size)
        if not given:
            size = arrays["weight_hh_l0"].shape[1]
            zeros = x.new_zeros(self.depth * self.directions, batch, size)
            start = [zeros for _ in self.memory]
        lengths = lengths_of(x, moment.mask())
        if batch == 0 or n == 0:
            y, end = x.new_zeros(batch, n, start[0].shape[2] * self.directions), start
        elif self._at_once(lengths) and not self._drops(moment):
            y, *end = self.kernel(x, start, [*arrays.values()], self.depth, self.bidirectional)
        else:
            y, *end = self._stacked(x, start, arrays, lengths, moment)
        return y, tuple(state.transpose(0, 1) for state in end)

    @abstractmethod
    def function(self) -> Any:
        """PyTorch's."""

    def kernel(
        self, x: Tensor, start: Sequence[Tensor], weights: Sequence[Tensor], layers: int, both: bool
    ) -> Any:
        """What PyTorch makes of a batch: the results at every element, then the final states.

        What derivatives need is kept where they are recorded, whether the layer is in training or not.
        """
        states = start[0] if len(start) == 1 else tuple(start)
        return self.function()(
            x, states, weights, self.bias, layers, 0.0, torch.is_grad_enabled(), both, True
        )

    @property
    def _gives(self) -> bool:
        return self.states in ("out", "both")

    def _ends(self, level: int) -> list[str]:
        """What PyTorch's names of a layer's arrays end with, for each direction."""
        return [f"_l{level}{turn}" for turn in ("", "_reverse")[: self.directions]]

    def _at_once(self, lengths: Tensor | None) -> bool:
        """Whether one call of PyTorch's treats every example by its own length."""
        return lengths is None or not (self.bidirectional or self._gives)

    def _drops(self, moment: Any) -> bool:
        return bool(self.dropout) and moment.training

    def _stacked(
        self,
        x: Tensor,
        start: Sequence[Tensor],
        arrays: Mapping[str, Tensor],
        lengths: Tensor | None,
        moment: Any,
    ) -> tuple[Tensor, ...]:
        """Layer after layer, direction beside direction."""
        kept = self._kept(x, start[0].shape[2], moment) if self._drops(moment) else None
        ends: list[list[Tensor]] = []
        for level in range(self.depth):
            if level and kept is not None:
                x = torch.where(kept[:, :, level - 1], x / (1 - self.dropout), 0.0)
            results = []
            for turn, name in enumerate(self._ends(level)):
                weights = [array for path, array in arrays.items() if path.endswith(name)]
                own = [state[len(ends)].unsqueeze(0) for state in start]
                y, *end = self._along(turned(x, lengths) if turn else x, own, weights, lengths)
                results.append(turned(y, lengths) if turn else y)
                ends.append(end)
            x = torch.cat(results, 2)
        return x, *(torch.cat(states) for states in zip(*ends, strict=True))

    def _kept(self, x: Tensor, size: int, moment: Any) -> Tensor:
        """Which numbers stay, between all layers. No draw depends on how long a batch is padded."""
        wanted = x.new_empty(*x.shape[:2], self.depth - 1, size * self.directions)
        kept: Tensor = moment.uniform(wanted) >= self.dropout
        return kept

    def _along(
        self, x: Tensor, start: Sequence[Tensor], weights: Sequence[Tensor], lengths: Tensor | None
    ) -> tuple[Tensor, ...]:
        """One layer in one direction, with the states after each example's own last element."""
        if lengths is None or not self._gives:
            return self.kernel(x, start, weights, 1, False)  # type: ignore[no-any-return]
        if self.frozen:
            x, weights = self._freezing(x, weights, lengths)
        y, _, *memory = self.kernel(x, start, weights, 1, False)
        began = (lengths > 0).unsqueeze(1)
        return y, torch.where(began, last_of(y, lengths), start[0][0]).unsqueeze(0), *memory

    def _freezing(
        self, x: Tensor, weights: Sequence[Tensor], lengths: Tensor
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """One more input that is 1 beyond the end and shuts the gates, so that the memory stays as it is."""
        beyond = torch.arange(x.shape[1], device=x.device) >= lengths.unsqueeze(1)
        size = weights[1].shape[1]
        column = torch.cat([weights[0].new_full((size, 1), SHUT * sign) for sign in self.frozen])
        x = torch.cat([x, beyond.unsqueeze(2).to(x.dtype)], 2)  # (batch, n, in + 1)
        return x, [torch.cat([weights[0], column], 1), *weights[1:]]


def _part(name: str, whole: Any, times: int) -> Any:
    """A size from so many times as much."""
    if isinstance(whole, int) and whole % times:
        what = "two directions of one size" if name == "out" else f"{times} gates of one size"
        raise ShapeError(f"{whole} is not {what}.", fix=f"a multiple of {times}", got=whole)
    return whole // times


@layer
class RNN(Recurrent):
    """A simple recurrent layer: ``h_t = tanh(W x_t + b + V h_(t-1) + c)``, and h_t is the result at t.

    Of long sequences it learns little, because its derivatives vanish or grow: use ``GRU`` or ``LSTM``.

    Shape:  (n, in) -> (n, size); (n, 2 size) in both directions; states (layers * directions, size)
    Arrays: weight_ih_l0 (size, in), weight_hh_l0 (size, size), bias_ih_l0 (size), bias_hh_l0 (size)
        weight_ih_l1, weight_hh_l1, bias_ih_l1, bias_hh_l1, and so on: of the layers after the first
        weight_ih_l0_reverse, weight_hh_l0_reverse, bias_ih_l0_reverse, bias_hh_l0_reverse, and so on: of the
        other direction
    Args:
        size: of the state, at least 1; inferred when left out.
        layers: how many stand upon each other, each going along the results of the one before.
        bidirectional: a second direction, from the last element to the first; results stand side by side.
        dropout: in training, the probability that a number between two layers is 0; from 0 to below 1.
        bias: add b and c.
        states: ``"in"`` takes the first state at the port ``hidden`` (else it is 0), ``"out"`` gives the
            last one there, ``"both"`` does both.
        nonlinearity: ``"tanh"``, or ``"relu"``.
    Raises:
        ArgumentError: dropout where there is one layer.
        ShapeError: an output in both directions that is not even.
    Source: Elman 1990; computed by ``torch.rnn_tanh`` and ``torch.rnn_relu``.
    Example:
        >>> import retia as rt
        >>> rt.RNN(3, input=("n", 2)).count
        21
    """

    cure = "RNN(64, layers=2) has states of 64; PyTorch's RNN(10, 64) is RNN(64)"

    _: KW_ONLY
    nonlinearity: str = setting(choice("tanh", "relu"), default="tanh")

    def function(self) -> Any:
        return torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu


@layer
class GRU(Recurrent):
    """A recurrent layer with gates: what it keeps, what it forgets, what it takes up.

    ``r, z = sigmoid(W x_t + b + V h_(t-1) + c)``, ``m = tanh(W' x_t + b' + r (V' h_(t-1) + c'))``,
    ``h_t = (1 - z) m + z h_(t-1)``, and h_t is the result at t.

    Shape:  (n, in) -> (n, size); (n, 2 size) in both directions; states (layers * directions, size)
    Arrays: weight_ih_l0 (3 size, in), weight_hh_l0 (3 size, size), bias_ih_l0 (3 size), bias_hh_l0 (3 size),
        of the gates r, z and m in order
        weight_ih_l1, weight_hh_l1, bias_ih_l1, bias_hh_l1, and so on: of the layers after the first
        weight_ih_l0_reverse, weight_hh_l0_reverse, bias_ih_l0_reverse, bias_hh_l0_reverse, and so on: of the
        other direction
    Args:
        size: of the state, at least 1; inferred when left out.
        layers: how many stand upon each other, each going along the results of the one before.
        bidirectional: a second direction, from the last element to the first; results stand side by side.
        dropout: in training, the probability that a number between two layers is 0; from 0 to below 1.
        bias: add b and c.
        states: ``"in"`` takes the first state at the port ``hidden`` (else it is 0), ``"out"`` gives the
            last one there, ``"both"`` does both.
    Raises:
        ArgumentError: dropout where there is one layer.
        ShapeError: an output in both directions that is not even.
    Source: Cho et al. 2014; computed by ``torch.gru``.
    Example:
        >>> import retia as rt
        >>> rt.GRU(3, input=("n", 2)).count
        63
    """

    gates = 3
    cure = "GRU(64, layers=2) has states of 64; PyTorch's GRU(10, 64) is GRU(64)"

    def function(self) -> Any:
        return torch.gru


@layer
class LSTM(Recurrent):
    """A recurrent layer with gates and a memory of its own, long short-term memory.

    ``i, f, o = sigmoid(W x_t + b + V h_(t-1) + d)``, ``g = tanh(W' x_t + b' + V' h_(t-1) + d')``,
    ``c_t = f c_(t-1) + i g``, ``h_t = o tanh(c_t)``, and h_t is the result at t.

    Shape:  (n, in) -> (n, size); (n, 2 size) in both directions; states (layers * directions, size)
    Arrays: weight_ih_l0 (4 size, in), weight_hh_l0 (4 size, size), bias_ih_l0 (4 size), bias_hh_l0 (4 size),
        of the gates i, f, g and o in order
        weight_ih_l1, weight_hh_l1, bias_ih_l1, bias_hh_l1, and so on: of the layers after the first
        weight_ih_l0_reverse, weight_hh_l0_reverse, bias_ih_l0_reverse, bias_hh_l0_reverse, and so on: of the
        other direction
    Args:
        size: of the state, at least 1; inferred when left out.
        layers: how many stand upon each other, each going along the results of the one before.
        bidirectional: a second direction, from the last element to the first; results stand side by side.
        dropout: in training, the probability that a number between two layers is 0; from 0 to below 1.
        bias: add b and d.
        states: ``"in"`` takes the first states at the ports ``hidden`` (h) and ``cell`` (c; else they are
            0), ``"out"`` gives the last ones there, ``"both"`` does both.
    Raises:
        ArgumentError: dropout where there is one layer.
        ShapeError: an output in both directions that is not even.
    Source: Hochreiter and Schmidhuber 1997, Gers et al. 2000; computed by ``torch.lstm``.
    Example:
        >>> import retia as rt
        >>> rt.LSTM(3, input=("n", 2)).count
        84
    """

    gates = 4
    memory = ("hidden", "cell")
    frozen = (-1.0, 1.0, 0.0, 0.0)
    cure = "LSTM(64, layers=2) has states of 64; PyTorch's LSTM(10, 64) is LSTM(64)"

    def function(self) -> Any:
        return torch.lstm

"""For tests of tapes and programs: an interpreter of tapes, programs by name, and how two answers compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import retia as rt
from retia.engine import rules
from retia.engine.plan import Planner, Program, Target
from retia.engine.rewrite import Rule, rewritten
from retia.engine.trace import Ref, Tape, map_refs, record
from retia.engine.walk import Run, walk

Tensors = Mapping[str, Tensor]
Job = Callable[..., dict[str, Tensor]]


# Tapes and programs -------------------------------------------------------------------------------


def interpreted(tape: Tape, inputs: Tensors) -> dict[str, Tensor]:
    """The outputs of a tape, its calls made one by one; whatever it reads must have been made before."""
    values: dict[int, Tensor] = {
        ref.number: inputs[name].detach().clone() for name, ref in tape.inputs.items()
    }
    values.update(tape.constants)

    def value(ref: Ref) -> Tensor:
        return values[ref.number]

    with torch.enable_grad():  # some calls give what their derivatives need only then; no input asks for any
        for call in tape.calls:
            kwargs = {name: map_refs(each, value) for name, each in call.kwargs.items()}
            found = call.op(*map_refs(call.args, value), **kwargs)
            found = found if isinstance(found, list | tuple) else (found,)
            for ref, tensor in zip(call.results, found, strict=True):
                if ref is not None:
                    fact = tape.fact(ref)
                    assert (tuple(tensor.shape), tensor.dtype) == (fact.shape, fact.dtype), call.op
                    values[ref.number] = tensor
    return {name: values[ref.number] for name, ref in tape.outputs.items()}


@dataclass
class Planned:
    """A program that is called by names, and never sees the numbers that it was planned with.

    Inputs named in ``free`` come with each run, the others are copied to fixed memory; outputs named in
    ``targets`` are written to memory of their own as early as possible, the others are answered.
    """

    tape: Tape
    free: Sequence[str] = ()
    targets: Sequence[str] = ()
    plain: bool = False

    def __post_init__(self) -> None:
        def ones(ref: Ref) -> Tensor:
            fact = self.tape.fact(ref)
            return torch.full(fact.shape, int(fact.dtype.is_floating_point), dtype=fact.dtype)

        self.fixed = {n: ones(ref) for n, ref in self.tape.inputs.items() if n not in self.free}
        free = {n: ones(self.tape.inputs[n]) for n in self.free}
        self.places = {n: ones(self.tape.outputs[n]) for n in self.targets}
        targets = {n: Target(place, early=True) for n, place in self.places.items()}
        self.program: Program = Planner(self.tape, self.fixed, free, targets, plain=self.plain).plan()
        self.answers = [n for n in self.tape.outputs if n not in self.targets]

    def __call__(self, inputs: Tensors) -> dict[str, Tensor]:
        for name, place in self.fixed.items():
            place.copy_(inputs[name])
        with torch.no_grad():
            answers = self.program.run(*(inputs[name] for name in self.free))
        found = {**self.places, **dict(zip(self.answers, answers, strict=True))}
        return {name: found[name] for name in self.tape.outputs}


# Nets ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetJob:
    """A net's outputs, their derivatives and new statistics, as a function of tensors by name.

    What is differentiated is a sum of squares with a weight for each number.
    """

    net: rt.Net
    training: bool = True
    lengths: Sequence[str] = ()

    def inputs(self, inputs: Tensors, arrays: Tensors, lengths: Tensors | None = None) -> dict[str, Tensor]:
        named = {f"in {name}": tensor for name, tensor in inputs.items()}
        named |= {f"at {path}": tensor.detach() for path, tensor in arrays.items()}
        return named | {f"of {name}": tensor for name, tensor in (lengths or {}).items()}

    def __call__(self, **given: Tensor) -> dict[str, Tensor]:
        def named(kind: str) -> dict[str, Tensor]:
            return {name.removeprefix(kind): t for name, t in given.items() if name.startswith(kind)}

        inputs, arrays, lengths = named("in "), named("at "), named("of ")
        leaves = {f"d at {p}": arrays[p].detach().requires_grad_() for p in self.net.learned()}
        arrays |= {name.removeprefix("d at "): leaf for name, leaf in leaves.items()}
        for name, tensor in inputs.items():
            if tensor.is_floating_point():
                inputs[name] = leaves[f"d in {name}"] = tensor.detach().requires_grad_()
        run = Run(training=self.training, seed=3, step=5, lengths=lengths)
        with torch.enable_grad():
            outputs = walk(self.net, inputs, arrays, run)
            loss = sum((_weights(y) * y.square()).sum() for y in outputs.values())
            found = _gradients(loss, list(leaves.values()))
        return {
            "loss": torch.as_tensor(loss).detach(),
            **{f"out {name}": tensor.detach() for name, tensor in outputs.items()},
            **dict(zip(leaves, found, strict=True)),
            **{f"new {name}": tensor for name, tensor in run.updates.items()},
        }


def _weights(like: Tensor) -> Tensor:
    return torch.linspace(0.5, 1.5, like.numel(), dtype=torch.float64).to(like.dtype).reshape(like.shape)


def _gradients(loss: Tensor, leaves: list[Tensor]) -> Sequence[Tensor]:
    if not leaves or not loss.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    return torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)


def programs(job: Job, inputs: Tensors, table: Sequence[Rule] = rules.TRAINING) -> dict[str, Job]:
    """A job as a tape, as a rewritten tape, and as programs of different kinds."""
    tape = record(job, inputs)
    new = rewritten(tape, table)
    ins, outs = [*inputs], [*tape.outputs]
    return {
        "tape": lambda given: interpreted(tape, given),
        "rewritten tape": lambda given: interpreted(new, given),
        "answers of fixed inputs": Planned(new),
        "targets of free inputs": Planned(new, ins, outs),
        "some of each": Planned(new, ins[::2], outs[::2]),
        "plain": Planned(new, ins, plain=True),
        "not rewritten": Planned(tape, ins[1::2], outs[1::2]),
    }


# How near -----------------------------------------------------------------------------------------

NEAR = {torch.float64: 1e-10, torch.float32: 1e-5}
"""Norm of the difference over the norm, by type."""
FLOOR = 0.1
"""How near, in parts of the greatest tensor, where terms cancel and what is left is rounding alone."""

NOTHING = 10.0
"""The same where the walk says exactly nothing: rounding, divided by a spread that is nothing too."""


def off(got: Tensors, expected: Tensors, other: Tensors | None = None) -> dict[str, float]:
    """The tensors that are too far from those of the walk, and how far.

    Args:
        got: of a program.
        expected: of the walk.
        other: of the walk in the other precision, if there is one. In single precision four times the
            walk's own error is near enough; where the two have little in common, terms cancel.
    """
    assert got.keys() == expected.keys()
    greatest = max((_size(tensor) for tensor in expected.values()), default=0.0)
    found = {}
    for name, tensor in expected.items():
        size, near = _size(tensor), NEAR.get(tensor.dtype, 0.0)
        own = float("inf") if other is None else distance(tensor, other[name])
        apart = distance(got[name], tensor)
        most = near * size
        if tensor.dtype == torch.float32 and own < float("inf"):
            most = max(most, 4 * own)
        if 0.01 * size < own < float("inf"):
            most = max(most, near * FLOOR * greatest)
        if size == own == 0:
            most = NOTHING * near
        if not apart <= most:
            found[name] = apart / max(size, 1e-300)
    return found


def _size(tensor: Tensor) -> float:
    if not tensor.dtype.is_floating_point:
        return 0.0
    return float(tensor[torch.isfinite(tensor)].double().norm())


def distance(got: Tensor, expected: Tensor) -> float:
    """Norm of the difference where both are finite; infinite where they are not alike."""
    assert got.shape == expected.shape
    if not expected.dtype.is_floating_point:
        return 0.0 if got.dtype == expected.dtype and torch.equal(got, expected) else float("inf")
    got, expected = got.double(), expected.double()
    infinite, finite = expected.isinf(), torch.isfinite(expected)
    alike = torch.equal(got.isnan(), expected.isnan()) and torch.equal(got.isinf(), infinite)
    if not alike or not torch.equal(got[infinite], expected[infinite]):
        return float("inf")
    return float((got - expected)[finite].norm())


def otherwise(given: Tensors) -> dict[str, Tensor]:
    """The same in the other precision."""
    other = {torch.float32: torch.float64, torch.float64: torch.float32}
    return {name: tensor.to(other.get(tensor.dtype, tensor.dtype)) for name, tensor in given.items()}

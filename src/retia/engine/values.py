"""A program that computes some of a net's values, in inference behaviour, for batches of one shape.

The net's arrays are either constants, so that everything that follows from them alone is computed once, or
fixed memory whose numbers may change between runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.folding import INFERENCE
from retia.engine.plan import Planner, Program
from retia.engine.rewrite import rewritten
from retia.engine.rules import EXACT
from retia.engine.trace import Tape, record
from retia.engine.walk import Run, walk_values
from retia.nets.net import Net
from retia.nets.wiring import Value

if TYPE_CHECKING:
    from torch import Tensor

INPUT, LENGTH, ARRAY = "in ", "of ", "at "
"""What stands before the names of a tape's inputs: ports, varying sizes, arrays."""


class ValuesProgram:
    """Computes values of a net for batches of one shape. Not for two threads at once.

    Args:
        net: whose wiring names the values.
        wanted: values of ``net.wiring``.
        inputs: an example batch by port, as the walk takes it; only shapes, types and devices count.
        arrays: by path.
        constant: the arrays never change. Else they are read where they stand in every run, so they may be
            changed in place.
        lengths: of varying sizes, by name, as in ``inputs``.
        exact: every bit is that of the walk. Else kernels and layouts are those that cost least.
    Raises:
        NotFlatError: a layer decides by the numbers it sees.
    Example:
        >>> import retia as rt
        >>> net = rt.Linear(1, input=2).init(seed=0)
        >>> (value,) = net.wiring.outputs.values()
        >>> x = torch.ones(3, 2)
        >>> program = ValuesProgram(net, (value,), {"input": x}, net.arrays, constant=True)
        >>> program({"input": x})[value].shape
        torch.Size([3, 1])
    """

    def __init__(
        self,
        net: Net,
        wanted: Sequence[Value],
        inputs: Mapping[str, Tensor],
        arrays: Mapping[str, Tensor],
        *,
        constant: bool,
        lengths: Mapping[str, Tensor] | None = None,
        exact: bool = False,
    ) -> None:
        self.wanted = tuple(dict.fromkeys(wanted))
        given = {INPUT + name: tensor for name, tensor in inputs.items()}
        given |= {LENGTH + name: tensor for name, tensor in (lengths or {}).items()}
        fixed = {} if constant else {ARRAY + path: tensor for path, tensor in arrays.items()}
        tape = tape_of(net, self.wanted, given, arrays, fixed)
        for rules in (EXACT,) if exact else INFERENCE:
            tape = rewritten(tape, rules)
        self.program: Program = Planner(tape, fixed, given, plain=exact).plan()
        self._names = tuple(inputs)
        self._lengths = tuple(lengths or ())

    def __call__(
        self, inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor] | None = None
    ) -> dict[Value, Tensor]:
        """The values of a batch, each in memory of its own.

        Args:
            inputs: by port, of the shapes, types and devices that the program was made for.
            lengths: the same for varying sizes.
        """
        given = [inputs[name] for name in self._names]
        if lengths:
            given += [lengths[name] for name in self._lengths]
        with torch.no_grad():
            found = self.program.run(*given)
        return dict(zip(self.wanted, found, strict=True))


def tape_of(
    net: Net,
    wanted: Sequence[Value],
    given: Mapping[str, Tensor],
    arrays: Mapping[str, Tensor],
    fixed: Mapping[str, Tensor],
) -> Tape:
    """What the walk asks PyTorch to do for some values; outputs are named by their places in ``wanted``."""

    def walked(**tensors: Tensor) -> dict[str, Tensor]:
        inputs = {name: tensors[INPUT + name] for name in _named(tensors, INPUT)}
        lengths = {name: tensors[LENGTH + name] for name in _named(tensors, LENGTH)}
        own = {**arrays, **{path: tensors[ARRAY + path] for path in _named(tensors, ARRAY)}}
        values = walk_values(net, inputs, own, Run(lengths=lengths), wanted)
        return {str(place): values[value] for place, value in enumerate(wanted)}

    with torch.no_grad():
        return record(walked, {**given, **fixed})


def _named(tensors: Mapping[str, Tensor], kind: str) -> list[str]:
    return [name.removeprefix(kind) for name in tensors if name.startswith(kind)]

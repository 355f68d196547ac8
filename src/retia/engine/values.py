"""A program that computes some of a net's values, in inference behaviour, for batches of one shape.

The net's arrays are either constants, so that everything that follows from them alone is computed once, or
fixed memory whose numbers may change between runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.folding import FOLDING, FUSING, is_fragile
from retia.engine.kernels import gradient_switch
from retia.engine.plan import Planner, Program
from retia.engine.rewrite import Rule, rewritten
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
    Attributes:
        bytes: of memory that it holds beside the arrays.
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
        given = {INPUT + name: tensor.contiguous() for name, tensor in inputs.items()}
        given |= {LENGTH + name: tensor for name, tensor in (lengths or {}).items()}
        self._names, self._lengths = tuple(inputs), tuple(lengths or ())
        self._fixed = {} if constant else {ARRAY + path: tensor for path, tensor in arrays.items()}
        tape = tape_of(net, self.wanted, given, arrays, self._fixed)
        self._careful: Program | None = None
        self._tape: Tape | None = None
        if exact:
            self.program = self._planned(tape, EXACT, given, plain=True)
        else:
            tape = rewritten(tape, FOLDING)
            self.program = self._planned(tape, FUSING, given)
            if self._is_fragile:
                self._tape = tape
        self._run, self._switch = self.program.run, gradient_switch()
        self.bytes = self.program.bytes + self._own(arrays)

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
        return dict(zip(self.wanted, self.run(*given), strict=True))

    def run(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The values in order, of inputs and lengths in order."""
        before, switch = torch.is_grad_enabled(), self._switch
        switch(False)
        try:
            if self._tape is not None and not all(map(_is_tame, given)):
                return self._run_carefully(given)
            return self._run(*given)  # type: ignore[no-any-return]
        finally:
            switch(before)

    def _run_carefully(self, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What fused kernels make a number of, computed by kernels that keep it NaN."""
        assert self._tape is not None
        if self._careful is None:
            names = [INPUT + name for name in self._names] + [LENGTH + name for name in self._lengths]
            self._careful = self._planned(self._tape, EXACT, dict(zip(names, given, strict=True)))
        return self._careful.run(*given)  # type: ignore[no-any-return]

    def _planned(
        self, tape: Tape, rules: Sequence[Rule], given: Mapping[str, Tensor], *, plain: bool = False
    ) -> Program:
        tape = rewritten(tape, rules)
        self._is_fragile = any(is_fragile(call) for call in tape.calls)
        self._constants = [*tape.constants.values()]
        with torch.inference_mode(False):
            return Planner(tape, self._fixed, given, plain=plain).plan()

    def _own(self, arrays: Mapping[str, Tensor]) -> int:
        """Bytes of constants that are not the net's own."""
        known = {tensor.untyped_storage().data_ptr() for tensor in arrays.values()}
        own = [t for t in self._constants if t.is_mkldnn or t.untyped_storage().data_ptr() not in known]
        return sum(math.prod(t.shape) * t.element_size() for t in own)


def _is_tame(tensor: Tensor) -> bool:
    """Whether all is finite, and far from what is not."""
    if not tensor.is_floating_point():
        return True
    flat = tensor.reshape(-1)
    return math.isfinite(float(torch.dot(flat, flat)))


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

    with torch.inference_mode(False), torch.no_grad():
        return record(walked, {**given, **fixed})


def _named(tensors: Mapping[str, Tensor], kind: str) -> list[str]:
    return [name.removeprefix(kind) for name in tensors if name.startswith(kind)]

"""A tape handed to ``torch.compile``, for those who have a compiler and minutes to spare."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.trace import Tape, map_refs

if TYPE_CHECKING:
    from torch import Tensor

    from retia.engine.plan import Target


def compiled(tape: Tape, fixed: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Callable[[], None]:
    """A run of a tape by PyTorch's compiler. It compiles when it first runs.

    Args:
        tape: as it was recorded; it does its own rewriting.
        fixed: memory of its inputs, by name.
        targets: where its outputs go, by name.
    """
    function: Any = torch.compile(graph_of(tape), dynamic=False)
    given = [fixed[name] for name in tape.inputs] + [*tape.constants.values()]
    places = [targets[name] for name in tape.outputs]

    def run() -> None:
        with torch.no_grad():
            for target, found in zip(places, function(*given), strict=True):
                (target.tensor.add_ if target.adds else target.tensor.copy_)(found)

    return run


def graph_of(tape: Tape) -> Any:
    """A tape as a ``torch.fx`` module: of its inputs and constants, in order; it answers the outputs.

    Example:
        >>> from retia.engine.trace import record
        >>> tape = record(lambda x: {"y": (x * 2).relu()}, {"x": torch.ones(3)})
        >>> graph_of(tape)(torch.tensor([-1.0, 4.0]))
        (tensor([0., 8.]),)
    """
    from torch import fx, nn

    graph = fx.Graph()
    heads = [*(ref.number for ref in tape.inputs.values()), *tape.constants]
    nodes = {number: graph.placeholder(f"i{number}") for number in heads}
    for call in tape.calls:
        args = map_refs(call.args, lambda ref: nodes[ref.number])
        kwargs = {name: map_refs(value, lambda ref: nodes[ref.number]) for name, value in call.kwargs.items()}
        made = graph.call_function(call.op, args, kwargs)
        several = len(call.op._schema.returns) > 1 or len(call.results) > 1
        for place, ref in enumerate(call.results):
            if ref is not None and ref.number not in nodes:
                nodes[ref.number] = graph.call_function(operator.getitem, (made, place)) if several else made
    graph.output(tuple(nodes[ref.number] for ref in tape.outputs.values()))
    return fx.GraphModule(nn.Module(), graph)

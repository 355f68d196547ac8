"""Where a net can be cut: what is frozen and the same in every step is before the cut, the rest after it.

That is proved, not supposed: the layers before a cut have only arrays that nothing moves, behave as in
inference or know no other behaviour, and none of what leads to them draws or mixes the batch. Whether a
layer knows another behaviour is seen when it is run in training on one example.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.walk import Run, walk_values
from retia.errors import TrainingError
from retia.metrics.examples import Batch
from retia.nets.net import Net
from retia.nets.wiring import Node, Value
from retia.training.rates import Rates
from retia.training.step import Step

if TYPE_CHECKING:
    from torch import Tensor

TRAINED, MIXES = "is trained", "mixes the batch in training"
OTHERWISE = {
    "draw": "draws anew in every step",
    "update": "has statistics that move",
    "training": "behaves otherwise in training",
}
"""Why a layer is not the same in every step, by what it asked of the walk."""


@dataclass(frozen=True)
class Cut:
    """A place to cut a net.

    Attributes:
        values: that layers after the cut, or the loss, read; for each a tensor without numbers, as one
            example has it.
        nodes: the layers before it.
        ports: inputs of the net that they read.
        rest: inputs that are read after the cut too.
        widest: bytes of the largest value that one example has before the cut.
    """

    values: Mapping[Value, Tensor]
    nodes: tuple[Node, ...]
    ports: tuple[str, ...]
    rest: tuple[str, ...]
    widest: int

    @property
    def bytes(self) -> int:
        """What the values of one example take."""
        return sum(map(bytes_of, self.values.values()))


@dataclass(frozen=True)
class Frozen:
    """What of a net is the same in every step.

    Attributes:
        step: whose net is meant.
        nodes: layers with frozen arrays, or after such ones, in order.
        likes: of every value before a cut, a tensor without numbers, as one example has it.
        why: if there are no such layers, the reason.
    """

    step: Step
    nodes: tuple[Node, ...] = ()
    likes: Mapping[Value, Tensor] = field(default_factory=dict)
    why: str = ""

    def cuts(self) -> Iterator[Cut]:
        """Places to cut, the best one first.

        First those after the last frozen arrays: of the layers that follow, as many as make what is kept
        smallest. Then places further to the front, where less is saved.
        """
        last = max((n for n, node in enumerate(self.nodes, 1) if node.owned), default=0)
        ends = sorted(range(last, len(self.nodes) + 1), key=lambda end: (self._weight(end), -end))
        for end in [*ends, *range(last - 1, 0, -1)] if last else []:
            yield self._cut(end)

    def _frontier(self, end: int) -> tuple[Value, ...]:
        """The values of the first layers that others read."""
        before = {node.path for node in self.nodes[:end]}
        made = [value for node in self.nodes[:end] for value in node.outputs]
        after, _ = reached(self.step.net, self.step.objective.wanted)
        read = {source for node in after if node.path not in before for source in node.sources}
        read |= set(self.step.objective.wanted)
        return tuple(value for value in made if value in read)

    def _weight(self, end: int) -> int:
        return sum(bytes_of(self.likes[value]) for value in self._frontier(end))

    def _cut(self, end: int) -> Cut:
        net, values = self.step.net, self._frontier(end)
        nodes, read = reached(net, values)
        _, still_read = reached(net, self.step.objective.wanted, values)
        widest = max(bytes_of(self.likes[value]) for node in nodes for value in node.outputs)
        likes = {value: self.likes[value] for value in values}
        return Cut(likes, tuple(nodes), _ports(net, read), _ports(net, still_read), widest)


def refuse_idle(step: Step) -> None:
    """Make sure that there is something to train.

    Raises:
        TrainingError: the loss reads no array that moves.
    """
    nodes, _ = reached(step.net, step.objective.wanted)
    moved = set(step.learned)
    if any(path in moved for node in nodes for path in node.owned):
        return
    if not step.paces.of:
        raise TrainingError("The net has no arrays to train.", fix="rt.measure(net, data) judges it as it is")
    raise TrainingError(
        f"The loss ({step.objective.name}) reads no array that is trained.",
        fix="rates above 0 for layers that it reads",
        expected=[path for node in nodes for path in node.owned],
        got=step.learned,
    )


def find_frozen(step: Step, arrays: Mapping[str, Tensor], one: Batch) -> Frozen:
    """What of a step's net is the same in every step.

    Args:
        step: with its rates.
        arrays: of the net, by path.
        one: a batch of one example.
    Example:
        >>> import retia as rt
        >>> from retia.training.rates import read_rates
        >>> net = rt.Chain(body=rt.Linear(3), head=rt.Linear(2), input=4).init()
        >>> given = rt.step(net, "mse")
        >>> step = Step(net, given.objective, given.optimizer, rates=read_rates(net, {"body": 0}))
        >>> found = find_frozen(step, net.arrays, Batch({"input": torch.ones(1, 4)}, {}))
        >>> [[*cut.values] for cut in found.cuts()]
        [[('body', 'output')]]
    """
    net, paces = step.net, step.paces
    nodes, _ = reached(net, step.objective.wanted)
    moving = _moving(nodes, paces)
    steady = _steady(nodes, moving)
    run = Run(training=True, seed=step.seed, rows=one.rows, inference=paces.still.__contains__)
    with torch.no_grad():
        wanted = [value for node in steady for value in node.outputs]
        values = walk_values(net, one.inputs, arrays, run, wanted)
    whole = {part.path: node.path for node in nodes for part in node.parts}
    for word in OTHERWISE:
        for path, asked in run.asked:
            if asked == word and not (word == "training" and path in paces.still):
                moving.setdefault(whole[path], OTHERWISE[word])
    steady = _steady(nodes, moving)
    likes = {value: torch.empty_like(tensor, device="meta") for value, tensor in values.items()}
    solid = _solid(steady)
    return Frozen(step, solid, likes, "" if solid else _why(nodes, moving, paces))


def reached(net: Net, wanted: Iterable[Value], given: Iterable[Value] = ()) -> tuple[list[Node], set[Value]]:
    """The nodes that some values need, in order, and all the values that are read for them.

    Args:
        given: values that are known, so that what leads to them is not needed.
    """
    given = set(given)
    alive = set(wanted) - given
    nodes = []
    for node in reversed(net.wiring.steps):
        if alive & set(node.outputs):
            alive |= set(node.sources) - given
            nodes.append(node)
    return nodes[::-1], alive


def resting(net: Net, paces: Rates) -> set[str]:
    """Paths of the arrays that nothing moves: neither gradients nor new statistics."""
    moved = set(paces.moved)
    found: dict[str, bool] = {}
    for node in net.wiring.nodes:
        for name in node.layer.owns():
            path = node.at(name)
            found[path] = found.get(path, True) and node.path in paces.still and path not in moved
    return {path for path, rests in found.items() if rests}


def _moving(nodes: Sequence[Node], paces: Rates) -> dict[str, str]:
    """Layers that are not the same in every step, as far as they say so, and why."""
    moved = set(paces.moved)
    parts = [(part, node.path) for node in nodes for part in node.parts]
    loose = {part.key for part, _ in parts if part.path not in paces.still and not _all_learned(part)}
    found: dict[str, str] = {}
    for part, path in parts:
        if any(part.at(name) in moved for name in part.layer.owns()):
            found[path] = TRAINED
        elif part.path not in paces.still and part.layer.mixes_batch:
            found.setdefault(path, MIXES)
        elif part.key in loose:  # statistics that this place shares with one where they move
            found.setdefault(path, OTHERWISE["update"])
    return found


def _all_learned(node: Node) -> bool:
    return all(array.learned for array in node.layer.owns().values())


def _steady(nodes: Sequence[Node], moving: Collection[str]) -> list[Node]:
    """The layers that are the same in every step, and so is all that leads to them."""
    known: set[Value] = set()
    found = []
    for node in nodes:
        if node.path not in moving and all(not source[0] or source in known for source in node.sources):
            known |= set(node.outputs)
            found.append(node)
    return found


def _solid(steady: Sequence[Node]) -> tuple[Node, ...]:
    """Of these, the layers that do something frozen with the example, or come after such ones."""
    fed: set[Value] = set()
    kept: set[Value] = set()
    found = []
    for node in steady:
        if any(not source[0] or source in fed for source in node.sources):
            fed |= set(node.outputs)
            if node.owned or kept & set(node.sources):
                kept |= set(node.outputs)
                found.append(node)
    return tuple(found)


def _why(nodes: Sequence[Node], moving: Mapping[str, str], paces: Rates) -> str:
    """What stands before the frozen layers and is not the same in every step."""
    frozen = [node for node in nodes if any(p.path in paces.still and p.layer.owns() for p in node.parts)]
    if not frozen:
        return "the loss reads no frozen layer"
    before = {value for node in frozen for value in node.sources}
    for node in reversed(nodes):
        if before & set(node.outputs):
            before |= set(node.sources)
    first = next((n for n in nodes if n.path in moving and before & set(n.outputs)), None)
    if first is None:
        return "the frozen layers do nothing with the examples"
    return f"{first.label}, before the frozen layers, {moving[first.path]}"


def _ports(net: Net, read: Collection[Value]) -> tuple[str, ...]:
    return tuple(name for name in net.wiring.inputs if ("", name) in read)


def bytes_of(tensor: Tensor) -> int:
    """What a tensor's numbers take."""
    return tensor.numel() * tensor.element_size()

"""The reference: a net is run by walking its nodes in order and calling ``forward``.

Everything faster is checked against this. Where sizes vary from example to example, the walk carries
the lengths by name, zeroes what lies beyond them before every layer that mixes along such an axis,
and hands masks to the layers that ask for one.
"""

from __future__ import annotations

import inspect
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.engine import draws
from retia.nets.layer import Layer
from retia.nets.net import Net
from retia.nets.wiring import Node, Value
from retia.shapes import Extent

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Run:
    """What one walk is for.

    Attributes:
        training: dropout, augmentation and batch statistics are active.
        seed: of all random draws.
        step: number of the training step, part of the key of most draws.
        epoch: of the training, part of the key of augmentation; None where nobody counts epochs: then the
            step stands for it.
        rows: the global number of each example of the batch, part of every draw's key.
        lengths: for every name of a varying size, its value in each example.
        inference: whether the layer at a path behaves as in inference even in training.
        keys: the halves of the draws' key by path, where they are tensors instead of following from
            seed and step.
        updates: what running statistics become, by path.
        asked: which layers did what only training makes sense of, as (path, word): asked whether this is
            training, drew random numbers, gave updates.
    """

    training: bool = False
    seed: int = 0
    step: int = 0
    epoch: int | None = None
    rows: Tensor | None = None
    lengths: Mapping[str, Tensor] = field(default_factory=dict)
    inference: Callable[[str], bool] = lambda path: False
    keys: Mapping[str, Any] | None = None
    updates: dict[str, Tensor] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class Moment:
    """What a layer may ask of the walk while it computes."""

    run: Run
    node: Node
    _training: bool
    batch: int
    device: torch.device
    real: torch.dtype
    _masks: list[Tensor | None]
    scene: Scene

    @property
    def training(self) -> bool:
        """Whether the layer behaves as in training."""
        self._note("training")
        return self._training

    def mask(self, input: int = 0) -> Tensor | None:
        """True where an input is real and not padding, broadcastable to it; None where nothing varies."""
        return self._masks[input]

    def uniform(self, like: Tensor, seed: int = 0) -> Tensor:
        """Random numbers in [0, 1), a pure function of seed, step or epoch, layer, example and unit.

        Args:
            like: of what shape, batch first, and where.
            seed: of the layer's own; other numbers for each.
        """
        self._note("draw")
        run, node = self.run, self.node
        rows = run.rows
        if rows is None:
            rows = torch.arange(like.shape[0], device=like.device)
        parts = run.keys[node.path] if run.keys is not None else draw_key(node, run.seed, run.step, run.epoch)
        if seed:
            parts = tuple(part ^ own for part, own in zip(parts, draws.halves(seed, 0, ""), strict=True))
        return draws.from_halves(parts, rows, like.shape[1:])

    def update(self, name: str, value: Tensor) -> None:
        """Give an array that is not learned (a running statistic) its next value."""
        self._note("update")
        self.run.updates[self.node.at(name)] = value.detach()

    def size(self, name: str) -> Any:
        """What a variable of the layer's signature is here: a size, or the sizes of a star."""
        return self.scene.net.solution.sizes(self.node.path)[name]

    def inside(
        self, given: Sequence[Tensor], places: Tensor, here: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Run the net within an operator, each example being as many rows as there are places.

        Args:
            given: at the net's inputs; the rows of an example stand one after another.
            places: which elements of a sequence the rows are, part of the key of what they draw.
            here: whether a row is real and not padding, (batch, places); None where all are.
        Returns:
            At the net's outputs.
        """
        net = self.node.inside
        assert net is not None
        stops = _schedule(self.scene.net, self.node, frozenset(net.ends), frozenset())
        values: dict[Value, Any] = dict(zip(net.given, given, strict=True))
        self.scene.within(stops, places, here).go(stops, values)
        return tuple(values[value] for value in net.ends)

    def _note(self, word: str) -> None:
        self.run.asked.add((self.node.path, word))


@dataclass
class Scene:
    """Where nodes are walked: the net, its arrays, what the walk is for, and the rows of the batch.

    Attributes:
        here: which rows are real and not padding, within an operator; None where all are.
        mixed: whether the arrays are of several real types.
    """

    net: Net
    arrays: Mapping[str, Tensor]
    run: Run
    batch: int
    device: torch.device
    real: torch.dtype
    here: Tensor | None = None
    mixed: bool = False

    def go(self, stops: Sequence[Stop], values: dict[Value, Any]) -> None:
        """Run nodes one after another; ``values`` gains what they give."""
        for node, keys, dead in stops:
            taken = [values[source] for source in node.sources]
            own = {name: self.arrays[key] for name, key in keys.items()}
            results = step(node, taken, own, self.moment(node, self._masks(node, taken)))
            values.update(zip(node.outputs, results, strict=True))
            for value in dead:
                del values[value]

    def moment(self, node: Node, masks: list[Tensor | None]) -> Moment:
        """What a layer may ask here."""
        training = self.run.training and not self.run.inference(node.path)
        return Moment(self.run, node, training, self.batch, self.device, self.real, masks, self)

    def within(self, stops: Sequence[Stop], places: Tensor, here: Tensor | None) -> Scene:
        """The scene in which an operator's net is run; see ``Moment.inside``."""
        run, times = self.run, len(places)
        lengths = {name: length.repeat_interleave(times) for name, length in run.lengths.items()}
        run = replace(run, lengths=lengths)
        if any(asks(type(node.layer)) for node, _, _ in stops):
            rows = torch.arange(self.batch, device=self.device) if run.rows is None else run.rows
            run.rows = draws.placed(rows.unsqueeze(1), places).flatten()
        if self.here is not None:
            around = self.here.repeat_interleave(times)
            here = around if here is None else here.flatten() & around
        arrays = ChainMap(run.updates, self.arrays)  # type: ignore[arg-type]
        here = None if here is None else here.flatten()
        frame = self.batch * times, self.device, self.real, here, self.mixed
        return Scene(self.net, arrays, run, *frame)

    def _masks(self, node: Node, taken: Sequence[Tensor]) -> list[Tensor | None]:
        masks = _masks(self.net, node, taken, self.run.lengths)
        if self.here is None or not node.layer.mixes_batch:
            return masks
        rows = [self.here.reshape(-1, *(1,) * (tensor.dim() - 1)) for tensor in taken]
        return [real if mask is None else real & mask for real, mask in zip(rows, masks, strict=True)]


def draw_key(node: Node, seed: int, step: int, epoch: int | None) -> tuple[int, int]:
    """The halves of the key of a layer's draws, of the step or of the epoch as the layer has it."""
    if node.layer.drawn == "epoch" and epoch is not None:
        return draws.halves(seed, epoch, node.path)
    return draws.halves(seed, step, node.path)


def walk(
    net: Net, inputs: Mapping[str, Tensor], arrays: Mapping[str, Tensor], run: Run | None = None
) -> dict[str, Tensor]:
    """Compute a net's outputs for a batch.

    Args:
        net: any net.
        inputs: by port, batch first, as the ports take them (codecs have done their work).
        arrays: by path.
        run: training or inference, lengths, draws.
    Returns:
        Outputs by port, batch first.
    """
    outputs = walk_values(net, inputs, arrays, run or Run(), net.wiring.outputs.values())
    return {name: outputs[value] for name, value in net.wiring.outputs.items()}


def walk_values(
    net: Net,
    inputs: Mapping[str, Tensor],
    arrays: Mapping[str, Tensor],
    run: Run,
    wanted: Any,
    given: Mapping[Value, Tensor] | None = None,
) -> dict[Value, Tensor]:
    """Compute some of a net's values, by their names in the wiring; only what they need is run.

    Args:
        given: values within the net that are known; what leads to them is not run.
    """
    values: dict[Value, Any] = {("", name): tensor for name, tensor in inputs.items()}
    values.update(given or {})
    scene = Scene(net, arrays, run, *_frame(values.values(), arrays), mixed=is_mixed(arrays))
    wanted = set(wanted)
    scene.go(_schedule(net, None, frozenset(wanted), frozenset(given or ())), values)
    return {value: values[value] for value in wanted}


def _frame(given: Iterable[Tensor], arrays: Mapping[str, Tensor]) -> tuple[int, torch.device, torch.dtype]:
    """Number of examples, device and real type of a walk; layers without inputs follow them."""
    given = list(given)
    batch = given[0].shape[0] if given else 1
    device = next((t.device for t in chain(given, arrays.values())), torch.device("cpu"))
    every = chain(arrays.values(), given)
    real = next((tensor.dtype for tensor in every if tensor.is_floating_point()), torch.float32)
    return batch, device, real


def step(node: Node, given: list[Any], own: Mapping[str, Tensor], moment: Moment) -> tuple[Tensor, ...]:
    """Run one layer. Whole numbers become real ones where it takes those."""
    own = fit(node, given, own, moment)
    extra = {"moment": moment} if asks(type(node.layer)) else {}
    result = node.layer.forward(*given, **own, **extra)
    return result if isinstance(result, tuple) else (result,)


def is_mixed(arrays: Mapping[str, Tensor]) -> bool:
    """Whether arrays are of several real types."""
    return len({tensor.dtype for tensor in arrays.values() if tensor.is_floating_point()}) > 1


def _of_one_type(given: list[Any], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring what a layer is given, and its arrays, to the widest type of its arrays (of what it is given)."""
    every = [tensor for tensor in own.values() if tensor.is_floating_point()] or given
    kinds = [tensor.dtype for tensor in every if tensor.is_floating_point()]
    if not kinds:
        return dict(own)
    widest = reduce(torch.promote_types, kinds)
    given[:] = [tensor.to(widest) if tensor.is_floating_point() else tensor for tensor in given]
    return {name: tensor.to(widest) if tensor.is_floating_point() else tensor for name, tensor in own.items()}


def fit(node: Node, given: list[Any], own: Mapping[str, Tensor], moment: Moment) -> Mapping[str, Tensor]:
    """Make what a layer is given what it takes: real numbers, and zeros for padding where it mixes.

    Returns:
        Its arrays; where those of the net are of several types, in the type that it computes in.
    """
    rules = node.layer.kinds
    for position, (term, mask) in enumerate(zip(node.signature.inputs, moment._masks, strict=True)):
        rule = rules.get(term.name, rules.get("*", "float"))
        if rule == "float" and not given[position].is_floating_point():
            given[position] = given[position].to(moment.real)
        if mask is not None and _mixes(node, position):
            given[position] = torch.where(mask, given[position], given[position].new_zeros(()))
    return _of_one_type(given, own) if moment.scene.mixed else own


@lru_cache(maxsize=512)
def asks(kind: type[Layer]) -> bool:
    """Whether a layer asks the walk for anything: draws, masks, the place for new statistics."""
    return "moment" in inspect.signature(kind.forward).parameters


def _mixes(node: Node, position: int) -> bool:
    return any(node.layer.role(dim) == "mix" for dim in node.signature.inputs[position].dims)


Stop: TypeAlias = "tuple[Node, dict[str, str], tuple[Value, ...]]"
"""A node of a walk, the paths of its arrays by name, and the values that nobody needs after it."""


def _schedule(
    net: Net, operator: Node | None, wanted: frozenset[Value], given: frozenset[Value]
) -> list[Stop]:
    """What to run for some values: of a net, or of what an operator in it has within."""
    plans: dict[Any, list[Stop]] = net.__dict__.setdefault("_schedules", {})
    key = (None if operator is None else operator.path, wanted, given)
    if key not in plans:
        steps = net.wiring.steps
        if operator is not None and operator.inside is not None:
            steps = [*operator.inside.steps]
        plans[key] = _plan(steps, wanted, given)
    return plans[key]


def _plan(steps: Sequence[Node], wanted: frozenset[Value], given: frozenset[Value]) -> list[Stop]:
    alive = set(wanted) - given
    kept: list[Stop] = []
    for node in reversed(steps):
        if not alive & set(node.outputs):
            continue
        last = {source for source in node.sources if source not in alive | wanted and source[0] != ""}
        unused = {value for value in node.outputs if value not in alive}
        alive |= set(node.sources) - given
        keys = {name: node.at(name) for name in node.layer.owns()}
        kept.append((node, keys, tuple((last - given) | (unused - wanted))))
    return kept[::-1]


def _masks(
    net: Net, node: Node, given: Sequence[Tensor], lengths: Mapping[str, Tensor]
) -> list[Tensor | None]:
    if not lengths:
        return [None] * len(given)
    return [
        mask_of(net.solution.shape(source), tensor, lengths)
        for source, tensor in zip(node.sources, given, strict=True)
    ]


def mask_of(shape: Any, tensor: Tensor, lengths: Mapping[str, Tensor]) -> Tensor | None:
    """True where a padded batch is real, broadcastable to it; None where nothing in its shape varies."""
    mask: Tensor | None = None
    for axis, size in enumerate(shape or (), 1):
        if isinstance(size, Extent):
            length = size.evaluate(lengths)
            places = torch.arange(tensor.shape[axis], device=tensor.device)
            one = places < length.to(tensor.device).unsqueeze(1)
            one = one.reshape(
                tensor.shape[0], *[tensor.shape[axis] if a == axis else 1 for a in range(1, tensor.dim())]
            )
            mask = one if mask is None else mask & one
    return mask

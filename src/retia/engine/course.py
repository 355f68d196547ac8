"""How a net is led along a sequence piece by piece, found before the first piece comes.

The sequence's axis is declared to vary, so that the inference of sizes tells where it is in every value.
Each layer says how it goes along; one that needs what comes later is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retia.errors import ShapeError, StructureError
from retia.nets.inference import Solution, infer
from retia.nets.layer import Steps
from retia.nets.net import Net
from retia.nets.ports import Port
from retia.nets.wiring import Declared, Node, Value, Wiring
from retia.shapes import Extent, Shape, extent, show

ALONG = extent("n")
"""The size that varies."""


@dataclass
class Course:
    """What is done with a net's layers, in the order of computation.

    Attributes:
        axes: where the sequence's axis is in an example of a value; a value without it is not here.
        fixed: the layers that nothing of the sequence comes to, computed once.
        led: the others, with how each goes along.
        most: elements at most; None without a bound.
        bound: who says so.
    """

    axes: dict[Value, int]
    fixed: list[Node] = field(default_factory=list)
    led: list[tuple[Node, Steps]] = field(default_factory=list)
    most: int | None = None
    bound: str = ""

    @property
    def inputs(self) -> dict[str, int]:
        """The inputs that go along, with the axis."""
        return {name: axis for (path, name), axis in self.axes.items() if not path}

    def limit(self, most: int | None, who: str) -> None:
        """Take note of a bound."""
        if most is not None and (self.most is None or most < self.most):
            self.most, self.bound = most, who


def axis_of(port: Port) -> int:
    """The axis of an input that a sequence goes along: the first that varies, else the first.

    Raises:
        StructureError: there is none.
    """
    if not port.shape:
        what = "has no axis" if port.shape == () else "has no known axes"
        raise StructureError(
            f"The {port.name} {what} that a sequence could go along.",
            fix='input=("n", 50) says that n vectors of 50 come; given= is for what does not go along',
            path=port.name,
        )
    return next((axis for axis, size in enumerate(port.shape) if isinstance(size, Extent)), 0)


def course(net: Net, given: Mapping[str, tuple[int, ...]]) -> Course:
    """How a net is led along.

    Args:
        net: with all its arrays.
        given: shapes of the inputs that are known whole, by port.
    Raises:
        StructureError: a layer that needs all elements at once, with its path.
    """
    found = Course({("", name): axis_of(port) for name, port in net.inputs.items() if name not in given})
    if not found.axes:
        raise StructureError("All inputs are given, so there is nothing to go along.", fix="net(x)")
    for (_, name), axis in found.axes.items():
        size = (net.inputs[name].shape or ())[axis]
        found.limit(size if isinstance(size, int) else None, f"the size of {name}")
    solution = _inferred(net, found.axes, given)
    whole: set[Value] = {("", name) for name in given}
    for node in net.wiring.needed():
        if whole.issuperset(node.sources):
            found.fixed.append(node)
            whole.update(node.outputs)
        else:
            found.led.append((node, _led(node, found, solution, whole)))
    return found


def _inferred(net: Net, axes: Mapping[Value, int], given: Mapping[str, tuple[int, ...]]) -> Solution:
    """The sizes of everything where the sequence's axis varies and nothing else does.

    What the net's parts declare is left out, because fixed sizes may stand there for the axis; all others
    follow from the arrays, which are there.
    """
    plain, said = net.wiring, []
    for name, port in net.inputs.items():
        shape: tuple[Any, ...] | None = given.get(name)
        if shape is None:
            shape = tuple(size if isinstance(size, int) else None for size in port.shape or ())
            axis = axes["", name]
            shape = (*shape[:axis], str(ALONG), *shape[axis + 1 :])
        said.append(Declared("", "input", name, ("", name), shape))
    try:
        return infer(Wiring(plain.inputs, plain.outputs, plain.nodes, said))
    except ShapeError as error:
        raise StructureError(
            f"This net cannot be led along a sequence. {error.message}",
            because=error.because,
            path=error.path,
        ) from None


def _led(node: Node, found: Course, solution: Solution, whole: set[Value]) -> Steps:
    """How a layer goes along; where the axis is in its results is noted."""
    along = [_variable(node, place, found.axes, solution) for place in range(len(node.sources))]
    moving = any(name is not None for name in along)
    so_far = [source for source in node.sources if source not in found.axes and source not in whole]
    if moving and so_far:
        raise _refused(node, "it takes what is known of all elements beside each of them.")
    try:
        how = node.layer.steps(along) if moving else Steps()
    except ShapeError as error:
        raise _refused(node, error.message, error.fix) from None
    for value in node.outputs if moving else ():
        shape = solution.shape(value)
        at = [axis for axis, size in enumerate(shape or ()) if isinstance(size, Extent)]
        if shape is None or (at or not how.remembers) and [shape[axis] for axis in at] != [ALONG]:
            given = show(solution.shape(next(s for s in node.sources if s in found.axes)))
            raise _refused(node, f"it makes {show(shape)} of {given}, not one result for each element.")
        if at:
            found.axes[value] = at[0]
    found.limit(how.most, node.label)
    return how


def _variable(node: Node, place: int, axes: Mapping[Value, int], solution: Solution) -> str | None:
    """The signature's variable that the sequence goes along at an input; None where it does not."""
    source = node.sources[place]
    if source not in axes:
        return None
    shape: Shape = solution.shape(source) or ()
    return node.signature.inputs[place].names(len(shape))[axes[source]]


def _refused(node: Node, why: str, fix: str | None = None) -> StructureError:
    before = node.sources[0][0]
    if fix is None and before:
        fix = f"net.at({before!r}).stateful() goes along what comes before it"
    return StructureError(
        f"{node.label} cannot go along a sequence piece by piece: {why}", fix=fix, path=node.path
    )

"""``from_torch``: a PyTorch module as an editable net, by tracing one call of it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.walk import walk
from retia.errors import ArgumentError, StructureError
from retia.formats.pytorch import computing, moving, weights
from retia.formats.pytorch.building import built
from retia.formats.pytorch.module import net_of
from retia.formats.pytorch.places import Place, Sizes, measured, of_example
from retia.formats.pytorch.trace import Trace
from retia.formats.pytorch.values import Fixed, Flow, Weight, kind_of
from retia.nets.net import Net

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

CONVERTERS = {**moving.CONVERTERS, **computing.CONVERTERS, **weights.CONVERTERS}

NEAR = 1e-4
"""How far the net may be from the module on the example, against the greatest number there."""


def from_torch(module: nn.Module, example: Any, *, axis: int = 0) -> Net:
    """A PyTorch module as a net that can be printed, cut, joined, trained and saved without its class.

    The module is traced once, as in inference, with ``torch.export``. Names of modules are the paths,
    names of parameters those of the arrays. Operations without a layer are kept as ``rt.Operation``. Dropout
    and batch normalization are layers again and train as such; what a module does otherwise while training
    (dropout within fused attention, dropped paths, branches on ``self.training``) leaves no trace and is not
    kept. Tied parameters stay tied. A module that ``net.torch()`` made gives its net back.

    All sizes but the batch's are those of the example. Buffers are constants.

    Args:
        module: any module whose examples do not meet, whose course does not depend on its numbers, and
            which draws no random numbers in inference.
        example: what it is called with, a batch: a tensor, a tuple of tensors by position, or a dict of
            them by name. One example is enough.
        axis: the axis of the batch in all of these.
    Returns:
        A chain, or a graph. Inputs are called as in the module (``"input"`` where there is one), outputs as
        in its dict or dataclass.
    Raises:
        StructureError: examples of a batch meet, the size of the batch is written into the module, or it
            computes with what nets do not have; with the place and the operation.
        ArgumentError: an example that is none.
    Source: the graph is that of ``torch.export``.
    Example:
        >>> import retia as rt
        >>> import torch
        >>> module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
        >>> net = rt.from_torch(module, torch.zeros(1, 3))
        >>> net
        Chain(Linear(2), ReLU(), input=(3,))
        >>> sorted(net.arrays) == sorted(module.state_dict())
        True
    """
    if not isinstance(module, torch.nn.Module):
        raise ArgumentError(f"from_torch takes a torch.nn.Module; got {type(module).__name__}.", got=module)
    own = net_of(module)
    return traced(module, example, axis=axis) if own is None else own


def traced(module: nn.Module, example: Any, *, axis: int = 0) -> Net:
    """The net of a module, by tracing it, whoever made it."""
    args, kwargs, leaves = _example(module, example, axis)
    with _in_inference(module):
        program = _exported(module, args, kwargs, leaves, axis)
        trace, inputs, outputs, shapes = _followed(module, program, args, kwargs, leaves, axis)
        net, arrays = built(trace.items, shapes, outputs)
        if not net.wiring.inputs:
            raise StructureError(f"from_torch: what {type(module).__name__} gives depends on no input.")
        with torch.no_grad():
            net = net.with_arrays({path: array.detach().clone() for path, array in arrays.items()})
            _compare(module, net, args, kwargs, inputs, outputs, axis)
    return net


# The example --------------------------------------------------------------------------------------


def _example(module: nn.Module, example: Any, axis: int) -> tuple[tuple[Any, ...], dict[str, Any], list[str]]:
    """What to call the module with, by position and by name, and the names of the inputs."""
    kwargs = dict(example) if isinstance(example, Mapping) else {}
    args = () if kwargs else tuple(example) if isinstance(example, tuple | list) else (example,)
    every = [*args, *kwargs.values()]
    if not every or not all(isinstance(each, torch.Tensor) and each.dim() > axis for each in every):
        raise ArgumentError(
            "from_torch: the example is a tensor with a batch, a tuple of them, or a dict of them by name.",
            fix="rt.from_torch(module, torch.zeros(1, 3, 224, 224))",
            got=example,
        )
    if len({each.shape[axis] for each in every}) > 1 or not every[0].shape[axis]:
        sizes = ", ".join(str(tuple(each.shape)) for each in every)
        raise ArgumentError(
            f"from_torch: all inputs of the example are of one batch; got {sizes}.", got=sizes
        )
    names = [*kwargs] or _names(module, len(args))
    args = tuple(_several(each, axis) for each in args)
    return args, {name: _several(each, axis) for name, each in kwargs.items()}, names


def _names(module: nn.Module, count: int) -> list[str]:
    if count == 1:
        return ["input"]
    found = [
        p.name for p in inspect.signature(module.forward).parameters.values() if p.kind < p.VAR_POSITIONAL
    ]
    return found[:count] if len(found) >= count else [f"input{i}" for i in range(1, count + 1)]


def _several(x: Tensor, axis: int) -> Tensor:
    """At least three examples that differ: an example backwards is another one of the same numbers."""
    while x.shape[axis] < 3:
        last = x.narrow(axis, 0, 1)
        x = torch.cat([x, last.flatten().flip(0).reshape(last.shape), last.roll(1, -1)], axis)
    return x.detach().clone()


@contextmanager
def _in_inference(module: nn.Module) -> Iterator[None]:
    """The module as in inference for a while, every part of it put back as it was."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


# The trace ----------------------------------------------------------------------------------------


def _exported(module: nn.Module, args: Any, kwargs: Any, names: list[str], axis: int) -> Any:
    batch = torch.export.Dim("batch", min=2, max=2**20)
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        shapes = torch.utils._pytree.tree_map(lambda _: {axis: batch}, dict(bound))
        program = torch.export.export(module, args, kwargs, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # whatever the module's own code and the tracer raise
        raise StructureError(
            f"from_torch: {type(module).__name__} could not be traced: {_first(error)}",
            because=["torch.export follows one call, with a batch of any size"],
            fix="let forward be tensors in and tensors out, with no branch on their numbers or on the batch",
        ) from error
    if _writes(program.graph):
        program = program.run_decompositions({})
    return program


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _writes(graph: fx.Graph) -> bool:
    """Whether an operation changes a tensor that others see."""
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.is_mutable or "batch_norm" in str(node.target):
            continue
        if "dropout" in str(node.target):
            continue  # in inference it changes nothing
        target = node.args[0]
        while len(target.users) == 1 and _is_view(target):
            target = target.args[0]
        if len(target.users) > 1 or not node.users or target.op == "placeholder":
            return True
    return False


def _is_view(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return bool(schema and schema.returns and schema.returns[0].alias_info and not schema.is_mutable)


def _followed(
    module: nn.Module, program: Any, args: Any, kwargs: Any, names: list[str], axis: int
) -> tuple[Trace, dict[str, Flow], dict[str, Flow], dict[str, tuple[int, ...]]]:
    graph = program.graph
    parameters: dict[str, Weight] = {}
    tied: dict[int, Weight] = {}
    for name, tensor in module.named_parameters(remove_duplicate=False):
        parameters[name] = tied.setdefault(id(tensor), Weight(name, tensor.detach()))
    buffers = dict(module.named_buffers(remove_duplicate=False))
    every = [*args, *kwargs.values()]
    trace = Trace(every[0].shape[axis], CONVERTERS, {}, buffers)
    inputs: dict[str, Flow] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    places = {
        spec.arg.name: spec for spec in program.graph_signature.input_specs if hasattr(spec.arg, "name")
    }
    left = iter(names)
    for node in graph.nodes:
        if node.op != "placeholder":
            continue
        spec = places[node.name]
        if spec.target in parameters:
            trace.values[node] = weight = parameters[spec.target]
            trace.uses.setdefault(weight.name, []).extend(node.users)  # type: ignore[attr-defined]
        elif spec.target is not None:
            tensor = buffers.get(spec.target, program.constants.get(spec.target))
            trace.values[node] = Fixed(tensor, Sizes(tuple(tensor.shape), None), None)
        else:
            name, value = next(left), node.meta["val"]
            sizes: Sizes = measured(value.shape)
            place: Place = (axis, 1, 1)
            inputs[name] = trace.values[node] = Flow(None, name, sizes, place, kind_of(value))
            shapes[name] = of_example(sizes, place)
    alive = _alive(graph)
    for node in graph.nodes:
        if node.op == "call_function" and node in alive:
            trace.read(node)
    outputs = _outputs(trace, program, _leaves(_run(module, args, kwargs)))
    return trace, inputs, outputs, shapes


def _alive(graph: fx.Graph) -> set[fx.Node]:
    found: set[fx.Node] = set()
    todo = [node for node in graph.nodes if node.op == "output"]
    while todo:
        node = todo.pop()
        for each in node.all_input_nodes:
            if each not in found:
                found.add(each)
                todo.append(each)
    return found


def _outputs(trace: Trace, program: Any, expected: Mapping[str, Tensor]) -> dict[str, Flow]:
    ends = program.graph.output_node().args[0]
    kinds = [spec.kind for spec in program.graph_signature.output_specs]
    wanted = torch.export.graph_signature.OutputKind.USER_OUTPUT
    nodes = [end for end, kind in zip(ends, kinds, strict=True) if kind == wanted]
    values = [trace.values.get(node) for node in nodes if isinstance(node, torch.fx.Node)]
    found: dict[str, Flow] = {}
    for name, value in zip(expected, values, strict=True):
        value = trace.flow(value) if isinstance(value, Fixed | Weight) else value
        if not isinstance(value, Flow) or value.place is None:
            raise StructureError(
                f"from_torch: the output {name!r} is the same for all examples, or is no batch.", path=name
            )
        if value.place[1] * value.place[2] != 1:
            raise StructureError(
                f"from_torch: the output {name!r} has several rows for each example.", path=name
            )
        found[name] = value
    return found


def _run(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What the module answers; the example is not its to change."""
    with torch.no_grad():
        return module(*(x.clone() for x in args), **{name: x.clone() for name, x in kwargs.items()})


def _leaves(result: Any) -> dict[str, Tensor]:
    """The tensors that a module answers, by name: as in its dict or dataclass, ``output1``... in a tuple."""
    if isinstance(result, torch.Tensor):
        return {"output": result}
    found: dict[str, Tensor] = {}
    for path, leaf in torch.utils._pytree.tree_flatten_with_path(result)[0]:
        if isinstance(leaf, torch.Tensor):
            steps = [getattr(step, "key", getattr(step, "idx", getattr(step, "name", "?"))) for step in path]
            words = [
                f"{'' if i else 'output'}{s + 1}" if isinstance(s, int) else str(s)
                for i, s in enumerate(steps)
            ]
            found["_".join(words).replace(".", "_").replace(" ", "_")] = leaf
    return {"output": next(iter(found.values()))} if len(found) == 1 else found


# The check ----------------------------------------------------------------------------------------


def _compare(
    module: nn.Module,
    net: Net,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    inputs: Mapping[str, Flow],
    outputs: Mapping[str, Flow],
    axis: int,
) -> None:
    """The net gives what the module gives, and the module gives an example the same in any company."""
    values = [*args, *kwargs.values()]
    given = {name: x.movedim(axis, 0) for name, x in zip(inputs, values, strict=True)}
    used = {name: given[name] for name in net.wiring.inputs}
    found = walk(net, used, net.arrays)
    expected = _leaves(_run(module, args, kwargs))
    count = values[0].shape[axis]
    # One example less, the others in another order.
    order = torch.arange(count - 1, 0, -1, device=values[0].device)
    turned = [x.index_select(axis, order) for x in values]
    again = _leaves(_run(module, tuple(turned[: len(args)]), dict(zip(kwargs, turned, strict=False))))
    for name, flow in outputs.items():
        assert flow.place is not None
        whole = expected[name].movedim(flow.place[0], 0)
        if not _near(again[name].movedim(flow.place[0], 0), whole.index_select(0, order)):
            raise StructureError(
                f"from_torch: what {type(module).__name__} gives an example at {name!r} depends on the "
                "others of its batch.",
                because=["a net is written for one example, and examples do not meet in it"],
                path=name,
            )
        if not _near(found[name], whole):
            raise StructureError(
                f"from_torch: the net differs from {type(module).__name__} at {name!r}.",
                because=["it may keep what it computes between calls, or depend on a random number"],
                path=name,
            )


def _near(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    a, b = found.double(), expected.double()
    same = (a == b) | (a.isnan() & b.isnan())
    scale = b[b.isfinite()].abs().max() if bool(b.isfinite().any()) else b.new_ones(())
    return bool((same | ((a - b).abs() <= NEAR * scale + NEAR)).all())


__all__ = ["from_torch", "traced"]

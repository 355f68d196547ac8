"""Modules of known architectures become nets that give the same and stay editable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="transformers has the architectures; it is no part of Retia")
pytest.importorskip("efficientnet_lite_pytorch", reason="it is no part of Retia")

from architectures import ARCHITECTURES, settled

import retia as rt

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ALWAYS = ("lenet", "resnet", "swin", "bert", "gpt2", "gru", "twins")
every = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in ALWAYS else pytest.mark.full) for n in ARCHITECTURES]
)


def traced(name: str) -> tuple[torch.nn.Module, Any, rt.Net]:
    torch.manual_seed(len(name))
    asked = ARCHITECTURES[name]
    example = asked.example()
    module = settled(asked.make(), example)
    return module, example, rt.from_torch(module, example, axis=asked.axis)


def more(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Five examples, others than those of the trace."""
    return torch.cat([x.flip(axis), x, x.narrow(axis, 0, 1)], axis)


def outputs(module: torch.nn.Module, given: Any) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        made = module(**given) if isinstance(given, dict) else module(given)
    return {"output": made} if isinstance(made, torch.Tensor) else dict(made)


def answers(net: rt.Net, given: Any, axis: int) -> dict[str, torch.Tensor]:
    given = given if isinstance(given, dict) else {"input": given}
    given = {name: x.movedim(axis, 0) for name, x in given.items()}
    made = net(given if len(given) > 1 else next(iter(given.values())), None)
    return made if isinstance(made, dict) else {"output": made}


@every
def test_a_net_gives_what_its_module_gives_for_any_batch(name: str, tmp_path: Path) -> None:
    module, example, net = traced(name)
    axis = ARCHITECTURES[name].axis
    if isinstance(example, dict):
        given: Any = {key: more(x, axis) for key, x in example.items()}
    else:
        given = more(example, axis)
    expected, found = outputs(module, given), answers(net, given, axis)
    if list(found) == ["output"]:
        expected = {"output": next(iter(expected.values()))}
    assert set(found) == set(expected)
    for port, there in expected.items():
        turned = there.movedim(axis, 0) if axis and there.dim() == 3 else there
        scale = turned.abs().max()
        assert scale > 1e-6
        assert (found[port] - turned).abs().max() <= 1e-5 * scale
    net.save(tmp_path / "net.safetensors")
    assert rt.load(tmp_path / "net.safetensors") == net
    assert "total" in str(net)


@every
def test_arrays_have_the_names_of_parameters_and_buffers(name: str) -> None:
    module, _, net = traced(name)
    learned = set(net.learned())
    parameters = {key for key, _ in module.named_parameters(remove_duplicate=False)}
    assert learned == parameters - ARCHITECTURES[name].unseen
    state = module.state_dict()
    assert {key for key in net.arrays if key not in state} <= {key for key in net.arrays if "constant" in key}
    for key in learned:
        assert torch.equal(net.arrays[key], state[key])


@every
def test_the_head_comes_off_another_goes_on_and_a_step_trains_it(name: str) -> None:
    asked = ARCHITECTURES[name]
    _, example, net = traced(name)
    trunk = asked.trunk(net)
    made = rt.Chain(trunk=trunk, flatten=rt.Flatten(), head=rt.Linear(4)).init(seed=1)
    given = (
        {key: x.movedim(asked.axis, 0) for key, x in example.items()} if isinstance(example, dict) else None
    )
    given = given if given is not None and len(given) > 1 else None
    x = given or (example["input_ids"] if isinstance(example, dict) else example.movedim(asked.axis, 0))
    step = rt.step(made, "cross-entropy", rt.SGD(0.05))
    state = step.start()
    before = {path: array.clone() for path, array in made.arrays.items()}
    for _ in range(3):
        state, loss = step(state, x, torch.tensor([0, 3]))
        assert torch.isfinite(loss)
    after = step.finish(state).arrays
    assert not torch.equal(after["head.weight"], before["head.weight"])
    moved = [path for path in made.learned() if not torch.equal(after[path], before[path])]
    assert len(moved) > len(made.learned()) / 2
    assert {path: array for path, array in trunk.arrays.items()}.keys() <= {
        path.removeprefix("trunk.") for path in after
    }

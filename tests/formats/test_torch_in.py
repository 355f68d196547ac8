"""``rt.from_torch``: paths, ties, places of the batch, modes, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import retia as rt
from retia.errors import ArgumentError, FormatError, ShapeError, StructureError
from retia.nets import expression


class Of(nn.Module):
    """A module of a function, with other modules as parts of it."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *x):
        return self.function(self, *x)


def same(module, *x, axis=0):
    net = rt.from_torch(module, x, axis=axis)
    more = [torch.cat([each, each.flip(axis), each], axis) for each in x]
    given = dict(zip(net.inputs, (each.movedim(axis, 0) for each in more), strict=True))
    with torch.no_grad():
        expected = module.eval()(*(each.clone() for each in more))
    found = net.batch(given if len(given) > 1 else next(iter(given.values())), None)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)
    return net


def test_a_sequence_of_modules_is_a_chain_of_the_same_names() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    net = same(module, torch.rand(2, 1, 6, 6))
    assert repr(net) == "Chain(Conv2d(2, 3), BatchNorm(), ReLU(), Flatten(), Linear(3), input=(1, 6, 6))"
    assert set(net.arrays) == set(module.state_dict())
    assert net[:-1].outputs["output"].shape == (32,)


def test_dropout_and_batch_statistics_train_again_and_the_module_stays_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.3), nn.Dropout(0.25)).train()
    module[2].eval()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    net = rt.from_torch(module, torch.randn(2, 3))
    assert [part.training for part in module] == [True, True, False]
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert repr(net) == "Chain(Linear(4), BatchNorm(momentum=0.3), Dropout(0.25), input=(3,))"
    own = net.torch()
    own(torch.randn(8, 3))
    assert own.state_dict()["1.num_batches_tracked"] == 1
    with torch.no_grad():
        module[0].weight.add_(1)
    assert torch.equal(net.arrays["0.weight"], before["0.weight"])


def test_tied_layers_stay_tied() -> None:
    tied = Of(lambda m, x: m.head(m.embed(x)), embed=nn.Embedding(7, 4), head=nn.Linear(4, 7, bias=False))
    tied.head.weight = tied.embed.weight
    net = same(tied, torch.randint(7, (2, 5)))
    assert [*net.arrays] == ["embed.weight"]
    assert net.count == 28
    twice = Of(lambda m, x: m.layer(torch.relu(m.layer(x))), layer=nn.Linear(3, 3))
    net = same(twice, torch.randn(2, 3))
    assert set(net.arrays) == {"layer.weight", "layer.bias"}
    odd = Of(lambda m, x: m.layer(x) @ m.layer.weight, layer=nn.Linear(3, 3))
    net = same(odd, torch.randn(2, 3))
    assert set(net.learned()) == {"layer.weight", "layer.bias"}


def test_lists_of_modules_that_take_turns_stand_beside_each_other() -> None:
    def turns(m, x):
        for linear, norm in zip(m.linears, m.norms, strict=True):
            x = norm(linear(x)) + x
        return x

    made = Of(
        turns,
        linears=nn.ModuleList([nn.Linear(3, 3) for _ in range(2)]),
        norms=nn.ModuleList([nn.LayerNorm(3) for _ in range(2)]),
    )
    net = same(made, torch.randn(2, 3))
    assert {"linears_0.weight", "norms_1.bias"} <= set(net.arrays)
    alone = Of(lambda m, x: m.linears[1](torch.relu(m.linears[0](x))), linears=made.linears)
    net = same(alone, torch.randn(2, 3))
    assert set(net.arrays) == set(alone.state_dict())


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: x.reshape(x.shape[0] * 2, 2, 6).flip(1).reshape(x.shape[0], -1),
        lambda m, x: x.transpose(0, 1).reshape(4, -1, 2, 3).sum(2).transpose(0, 1).flatten(1),
        lambda m, x: torch.bmm(x.view(-1, 2, 6), x.view(-1, 6, 2)).view(x.shape[0], -1),
        lambda m, x: torch.cat([x.mean(1, keepdim=True).expand(-1, 2, -1), x[:, 1:3]], 1),
        lambda m, x: torch.stack([x[..., 0], x[..., -1]], 1).softmax(-1),
        lambda m, x: x.masked_fill(torch.tril(torch.ones(4, 6)) == 0, float("-inf")).softmax(-1),
        lambda m, x: torch.where(x > 0, x, -1 / x.abs()).unbind(1)[2],
        lambda m, x: torch.einsum("bij,kj->bik", x, torch.arange(12.0).view(2, 6)).cumsum(1),
        lambda m, x: x.permute(1, 2, 0).reshape(24, -1).t() - torch.arange(24),
        lambda m, x: (x + torch.zeros(x.shape[0], 1, 1)).topk(2, -1).values.var(1),
        lambda m, x: x.add_(1).relu_() * x[:, :1],
        lambda m, x: nn.functional.pad(x, (1, 2, 0, 1)).split([4, 5], -1)[1].chunk(2, 1)[0].std(2),
    ],
)
def test_the_batch_may_stand_anywhere_in_between(function) -> None:
    same(Of(function), torch.randn(3, 4, 6))


def test_operations_without_a_layer_are_kept_by_name_and_saved(tmp_path) -> None:
    net = same(Of(lambda m, x: torch.roll(x, 1, 1)), torch.randn(2, 3))
    assert repr(net) == "Chain(roll=Operation('roll', ({'input': 0}, (1,), (1,))), input=(3,))"
    net.save(tmp_path / "net.safetensors")
    assert rt.load(tmp_path / "net.safetensors") == net
    stored = expression.to_json(net.children["roll"])
    with pytest.raises(ArgumentError) as caught:
        expression.from_json({**stored, "name": "save"})
    assert str(caught.value).startswith("Operation: name is one of PyTorch's pure operations; got 'save'.")
    for name in ("add_.Tensor", "roll.__class__", "from_file", "system", "add.out"):
        with pytest.raises((ArgumentError, FormatError, ShapeError)):
            expression.from_json({**stored, "name": name}).init()([1.0, 2.0])


def test_inputs_and_outputs_are_called_as_in_the_module() -> None:
    class Named(nn.Module):
        def forward(self, left, right):
            return {"sum": left + right, "parts": (left - right, right * 2)}

    x = torch.randn(2, 3)
    net = rt.from_torch(Named(), (x, x + 1))
    assert [*net.inputs] == ["left", "right"]
    assert [*net.outputs] == ["sum", "parts_1", "parts_2"]
    assert torch.equal(net({"left": x, "right": x}, None)["parts_2"], x * 2)
    assert [*rt.from_torch(Named(), {"right": x, "left": x}).inputs] == ["right", "left"]


REFUSED = [
    (lambda m, x: x.mean(0, keepdim=True) + x, "it makes one result of all examples."),
    (lambda m, x: x.softmax(0), "it goes over the batch."),
    (lambda m, x: x[:1] + x, "it takes some examples of the batch and not others."),
    (lambda m, x: x @ x.t(), "it sets every example of the batch against every other."),
    (lambda m, x: x + torch.rand(3), "it draws random numbers."),
    (lambda m, x: torch.fft.rfft(x).abs(), "fft_rfft is no operation of a net."),
]


@pytest.mark.parametrize(("function", "told"), REFUSED)
def test_examples_that_meet_and_numbers_that_are_not_real_are_refused(function, told: str) -> None:
    with pytest.raises(StructureError) as caught:
        rt.from_torch(Of(function), torch.randn(2, 3))
    assert told in caught.value.message


def test_what_a_trace_does_not_show_is_found_by_a_comparison() -> None:
    with pytest.raises(StructureError) as caught:
        rt.from_torch(Of(lambda m, x: x.flip(0)), torch.randn(2, 3))
    assert caught.value.message == (
        "from_torch: what Of gives an example at 'output' depends on the others of its batch."
    )


def test_a_batch_size_in_the_module_and_wrong_examples_are_told() -> None:
    with pytest.raises(StructureError, match=r"from_torch: Of could not be traced"):
        rt.from_torch(Of(lambda m, x: x.view(3, 4)), torch.randn(3, 4))
    with pytest.raises(StructureError, match="could not be traced"):
        rt.from_torch(Of(lambda m, x: x if x.sum() > 0 else -x), torch.randn(3, 4))
    with pytest.raises(ArgumentError) as caught:
        rt.from_torch(nn.Linear(2, 2), "picture")
    assert str(caught.value) == (
        "from_torch: the example is a tensor with a batch, a tuple of them, or a dict of them by name.\n"
        "  fix   rt.from_torch(module, torch.zeros(1, 3, 224, 224))"
    )
    with pytest.raises(ArgumentError, match="from_torch takes a torch.nn.Module; got function"):
        rt.from_torch(same, torch.zeros(1))
    with pytest.raises(
        ArgumentError, match=r"all inputs of the example are of one batch; got \(2, 3\), \(4, 3\)"
    ):
        rt.from_torch(nn.Bilinear(3, 3, 2), (torch.zeros(2, 3), torch.zeros(4, 3)))


def test_the_tracer_is_imported_by_the_call_alone() -> None:
    code = (
        "import sys, torch, retia as rt\n"
        "net = rt.Linear(2, input=3).init()\n"
        "net.torch()(torch.ones(1, 3))\n"
        "rt.from_torch(net.torch(), torch.ones(1, 3))\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

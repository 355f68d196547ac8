"""ResNet-18 against a plain PyTorch restatement that goes by torchvision's names."""

import math
import pathlib

import pytest
import torch
import torch.nn.functional as F

import retia as rt
from retia.zoo.resnet import resnet18

BLOCKS = [  # name, stride, channels that come in, that go out
    ("layer1.0", 1, 64, 64), ("layer1.1", 1, 64, 64), ("layer2.0", 2, 64, 128), ("layer2.1", 1, 128, 128),
    ("layer3.0", 2, 128, 256), ("layer3.1", 1, 256, 256), ("layer4.0", 2, 256, 512),
    ("layer4.1", 1, 512, 512),
]  # fmt: skip


def torchvision_arrays(classes: int = 10) -> dict[str, torch.Tensor]:
    """Random arrays under torchvision's names."""
    draw = torch.Generator().manual_seed(0)
    made: dict[str, torch.Tensor] = {}

    def weight(name: str, *shape: int) -> None:
        made[f"{name}.weight"] = torch.randn(shape, generator=draw) * math.sqrt(2 / math.prod(shape[1:]))

    def norm(name: str, size: int) -> None:
        made[f"{name}.weight"] = torch.rand(size, generator=draw) + 0.5
        made[f"{name}.bias"] = torch.randn(size, generator=draw) / 4
        made[f"{name}.running_mean"] = torch.randn(size, generator=draw) / 4
        made[f"{name}.running_var"] = torch.rand(size, generator=draw) + 0.5
        made[f"{name}.num_batches_tracked"] = torch.tensor(7)

    weight("conv1", 64, 3, 7, 7)
    norm("bn1", 64)
    for block, _, narrow, wide in BLOCKS:
        weight(f"{block}.conv1", wide, narrow, 3, 3)
        norm(f"{block}.bn1", wide)
        weight(f"{block}.conv2", wide, wide, 3, 3)
        norm(f"{block}.bn2", wide)
        if narrow != wide:
            weight(f"{block}.downsample.0", wide, narrow, 1, 1)
            norm(f"{block}.downsample.1", wide)
    weight("fc", classes, 512)
    made["fc.bias"] = torch.randn(classes, generator=draw)
    return made


def scores(arrays: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The whole of it in plain PyTorch, but for the softmax."""

    def convolve(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight = arrays[f"{name}.weight"]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        kept = (f"{name}.running_mean", f"{name}.running_var", f"{name}.weight", f"{name}.bias")
        return F.batch_norm(x, *(arrays[each] for each in kept))

    x = F.max_pool2d(F.relu(norm(convolve(x, "conv1", 2), "bn1")), 3, 2, 1)
    for block, stride, narrow, wide in BLOCKS:
        y = F.relu(norm(convolve(x, f"{block}.conv1", stride), f"{block}.bn1"))
        y = norm(convolve(y, f"{block}.conv2"), f"{block}.bn2")
        if narrow != wide:
            x = norm(convolve(x, f"{block}.downsample.0", stride), f"{block}.downsample.1")
        x = F.relu(x + y)
    return F.linear(x.mean((2, 3)), arrays["fc.weight"], arrays["fc.bias"])


@pytest.fixture(scope="module")
def arrays() -> dict[str, torch.Tensor]:
    return torchvision_arrays()


@pytest.mark.parametrize(("size", "height", "width"), [(64, 64, 64), (33, 33, 33), (None, 40, 65)])
def test_it_computes_what_plain_pytorch_does(
    arrays: dict[str, torch.Tensor], size: int | None, height: int, width: int
) -> None:
    net = resnet18(arrays, size=size, labels=range(10))
    pictures = torch.randint(0, 256, (2, height, width, 3), generator=torch.Generator().manual_seed(1))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = ((pictures / 255 - mean) / deviation).permute(0, 3, 1, 2)
    got, expected = net[:-1](pictures.to(torch.uint8), None), scores(arrays, pixels)
    assert (got - expected).norm() < 1e-5 * expected.norm()
    assert expected.std() > 0.1


def test_its_paths_and_shapes_are_those_of_torchvision(arrays: dict[str, torch.Tensor]) -> None:
    shapes = resnet18(labels=range(10)).array_shapes()
    assert shapes == {name: tuple(array.shape) for name, array in arrays.items()}
    assert resnet18().count == 11_689_512


def test_without_its_head_it_makes_512_numbers() -> None:
    assert resnet18()[:-2].outputs["output"].shape == (512,)


def test_labels_and_size_can_be_left_to_the_data() -> None:
    net = resnet18(size=None, labels=None)
    assert net.outputs["output"].codec == rt.Classes()
    assert net.inputs["input"].shape == (3, None, None)


def test_it_is_saved_and_its_expression_pastes_back(tmp_path: pathlib.Path) -> None:
    net = resnet18(size=32, labels=["cat", "dog"])
    assert eval(repr(net), vars(rt)) == net
    begun = net.init(seed=1)
    begun.save(tmp_path / "net.safetensors")
    assert rt.load(tmp_path / "net.safetensors") == begun


def test_it_learns_from_pictures_whose_size_and_labels_it_was_not_told() -> None:
    draw = torch.Generator().manual_seed(2)
    shade = torch.arange(16) % 2 * 128
    pictures = (torch.randint(0, 128, (16, 32, 32, 3), generator=draw) + shade.view(-1, 1, 1, 1)).numpy()
    words = ["dark", "light"] * 8
    data = rt.data({"input": pictures.astype("uint8"), "output": words})
    run = rt.train(
        resnet18(size=None, labels=None), data, epochs=3, batch_size=8, validation=0, seed=0, progress=False
    )
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert run.net.inputs["input"].shape == (3, 32, 32)
    assert run.net.outputs["output"].codec == rt.Classes(["dark", "light"])

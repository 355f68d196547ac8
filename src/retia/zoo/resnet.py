"""ResNet-18 by torchvision's names: a ``state_dict`` of its resnet18 holds this net's arrays as is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from retia.codecs import Classes, Image
from retia.layers import BatchNorm, Conv2d, GlobalAvgPool, Linear, MaxPool2d, Plus, ReLU, Softmax
from retia.nets import Chain, Graph, Net


def resnet18(
    arrays: Mapping[str, Any] | None = None,
    *,
    size: int | None = 224,
    labels: Iterable[str | int] | None = range(1000),
) -> Net:
    """ResNet-18, for pictures of any size in colour, normalised as ImageNet's are.

    ``net[:-2]`` is the trunk, which makes 512 numbers of a picture.

    Args:
        arrays: by path, which are torchvision's names; missing ones are left to ``init`` and training.
        size: pixels on a side, to which pictures are cropped; None for that of the data.
        labels: the classes; None where training is to learn them from the data.
    Raises:
        ArraysError: an array that the net has no place for, or of another shape.
    Source: He et al. 2016.
    Example:
        >>> resnet18().count
        11689512
    """
    net = Chain(
        conv1=Conv2d(64, 7, stride=2, padding=3, bias=False), bn1=BatchNorm(), relu=ReLU(),
        maxpool=MaxPool2d(3, stride=2, padding=1),
        layer1=Chain(_block(64), _block(64)),
        layer2=Chain(_block(128, stride=2), _block(128)),
        layer3=Chain(_block(256, stride=2), _block(256)),
        layer4=Chain(_block(512, stride=2), _block(512)),
        avgpool=GlobalAvgPool(), fc=Linear(), probabilities=Softmax(),
        input=Image(size, fit="crop", normalize="imagenet"),
        output=Classes() if labels is None else Classes(tuple(labels)),
    )  # fmt: skip
    return net if arrays is None else net.with_arrays(arrays)


def _block(channels: int, *, stride: int = 1) -> Graph:
    """Two convolutions, added to what comes in; where the shape changes, to a projection of it."""
    nodes = {
        "conv1": Conv2d(channels, 3, stride=stride, padding=1, bias=False), "bn1": BatchNorm(),
        "relu": ReLU(),
        "conv2": Conv2d(channels, 3, padding=1, bias=False), "bn2": BatchNorm(),
        "plus": Plus(), "relu2": ReLU(),
    }  # fmt: skip
    way = "input -> conv1 -> bn1 -> relu -> conv2 -> bn2 -> plus -> relu2 -> output"
    if stride == 1:
        return Graph(nodes, way, "input -> plus")
    shortcut = Chain(Conv2d(channels, 1, stride=stride, bias=False), BatchNorm())
    return Graph({**nodes, "downsample": shortcut}, way, "input -> downsample -> plus")

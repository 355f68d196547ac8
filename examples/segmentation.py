"""A U-Net that finds pedestrians, pixel by pixel: 170 street scenes, each with a mask.

The archive is read in place. Every training picture is there ten times, and its mask alike: whole and four
parts of it, each also mirrored. On the way down the net sees what there is, ever more coarsely; on the way up
it says where, and is given again what it saw at each size. The net of the last epoch is kept: its loss is no
longer the lowest, for it is surer of its mistakes, but its masks are the best on the validation part.

The figure is the IoU on pictures that were held out, over all their pixels: the mean of background and
pedestrian, and that of pedestrian alone. It is compared with saying background everywhere, and with the best
mask that is the same for all pictures. It takes about six minutes on two cores.

    python examples/segmentation.py
"""

import io
from functools import partial
from typing import Any

import numpy as np
from job import options, prepared, some, tell
from PIL import Image

import retia as rt

SIZE = 96
WIDTHS = (16, 32, 64, 128)
LABELS = ["background", "pedestrian"]
VIEWS = [(0, 0, 1, 1), (0, 0, 0.8, 0.8), (0.2, 0, 1, 0.8), (0, 0.2, 0.8, 1), (0.2, 0.2, 1, 1)]


def block(width: int) -> rt.Net:
    """Two convolutions, each normalised."""
    convolution = rt.Conv2d(width, 3, padding=1, bias=False)
    return rt.Chain(convolution, rt.BatchNorm(), rt.ReLU(), convolution, rt.BatchNorm(), rt.ReLU())


def u_net() -> rt.Net:
    """Down by halves and up again, each size on the way up beside what it was on the way down."""

    def wired(x: Any) -> Any:
        x = rt.ColorJitter(brightness=0.3, contrast=0.3)(x)
        passed = []
        for width in WIDTHS[:-1]:
            passed.append(block(width)(x))
            x = rt.MaxPool2d(2)(passed[-1])
        x = block(WIDTHS[-1])(x)
        for width in reversed(WIDTHS[:-1]):
            larger = rt.ConvTranspose2d(width, 2, stride=2)(x)
            x = block(width)(rt.Concat()(larger, passed.pop()))
        return rt.Softmax(axis=0)(rt.Conv2d(len(LABELS), 1)(x))

    # A mask's pixels number the people: 0 is the background.
    mask = rt.Mask(LABELS, SIZE, levels=[0, range(1, 256)])
    return rt.Graph(wired, input=rt.Image(SIZE), output=mask)


def seen(file: Any, view: tuple[float, ...], mirror: bool) -> Image.Image:
    """A part of a picture, or of a mask."""
    picture = Image.open(io.BytesIO(file.read()))
    part = picture.crop(tuple(round(v * side) for v, side in zip(view, picture.size * 2, strict=True)))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else part


asked = options(__doc__, epochs=10)
archive = prepared(asked, "penn_fudan/penn_fudan_256px.zip")
pictures = rt.data(f"{archive}/images/{{name}}.jpg").arrays()
masks = rt.data(f"{archive}/masks/{{name}}.png").arrays()
assert pictures["output"] == masks["output"], "each picture has the mask of its name"
scenes = some(rt.data((pictures["input"], masks["input"])), asked)

train, validation, test = scenes.split((0.7, 0.1, 0.2))
ways = [partial(seen, view=view, mirror=mirror) for mirror in (False, True) for view in VIEWS]
first, *others = [train.map(input=way, output=way) for way in ways]
net = u_net()
run = rt.train(net, first.join(*others), validation=validation, epochs=asked.epochs, batch_size=16,
               optimizer=rt.Adam(3e-3), schedule=rt.CosineDecay(), keep="last")  # fmt: skip
found = rt.measure(run.net, test)
print(found)


def iou(answered: Any, true: Any) -> float:
    """Pixels where both are so by those where either is; one mask may stand for all."""
    return float((answered & true).sum() / (answered | true).sum())


codec = net.outputs["output"].codec
known, held = (codec.encode(part.arrays()["output"]).numpy() == 1 for part in (train, test))
often = known.mean(0)
level = max(np.linspace(0.1, 0.6, 11), key=lambda level: iou(often > level, known))
same = often > level
tell(
    "U-Net, pedestrians",
    data=f"Penn-Fudan, {len(scenes)} pictures at {SIZE} x {SIZE}",
    split=f"{len(train)} train (in ten views), {len(validation)} validation, {len(test)} test, by chance",
    net=run.net,
    figure={"mean IoU": found.mean_iou, "IoU of pedestrian": found.per_class["pedestrian"].iou},
    baseline={
        "mean IoU of background everywhere": (1 - held.mean()) / 2,
        "mean IoU of the best constant mask": (iou(~same, ~held) + iou(same, held)) / 2,
        "IoU of pedestrian of the best constant mask": iou(same, held),
    },
)

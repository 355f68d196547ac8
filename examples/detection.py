"""A detector that finds pedestrians: 170 street scenes with boxes around 423 people.

The boxes are read off the masks of the set, one for each person. The net is a detector in one stage without
anchors: convolutions down to a grid of cells, each of which says whether the middle of a person is in it,
where in it, and how wide and high the person is. ``rt.Boxes`` makes such a grid of boxes and boxes of such a
grid; on so small a grid the error of size should weigh more than usual. Every training picture is there ten
times: whole and four parts of it, each also mirrored.

The figure is the average precision on pictures that were held out: at an overlap of 0.5, and the mean over
0.5 to 0.95. It is compared with a detector that finds one and the same box in every picture, the average one.
It takes about six minutes on two cores.

    python examples/detection.py
"""

import io
from functools import partial
from typing import Any

import numpy as np
from job import options, prepared, some, tell
from PIL import Image

import retia as rt
from retia.metrics.detections import Found, average_precisions

SIZE = 160
PERSON = "pedestrian"
VIEWS = [(0, 0, 1, 1), (0, 0, 0.8, 0.8), (0.2, 0, 1, 0.8), (0, 0.2, 0.8, 1), (0.2, 0.2, 1, 1)]


def block(width: int, stride: int = 1) -> rt.Net:
    """A convolution, normalised."""
    return rt.Chain(rt.Conv2d(width, 3, stride=stride, padding=1, bias=False), rt.BatchNorm(), rt.ReLU())


def detector() -> rt.Net:
    """Down to an eighth of the size, and to a 32nd to see whole people, which is laid over it again."""

    def wired(x: Any) -> Any:
        for width in (16, 32, 64):
            x = block(width)(block(width, stride=2)(x))
        near = x
        for width in (96, 128):
            x = block(width)(block(width, stride=2)(x))
        both = rt.Concat()(near, rt.Upsample(4)(block(64)(x)))
        return rt.Sigmoid()(rt.Conv2d(5, 1)(block(64)(block(64)(both))))

    return rt.Graph(
        lambda x: wired(rt.ColorJitter(brightness=0.3, contrast=0.3)(x)),
        input=rt.Image(SIZE),
        output=rt.Boxes([PERSON]),
    )


def boxes_of(mask: Image.Image) -> dict[str, Any]:
    """The boxes around the people of a mask, whose pixels number them."""
    pixels = np.asarray(mask)
    height, width = pixels.shape
    boxes = []
    for number in np.unique(pixels)[1:]:
        rows, columns = np.nonzero(pixels == number)
        boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    places = np.array(boxes).reshape(-1, 4) / (width, height, width, height)
    return {"boxes": places, "labels": [PERSON] * len(boxes)}


def seen(file: Any, view: tuple[float, ...] = VIEWS[0], mirror: bool = False) -> Image.Image:
    """A part of a picture, or of a mask."""
    picture = Image.open(io.BytesIO(file.read()))
    part = picture.crop(tuple(round(v * side) for v, side in zip(view, picture.size * 2, strict=True)))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else part


def part_of(scenes: rt.Data, **how: Any) -> rt.Data:
    """Pictures, and the boxes of their masks, of one view."""
    return scenes.map(input=partial(seen, **how), output=lambda file: boxes_of(seen(file, **how)))


asked = options(__doc__, epochs=12)
archive = prepared(asked, "penn_fudan/penn_fudan_256px.zip")
pictures = rt.data(f"{archive}/images/{{name}}.jpg").arrays()
masks = rt.data(f"{archive}/masks/{{name}}.png").arrays()
assert pictures["output"] == masks["output"], "each picture has the mask of its name"
scenes = some(rt.data((pictures["input"], masks["input"])), asked)

train, *held = scenes.split((0.7, 0.1, 0.2))
validation, test = map(part_of, held)
first, *views = [part_of(train, view=view, mirror=mirror) for mirror in (False, True) for view in VIEWS]
net = detector()
run = rt.train(net, first.join(*views), validation=validation, epochs=asked.epochs, batch_size=16,
               loss=rt.Detection(size=1), optimizer=rt.Adam(2e-3), schedule=rt.CosineDecay())  # fmt: skip
found = rt.measure(run.net, test)
print(found)

true = [Found(each["boxes"], each["labels"], each["scores"]) for each in found.truths]
average = np.concatenate([each["boxes"] for each in first.arrays()["output"]]).mean(0, keepdims=True)
same = average_precisions([Found(average, [PERSON], np.ones(1))] * len(true), true, [PERSON])[PERSON]
tell(
    "detector in one stage, pedestrians",
    data=f"Penn-Fudan, {len(scenes)} pictures at {SIZE} x {SIZE}",
    split=f"{len(train)} train (in ten views), {len(validation)} validation, {len(test)} test, by chance",
    net=run.net,
    figure={"mAP at 0.5": found.map_50, "mAP at 0.5 to 0.95": found.mean_average_precision},
    baseline={"mAP at 0.5 of the average box": same.at_50, "mAP at 0.5 to 0.95 of it": same.mean},
)

"""Which part of an input an answer comes from: a value with the numbers, and its picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._figures import Drawable
from retia._late import numpy as np
from retia._torch import torch
from retia.codecs import Image, Table
from retia.codecs.text import Texts
from retia.errors import ArgumentError, did_you_mean
from retia.nets import Net
from retia.nets.codec import Reading
from retia.view import attribution
from retia.view.asked import Example, example, numbers_of, score
from retia.view.heat import draw
from retia.view.integral import integrated

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

METHODS: Mapping[str, tuple[Callable[..., attribution.Attributed], Mapping[str, Any]]] = {
    "gradient": (attribution.gradient, {}),
    "smooth": (attribution.smooth, {"samples": 25, "noise": 0.15, "seed": 0}),
    "integrated": (integrated, {"baseline": None, "steps": None}),
    "grad-cam": (attribution.grad_cam, {"path": None}),
    "occlusion": (attribution.occlusion, {"baseline": None, "window": None, "stride": None}),
}
"""The methods, and what each can be told, with what it does otherwise."""

MEASURES = {
    "gradient": "derivative of the score",
    "smooth": "mean derivative of the score",
    "integrated": "share of the score",
    "grad-cam": "weighted feature maps",
    "occlusion": "fall of the score",
}


@dataclass(frozen=True, eq=False, repr=False)
class Saliency(Drawable):
    """Where an answer comes from; ``net.saliency`` makes it.

    Attributes:
        method: how it was found.
        of: the label, or the place of the output, that is explained.
        port: the output.
        input: the input port.
        values: for each number that stands at the input (of a text, for each number of its tokens'
            vectors); of Grad-CAM and occlusion for each place. NumPy, read-only.
        map: the same for each place: (height, width), or one for each token, column or element.
        names: of the places: tokens, or a table's entries; empty for others.
        score: the number that is explained, the logit before a Softmax or Sigmoid.
        baseline: the score of the baseline; None where the method has none.
        steps: how often the net was asked.
        path: the layer whose feature maps were looked at, of Grad-CAM.
        is_text: whether the places are tokens.
        picture: what the net sees, (height, width) or (height, width, 3) from 0 to 1; None for no picture.
    """

    method: str
    of: Any
    port: str
    input: str
    values: NDArray[Any]
    map: NDArray[Any]
    names: tuple[str, ...]
    score: float
    baseline: float | None = None
    steps: int = 1
    path: str | None = None
    picture: NDArray[Any] | None = None
    is_text: bool = False

    @property
    def gap(self) -> float | None:
        """Of integrated gradients: their sum less the difference of the scores, which should be 0."""
        if self.baseline is None:
            return None
        return float(self.values.sum(dtype=np.float64)) - (self.score - self.baseline)

    @property
    def measure(self) -> str:
        """What the numbers of the map are."""
        return MEASURES[self.method]

    @property
    def title(self) -> str:
        """What is explained, and how."""
        where = f" at {self.path}" if self.path else ""
        gap = f", sum off by {self.gap:.1g}" if self.gap is not None else ""
        of = "a function of the scores" if callable(self.of) else self.of
        return f"{of}: {self.method}{where}, score {self.score:.4g}{gap}"

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw it: a heat map over a picture, the tokens of a text, bars for columns.

        Args:
            path: where to save it (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
        Returns:
            The axes that were given, or else the figure.
        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        return draw(self, path, ax)

    def __repr__(self) -> str:
        return f"<Saliency of {self.title}; {' × '.join(map(str, self.map.shape))}>"


def saliency(
    net: Net, thing: Any, of: Any = None, method: str = "gradient", input: str | None = None, **how: Any
) -> Saliency:
    """See ``Net.saliency``."""
    with torch.inference_mode(False):  # no derivatives are known within it
        return _saliency(net, thing, of, method, input, how)


def _saliency(
    net: Net, thing: Any, of: Any, method: str, input: str | None, how: Mapping[str, Any]
) -> Saliency:
    if method not in METHODS:
        raise ArgumentError(
            f"saliency: method is one of {', '.join(map(repr, METHODS))}; got {method!r}."
            + did_you_mean(method, METHODS),
            got=method,
        )
    run, known = METHODS[method]
    given = {name: value for name, value in how.items() if value is not None}
    for name in given:
        if name not in known:
            homes = [repr(each) for each, (_, words) in METHODS.items() if name in words]
            raise ArgumentError(
                f"saliency: {name}= is for {' and '.join(homes)}, not {method!r}.", got=method
            )
    asked = example("saliency", net, thing, input)
    meant = score("saliency", asked, of)
    found = run(asked, meant, **{**known, **_checked(given)})
    values = numbers_of(found.values)
    return Saliency(
        method=method,
        of=meant.of,
        port=meant.port,
        input=asked.port,
        values=values,
        map=numbers_of(_map(asked, found.values, signed=method == "integrated")),
        names=_names(asked),
        score=found.score,
        baseline=found.baseline,
        steps=found.steps,
        path=found.path,
        picture=_seen(asked),
        is_text=isinstance(net.inputs[asked.port].codec, Texts),
    )


def _checked(given: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("samples", "steps", "seed"):
        number, least = given.get(name, 1), 0 if name == "seed" else 1
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ArgumentError(
                f"saliency: {name} is a whole number from {least}; got {number!r}.", got=number
            )
    noise = given.get("noise", 0.0)
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < float("inf"):
        raise ArgumentError(f"saliency: noise is a number from 0; got {noise!r}.", got=noise)
    return given


def _map(asked: Example, values: Tensor, signed: bool) -> Tensor:
    """One number for each place: of colours the sum, or the greatest size; of vectors the sum, or length."""
    rank = asked.start.dim() - 1
    if values.dim() < rank or rank == len(attribution.space(asked)):
        return values
    axis = -1 if asked.is_looked_up else 0
    if signed:
        return values.sum(axis)
    return values.norm(dim=axis) if asked.is_looked_up else values.abs().amax(axis)


def _names(asked: Example) -> tuple[str, ...]:
    codec = asked.net.inputs[asked.port].codec
    if isinstance(codec, Texts):
        numbers = asked.taken.values[asked.port][0].tolist()
        return tuple(codec.vocabulary[number] for number in numbers)
    return codec.entries if isinstance(codec, Table) else ()


def _seen(asked: Example) -> NDArray[Any] | None:
    """The picture as the net sees it, out of what stands at the port."""
    codec = asked.net.inputs[asked.port].codec
    if isinstance(codec, Image):
        return np.asarray(codec.unpack(asked.start.cpu(), Reading())[0]) / 255
    if not asked.is_picture:
        return None
    array = asked.start[0].detach().cpu().double().numpy()
    low, high = float(array.min()), float(array.max())
    array = array if low >= 0 and high <= 1 else (array - low) / ((high - low) or 1.0)
    return array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)

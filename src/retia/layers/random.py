"""Random arrays as layers without inputs: each example gets numbers of its own."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError
from retia.nets.layer import Layer, layer
from retia.nets.settings import choice, real, setting, whole, whole_tuple
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor

PARAMETERS = {
    "normal": ("mean", "std"),
    "uniform": ("low", "high"),
    "bernoulli": ("chance",),
    "exponential": ("rate",),
    "laplace": ("mean", "scale"),
    "gumbel": ("mean", "scale"),
}
"""The distributions, and which settings say more about each."""

STANDARD = {
    "mean": 0.0, "std": 1.0, "low": 0.0, "high": 1.0, "chance": 0.5, "rate": 1.0, "scale": 1.0,
}  # fmt: skip
STEP = 2.0**-24
"""From one number that may be drawn to the next."""

LEAST = STEP / 2
"""Stands for 0, whose logarithm is none."""


@layer
class RandomArray(Layer):
    """Random numbers from a distribution, for each example its own; the noise of a VAE or a GAN.

    It draws in training and when the net is called, for samples need noise as well. In training the numbers
    follow from the run's seed, step, layer, example and place. In a call they follow from the layer, its own
    seed, the example's place in the batch and the place in the array, so that the same call gives the same
    again; another sample comes from another place in the batch, or another seed.

    Shape:  nothing -> (*size)
    Args:
        size: whole numbers, ``RandomArray(8)`` for a vector; ``RandomArray(())`` is a single number.
        distribution: ``"normal"`` (with ``mean``, ``std``), ``"uniform"`` (``low``, ``high``),
            ``"bernoulli"`` (``chance`` of a 1, else 0), ``"exponential"`` (``rate``), ``"laplace"`` or
            ``"gumbel"`` (``mean`` as PyTorch's loc, ``scale``).
        mean: 0 when left out.
        std: standard deviation, at least 0; 1 when left out.
        low: 0 when left out.
        high: not below low; 1 when left out.
        chance: 0..1; 0.5 when left out.
        rate: above 0; 1 when left out.
        scale: at least 0; 1 when left out.
        seed: other numbers for each; at least 0.
    Raises:
        ArgumentError: a setting that belongs to another distribution.
    Source: the distributions as ``torch.distributions`` has them, each number by its quantile function.
    Example:
        >>> import retia as rt
        >>> latent = {"mean": 2, "std": 2}
        >>> sample = rt.Graph(lambda mean, std: mean + std * rt.RandomArray(2), input=latent)
        >>> sample({"mean": [1.0, 5.0], "std": [0.0, 0.0]})
        tensor([1., 5.])
    """

    gathers = True
    noisy = True

    size: tuple[int, ...] = setting(whole_tuple(0))
    _: KW_ONLY
    distribution: str = setting(choice(*PARAMETERS), default="normal")
    mean: float | None = setting(real(optional=True), default=None)
    std: float | None = setting(real(0, optional=True), default=None)
    low: float | None = setting(real(optional=True), default=None)
    high: float | None = setting(real(optional=True), default=None)
    chance: float | None = setting(real(0, 1, optional=True), default=None)
    rate: float | None = setting(real(1e-30, optional=True), default=None)
    scale: float | None = setting(real(0, optional=True), default=None)
    seed: int = setting(whole(0), default=0)

    def validate(self) -> None:
        own = PARAMETERS[self.distribution]
        for name in STANDARD:
            if getattr(self, name) is not None and name not in own:
                raise ArgumentError(
                    f"RandomArray: {name} says nothing about the distribution {self.distribution!r}.",
                    fix=f"it has: {', '.join(own)}",
                    expected=own,
                    got=name,
                )
        if self.distribution == "uniform" and self._of("low") > self._of("high"):
            raise ArgumentError(
                f"RandomArray: low is {self._of('low')}, above high, {self._of('high')}.",
                expected=self._of("high"),
                got=self._of("low"),
            )

    def ports(self, arity: int | None = None) -> Signature:
        return signature(f"-> {' '.join(map(str, self.size)) or '()'}")

    def _of(self, name: str) -> float:
        said: float | None = getattr(self, name)
        return STANDARD[name] if said is None else said

    def forward(self, *, moment: Any) -> Tensor:
        like = torch.empty((moment.batch, *self.size), device=moment.device)
        return self._bent(moment.uniform(like, self.seed)).to(moment.real)

    def _bent(self, drawn: Tensor) -> Tensor:
        """Numbers spread evenly from 0 to below 1 as numbers of the distribution, by its quantiles."""
        if self.distribution == "uniform":
            return drawn * (self._of("high") - self._of("low")) + self._of("low")
        if self.distribution == "bernoulli":
            return (drawn < self._of("chance")).to(drawn.dtype)
        if self.distribution == "exponential":
            return -torch.log1p(-drawn) / self._of("rate")
        if self.distribution == "gumbel":
            return self._of("mean") - torch.log(-torch.log(drawn.clamp(min=LEAST))) * self._of("scale")
        even = drawn * 2 - (1 - STEP)  # above -1 and below 1: what is drawn are multiples of STEP
        if self.distribution == "laplace":
            return self._of("mean") - even.sign() * torch.log1p(-even.abs()) * self._of("scale")
        return torch.erfinv(even) * (2**0.5 * self._of("std")) + self._of("mean")

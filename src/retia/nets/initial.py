"""How arrays start: methods of initialisation, all of them PyTorch's own, drawn on the CPU.

Each array has its own stream of random numbers, a pure function of the seed and the array's path, so
that a change elsewhere in the net does not change it and every device starts alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from retia._torch import torch
from retia.errors import ArgumentError, did_you_mean
from retia.nets import registry
from retia.nets.expression import Content
from retia.nets.settings import declared, real, setting, settle

METHODS = {
    "kaiming_uniform": "kaiming_uniform_", "kaiming_normal": "kaiming_normal_",
    "xavier_uniform": "xavier_uniform_", "xavier_normal": "xavier_normal_",
    "orthogonal": "orthogonal_", "normal": "normal_", "truncated_normal": "trunc_normal_",
    "uniform": "uniform_", "fan_out_uniform": "uniform_", "zeros": "zeros_", "ones": "ones_",
    "identity": "eye_", "constant": "constant_",
}  # fmt: skip

ALIASES = {
    "kaiming": "kaiming_uniform", "he": "kaiming_uniform", "he_uniform": "kaiming_uniform",
    "he_normal": "kaiming_normal", "xavier": "xavier_uniform", "glorot": "xavier_uniform",
    "glorot_uniform": "xavier_uniform", "glorot_normal": "xavier_normal", "trunc_normal": "truncated_normal",
    "eye": "identity",
}  # fmt: skip


def _method(name: str, value: Any) -> str:
    value = ALIASES.get(value, value) if isinstance(value, str) else value
    if not isinstance(value, str) or value not in METHODS:
        raise ArgumentError(
            f"{name} is one of {', '.join(METHODS)}; got {value!r}."
            + did_you_mean(value, [*METHODS, *ALIASES]),
            got=value,
        )
    return str(value)


@declared
class Initial(Content):
    """A way to start an array.

    Args:
        method: ``"kaiming_uniform"`` (default of weights), ``"kaiming_normal"``, ``"xavier_uniform"``,
            ``"xavier_normal"``, ``"orthogonal"``, ``"normal"``, ``"truncated_normal"`` (cut at 2 standard
            deviations), ``"uniform"``, ``"fan_out_uniform"`` (within gain / sqrt(outputs), PyTorch's start of
            recurrent layers), ``"zeros"``, ``"ones"``, ``"identity"``, ``"constant"``.
        mean: of normal draws.
        std: standard deviation of normal draws, above 0.
        low: least of uniform draws.
        high: greatest of uniform draws.
        gain: factor of Xavier, orthogonal and fan-out draws.
        value: of a constant.
    Source: He et al. 2015 (Kaiming), Glorot and Bengio 2010 (Xavier), Saxe et al. 2014 (orthogonal);
        computed by ``torch.nn.init``. Kaiming takes the gain of ReLU, the square root of 2, and fan-in.
    Example:
        >>> import retia as rt
        >>> rt.Linear(3, input=2, init=rt.Initial("normal", std=0.02)).init().arrays["weight"].shape
        torch.Size([3, 2])
    """

    method: str = setting(_method, default="kaiming_uniform")
    mean: float = setting(real(), default=0.0)
    std: float = setting(real(0), default=1.0)
    low: float = setting(real(), default=0.0)
    high: float = setting(real(), default=1.0)
    gain: float = setting(real(), default=1.0)
    value: float = setting(real(), default=0.0)

    def __post_init__(self) -> None:
        settle(self)
        if self.low > self.high:
            raise ArgumentError(f"Initial: low is {self.low}, above high, {self.high}.")

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        """A new float32 array on the CPU."""
        array = torch.empty(shape)
        if array.numel() == 0:
            return array
        draw: Callable[..., torch.Tensor] = getattr(torch.nn.init, METHODS[self.method])
        if self.method.startswith("kaiming") and array.dim() < 2:
            bound = array.numel() ** -0.5
            return array.uniform_(-bound, bound, generator=generator)
        if self.method == "fan_out_uniform":
            bound = self.gain * (array.shape[0] if array.dim() else 1) ** -0.5
            return array.uniform_(-bound, bound, generator=generator)
        if self.method == "identity" and array.dim() != 2:
            if not 3 <= array.dim() <= 5:
                raise ArgumentError(
                    f"Initial('identity') starts matrices and kernels; this has {array.dim()} axes."
                )
            return torch.nn.init.dirac_(array)
        if self.method in ("zeros", "ones", "identity"):
            return draw(array)
        if self.method == "constant":
            return array.fill_(self.value)
        return draw(array, generator=generator, **self._keywords())

    def _keywords(self) -> dict[str, Any]:
        if self.method.startswith("kaiming"):
            return {"nonlinearity": "relu"}
        if self.method in ("normal", "truncated_normal"):
            cut = {"a": self.mean - 2 * self.std, "b": self.mean + 2 * self.std}
            return {"mean": self.mean, "std": self.std, **(cut if self.method != "normal" else {})}
        if self.method == "uniform":
            return {"a": self.low, "b": self.high}
        return {"gain": self.gain}


registry.register(Initial)


def read_initial(name: str, value: Any) -> Initial:
    """A method by name or as a value."""
    if isinstance(value, Initial):
        return value
    if isinstance(value, str):
        return Initial(_method(name, value))
    raise ArgumentError(f"{name} is a method's name or rt.Initial(...); got {value!r}.", got=value)


def stream(seed: int, path: str) -> torch.Generator:
    """The random numbers of one array: a pure function of the seed and the path."""
    digest = hashlib.sha256(f"{seed}/{path}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)

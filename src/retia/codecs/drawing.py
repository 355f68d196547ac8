"""Random draws among tokens, and the chances that they are drawn by: temperature, the best few, a nucleus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.codecs.choices import softmax
from retia.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def narrowed(
    chances: NDArray[Any],
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
) -> NDArray[Any]:
    """What a draw goes by: probabilities (..., choices) tempered, then cut down, then made to sum to 1.

    Args:
        chances: at least 0; each row is divided by its sum first.
        temperature: above 0; below 1 it favours the likelier ones, above 1 it levels.
        top_k: so many of the likeliest stay, at least 1; of equal ones, the first.
        top_p: of those, the likeliest stay whose sum first reaches this, above 0 and at most 1 (the nucleus).
    Raises:
        ArgumentError: a number out of its range.
    Source: Fan et al. 2018 (top-k); Holtzman et al. 2020 (nucleus).
    Example:
        >>> from retia._late import numpy as np
        >>> narrowed(np.array([0.5, 0.3, 0.2]), top_p=0.6)
        array([0.625, 0.375, 0.   ])
    """
    check_draw(temperature, top_k, top_p)
    with np.errstate(divide="ignore"):
        chances = softmax(np.log(shares(chances)) / (1.0 if temperature is None else temperature))
    if top_k is None and top_p is None:
        return chances
    order = np.argsort(-chances, axis=-1, kind="stable")
    best = np.take_along_axis(chances, order, axis=-1)
    best[..., chances.shape[-1] if top_k is None else top_k :] = 0.0
    best = shares(best)
    if top_p is not None:
        # The first stays always; another one as long as those before it have not reached top_p.
        before = np.concatenate([np.zeros_like(best[..., :1]), best.cumsum(axis=-1)[..., :-1]], axis=-1)
        best = shares(np.where(before < top_p, best, 0.0))
    made = np.empty_like(best)
    np.put_along_axis(made, order, best, axis=-1)
    return made


def shares(chances: NDArray[Any]) -> NDArray[Any]:
    """Rows that sum to 1; one of zeros is taken for equal chances."""
    total = chances.sum(axis=-1, keepdims=True)
    level = np.full_like(chances, 1 / max(1, chances.shape[-1]))
    return np.where(total > 0, chances / np.where(total > 0, total, 1), level)


def drawn(chances: NDArray[Any], seed: int | None, row: int) -> NDArray[Any]:
    """One choice for each row of ``chances`` (places, choices).

    Args:
        chances: that sum to 1.
        seed: at least 0; None draws anew each time.
        row: the example's number, so that no two examples share their draws.
    """
    check_seed(seed)
    sums = chances.cumsum(axis=-1)
    random = np.random.default_rng(None if seed is None else (seed, row))
    draws = random.random((len(sums), 1)) * sums[:, -1:]
    return np.asarray((sums <= draws).sum(axis=-1))


def check_seed(seed: Any) -> None:
    """Refuse what is no seed."""
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise ArgumentError(f"seed is a whole number of at least 0; got {seed!r}.", got=seed)


def check_draw(temperature: Any, top_k: Any, top_p: Any) -> None:
    """Refuse numbers that are out of their range."""
    if temperature is not None and not _is_number(temperature, 0, float("inf")):
        raise ArgumentError(f"temperature is a number above 0; got {temperature!r}.", got=temperature)
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1):
        raise ArgumentError(f"top_k is a whole number of at least 1; got {top_k!r}.", got=top_k)
    if top_p is not None and not (_is_number(top_p, 0, 1) or top_p == 1):
        raise ArgumentError(f"top_p is a number above 0, at most 1; got {top_p!r}.", got=top_p)


def _is_number(value: Any, low: float, high: float) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and low < value < high

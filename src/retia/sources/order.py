"""The order in which examples are taken: a pure function of what it is for.

No generator but the one made here is read or set. The raw numbers of NumPy's PCG64 are the same in every
version of NumPy and on every machine, and so are the orders made of them.
"""

from __future__ import annotations

import hashlib
import operator
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def order(n: int, seed: int, epoch: int = 0) -> Tensor:
    """In which order an epoch takes its examples.

    Args:
        n: number of examples, at least 0.
        seed: of the training, 0 to 2**63 - 1.
        epoch: from 0 on.
    Returns:
        int64 (n,), each of 0..n-1 once.
    Example:
        >>> sorted(order(5, seed=1).tolist())
        [0, 1, 2, 3, 4]
    """
    return torch.from_numpy(permutation(n, "order", seed, epoch))


def permutation(n: int, purpose: str, *key: int) -> NDArray[Any]:
    """The numbers 0..n-1 in an order that depends on the purpose and the key alone."""
    numbers = [check_seed(each) for each in key]
    digest = hashlib.sha256("/".join([purpose, *map(str, numbers)]).encode()).digest()
    raw = np.random.PCG64(int.from_bytes(digest[:16], "little")).random_raw(n)
    return np.argsort(raw, kind="stable").astype(np.int64, copy=False)


def check_seed(seed: Any) -> int:
    """A seed as a plain number.

    Raises:
        ArgumentError: it is none.
    """
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**63:
        raise ArgumentError(f"A seed is a whole number from 0 to 2**63 - 1; got {seed!r}.", got=seed)
    return number

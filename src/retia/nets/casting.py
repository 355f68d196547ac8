"""A net in other numbers: all its arrays, or some, in another real type."""

from __future__ import annotations

from typing import Any

from retia._torch import torch
from retia.errors import ArgumentError, ArraysError, UnknownNameError, did_you_mean
from retia.nets.lineage import descended
from retia.nets.net import Net
from retia.nets.patterns import matches

KINDS = ("float64", "float32", "float16", "bfloat16")


def cast(net: Net, kind: Any, only: str | None = None) -> Net:
    """The net whose real arrays, or those that a pattern matches, are of another type."""
    name = str(kind).removeprefix("torch.")
    if name not in KINDS:
        raise ArgumentError(
            f"cast: a net's numbers are {', '.join(KINDS)}; got {kind!r}.{did_you_mean(name, KINDS)}",
            got=kind,
        )
    if not net.arrays:
        raise ArraysError("cast: this net has no arrays yet.", fix="net.init(seed=0) first")
    wanted = [path for path in net.arrays if only is None or matches(only, path)]
    real = {path: net.arrays[path] for path in wanted if net.arrays[path].is_floating_point()}
    if not real:
        told = "whole numbers alone." if wanted else f"no array.{did_you_mean(only, net.arrays)}"
        raise UnknownNameError(f"cast: only={only!r} matches {told}", path=only)
    made = net.with_arrays({path: tensor.to(getattr(torch, name)) for path, tensor in real.items()})
    return descended(made, net, f"cast({name!r}{f', only={only!r}' if only is not None else ''})")

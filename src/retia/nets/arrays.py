"""The arrays of a net by path, as a read-only mapping that notices changes behind its back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from copy import copy

from retia._torch import torch
from retia.errors import ArraysError, UnknownNameError, did_you_mean


class Arrays(Mapping[str, "torch.Tensor"]):
    """A net's arrays by path (``"3.weight"``): what a PyTorch ``state_dict`` of the same nesting holds.

    Tensors are the net's own. One that was changed in place since is an error at its next use.
    """

    def __init__(
        self, tensors: Mapping[str, torch.Tensor], versions: Mapping[str, int] | None = None
    ) -> None:
        self._tensors = dict(tensors)
        self._versions = versions or {path: tensor._version for path, tensor in tensors.items()}
        self._expected = [self._versions[path] for path in self._tensors]

    def __getitem__(self, path: str) -> torch.Tensor:
        if path not in self._tensors:
            raise UnknownNameError(
                f"There is no array {path!r}.{did_you_mean(path, self._tensors)}", path=path
            )
        self._check(path)
        return self._tensors[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{path}: {tuple(t.shape)}" for path, t in self._tensors.items()) + "}"

    def check(self) -> Mapping[str, torch.Tensor]:
        """The plain dict, after making sure that no array was changed in place."""
        if [tensor._version for tensor in self._tensors.values()] != self._expected:
            for path in self._tensors:
                self._check(path)
        return self._tensors

    def digest(self) -> str:
        """sha256 over paths, types, shapes and bytes."""
        total = hashlib.sha256()
        for path in sorted(self._tensors):
            tensor = self[path].detach().cpu().contiguous()
            total.update(f"{path} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return total.hexdigest()

    def _check(self, path: str) -> None:
        if self._tensors[path]._version != self._versions[path]:
            raise ArraysError(
                f"{path} was changed in place, but a net is a value.",
                fix=f"net = net.with_arrays({{{path!r}: changed}})",
                path=path,
            )


def own(tensor: object, path: str) -> torch.Tensor:
    """A tensor as a net keeps it: apart from any graph of derivatives, with a version to watch."""
    if not isinstance(tensor, torch.Tensor):
        try:
            tensor = torch.as_tensor(copy(tensor))  # an array of NumPy's may be changed behind the net's back
        except (TypeError, ValueError, RuntimeError):
            kind = type(tensor).__name__
            raise ArraysError(f"{path} is no array of numbers; got {kind}.", path=path, got=tensor) from None
    tensor = tensor.detach()
    if tensor.is_inference():
        with torch.inference_mode(False):
            tensor = tensor.clone()
    if tensor.is_sparse or tensor.is_complex() or tensor.device.type == "meta":
        raise ArraysError(
            f"{path}: arrays are dense and real; got {tensor.layout}, {tensor.dtype}.", path=path
        )
    return tensor

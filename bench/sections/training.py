"""Seconds of an epoch, for nets that learn digits."""

from collections.abc import Iterator

import workloads
from how import How
from report import Table
from workers import Peer

TITLE = "Training"
WORDS = f"""
Seconds of an epoch on MNIST: {workloads.STEPS} steps of {workloads.BATCH} pictures, Adam, rate 0.001,
no validation. The first epoch, with planning or compiling, is told beside and not counted. The best
PyTorch loop keeps its tensors in memory, uses fused Adam, flushes denormals and, for pictures, has
colours last; JAX runs an epoch as one scan, for convolutions as one compiled step; scikit-learn begins
with arrays of its own and computes no accuracy.
"""


def _keras(key: str, words: str, backend: str, module: str, together: int) -> Peer:
    return Peer(
        key, words, "peers.keras_net:train", {"together": together}, needs=("keras", module),
        environment={"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip


PEERS = (
    Peer("retia", "Retia", "peers.retia_net:train"),
    Peer("torch-best", "PyTorch, best loop", "peers.torch_best:train", needs=("torch",)),
    Peer(
        "torch-nchw", "PyTorch, best loop, NCHW", "peers.torch_best:train", {"last": False}, needs=("torch",)
    ),
    Peer(
        "torch-compile",
        "PyTorch, best loop, torch.compile",
        "peers.torch_best:train",
        {"compiled": True},
        ("torch",),
    ),
    Peer("torch-loader", "PyTorch, DataLoader", "peers.torch_loader:train", needs=("torch",)),
    Peer("jax", "JAX", "peers.jax_net:train", needs=("jax",)),
    _keras("keras-jax", "Keras on JAX", "jax", "jax", 8),
    _keras("keras-tensorflow", "Keras on TensorFlow", "tensorflow", "tensorflow", 1),
    _keras("keras-torch", "Keras on PyTorch", "torch", "torch", 1),
    Peer("sklearn", "scikit-learn", "peers.sklearn_mlp:train", needs=("sklearn",)),
)


def measure(how: How) -> Iterator[Table]:
    """A table a net."""
    for net in how.chosen(("784-15-10", "784-200-60-10", "cnn", "lenet")):
        pictures = workloads.is_convolutional(workloads.NETS[net])
        peers = [peer for peer in PEERS if pictures or peer.key != "torch-nchw"]
        yield how.table(f"{workloads.WORDS[net]}: seconds an epoch", peers, {"net": net}, first=True)

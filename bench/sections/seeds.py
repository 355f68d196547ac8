"""Eight seeds of a small net."""

from collections.abc import Iterator

from how import How
from report import Table
from workers import Peer

TITLE = "Seeds"
COUNT = 8
EPOCHS = 5
WORDS = f"""
Seconds of {COUNT} whole trainings of 784-15-10 that differ in their seed, {EPOCHS} epochs each,
everything counted that the call does. Retia and JAX train them at once; the accuracy is their mean.
"""
PEERS = (
    Peer("retia", "Retia, `seed=[0, ..., 7]`", "peers.retia_net:seeds"),
    Peer("torch-best", "PyTorch, best loop, one after another", "peers.torch_best:seeds", needs=("torch",)),
    Peer("jax", "JAX, vmap of a scan, one order for all", "peers.jax_net:seeds", needs=("jax",)),
)


def measure(how: How) -> Iterator[Table]:
    """One table."""
    about = {"net": "784-15-10", "count": COUNT, "epochs": EPOCHS}
    yield how.table(f"{COUNT} seeds of 784-15-10: seconds", PEERS, about)

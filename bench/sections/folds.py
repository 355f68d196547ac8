"""Cross-validation: folds trained at once against one after another."""

from collections.abc import Iterator

import workloads
from how import How
from report import Table
from workers import Peer

TITLE = "Folds"
COUNT = 5
EPOCHS = 5
WORDS = f"""
Seconds of a {COUNT}-fold cross-validation, {EPOCHS} epochs a fold, everything counted that the calls do:
`rt.cross_validate`, which trains small nets at once, against `rt.train` and `rt.measure` once a fold. The
accuracy is the mean over the folds held out.
"""
PEERS = (
    Peer("retia", "Retia, `rt.cross_validate`", "peers.retia_net:folds"),
    Peer("retia-alone", "Retia, one fold after another", "peers.retia_net:folds", {"alone": True}),
)


def measure(how: How) -> Iterator[Table]:
    """A table a net."""
    for net in how.chosen(("784-15-10", "784-200-60-10")):
        about = {"net": net, "count": COUNT, "epochs": EPOCHS}
        yield how.table(f"{COUNT} folds of {workloads.WORDS[net]}: seconds", PEERS, about)

"""Training on data that are streamed against data in memory."""

from collections.abc import Iterator

from how import How
from report import Table
from workers import Peer

TITLE = "Streaming"
WORDS = """
Seconds for 10,000 digits in an epoch of the LeNet, 64 a batch, after the first trainings. Streamed from an
array in a file that is mapped into memory, ten times as large as what the process may take (RLIMIT_DATA)
beyond what it has then; beside it the share of the time that was spent waiting for data, and by how many
megabytes its own memory grew from the first tenth of the epoch to the last, and its span. Streamed from a
zip of PNG files, decoded anew in every epoch; and these with `data.cache(folder)`.
"""
PEERS = (
    Peer("retia", "Retia, in memory", "peers.streaming:resident"),
    Peer("retia-streamed", "Retia, streamed from ten times the memory", "peers.streaming:streamed"),
    Peer("retia-files", "Retia, streamed from PNG files in a zip", "peers.streaming:files"),
    Peer("retia-kept", "Retia, these files, kept encoded", "peers.streaming:files", {"kept": True}),
)


def measure(how: How) -> Iterator[Table]:
    """One table."""
    beside = {"waiting": "waiting", "grown": "MB grown", "span": "MB span"}
    yield how.table("LeNet: seconds for 10,000 digits", PEERS, beside=beside)

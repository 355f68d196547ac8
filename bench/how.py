"""What the command line says, for the sections."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from report import Table
from workers import Field, Peer


@dataclass(frozen=True)
class How:
    """How to measure.

    Attributes:
        folder: where the digits and the arrays lie.
        rounds: that count.
        peers: words one of which a peer's key has to contain; none for all. Retia is always there.
        nets: the same for nets.
        examples: of an epoch.
        limit: seconds after which a turn is given up.
        keep: whether files are written.
        patience: seconds of a first turn after which a peer takes part in three rounds only.
    """

    folder: str
    rounds: int
    peers: Sequence[str]
    nets: Sequence[str]
    examples: int
    limit: float
    patience: float
    keep: bool = True

    def table(
        self, title: str, peers: Sequence[Peer], extra: Mapping[str, Any] | None = None,
        *, warm: bool = True, **about: Any,
    ) -> Table:  # fmt: skip
        """Measure peers against each other."""
        print(title, file=sys.stderr, flush=True)
        settings = {"folder": self.folder, "rounds": self.rounds, "examples": self.examples, **(extra or {})}
        wanted = [peer for peer in peers if self.is_wanted(peer.key)]
        field = Field(wanted, rounds=self.rounds, extra=settings, limit=self.limit, patience=self.patience)
        return Table(title, field.measure(warm=warm), **about)

    def is_wanted(self, key: str) -> bool:
        """Whether a peer is to be measured."""
        return not self.peers or key.startswith("retia") or any(word in key for word in self.peers)

    def chosen(self, nets: Sequence[str]) -> list[str]:
        """Those of the nets that are to be measured."""
        return [net for net in nets if not self.nets or net in self.nets]

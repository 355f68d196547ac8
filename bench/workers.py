"""The runner's side: worker processes that live through a measurement and take turns.

Peers go round-robin, each round beginning with another one, so that a drift of the machine hits all alike.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from machine import busy_seconds, process_seconds, stolen_seconds

HERE = Path(__file__).parent
SETTLE = 0.05
"""Seconds between turns: threads of the last worker stop spinning."""


class Failed(Exception):
    """A worker could not go on; the words are for the table."""


@dataclass(frozen=True)
class Peer:
    """One row of a table.

    Attributes:
        key: short name, for the command line.
        words: what it is, in the table.
        job: module and function, ``"peers.torch_best:train"``.
        settings: the function's keyword arguments.
        needs: modules without which it is skipped.
        environment: variables of its process.
        fresh: a process of its own for every round.
        rounds: at most so many; None for as many as the section has.
    """

    key: str
    words: str
    job: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    rounds: int | None = None

    def missing(self) -> list[str]:
        """The modules that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


class Worker:
    """A process that runs a peer's job."""

    def __init__(self, peer: Peer, extra: Mapping[str, Any], limit: float) -> None:
        self.limit = limit
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (open as long as the worker)
        settings = json.dumps({**peer.settings, **extra})
        self.process = subprocess.Popen(
            [sys.executable, HERE / "worker.py", peer.job, settings],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, bufsize=0,
            env={**os.environ, **peer.environment},
        )  # fmt: skip
        self.buffer = b""
        self.last: dict[str, Any] | None = None

    def wait(self) -> None:
        """Until the job is ready for its first turn."""
        self.read()

    def turn(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Let the worker work; answers what it told when it is ready for the next turn."""
        self._write(request)
        told = self.read()
        self.last = self.read().get("last")
        return told

    def end(self) -> dict[str, Any]:
        """Let the job end; answers its last words."""
        if self.last is None:
            self._write(None)
            self.last = self.read()["last"]
        return self.last

    def close(self) -> None:
        """Stop the process, whatever it does."""
        self.process.kill()
        with self.process, self.errors:  # which closes the pipes and waits
            pass

    def read(self) -> dict[str, Any]:
        """The worker's next message."""
        out = self.process.stdout
        until = time.monotonic() + self.limit
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([out], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise Failed(f"took more than {self.limit:.0f} s")
            read = os.read(out.fileno(), 65536)
            if not read:
                raise Failed(self._reason())
            self.buffer += read
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def _write(self, message: Mapping[str, Any] | None) -> None:
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            raise Failed(self._reason()) from None

    def _reason(self) -> str:
        self.process.wait()
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        return reason(lines, self.process.returncode)


def reason(lines: Sequence[str], status: int) -> str:
    """Why a process ended, in a line: the last error that it wrote."""
    errors = [line for line in lines if line.split(":")[0].endswith(("Error", "Unable", "Exception"))]
    said = (errors or [*lines] or [f"exit status {status}"])[-1]
    return said.removeprefix("peers.common.Unable: ")[:200]


@dataclass
class Row:
    """What a peer did.

    Attributes:
        seconds: a number a round; None for a round that it sat out.
        first: of the round that is not counted (planning, compiling).
        last: what the job said at its end, such as the accuracy.
        told: other numbers of each round.
        failed: why there is no result.
        idle: the largest share of a core that it used while others were measured.
        outside: shares of a core that something else used in its turns.
    """

    peer: Peer
    seconds: list[float | None] = field(default_factory=list)
    first: float | None = None
    last: dict[str, Any] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    failed: str | None = None
    idle: float = 0.0
    outside: list[float] = field(default_factory=list)


class Field:
    """Peers that are measured against each other."""

    def __init__(
        self, peers: Sequence[Peer], *, rounds: int, extra: Mapping[str, Any], limit: float, patience: float
    ) -> None:
        self.rounds = rounds
        self.extra = extra
        self.limit = limit
        self.patience = patience
        self.rows = [Row(peer) for peer in peers]
        self.workers: dict[str, Worker] = {}

    def measure(self, request: Mapping[str, Any] | None = None, *, warm: bool = True) -> list[Row]:
        """All rounds, the first of which does not count where ``warm``."""
        try:
            for row in self.rows:
                self._start(row)
            for count in range(0 if warm else 1, self.rounds + 1):
                shift = count % len(self.rows)
                for row in self.rows[shift:] + self.rows[:shift]:
                    self._round(row, count, request or {})
            for row in self.rows:
                self._try(row, self._end)
        finally:
            for worker in self.workers.values():
                worker.close()
        return self.rows

    def sweep(self, requests: Sequence[Mapping[str, Any]]) -> list[Row]:
        """One turn of everybody for each request, instead of rounds of the same."""
        try:
            for row in self.rows:
                self._start(row)
            for request in requests:
                for row in self.rows:
                    self._try(row, lambda row, request=request: self._turn(row, 1, request))
        finally:
            for worker in self.workers.values():
                worker.close()
        return self.rows

    def _start(self, row: Row) -> None:
        missing = row.peer.missing()
        if missing:
            row.failed = f"not installed: {', '.join(missing)}"
        elif not row.peer.fresh:
            self._try(row, self._open)

    def _open(self, row: Row) -> None:
        self.workers[row.peer.key] = Worker(row.peer, self.extra, self.limit)
        self.workers[row.peer.key].wait()

    def _round(self, row: Row, count: int, request: Mapping[str, Any]) -> None:
        late = row.first is not None and row.first > self.patience and count > 3
        over = row.peer.rounds is not None and count > row.peer.rounds
        if late or over or (row.peer.fresh and count == 0):
            row.seconds += [None] * (count > 0)
            return
        if row.failed is None:
            self._try(row, lambda row: self._turn(row, count, request))

    def _turn(self, row: Row, count: int, request: Mapping[str, Any]) -> None:
        print(f"  {count:>2} {row.peer.words[:70]:<70}", end=" ", file=sys.stderr, flush=True)
        if row.peer.fresh:
            self._open(row)
        worker = self.workers[row.peer.key]
        time.sleep(SETTLE)
        others = {r.peer.key: self.workers[r.peer.key].process.pid for r in self.rows
                  if r is not row and r.peer.key in self.workers}  # fmt: skip
        before = {key: process_seconds(pid) for key, pid in others.items()}
        busy, own, stolen = busy_seconds(), process_seconds(worker.process.pid), stolen_seconds()
        begin = time.perf_counter()
        told = worker.turn(request)
        wall = time.perf_counter() - begin
        elsewhere = busy_seconds() - busy - (process_seconds(worker.process.pid) - own)
        if wall > 0.2:  # the system counts in hundredths of a second
            for other in self.rows:
                if other.peer.key in before:
                    used = process_seconds(others[other.peer.key]) - before[other.peer.key]
                    other.idle = max(other.idle, used / wall)
            row.outside.append((max(0.0, elsewhere) + stolen_seconds() - stolen) / wall)
        seconds = told.pop("seconds")
        print(f"{seconds:.4g}", file=sys.stderr, flush=True)
        if count == 0:
            row.first = seconds
        else:
            row.seconds.append(seconds)
            row.told.append(told)
        if row.peer.fresh:
            self._end(row)

    def _end(self, row: Row) -> None:
        if row.peer.key in self.workers:
            row.last |= self.workers[row.peer.key].end()
            self.workers.pop(row.peer.key).close()

    def _try(self, row: Row, work: Any) -> None:
        """Do a part of a row; what goes wrong is the row's result, and ends it."""
        if row.failed is not None:
            return
        try:
            work(row)
        except Failed as failed:
            row.failed = str(failed)
            print(f"  {row.peer.words}: {failed}", file=sys.stderr, flush=True)
            if row.peer.key in self.workers:
                self.workers.pop(row.peer.key).close()

"""A worker's side of a measurement: it waits for its turn, works, and answers.

A job calls ``go`` (which blocks until the runner asks, and starts the clock) and ``done`` (which stops the
clock and answers). All other workers sit in ``go`` meanwhile, reading from a pipe.
"""

import json
import time
from typing import Any, TextIO


class Turns:
    """What a job is given to take its turns with."""

    def __init__(self, asked: TextIO, answered: TextIO) -> None:
        self.asked = asked
        self.answered = answered
        self.begin = 0.0

    def go(self) -> dict[str, Any] | None:
        """Wait for the next turn: what is asked for, or None when no more turns come."""
        self.say(ready=True)
        request = json.loads(self.asked.readline() or "null")
        self.begin = time.perf_counter()
        return request

    def done(self, **told: Any) -> None:
        """End the turn. ``seconds`` are the clock's unless the job measured something finer."""
        seconds = self.elapsed()
        self.say(**{"seconds": seconds, **told})

    def elapsed(self) -> float:
        """Seconds since the turn began."""
        return time.perf_counter() - self.begin

    def say(self, **message: Any) -> None:
        """Write a line to the runner."""
        self.answered.write(json.dumps(message) + "\n")
        self.answered.flush()

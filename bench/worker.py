"""A worker process: runs one job of one peer, ``python worker.py peers.torch_best:train '{"net": "cnn"}'``.

Requests come on stdin, answers go to stdout, one JSON object a line. What libraries print goes to stderr.
"""

import importlib
import json
import os
import sys

from turns import Turns


def main(job: str, settings: str) -> None:
    """Run the job to its end; its last answer is what the job returns."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, function = job.split(":")
    turns = Turns(sys.stdin, answers)
    last = getattr(importlib.import_module(module), function)(turns, **json.loads(settings))
    turns.say(last=last or {})


if __name__ == "__main__":
    main(*sys.argv[1:])

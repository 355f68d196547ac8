"""The command ``retia`` itself: its parts, its version, and how it ends."""

from __future__ import annotations

import os
import sys

import click

from retia.cli.check import check
from retia.cli.completion import completion
from retia.cli.data import data
from retia.cli.measure import measure
from retia.cli.predict import predict
from retia.cli.replay import replay
from retia.cli.show import show
from retia.cli.train import train
from retia.engine.process import process

HELP = """Neural nets as values: train, use and look at them from a shell.

\b
Examples:
  retia train mnist --save digits.safetensors
  retia measure digits.safetensors mnist
  retia predict digits.safetensors seven.png --top 3
  retia show digits.safetensors
"""


@click.group(help=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="retia", message="retia %(version)s")
def retia() -> None:
    """The group of all commands."""


for part in (train, check, measure, predict, show, data, replay, completion):
    retia.add_command(part)


def main() -> None:
    """Run the command line and leave with its exit status. The process is its own: all that pays is set."""
    process(flush_denormals=True, malloc=True)
    try:
        retia(prog_name="retia")
    finally:
        _flush()


def _flush() -> None:
    """Write what is left for stdout now, so that a reader that is gone (``| head``) is no traceback."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""``retia replay``: a step that went wrong, done again layer by layer."""

from __future__ import annotations

import click

from retia.cli.command import Command
from retia.training import replay as replayed

HELP = """Do a step again that went wrong, layer by layer, and name the first array that is not finite.

A training with --checkpoint writes such a FILE when its loss becomes infinite or NaN.

\b
Example:
  retia replay runs/pets/replay-000000000121.safetensors
"""


@click.command(cls=Command, help=HELP, short_help="Do a step again that went wrong, layer by layer.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def replay(file: str) -> None:
    """Print all that the step came by."""
    click.echo(str(replayed(file)))

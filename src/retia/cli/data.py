"""``retia data``: what data there is, and what a set holds."""

from __future__ import annotations

import click

from retia import sources
from retia.cli.command import Command
from retia.sources import bundled

HELP = """List the sets that come with Retia, or describe one, or a folder of class folders.

\b
Examples:
  retia data
  retia data mnist
  retia data pets/
"""


@click.command(cls=Command, help=HELP, short_help="List the sets that come with Retia, or describe one.")
@click.argument("name", required=False)
def data(name: str | None) -> None:
    """Print the list, or a description."""
    if name is None:
        for known in bundled.names():
            click.echo(f"{known}\t{bundled.about(known).splitlines()[0]}")
        return
    found = sources.data(name)
    if found.about:
        click.echo(f"{found.about}\n")
    click.echo(str(found))

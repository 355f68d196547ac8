"""``retia data``: what data there is, and what a set holds."""

from __future__ import annotations

import click

from retia import sources
from retia.cli.command import Command
from retia.training.kept import told_bytes

HELP = """List the sets that are known by name, or describe one, or a folder of class folders.

Some come with Retia; others are fetched once and kept, or are put there by hand.

\b
Examples:
  retia data
  retia data mnist
  retia data pets/
"""


@click.command(cls=Command, help=HELP, short_help="List the sets that are known by name, or describe one.")
@click.argument("name", required=False)
def data(name: str | None) -> None:
    """Print the list, or a description."""
    if name is None:
        for known in sources.sets():
            title = known.title.removeprefix(f"{known.name}: ")
            click.echo(f"{known.name}\t{known.where}\t{told_bytes(known.bytes)}\t{title}")
        return
    found = sources.data(name)
    if found.about:
        click.echo(f"{found.about}\n")
    click.echo(str(found))

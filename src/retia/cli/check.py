"""``retia check``: what a training would be, and what is wrong with it, before it begins."""

from __future__ import annotations

from typing import Any

import click

from retia import sources
from retia.cli.asked import arguments, choose_net, options
from retia.cli.command import Command
from retia.training import check as audit

FOUND_STATUS = 1
"""The exit status where a training would be refused."""

HELP = """Look over DATA and a net before they are trained: what would be refused, what looks wrong.

It has the options of "retia train", and changes nothing. The exit status is 1 where that would refuse.

\b
Examples:
  retia check mnist
  retia check pets/ --net conv --batch-size 16
"""


@click.command(cls=Command, help=HELP, short_help="Look over a net and its data before they are trained.")
@click.argument("data")
@options
@click.pass_context
def check(ctx: click.Context, /, data: str, net: str | None, activation: str, **given: Any) -> None:
    """Print the audit."""
    examples = sources.data(data)
    found = audit(choose_net(net, activation, examples), examples, **arguments(**given))
    click.echo(str(found))
    if found.problems:
        ctx.exit(FOUND_STATUS)

"""``retia completion``: the script that makes a shell complete Retia's commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from retia.cli.command import Command

HELP = """Print the completion script of a shell.

\b
Add one line to your shell's start file:
  ~/.bashrc                     eval "$(retia completion bash)"
  ~/.zshrc                      eval "$(retia completion zsh)"
  ~/.config/fish/config.fish    retia completion fish | source
"""


@click.command(cls=Command, help=HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what click writes for the shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "retia", "_RETIA_COMPLETE").source())

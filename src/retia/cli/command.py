"""What all commands share: errors as one message, and ``--traceback`` to see where they came from."""

from __future__ import annotations

import traceback
from typing import IO, Any

import click

from retia.errors import Error

INTERRUPTED_STATUS = 130
"""The exit status of what Ctrl-C ended, as shells have it."""


class Refusal(click.ClickException):
    """An error that is told to the user: its kind and message on stderr, exit status 2."""

    exit_code = 2

    def __init__(self, error: Exception, *, traced: bool) -> None:
        super().__init__(f"{type(error).__name__}: {error}" if isinstance(error, Error) else _told(error))
        self.error = error
        self.traced = traced

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, or the whole traceback where that was asked for."""
        text = "".join(traceback.format_exception(self.error)).rstrip() if self.traced else self.message
        click.echo(text, file=file, err=file is None)


class Command(click.Command):
    """A command that tells Retia's errors and the system's in one message."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        text = "Show where an error came from."
        self.params.append(click.Option(["--traceback"], is_flag=True, help=text))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        traced = ctx.params.pop("traceback")
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED_STATUS)
        except BrokenPipeError:
            raise
        except (Error, OSError) as error:
            raise Refusal(error, traced=traced) from error


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return f"{type(error).__name__}: {error}"

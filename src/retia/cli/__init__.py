"""The command line: every verb of Retia from a shell.

One file a command. They speak the public language of the rooms below and hold no knowledge of their
own. Results go to stdout, everything else to stderr; an error is its message and exit status 2.
"""

from retia.cli.group import main

__all__ = ["main"]

"""``python -m retia`` is the command line."""

from retia.cli import main

main()

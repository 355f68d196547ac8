"""``retia measure``: how well a saved net does on examples."""

from __future__ import annotations

import json
import math

import click

from retia import sources
from retia.cli.asked import METRICS
from retia.cli.command import Command
from retia.errors import ArgumentError, did_you_mean
from retia.formats.file import load
from retia.metrics import measure as measured
from retia.sources import Data

HELP = """Measure a saved net on DATA: the name of a set (mnist) or a folder of class folders.

Of a set with parts it is the test part, if --part names no other.

\b
Examples:
  retia measure digits.safetensors mnist
  retia measure digits.safetensors mnist --part train --metrics f1 --metrics top_5
  retia measure pets.safetensors pets/ --json
"""


@click.command(cls=Command, help=HELP, short_help="Measure a saved net on data.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("data")
@click.option("--part", metavar="PART", help="train, validation or test, as far as DATA has them.")
@METRICS
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def measure(file: str, data: str, part: str | None, metrics: tuple[str, ...], as_json: bool) -> None:
    """Print the figures."""
    net = load(file)
    found = measured(net, _part(sources.data(data), part), metrics=list(metrics) or None)
    click.echo(_json(found.examples, found.figures()) if as_json else str(found))


def _part(examples: Data, name: str | None) -> Data:
    """The part of a set that is meant; the whole of one without parts."""
    if name is None and not examples.parts:
        return examples
    wanted = name or "test"
    if wanted not in examples.parts:
        there = ", ".join(examples.parts)
        raise ArgumentError(
            f"--part: {examples.name or 'the set'} has "
            + (f"the parts {there}, not {wanted!r}." if there else f"no parts; got {wanted!r}.")
            + did_you_mean(wanted, examples.parts),
            expected=[*examples.parts],
            got=wanted,
        )
    return examples.parts[wanted]


def _json(examples: int, figures: dict[str, float]) -> str:
    finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    return json.dumps({"examples": examples, **finite}, indent=2)

"""``retia show``: a saved net as a table, as JSON, or as a diagram."""

from __future__ import annotations

import json
from typing import Any

import click

from retia.cli.command import Command
from retia.formats.file import load
from retia.nets import Net, Port
from retia.view.diagram import diagram
from retia.view.model import sizes
from retia.view.svg import THEMES
from retia.view.text import table

HELP = """Show the layers, shapes and parameters of a saved net.

\b
Examples:
  retia show digits.safetensors
  retia show digits.safetensors --json
  retia show digits.safetensors --svg net.svg
"""


@click.command(cls=Command, help=HELP)
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--svg", type=click.Path(), help="A file for a diagram (.svg, or .png), besides the table.")
@click.option("--theme", type=click.Choice(THEMES), default="auto", help="Colours of the diagram.")
@click.option("--depth", type=click.IntRange(0), help="Levels of groups that the diagram opens.")
def show(file: str, as_json: bool, svg: str | None, theme: str, depth: int | None) -> None:
    """Print a saved net, and draw it."""
    net = load(file)
    if svg is not None:
        diagram(net, theme=theme, depth=depth).save(svg)
    click.echo(json.dumps(_facts(net), indent=2) if as_json else table(net))


def _facts(net: Net) -> dict[str, Any]:
    return {
        "expression": repr(net),
        "inputs": [_port(port) for port in net.inputs.values()],
        "outputs": [_port(port) for port in net.outputs.values()],
        "layers": [
            {
                "path": node.path,
                "layer": repr(node.layer),
                "output": [sizes(net.solution.shape(value)) for value in node.outputs],
            }
            for node in net.wiring.nodes
        ],
        "arrays": {path: sizes(shape) for path, shape in net.array_shapes().items()},
        "count": net.count,
        "expression_hash": net.expression_hash,
        "hash": net.hash,
    }


def _port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "shape": sizes(port.shape),
        "kind": port.kind,
        "codec": repr(port.codec) if port.codec else None,
    }

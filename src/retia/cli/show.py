"""``retia show``: a saved net as a table, or as JSON."""

from __future__ import annotations

import json
from typing import Any

import click

from retia.cli.command import Command
from retia.formats.file import load
from retia.nets import Net, Port
from retia.shapes import Shape
from retia.view.text import table

HELP = """Show the layers, shapes and parameters of a saved net.

\b
Examples:
  retia show digits.safetensors
  retia show digits.safetensors --json
"""


@click.command(cls=Command, help=HELP)
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def show(file: str, as_json: bool) -> None:
    """Print a saved net."""
    net = load(file)
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
                "output": [_sizes(net.solution.shape(value)) for value in node.outputs],
            }
            for node in net.wiring.nodes
        ],
        "arrays": {path: _sizes(shape) for path, shape in net.array_shapes().items()},
        "count": net.count,
        "expression_hash": net.expression_hash,
        "hash": net.hash,
    }


def _port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "shape": _sizes(port.shape),
        "kind": port.kind,
        "codec": repr(port.codec) if port.codec else None,
    }


def _sizes(shape: Shape | None) -> list[int | str | None] | None:
    if shape is None:
        return None
    return [size if size is None or isinstance(size, int) else str(size) for size in shape]

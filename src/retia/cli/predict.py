"""``retia predict``: what a saved net says to files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from retia.cli.command import Command
from retia.errors import ArgumentError
from retia.formats.file import load
from retia.nets import Net

HELP = """Say what a saved net makes of files, one line each.

\b
Examples:
  retia predict digits.safetensors seven.png
  retia predict digits.safetensors *.png --top 3
  retia predict digits.safetensors seven.png --json
"""


@click.command(cls=Command, help=HELP)
@click.argument("net", type=click.Path(exists=True, dir_okay=False))
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--top", type=click.IntRange(min=1), help="So many of the best answers, with probabilities.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list, one object a file.")
def predict(net: str, files: tuple[str, ...], top: int | None, as_json: bool) -> None:
    """Print one answer a file."""
    loaded = load(net)
    _check(loaded, net)
    answers = loaded.batch(list(files), top=top)
    if as_json:
        listed = [{"file": f, "answer": _data(a)} for f, a in zip(files, answers, strict=True)]
        click.echo(json.dumps(listed, indent=2))
        return
    for file, answer in zip(files, answers, strict=True):
        click.echo(_text(answer) if len(files) == 1 else f"{file}\t{_text(answer)}")


def _check(net: Net, path: str) -> None:
    ports = list(net.inputs.values())
    if len(ports) != 1 or ports[0].codec is None or len(net.outputs) != 1:
        inputs, outputs = (", ".join(map(str, side.values())) for side in (net.inputs, net.outputs))
        raise ArgumentError(
            f"{path}: predict needs one input with a codec and one output; it has {inputs}; {outputs}.",
            fix="call it from Python: rt.load(path)(x)",
            path=path,
        )


def _text(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return ", ".join(f"{label} {share:.1%}" for label, share in answer.items())
    return str(_data(answer))


def _data(answer: Any) -> Any:
    if isinstance(answer, Mapping):
        return [{"label": label, "probability": float(share)} for label, share in answer.items()]
    return answer.tolist() if hasattr(answer, "tolist") else answer

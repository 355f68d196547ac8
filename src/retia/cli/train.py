"""``retia train``: from a data set to a trained net in a file."""

from __future__ import annotations

import os
from typing import Any

import click

from retia import sources
from retia._late import Late
from retia.cli.command import INTERRUPTED_STATUS, Command
from retia.errors import ArgumentError, did_you_mean
from retia.metrics import measure
from retia.nets import Net
from retia.sources import Data
from retia.training import Training, optimizers
from retia.training import train as train_net
from retia.training.interrupt import INTERRUPTED
from retia.zoo import small

_figure: Any = Late("matplotlib.figure", extra="plots")

DRAWN = (".png", ".svg", ".pdf")

OPTIMIZERS = {name.lower(): name for name in ("Adam", "AdamW", "SGD", "RMSprop", "Adagrad")}

HELP = """Train a net on DATA: the name of a set (mnist) or a folder with one folder of pictures a class.

NET is layer sizes of a dense net for square gray pictures (784-200-60-10, where 784 is 28 x 28 pixels),
"lenet" (28 x 28 gray), or "conv" (64 x 64 in colour). Left out, it is 784-200-60-10 for mnist and conv
for a folder. Ctrl-C stops early and keeps the best net so far.

\b
Examples:
  retia train mnist --save digits.safetensors --plot curves.png
  retia train mnist --net lenet --epochs 3
  retia train mnist --net 784-15-10 --activation sigmoid --optimizer sgd --rate 0.5
  retia train pets/ --save pets.safetensors
"""


@click.command(cls=Command, help=HELP, short_help="Train a net on data, save it, test it.")
@click.argument("data")
@click.option("--net", metavar="NET", help="What to train, see above.")
@click.option(
    "--activation", type=click.Choice(list(small.ACTIVATIONS)), default="relu", show_default=True,
    help="Of a dense net's hidden layers.",
)  # fmt: skip
@click.option(
    "--epochs", type=click.IntRange(min=1), default=5, show_default=True, help="Passes through DATA."
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Examples a step; 64 by default.")
@click.option(
    "--optimizer",
    type=click.Choice(list(OPTIMIZERS)),
    default="adam",
    show_default=True,
    help="What moves the weights.",
)
@click.option("--rate", type=click.FloatRange(min=0), help="Learning rate; the optimizer's own by default.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same net.")
@click.option("--device", help="cpu, cuda, cuda:1, mps; the best there is by default.")
@click.option(
    "--engine", type=click.Choice(["auto", "program", "compile", "walk"]), default="auto", show_default=True,
    help="One flat program, or layer by layer; auto is the faster.",
)  # fmt: skip
@click.option(
    "--validation", type=click.FloatRange(0, 1, max_open=True), help="Fraction to hold out; 0 for none."
)
@click.option(
    "--save", type=click.Path(dir_okay=False), metavar="FILE", help="Write the net, a .safetensors."
)
@click.option(
    "--plot", type=click.Path(dir_okay=False), metavar="FILE", help="Draw the curves, a .png or .svg."
)
@click.option("--quiet", is_flag=True, help="Print the results and no progress.")
@click.pass_context
def train(
    ctx: click.Context, /, data: str, net: str | None, activation: str, save: str | None, plot: str | None,
    quiet: bool, optimizer: str, rate: float | None, **how: Any,
) -> None:  # fmt: skip
    """Train, save, plot, then test."""
    _check_targets(save, plot)
    examples = sources.data(data)
    chosen = choose_net(net, activation, examples)
    given = {name: value for name, value in how.items() if value is not None}
    kind = getattr(optimizers, OPTIMIZERS[optimizer])
    run = train_net(
        chosen, examples, optimizer=kind() if rate is None else kind(rate), progress=not quiet, **given
    )
    if run.why == INTERRUPTED:
        click.echo(f"interrupted after {len(run.history)} epochs; the best net so far is kept", err=True)
    _keep(run, save, plot)
    if examples.test is not None:
        score = measure(run.net, examples.test)
        click.echo(f"test accuracy  {score.accuracy:.2%} of {len(examples.test):,} examples")
    if run.why == INTERRUPTED:
        ctx.exit(INTERRUPTED_STATUS)


def choose_net(name: str | None, activation: str, examples: Data) -> Net:
    """The net that ``--net`` names, for the labels of these examples.

    Raises:
        ArgumentError: there is no such net.
    """
    if name is None:
        name = "784-200-60-10" if examples.name == "mnist" else "conv"
    labels = list(examples.counts())
    if name == "lenet":
        return small.lenet(labels=labels)
    if name == "conv":
        return small.convolutional(labels=labels)
    sizes = name.split("-")
    if not all(size.isdigit() for size in sizes):
        raise ArgumentError(
            f"--net is layer sizes like 784-200-60-10, or lenet, or conv; got {name!r}."
            + did_you_mean(name, ["lenet", "conv"]),
            got=name,
        )
    return small.dense([int(size) for size in sizes], activation=activation, labels=labels)


def _check_targets(save: str | None, plot: str | None) -> None:
    """Refuse before the training what could not be written after it."""
    for path in filter(None, (save, plot)):
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise ArgumentError(f"{path}: there is no folder {folder}.", fix=f"mkdir -p {folder}", path=path)
    if plot is not None:
        if os.path.splitext(plot)[1].lower() not in DRAWN:
            raise ArgumentError(f"{plot}: curves are drawn as {', '.join(DRAWN)}.", path=plot)
        callable(_figure.Figure)  # matplotlib is missed now, not after the training


def _keep(run: Training, save: str | None, plot: str | None) -> None:
    if save is not None:
        run.net.save(save)
        click.echo(f"saved          {save}")
    if plot is not None:
        run.plot(plot)
        click.echo(f"curves         {plot}")

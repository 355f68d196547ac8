"""``retia train``: from a data set to a trained net in a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import click

from retia import sources
from retia._late import Late
from retia.cli.asked import arguments, choose_net, options
from retia.cli.command import INTERRUPTED_STATUS, Command
from retia.errors import ArgumentError, TrainingError
from retia.metrics import measure
from retia.sources import Data
from retia.training import CSV, JSONLines, Training
from retia.training import train as train_net
from retia.training.interrupt import INTERRUPTED
from retia.training.progress import tell

_figure: Any = Late("matplotlib.figure", extra="plots")

DRAWN = (".png", ".svg", ".pdf")
LOGGERS = {".jsonl": JSONLines, ".csv": CSV}
PAGES = (".html",)

HELP = """Train a net on DATA: the name of a set (mnist) or a folder with one folder of pictures a class.

NET is layer sizes of a dense net for square gray pictures (784-200-60-10, where 784 is 28 x 28 pixels),
"lenet" (28 x 28 gray), "conv" (64 x 64 in colour), or a file with a net to go on with. Left out, it is
784-200-60-10 for mnist and conv for a folder. Ctrl-C stops early and keeps the best net so far.

\b
Examples:
  retia train mnist --save digits.safetensors --plot curves.png
  retia train mnist --net lenet --epochs 20 --patience 3 --schedule cosine
  retia train mnist --net 784-15-10 --activation sigmoid --optimizer 'SGD(0.5, momentum=0.9)'
  retia train pets/ --save pets.safetensors --checkpoint runs/pets --report run.html --log run.csv
  retia train pets/ --save pets.safetensors --checkpoint runs/pets --resume
"""


@dataclass(frozen=True)
class Targets:
    """The files that a training is written to; None where it is not.

    Attributes:
        save: of the net. plot: of the curves. report: of the page.
        log: of the epochs.
    """

    save: str | None
    plot: str | None
    report: str | None
    log: tuple[str, ...]

    def check(self) -> None:
        """Refuse before the training what could not be written after it.

        Raises:
            ArgumentError: a folder that is not there, or an ending that nobody writes.
        """
        for path in filter(None, (self.save, self.plot, self.report)):
            folder = os.path.dirname(path) or "."
            if not os.path.isdir(folder):
                raise ArgumentError(
                    f"{path}: there is no folder {folder}.", fix=f"mkdir -p {folder}", path=path
                )
        if self.plot is not None:
            _ends(self.plot, "curves are drawn as", DRAWN)
            callable(_figure.Figure)  # matplotlib is missed now, not after the training
        if self.report is not None:
            _ends(self.report, "a report is written as", PAGES)
        for path in self.log:
            _ends(path, "epochs are logged as", tuple(LOGGERS))

    def loggers(self) -> list[Any]:
        """What writes the epochs down."""
        return [LOGGERS[_ending(path)](path) for path in self.log]

    def write(self, run: Training, test: Data | None) -> None:
        """Write what there is of a training, and say so."""
        if self.save is not None:
            run.net.save(self.save)
            click.echo(f"saved          {self.save}")
        if self.plot is not None and run.history:
            run.plot(self.plot)
            click.echo(f"curves         {self.plot}")
        if self.report is not None:
            run.report(self.report, test=test)
            click.echo(f"report         {self.report}")
        click.echo(f"verdict        {run.verdict.text}")


@click.command(cls=Command, help=HELP, short_help="Train a net on data, save it, test it.")
@click.argument("data")
@options
@click.option(
    "--keep", type=click.Choice(["best", "last"]), default="best", show_default=True,
    help="The net of the lowest val_loss, or the last one.",
)  # fmt: skip
@click.option(
    "--checkpoint", type=click.Path(file_okay=False), metavar="FOLDER",
    help="Write the state of the training here, after every epoch.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from the checkpoint, if there is one.")
@click.option(
    "--save", type=click.Path(dir_okay=False), metavar="FILE", help="Write the net, a .safetensors."
)
@click.option(
    "--plot", type=click.Path(dir_okay=False), metavar="FILE", help="Draw the curves, a .png or .svg."
)
@click.option(
    "--report", type=click.Path(dir_okay=False), metavar="FILE", help="Tell all that was found, an .html."
)
@click.option(
    "--log", type=click.Path(dir_okay=False), metavar="FILE", multiple=True,
    help="Write every epoch's figures, a .jsonl or .csv.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="Print the results and no progress.")
@click.pass_context
def train(
    ctx: click.Context, /, data: str, net: str | None, activation: str, save: str | None, plot: str | None,
    report: str | None, log: tuple[str, ...], quiet: bool, resume: bool, **given: Any,
) -> None:  # fmt: skip
    """Train, save, plot, then test."""
    if resume and given["checkpoint"] is None:
        raise click.UsageError("--resume goes on from a checkpoint: --checkpoint FOLDER is missing.")
    targets = Targets(save, plot, report, log)
    targets.check()
    examples = sources.data(data)
    chosen = choose_net(net, activation, examples)
    how = {**arguments(**given), "callbacks": targets.loggers(), "resume": resume, "progress": not quiet}
    try:
        run = train_net(chosen, examples, **how)
    except TrainingError as error:
        if isinstance(error.run, Training) and error.run.best_epoch:
            targets.write(error.run, examples.test)
        raise
    except SystemExit:
        click.echo("terminated; --resume goes on from the checkpoint", err=True)
        raise
    if run.why == INTERRUPTED:
        click.echo(f"interrupted after {len(run.history)} epochs; the best net so far is kept", err=True)
    targets.write(run, examples.test)
    if examples.test is not None:
        score = measure(run.net, examples.test)
        if "accuracy" in (told := score.figures()):
            click.echo(f"test accuracy  {score.accuracy:.2%} of {len(examples.test):,} examples")
        else:
            click.echo(f"test  {tell(told)}  {len(examples.test):,} examples")
    if run.why == INTERRUPTED:
        ctx.exit(INTERRUPTED_STATUS)


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _ends(path: str, told: str, endings: tuple[str, ...]) -> None:
    if _ending(path) not in endings:
        raise ArgumentError(f"{path}: {told} {', '.join(endings)}.", path=path)

"""The options that say what is trained and how: the same for ``retia train`` and ``retia check``.

They have the names of ``rt.train``'s arguments. What Python takes as a value stands here as a name, or as
Python writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
from click.shell_completion import CompletionItem

from retia.cli.values import Value
from retia.errors import ArgumentError, did_you_mean
from retia.formats.file import load
from retia.metrics.losses import LOSSES, find_loss
from retia.metrics.names import FIGURES
from retia.nets import Net
from retia.sources import Data
from retia.training import CutMix, EarlyStopping, MixUp, Target, TimeLimit
from retia.training.optimizers import OPTIMIZERS, read_optimizer
from retia.training.schedules import SCHEDULES, read_schedule
from retia.training.schedules.reading import SHORT
from retia.zoo import small

NET_FILE = ".safetensors"

OPTIMIZER = Value(
    "optimizer", OPTIMIZERS, words=tuple(name.lower() for name in OPTIMIZERS), named=read_optimizer
)
SCHEDULE = Value("schedule", SCHEDULES, words=SHORT, named=read_schedule)
LOSS = Value("loss", {kind.__name__: kind for kind in LOSSES.values()}, words=tuple(LOSSES), named=find_loss)
MIX = Value("mix", {"MixUp": MixUp, "CutMix": CutMix}, words=("mixup", "cutmix"))
STOP = Value("stop", {"EarlyStopping": EarlyStopping, "Target": Target, "TimeLimit": TimeLimit})


def _metrics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in FIGURES if name.startswith(incomplete)]


METRICS = click.option(
    "--metrics", metavar="NAME", multiple=True, shell_complete=_metrics,
    help="A figure to tell, f1 or top_5; may be repeated.",
)  # fmt: skip

ABOVE_0 = click.FloatRange(min=0, min_open=True)
AT_LEAST_0 = click.FloatRange(min=0)
SHARE = click.FloatRange(0, 1)
FROM_1 = click.IntRange(min=1)

OPTIONS = (
    click.option("--net", metavar="NET", help="What to train, see above."),
    click.option(
        "--activation", type=click.Choice(list(small.ACTIVATIONS)), default="relu", show_default=True,
        help="Of a dense net's hidden layers.",
    ),
    click.option("--epochs", type=FROM_1, default=5, show_default=True, help="Passes through DATA."),
    click.option("--batch-size", type=FROM_1, help="Examples a step; 64 by default."),
    click.option(
        "--validation", type=click.FloatRange(0, 1, max_open=True), help="Fraction to hold out; 0 for none."
    ),
    click.option(
        "--optimizer", type=OPTIMIZER, metavar="OPTIMIZER",
        help=f"{', '.join(OPTIMIZER.words)}, or with settings, 'SGD(0.1, momentum=0.9)'; adam by default.",
    ),
    click.option("--rate", type=AT_LEAST_0, help="Learning rate; the optimizer's own by default."),
    click.option(
        "--schedule", type=SCHEDULE, metavar="SCHEDULE",
        help=f"Of the learning rate: {', '.join(SHORT)}, or as 'StepDecay(30)'.",
    ),
    click.option(
        "--loss", type=LOSS, metavar="LOSS",
        help="By name, or as 'CrossEntropy(smoothing=0.1)'; by default as the labels have it.",
    ),
    click.option("--l1", type=AT_LEAST_0, help="Factor of the weights' absolute values in the loss."),
    click.option("--l2", type=AT_LEAST_0, help="Factor of the weights' squares in the loss."),
    click.option("--clip-norm", type=ABOVE_0, help="Longest that all gradients together may be."),
    click.option("--clip-value", type=ABOVE_0, help="Largest that a gradient's number may be."),
    click.option("--accumulate", type=FROM_1, help="Batches whose mean gradient makes one step."),
    click.option("--ema", type=SHARE, help="What a running average of the weights keeps at a step."),
    click.option(
        "--mix", type=MIX, metavar="MIX", multiple=True,
        help="Blend examples: mixup, cutmix, or as 'MixUp(0.4)'; may be repeated.",
    ),
    METRICS,
    click.option("--patience", type=FROM_1, help="Stop after so many epochs without a better val_loss."),
    click.option("--minutes", type=ABOVE_0, help="Stop after this time."),
    click.option(
        "--stop", type=STOP, metavar="STOP", multiple=True,
        help="Stop otherwise, as 'Target(val_accuracy=0.99)'; may be repeated.",
    ),
    click.option("--precision", type=click.Choice(["float32", "bf16", "fp16"]), help="Of the products."),
    click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same net."
    ),
    click.option("--device", help="cpu, cuda, cuda:1, mps; the best there is by default."),
    click.option(
        "--engine", type=click.Choice(["auto", "program", "compile", "walk"]), default="auto",
        show_default=True, help="One flat program, or layer by layer; auto is the faster.",
    ),
)  # fmt: skip


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all of them."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def arguments(
    *,
    optimizer: Any,
    rate: float | None,
    patience: int | None,
    minutes: float | None,
    stop: tuple[Any, ...],
    **others: Any,
) -> dict[str, Any]:
    """What ``rt.train`` and ``rt.check`` are told, of what was given on the line."""
    if rate is not None:
        chosen: Any = read_optimizer(optimizer)
        optimizer = replace(chosen, learning_rate=rate)
    stops = [*stop]
    stops += [EarlyStopping(patience)] if patience is not None else []
    stops += [TimeLimit(minutes=minutes)] if minutes is not None else []
    told = {**others, "optimizer": optimizer, "stop": stops}
    return {name: value for name, value in told.items() if value not in (None, (), [])}


def choose_net(name: str | None, activation: str, examples: Data) -> Net:
    """The net that ``--net`` names, for the labels of these examples.

    Raises:
        ArgumentError: there is no such net.
    """
    if name is None:
        name = "784-200-60-10" if examples.name == "mnist" else "conv"
    if name.endswith(NET_FILE):
        return load(name)
    labels = list(examples.counts())
    if name == "lenet":
        return small.lenet(labels=labels)
    if name == "conv":
        return small.convolutional(labels=labels)
    sizes = name.split("-")
    if not all(size.isdigit() for size in sizes):
        raise ArgumentError(
            f"--net is layer sizes like 784-200-60-10, or lenet, or conv, or a {NET_FILE}; got {name!r}."
            + did_you_mean(name, ["lenet", "conv"]),
            got=name,
        )
    return small.dense([int(size) for size in sizes], activation=activation, labels=labels)

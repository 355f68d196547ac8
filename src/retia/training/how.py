"""How nets are trained: what ``rt.train`` was told, read once, the same for all seeds.

What needs the net to be understood (patterns of paths, metrics) is read when the net is ready, and still
before the first step.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from retia.errors import ArgumentError, did_you_mean
from retia.metrics.tally import direction_of, read_metrics
from retia.nets.settings import choice, flag, whole
from retia.training.callbacks import Callbacks, read_callbacks
from retia.training.kept import read_cache
from retia.training.mixing import Mixing, read_mix
from retia.training.motion import Motion, read_motion
from retia.training.optimizer import Optimizer
from retia.training.penalties import read_penalties
from retia.training.precision import Precision, read_precision
from retia.training.prepare import Prepared
from retia.training.rates import Rates, read_rates
from retia.training.schedule import Schedule
from retia.training.schedules import read_schedule
from retia.training.step import Step
from retia.training.stopping import Stops, read_stops

FOREIGN = {
    "lr": "the learning rate belongs to the optimizer, optimizer=rt.Adam(1e-3)",
    "learning_rate": "the learning rate belongs to the optimizer, optimizer=rt.Adam(1e-3)",
    "validation_split": "it is called validation",
    "validation_data": "it is called validation",
    "max_epochs": "it is called epochs",
    "verbose": "it is called progress",
    "criterion": "it is called loss",
    "loss_fn": "it is called loss",
    "scheduler": "it is called schedule",
    "lr_scheduler": "it is called schedule",
    "early_stopping": "it is stop=rt.EarlyStopping()",
    "patience": "it is stop=rt.EarlyStopping(patience=...)",
    "on_epoch": "a function is a callback, callbacks=[lambda view: ...]",
    "gradient_clip_val": "it is called clip_norm",
    "clipnorm": "it is called clip_norm",
    "clipvalue": "it is called clip_value",
    "accumulate_grad_batches": "it is called accumulate",
    "gradient_accumulation_steps": "it is called accumulate",
    "ema_decay": "it is called ema",
    "amp": 'it is precision="bf16"',
    "mixed_precision": 'it is precision="bf16"',
    "class_weight": "it belongs to the loss, loss=rt.CrossEntropy(weights=...)",
    "label_smoothing": "it belongs to the loss, loss=rt.CrossEntropy(smoothing=...)",
    "weight_decay": "it belongs to the optimizer, optimizer=rt.AdamW(weight_decay=...); l2= adds to the loss",
    "restore_best_weights": 'it is keep="best", as it is anyway',
    "log_dir": "it is callbacks=[rt.JSONLines(...)]",
    "resume_from_checkpoint": "it is checkpoint= with resume=True",
}
"""Arguments of other frameworks' training, and what is said here instead."""


@dataclass(frozen=True)
class How:
    """What ``rt.train`` was told, by the same names; see there. Left out, it is as there."""

    epochs: int = 5
    batch_size: int = 64
    loss: Any = None
    schedule: Schedule | None = None
    l1: Any = None
    l2: Any = None
    clip_norm: Any = None
    clip_value: Any = None
    accumulate: int = 1
    ema: float | None = None
    precision: Precision = field(default_factory=Precision)
    metrics: Any = ()
    rates: Mapping[str, float] | None = None
    turns: Any = None
    mix: Mixing | None = None
    stop: Any = None
    callbacks: Callbacks = field(default_factory=lambda: read_callbacks(None))
    keep: str = "best"
    checkpoint: str | None = None
    resume: bool = False
    engine: str = "auto"
    progress: bool | None = None
    cache: bool | str = True

    def step(self, ready: Prepared, optimizer: Optimizer, seed: int) -> Step:
        """The step of a net that is ready.

        Raises:
            ArgumentError, UnknownNameError: a pattern, metric or figure that suits no part of the net.
        """
        net = ready.net
        rates = read_rates(net, self.rates)
        _refuse_paces(optimizer, rates)
        motion = read_motion(
            net,
            rates.moved,
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            accumulate=self.accumulate,
            ema=self.ema,
            turns=self.turns,
        )
        if optimizer.closure and replace(motion, ema=None) != Motion():
            raise ArgumentError(
                f"train: {type(optimizer).__name__} asks for the loss of a batch many times, so it takes no "
                "accumulate, clip_norm, clip_value or turns.",
                fix="leave them out; batch_size=len(data) makes one batch of all",
            )
        if self.mix is not None:
            self.mix.check(net)
        penalties = read_penalties(net, self.l1, self.l2, rates.moved)
        gauges = tuple(read_metrics(net, ready.objective, self.metrics))
        return Step(
            net, ready.objective, optimizer, seed, rates, penalties, motion, self.mix, self.precision, gauges
        )

    def stops(self, ready: Prepared, step: Step) -> Stops:
        """What may end the training of a net.

        Raises:
            ArgumentError: it, or the schedule, looks at a figure that will not be there.
        """
        stops = read_stops(self.stop, lambda key: direction_of(key, step.gauges))
        names = figures_of(ready, step)
        stops.check(names)
        for name in self.schedule.needs() if self.schedule is not None else ():
            if name not in names:
                raise ArgumentError(
                    f"train: {self.schedule!r} looks at {name!r}, which the history will not have."
                    + did_you_mean(name, names),
                    fix=f"one of {', '.join(names)}",
                    expected=names,
                    got=name,
                )
        return stops

    def alone(self) -> str:
        """Why nets are not trained by one program; "" where they may be."""
        if self.engine not in ("auto", "program"):
            return f"engine={self.engine!r}"
        named = {
            "clip_norm": self.clip_norm, "clip_value": self.clip_value, "ema": self.ema, "turns": self.turns,
            "checkpoint": self.checkpoint, "mix": self.mix,
        }  # fmt: skip
        given = [name for name, value in named.items() if value is not None]
        given += ["accumulate"] if self.accumulate > 1 else []
        given += ["precision"] if self.precision != Precision() else []
        given += ["callbacks of steps"] if self.callbacks.want("step") else []
        return f"{given[0]} is each net's own" if given else ""


def figures_of(ready: Prepared, step: Step) -> list[str]:
    """The figures that every entry of the history will have."""
    own = ["loss", *(gauge.name for gauge in step.gauges if gauge.adder is not None)]
    held = [f"val_{name}" for name in ("loss", *(gauge.name for gauge in step.gauges))]
    rest = ["seconds", "rate", "examples_per_second", *(["waiting"] if ready.train.feed.streams else [])]
    return [*own, *(held if ready.validation is not None else []), *rest]


def read_how(known: Mapping[str, Any], unknown: Mapping[str, Any]) -> How:
    """The arguments of ``train`` that concern no net by itself.

    Args:
        known: by name.
        unknown: others that were given.
    Raises:
        ArgumentError: one out of its range, or that ``train`` does not have.
    """
    for name in unknown:
        words = [*How.__dataclass_fields__, "validation", "optimizer", "seed", "device", "look"]
        hint = f" Here {FOREIGN[name]}." if name in FOREIGN else did_you_mean(name, words)
        raise ArgumentError(
            f"train has no argument {name!r}.{hint}", fix=f"it has: {', '.join(words)}", got=name
        )
    checkpoint = _folder(known["checkpoint"])
    resume = flag("train: resume", known["resume"])
    if resume and checkpoint is None:
        raise ArgumentError(
            "train: resume=True goes on from a checkpoint, and there is none.", fix='checkpoint="runs/pets"'
        )
    read = {
        "epochs": whole(0)("train: epochs", known["epochs"]),
        "batch_size": whole(1)("train: batch_size", known["batch_size"]),
        "schedule": read_schedule(known["schedule"]),
        "accumulate": whole(1)("train: accumulate", known["accumulate"]),
        "precision": read_precision(known["precision"]),
        "mix": read_mix(known["mix"]),
        "callbacks": read_callbacks(known["callbacks"]),
        "keep": choice("best", "last")("train: keep", known["keep"]),
        "checkpoint": checkpoint,
        "resume": resume,
        "engine": choice("auto", "program", "compile", "walk")("train: engine", known["engine"]),
        "cache": read_cache(known["cache"]),
    }
    read_stops(known["stop"])
    return How(**{**known, **read})


def _folder(given: Any) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise ArgumentError(
            f"train: checkpoint is a folder; got {given!r}.", fix='checkpoint="runs/pets"', got=given
        )
    return os.fspath(given)


def _refuse_paces(optimizer: Optimizer, rates: Rates) -> None:
    odd = next((path for path, rate in rates.of.items() if rate not in (0, 1)), None)
    if optimizer.closure and odd is not None:
        raise ArgumentError(
            f"train: {type(optimizer).__name__} moves all arrays at one rate, but rates give {odd} "
            f"{rates.of[odd]:g}.",
            fix="rates of 0 and 1, or another optimizer",
            path=odd,
        )

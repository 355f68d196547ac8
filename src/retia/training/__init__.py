"""Training: optimizers, the step, the loop, and what it answers.

Nothing here is changed in place that a user can see: a training takes a net and answers another one.
"""

from retia.training.findings.audit import Audit
from retia.training.findings.check import check
from retia.training.loggers import CSV, JSONLines, TensorBoard
from retia.training.mixing import CutMix, MixUp
from retia.training.optimizer import Optimizer
from retia.training.optimizers import (
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    RAdam,
    RMSprop,
    SignSGD,
)
from retia.training.replay import replay
from retia.training.result import Training
from retia.training.schedule import Schedule
from retia.training.schedules import (
    CosineDecay,
    ExponentialDecay,
    Milestones,
    OneCycle,
    OnPlateau,
    PolynomialDecay,
    Steady,
    StepDecay,
    Warmup,
)
from retia.training.start import train
from retia.training.step import Step, step
from retia.training.stopping import EarlyStopping, Target, TimeLimit

__all__ = [
    "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Audit", "CSV", "CosineDecay", "CutMix",
    "EarlyStopping", "ExponentialDecay", "JSONLines", "LBFGS", "Lion", "Milestones", "MixUp", "NAdam",
    "OnPlateau", "OneCycle", "Optimizer", "PolynomialDecay", "RAdam", "RMSprop", "SGD", "Schedule",
    "SignSGD", "Steady", "Step", "StepDecay", "Target", "TensorBoard", "TimeLimit", "Training", "Warmup",
    "check", "replay", "step", "train",
]  # fmt: skip

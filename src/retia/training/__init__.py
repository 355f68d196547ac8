"""Training: optimizers, the step, the loop, and what it answers.

Nothing here is changed in place that a user can see: a training takes a net and answers another one.
"""

from retia.training.audit import Audit
from retia.training.check import check
from retia.training.curve import learning_curve
from retia.training.curved import LearningCurve
from retia.training.ensemble import ensemble
from retia.training.finding import RateTest, find_rate
from retia.training.folds import CrossValidation, cross_validate
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
from retia.training.ranges import Between
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
from retia.training.sweeps import sweep
from retia.training.swept import Sweep

__all__ = [
    "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Audit", "Between", "CSV", "CosineDecay",
    "CrossValidation", "CutMix", "EarlyStopping", "ExponentialDecay", "JSONLines", "LBFGS",
    "LearningCurve", "Lion", "Milestones", "MixUp", "NAdam", "OnPlateau", "OneCycle", "Optimizer",
    "PolynomialDecay", "RAdam", "RMSprop", "RateTest", "SGD", "Schedule", "SignSGD", "Steady", "Step",
    "StepDecay", "Sweep", "Target", "TensorBoard", "TimeLimit", "Training", "Warmup", "check",
    "cross_validate", "ensemble", "find_rate", "learning_curve", "replay", "step", "sweep", "train",
]  # fmt: skip

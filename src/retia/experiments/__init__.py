"""Experiments: many trainings of one net, or of many, and what they tell together."""

from retia.experiments.curve import learning_curve
from retia.experiments.curved import LearningCurve
from retia.experiments.ensemble import ensemble
from retia.experiments.finding import RateTest, find_rate
from retia.experiments.folds import CrossValidation, cross_validate
from retia.experiments.ranges import Between
from retia.experiments.sweeps import sweep
from retia.experiments.swept import Sweep

__all__ = [
    "Between", "CrossValidation", "LearningCurve", "RateTest", "Sweep", "cross_validate", "ensemble",
    "find_rate", "learning_curve", "sweep",
]  # fmt: skip

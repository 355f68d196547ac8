"""The schedules of the learning rate, and how one is read from what the user said.

Over whole runs their factors are those of PyTorch's schedulers (``torch.optim.lr_scheduler``), but each is
a function of the moment alone.
"""

from retia.training.schedules.course import CosineDecay, OneCycle, PolynomialDecay, Warmup
from retia.training.schedules.decay import ExponentialDecay, Milestones, Steady, StepDecay
from retia.training.schedules.plateau import OnPlateau
from retia.training.schedules.reading import SCHEDULES, Function, read_schedule

__all__ = [
    "SCHEDULES", "CosineDecay", "ExponentialDecay", "Function", "Milestones", "OnPlateau", "OneCycle",
    "PolynomialDecay", "Steady", "StepDecay", "Warmup", "read_schedule",
]  # fmt: skip

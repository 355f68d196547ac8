"""Training: optimizers, the step, the loop, and what it answers.

Nothing here is changed in place that a user can see: a training takes a net and answers another one.
"""

from retia.training.loop import train
from retia.training.optimizer import Optimizer
from retia.training.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from retia.training.result import Training
from retia.training.step import Step, step

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "Step", "Training", "step", "train"]

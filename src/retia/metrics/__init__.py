"""Measurements: losses, what a net is to lower, and reports of how well it does.

This room knows nets, codecs, sources and the walk; training stands above it.
"""

from retia.metrics.calibrated import calibrated
from retia.metrics.confusion import Confusion
from retia.metrics.gauges import Metric
from retia.metrics.losses import (
    CTC,
    KL,
    MAE,
    MSE,
    BinaryCrossEntropy,
    BinaryFocal,
    Contrastive,
    CrossEntropy,
    Detection,
    Focal,
    Hinge,
    Huber,
    Poisson,
    Triplet,
)
from retia.metrics.measure import measure
from retia.metrics.measurement import Measurement

__all__ = [
    "BinaryCrossEntropy",
    "BinaryFocal",
    "CTC",
    "Confusion",
    "Contrastive",
    "CrossEntropy",
    "Detection",
    "Focal",
    "Hinge",
    "Huber",
    "KL",
    "MAE",
    "MSE",
    "Measurement",
    "Metric",
    "Poisson",
    "Triplet",
    "calibrated",
    "measure",
]

"""Measurements: losses, what a net is to lower, and reports of how well it does.

This room knows nets, codecs, sources and the walk; training stands above it.
"""

from retia.metrics.confusion import Confusion
from retia.metrics.measure import measure
from retia.metrics.measurement import Measurement

__all__ = ["Confusion", "Measurement", "measure"]

"""Sets of examples: where they come from, how they are split, and how they are fed to a net.

This room knows codecs and nets, and nothing of engines or training.
"""

from retia.sources.bundled import names
from retia.sources.dataset import Data
from retia.sources.feeds import Feed, feed
from retia.sources.known import Known, sets
from retia.sources.reading import data

__all__ = ["Data", "Feed", "Known", "data", "feed", "names", "sets"]

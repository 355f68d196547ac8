"""The optimizers, one file a family, and how one is read from what the user said.

The formulas are PyTorch's own (``torch.optim``), bit for bit, written with its operations on lists of
tensors; what PyTorch does not have follows its paper. ``torch.optim`` itself is not imported: it is slow to
import, and it owns what it changes.
"""

from retia.training.optimizers.adam import Adam, AdamW
from retia.training.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from retia.training.optimizers.lbfgs import LBFGS
from retia.training.optimizers.reading import OPTIMIZERS, read_optimizer
from retia.training.optimizers.sgd import SGD
from retia.training.optimizers.sign import Lion, SignSGD
from retia.training.optimizers.variants import Adamax, NAdam, RAdam

__all__ = [
    "LBFGS", "OPTIMIZERS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "NAdam", "RAdam",
    "RMSprop", "SignSGD", "read_optimizer",
]  # fmt: skip

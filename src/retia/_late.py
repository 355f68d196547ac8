"""Heavy packages, imported at their first use and not before.

``import retia`` and ``retia --help`` must answer at once, so no module of Retia imports NumPy, Pillow
or matplotlib at its top; it takes the stand-in from here (PyTorch's stands in ``_torch.py``). A
stand-in is an ordinary object and is never put into ``sys.modules``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from retia.errors import MissingExtraError


class Late:
    """Stands for a module until one of its names is asked for."""

    def __init__(
        self, name: str, extra: str | None = None, when_first: Iterable[Callable[[], None]] = ()
    ) -> None:
        self._name = name
        self._extra = extra
        self._when_first = when_first

    def __getattr__(self, name: str) -> Any:
        first = self._name not in sys.modules
        try:
            module = importlib.import_module(self._name)
        except ModuleNotFoundError as error:
            if self._extra is None or error.name != self._name.split(".")[0]:
                raise
            raise MissingExtraError(
                f"This needs {self._name.split('.')[0]}, which is not installed.",
                fix=f"pip install 'retia[{self._extra}]'",
            ) from None
        for act in self._when_first if first else ():
            act()
        found = getattr(module, name)
        self.__dict__.update({k: v for k, v in vars(module).items() if not k.startswith("_")})
        self.__dict__[name] = found
        return found

    def __repr__(self) -> str:
        return f"<late module {self._name}>"


if TYPE_CHECKING:
    import numpy
    from PIL import Image as pillow_image
    from PIL import ImageDraw as pillow_draw
    from PIL import ImageOps as pillow_ops
else:
    numpy = Late("numpy")
    pillow_image = Late("PIL.Image")
    pillow_draw = Late("PIL.ImageDraw")
    pillow_ops = Late("PIL.ImageOps")

pyplot: Any = Late("matplotlib.pyplot", extra="plots")
soundfile: Any = Late("soundfile", extra="audio")
tokenizers: Any = Late("tokenizers", extra="text")

__all__ = ["Late", "numpy", "pillow_draw", "pillow_image", "pillow_ops", "pyplot", "soundfile", "tokenizers"]

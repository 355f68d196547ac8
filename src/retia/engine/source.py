"""The code of a program, written line by line and compiled once.

Tensors, functions and odd constants are names bound as defaults, so a run looks nothing up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retia._torch import torch

if TYPE_CHECKING:
    from torch import Tensor


class Source:
    """Code that grows by lines.

    Attributes:
        calls: of PyTorch, so far.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._lines: list[str] = []
        self._bound: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._kept: dict[int, Any] = {}
        self._local: set[str] = set()
        self._count = 0

    @property
    def text(self) -> str:
        """The lines."""
        return "\n".join(self._lines)

    # Names -----------------------------------------------------------------------------------------

    def name(self, tensor: Tensor) -> str:
        """A name for something that a run makes or is given."""
        self._count += 1
        name = f"v{self._count}"
        self._names[id(tensor)] = name
        self._kept[id(tensor)] = tensor
        self._local.add(name)
        return name

    def argument(self, tensor: Tensor) -> None:
        """A name for what comes with a run, which is brought to the layout of this example."""
        name = self.name(tensor)
        for form in (torch.contiguous_format, torch.channels_last):
            if tensor.is_contiguous(memory_format=form):
                how = "" if form is torch.contiguous_format else f"memory_format={self.bind(form, 'c')}"
                self._lines.append(f"{name} = {name}.contiguous({how})")
                return

    def forget(self, tensor: Tensor) -> None:
        """Let go of something that a run made, and of its memory."""
        name = self._names.get(id(tensor))
        if name in self._local:
            self._lines.append(f"del {name}")
            self._local.discard(name)
            del self._names[id(tensor)], self._kept[id(tensor)]

    def bind(self, value: Any, kind: str) -> str:
        """The name of something that is there before a run."""
        if id(value) not in self._names:
            self._count += 1
            self._names[id(value)] = f"{kind}{self._count}"
            self._bound[self._names[id(value)]] = value
            self._kept[id(value)] = value
        return self._names[id(value)]

    def text_of(self, value: Any) -> str:
        """An argument as code."""
        if isinstance(value, torch.Tensor):
            return self._names.get(id(value)) or self.bind(value, "b")
        if isinstance(value, list | tuple):
            inner = ", ".join(self.text_of(each) for each in value)
            return f"[{inner}]"
        if value is None or isinstance(value, bool | int | str) and not isinstance(value, torch.dtype):
            return repr(value)
        if isinstance(value, float) and math.isfinite(value):
            return repr(value)
        return self.bind(value, "c")

    # Lines -----------------------------------------------------------------------------------------

    def call(
        self,
        function: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        results: Sequence[Any],
        *,
        several: bool = False,
    ) -> None:
        """A line that calls; its results get names."""
        taken = [self.text_of(value) for value in args]
        taken += [f"{name}={self.text_of(value)}" for name, value in kwargs.items()]
        line = f"{self.bind(function, 'f')}({', '.join(taken)})"
        names = [self.name(each) if isinstance(each, torch.Tensor) else "_" for each in results]
        if names:
            line = ", ".join(names) + ("," if several and len(names) == 1 else "") + " = " + line
        self._lines.append(line)
        self.calls += 1

    def method(self, tensor: Tensor, name: str, args: Sequence[Any]) -> None:
        """A line that calls a tensor's method, bound beforehand where it can be."""
        taken = ", ".join(self.text_of(value) for value in args)
        if self.text_of(tensor) in self._local:
            self._lines.append(f"{self.text_of(tensor)}.{name}({taken})")
        else:
            self._lines.append(f"{self.bind(getattr(tensor, name), 'm')}({taken})")
        self.calls += 1

    def compiled(self, inputs: Sequence[Tensor], answers: Sequence[Tensor]) -> Callable[..., Any]:
        """The code as a function of these inputs, which are named already."""
        bound = [f"{name}={name}" for name in self._bound]
        head = ", ".join([*map(self.text_of, inputs), *(["*"] if bound else []), *bound])
        lines = [*self._lines, f"return ({''.join(self.text_of(each) + ', ' for each in answers)})"]
        code = f"def run({head}):\n" + "\n".join(f"    {line}" for line in lines)
        space = dict(self._bound)
        exec(compile(code, "<program>", "exec"), space)  # noqa: S102 (our own text)
        run: Callable[..., Any] = space["run"]
        return run

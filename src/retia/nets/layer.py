"""Layers: the smallest nets. One class in one file is a whole layer.

A layer declares a signature (what it takes and gives), the arrays that it owns, and a pure
``forward`` over batches. Everything else (inference, gradients, saving, export, pictures) follows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from retia.errors import ArgumentError, ArraysError, ShapeError
from retia.nets import registry
from retia.nets.expression import Expressed, show
from retia.nets.initial import Initial, read_initial
from retia.nets.net import Net
from retia.nets.ports import read_specs
from retia.nets.settings import declared, make, setting, settle
from retia.nets.wiring import Value, Wiring
from retia.shapes import Shape, Signature, Size, signature

if TYPE_CHECKING:
    from retia._torch import torch


KAIMING = Initial("kaiming_uniform")
ZEROS = Initial("zeros")
ONES = Initial("ones")


@dataclass(frozen=True)
class Array:
    """An array that a layer owns.

    Attributes:
        shape: in the words of the layer's signature, ``"out in"``.
        init: how it starts, if the user does not say.
        learned: whether training moves it by gradients (running statistics are not learned).
        kind: ``"float"``, or ``"int"`` for counters.
    """

    shape: str
    init: Initial = KAIMING
    learned: bool = True
    kind: str = "float"


@dataclass(frozen=True)
class Steps:
    """How a layer goes along a sequence piece by piece, as ``net.stateful()`` asks it to.

    Attributes:
        remembers: it is led by ``advance``, which carries what it needs; else by ``forward``, which gives of
            a piece what it gives there of the whole.
        most: elements that it can go along; None without a bound.
    Example:
        >>> Steps(remembers=True)
        Steps(remembers=True, most=None)
    """

    remembers: bool = False
    most: int | None = None


def read_inits(name: str, value: Any) -> Any:
    """The rule of ``init=``: a method for the weight, or a dict of them by the arrays' names."""
    if isinstance(value, Mapping):
        return MappingProxyType({k: read_initial(f"{name}[{k!r}]", v) for k, v in value.items()})
    return None if value is None else read_initial(name, value)


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Expressed, Net):
    """The interface of layers. Leaves are ``@layer`` classes.

    Class attributes:
        signature: the ports in one line; ``ports`` makes it where it depends on the settings.
        solves: the variables that ``solve`` reads or finds.
        axes: what the layer does along an axis whose length varies: ``"pass"`` (each position alone),
            ``"mix"`` (its rows beyond the length are zeroed, and it may ask for a mask); ``"*"`` stands for
            the axes that are not named, and without it they are refused.
        kinds: ``"float"`` (default), ``"int"``, ``"same"`` (all such ports alike) or ``"any"``, by port;
            ``"*"`` stands for the rest.
        counted: the variable that whole numbers at its inputs are below; the codec there says it, where the
            user does not.
        variadic: takes any number of inputs.
        mixes_batch: in training one example's result depends on the others.
        drawn: how often its random numbers are drawn anew: every ``"step"``, or once an ``"epoch"``, so that
            all that happens to an example follows from the epoch and its number.
        noisy: draws random numbers when a net is called too, not in training alone.
        gathers: positionals are the entries of one tuple, the first setting: ``Reshape(2, 3)``.
        cure: what to write instead when too many positionals are given.
    """

    signature: ClassVar[str] = ""
    solves: ClassVar[tuple[str, ...]] = ()
    axes: ClassVar[Mapping[str, str]] = {}
    kinds: ClassVar[Mapping[str, str]] = {}
    counted: ClassVar[str] = ""
    variadic: ClassVar[bool] = False
    mixes_batch: ClassVar[bool] = False
    drawn: ClassVar[str] = "step"
    noisy: ClassVar[bool] = False
    gathers: ClassVar[bool] = False
    cure: ClassVar[str] = ""

    _: KW_ONLY
    start: Any = setting(read_inits, default=None, alias="init")
    input: Any = setting(read_specs, default=None)
    output: Any = setting(read_specs, default=None)

    def __post_init__(self) -> None:
        self.__dict__["held"] = {}
        settle(self)
        self.validate()
        self._check_start()
        if self.input is not None or self.output is not None:
            _ = self.solution

    held: ClassVar[Mapping[str, torch.Tensor]]

    # For leaves -----------------------------------------------------------------------------------

    def validate(self) -> None:
        """Check settings against each other."""

    def ports(self, arity: int | None = None) -> Signature:
        """The signature, for so many inputs."""
        return signature(self.signature)

    def sizes(self) -> Mapping[str, Size | Shape | None]:
        """The signature's variables that the user fixed."""
        return {}

    def owns(self) -> Mapping[str, Array]:
        """The arrays, by name."""
        return {}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """What follows for the variables in ``solves`` from what is known of them (None: nothing).

        Never guess: leave out what has several solutions. A size that cannot be raises ``ShapeError``.
        """
        return {}

    @abstractmethod
    def forward(self, *inputs: Any, **arrays: Any) -> Any:
        """The layer's function of a batch: tensors in, a tensor (or a tuple of them) out.

        Arrays come by name. A parameter called ``moment`` receives the ``Moment`` of the walk: whether
        this is training, masks of varying axes, random draws, and updates of running statistics.
        """

    def steps(self, along: Sequence[str | None]) -> Steps:
        """How it goes along a sequence piece by piece; by default as it is, where each position is alone.

        Args:
            along: for each input, the signature's variable that the sequence goes along; None for an input
                that is known whole from the beginning.
        Raises:
            ShapeError: its result at an element depends on elements that come later.
        """
        for name in along:
            if name is not None and self.role(name) != "pass":
                raise ShapeError("it needs all elements at once.")
        return Steps()

    def advance(self, memory: Any, *inputs: Any, **arrays: Any) -> tuple[Any, Any]:
        """``forward`` of the next piece of a sequence, for layers whose ``steps`` say that they remember.

        What it remembers is a value that is never changed in place: tensors with the batch first, ``Growing``
        ones, numbers, tuples of these. A result without the sequence's axis is that of all elements so far.

        Args:
            memory: what the piece before left; None at the first.
            inputs: of at least one element each. They and the arrays come as to ``forward``.
        Returns:
            What ``forward`` gives at these elements, and what to remember.
        """
        return self.forward(*inputs, **arrays), None

    # Finished -------------------------------------------------------------------------------------

    @property
    def brief(self) -> str:
        """The expression without its ports, as errors show it."""
        text = show(self.bare())
        return text if len(text) <= 60 else f"{type(self).__name__}(...)"

    def role(self, axis: str) -> str:
        """What it does along an axis of its signature: ``"pass"``, ``"mix"`` or ``"refuse"``."""
        return self.axes.get(axis, self.axes.get("*", "refuse"))

    def bare(self) -> Layer:
        """The layer without declared ports and arrays."""
        if self.input is None and self.output is None and not self.held:
            return self
        return make(type(self), {**self.settings(), "input": None, "output": None})

    @property
    def children(self) -> Mapping[str, Net]:
        """None: a layer has no parts."""
        return {}

    def with_children(self, children: Mapping[str, Net]) -> Layer:
        """Itself."""
        return self

    def _map_layers(self, change: Callable[[str, Layer], Layer], path: str = "") -> Net:
        """The layer changed."""
        return change(path, self)

    def input_names(self, arity: int | None = None) -> tuple[str, ...]:
        """Names of the input ports; any number of them for a variadic layer."""
        if arity is None and self.variadic and isinstance(self.input, Mapping):
            arity = len(self.input)
        return tuple(term.name for term in self.ports(arity).inputs)

    def output_names(self) -> tuple[str, ...]:
        """Names of the output ports."""
        return tuple(term.name for term in self.ports().outputs)

    def lay(self, wiring: Wiring, path: str, key: str, sources: Mapping[str, Value]) -> dict[str, Value]:
        """Lay it as one node."""
        return wiring.add(self, path, key, sources)

    def with_held(self, arrays: Mapping[str, torch.Tensor]) -> Layer:
        """The same layer owning these arrays."""
        unknown = set(arrays) - set(self.owns())
        if unknown:
            raise ArraysError(f"{self.brief} owns no array {sorted(unknown)}.", expected=list(self.owns()))
        made = make(type(self), self.settings())
        made.__dict__["held"] = dict(arrays)
        return made

    def initial(self, name: str) -> Initial:
        """How an array starts: as the user said, else as the layer's author."""
        default = self.owns()[name]
        said: Initial | None = self.start.get(name) if isinstance(self.start, Mapping) else None
        if isinstance(self.start, Initial) and name in ("weight", ""):
            said = self.start
        return default.init if said is None else said

    def _check_start(self) -> None:
        if self.start is None:
            return
        own = list(self.owns())
        named = list(self.start) if isinstance(self.start, Mapping) else ["" if own == [""] else "weight"]
        for name in named:
            if name not in own:
                raise ArgumentError(
                    f"{type(self).__name__}: init names {name!r}, "
                    f"but its arrays are: {', '.join(own) or 'none'}."
                )


L = TypeVar("L", bound=Layer)


@dataclass_transform(frozen_default=True, field_specifiers=(setting,))
def layer(cls: type[L]) -> type[L]:
    """Make a class a layer: a frozen value, known to expressions under its name."""
    made = declared(cls)
    registry.register(made)
    return made

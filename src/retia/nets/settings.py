"""Settings of layers and codecs: declared fields that check what they are given.

``@declared`` makes a class a frozen dataclass whose constructor answers a surplus positional, an
unknown keyword or a value out of range with one error that says what would be right.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

from retia.errors import ArgumentError, did_you_mean

Rule = Callable[[str, Any], Any]
T = TypeVar("T")

FOREIGN_KEYWORDS = {
    "in_features": "input sizes are inferred; input= gives them",
    "in_channels": "input sizes are inferred; input= gives them",
    "num_features": "sizes are inferred; leave it out",
    "normalized_shape": "sizes are inferred; leave it out",
    "num_channels": "sizes are inferred; leave it out",
    "input_shape": "it is called input",
    "input_dim": "it is called input",
    "out_features": "it is called size, and comes first",
    "units": "it is called size, and comes first",
    "embedding_dim": "it is called size, and comes first",
    "output_dim": "it is called size, and comes first",
    "num_embeddings": "it is called classes",
    "out_channels": "it is called channels, and comes first",
    "filters": "it is called channels, and comes first",
    "strides": "it is called stride",
    "dilation_rate": "it is called dilation",
    "pool_size": "it is called kernel_size, and comes first",
    "scale_factor": "it is called factor, and comes first",
    "padding_mode": "padding is zeros; a Pad layer before this one has the other modes",
    "data_format": "the channels come first, then the other axes",
    "use_bias": "it is called bias",
    "activation": "an activation is a layer of its own, put after this one",
    "kernel_initializer": "it is called init",
    "p": "it is called rate, or chance where something happens to a whole picture",
    "stddev": "it is called std",
    "sigma": "it is called std",
    "translate": "it is called shift",
    "drop_prob": "it is called rate",
    "inplace": "nothing is done in place; leave it out",
    "negative_slope": "it is called slope",
    "num_groups": "it is called groups, and comes first",
    "num_parameters": "sizes are inferred; shared=True makes one for all",
    "elementwise_affine": "it is called affine",
    "dim": "it is called axis",
    "epsilon": "it is called eps",
}


def setting(rule: Rule | None = None, *, default: Any = MISSING, alias: str | None = None) -> Any:
    """A field of a layer or codec, with the rule that checks and normalises its values.

    ``alias`` is the argument's name where the attribute must have another one.
    """
    return field(default=default, metadata={"rule": rule, "alias": alias})


def argument(each: Field[Any]) -> str:
    """The name under which a field is given to the constructor."""
    return each.metadata.get("alias") or each.name


@dataclass_transform(frozen_default=True, field_specifiers=(setting,))
def declared(cls: type[T]) -> type[T]:
    """Make a class a value: frozen, its settings checked, its constructor's errors helpful."""
    made: Any = dataclass(frozen=True, eq=False, repr=False)(cls)
    plain = made.__init__
    names = {argument(each): each.name for each in fields(made)}

    @functools.wraps(plain)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if args and getattr(made, "gathers", False):
            args = (args,)
        if type(self) is made:
            _check_call(made, args, kwargs)
        plain(self, *args, **{names.get(k, k): v for k, v in kwargs.items()})

    made.__init__ = __init__
    return made  # type: ignore[no-any-return]


def settle(value: Any) -> None:
    """Apply the rules of a value's fields; called once, by its ``__post_init__``."""
    for each in fields(value):
        rule = each.metadata.get("rule")
        if rule is not None:
            name = f"{type(value).__name__}: {argument(each)}"
            object.__setattr__(value, each.name, rule(name, getattr(value, each.name)))


def given(value: Any) -> list[tuple[str, Any, bool]]:
    """The settings that differ from their defaults: name, value, whether it is positional."""
    found = []
    positional = True
    for each in [f for f in fields(value) if f.init and not f.kw_only] + [
        f for f in fields(value) if f.init and f.kw_only
    ]:
        now = getattr(value, each.name)
        same = type(now) is type(each.default) and now == each.default
        if same:
            positional = False
        else:
            found.append((argument(each), now, positional and not each.kw_only))
    return found


def settings_of(value: Any) -> dict[str, Any]:
    """All settings of a declared value, by argument."""
    return {argument(f): getattr(value, f.name) for f in fields(value) if f.init}


def make(cls: type[T], settings: Mapping[str, Any]) -> T:
    """A declared value of these settings, which may come from a file."""
    known = {argument(f) for f in fields(cls) if f.init}  # type: ignore[arg-type]
    for name in settings:
        if name not in known:
            raise ArgumentError(
                f"{cls.__name__} has no argument {name!r}.{did_you_mean(name, known)}", got=name
            )
    return cls(**settings)


def _check_call(cls: type[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    settable = [f for f in fields(cls) if f.init]
    positional = [f for f in settable if not f.kw_only]
    call = f"{cls.__name__}({', '.join([*map(repr, args), *(f'{k}=...' for k in kwargs)])})"
    options = ", ".join(argument(f) for f in settable if f.kw_only)
    cure = getattr(cls, "cure", "") or f"name the others: {options}"
    if len(args) > len(positional):
        takes = ", ".join(map(argument, positional)) or "no positional argument"
        raise ArgumentError(
            f"{call}: {cls.__name__} takes {takes}; {len(args)} were given by position.",
            because=["sizes of inputs are never positional, they are inferred (or given by input=)"],
            fix=cure,
            expected=len(positional),
            got=len(args),
        )
    twice = [argument(f) for f in positional[: len(args)] if argument(f) in kwargs]
    if twice:
        raise ArgumentError(
            f"{call}: {twice[0]} is given twice, by position and by name.", fix=cure, got=twice[0]
        )
    known = [argument(f) for f in settable]
    for name in kwargs:
        if name not in known:
            hint = getattr(cls, "foreign", {}).get(name) or FOREIGN_KEYWORDS.get(name)
            raise ArgumentError(
                f"{call}: {cls.__name__} has no argument {name!r}."
                + (f" Here {hint}." if hint else did_you_mean(name, known)),
                fix=f"it has: {', '.join(known)}",
                got=name,
            )
    for each in positional[len(args) :]:
        if each.default is MISSING and each.default_factory is MISSING and argument(each) not in kwargs:
            raise ArgumentError(f"{call}: {argument(each)} is missing.", expected=argument(each))


# Rules --------------------------------------------------------------------------------------------


def whole(low: int | None = None, high: int = 2**48, *, optional: bool = False) -> Rule:
    """A whole number from ``low`` to ``high``; None too where it is optional."""

    def rule(name: str, value: Any) -> int | None:
        if value is None and optional:
            return None
        number = _index(value)
        if number is None or (low is not None and number < low) or number > high:
            least = "" if low is None else f" of at least {low}"
            _refuse(name, f"a whole number{least}" + (", or None" if optional else ""), value)
        return number

    return rule


def real(
    low: float = -math.inf, high: float = math.inf, *, optional: bool = False, open_high: bool = False
) -> Rule:
    """A finite number in a range."""

    def rule(name: str, value: Any) -> float | None:
        if value is None and optional:
            return None
        bad = isinstance(value, bool | str | bytes) or not hasattr(value, "__float__")
        number = math.nan if bad else float(value)
        if not math.isfinite(number) or not low <= number <= high or (open_high and number == high):
            _refuse(name, f"a number from {low:g} to {'below ' if open_high else ''}{high:g}", value)
        return int(value) if isinstance(value, int) else number

    return rule


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing else."""
    if not isinstance(value, bool):
        _refuse(name, "True or False", value)
    return bool(value)


def choice(*options: Any) -> Rule:
    """One of a few words."""

    def rule(name: str, value: Any) -> Any:
        if not any(type(value) is type(option) and value == option for option in options):
            hint = did_you_mean(value, [o for o in options if isinstance(o, str)])
            _refuse(name, "one of " + ", ".join(map(repr, options)), value, hint)
        return value

    return rule


def per_axis(low: int = 0, *, axes: int | None = None, words: Sequence[str] = ()) -> Rule:
    """A whole number for all axes, or a tuple of one for each; or one of ``words``."""
    each = whole(low)

    def rule(name: str, value: Any) -> Any:
        if isinstance(value, str) and value in words:
            return value
        if isinstance(value, Sequence) and not isinstance(value, str):
            if axes is not None and len(value) != axes:
                _refuse(name, f"a whole number, or {axes} of them", value)
            return tuple(each(name, v) for v in value)
        if isinstance(value, str):
            _refuse(name, "a whole number, or one for each axis" + _or(words), value)
        return each(name, value)

    return rule


def whole_tuple(low: int | None = None, *, optional: bool = False, nothing: bool = False) -> Rule:
    """A tuple of whole numbers; ``nothing`` lets single entries be None (to be inferred)."""
    each = whole(low, optional=nothing)

    def rule(name: str, value: Any) -> Any:
        if value is None and optional:
            return None
        if not isinstance(value, Sequence) or isinstance(value, str):
            value = (value,)
        if len(value) == 1 and isinstance(value[0], tuple | list):
            value = value[0]
        return tuple(each(name, v) for v in value)

    return rule


def spread(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """A number for all axes as a tuple of one for each."""
    return value if isinstance(value, tuple) else (value,) * axes


def _or(words: Sequence[str]) -> str:
    return "".join(f", or {word!r}" for word in words)


def _index(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _refuse(name: str, expected: str, got: Any, hint: str = "") -> None:
    shown = repr(got)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    raise ArgumentError(f"{name} is {expected}; got {shown}.{hint}", expected=expected, got=got)


__all__ = [
    "FOREIGN_KEYWORDS", "Rule", "argument", "choice", "declared", "flag", "given", "make", "per_axis", "real",
    "setting", "settings_of", "settle", "spread", "whole", "whole_tuple",
]  # fmt: skip

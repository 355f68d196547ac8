"""Values on a line of a shell: a name, or what Python would be told, ``"SGD(0.1, momentum=0.9)"``.

Nothing is executed: a value is of one of the kinds that an option lists, its settings are literals.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from retia.errors import ArgumentError, Error, did_you_mean


class Value(click.ParamType):  # type: ignore[type-arg]  # click 8.1 takes none
    """The type of an option that takes a value by its name, or with its settings as Python writes them.

    Args:
        name: what the value is, as errors say it.
        kinds: the classes that it may be of, by name.
        words: that a shell completes.
        named: from a name alone to the value; left out, the kind of that name with its usual settings.
    Example:
        >>> from retia.training.optimizers import OPTIMIZERS
        >>> Value("optimizer", OPTIMIZERS).convert("SGD(0.1, momentum=0.9)", None, None)
        SGD(0.1, momentum=0.9)
    """

    def __init__(
        self,
        name: str,
        kinds: Mapping[str, Callable[..., Any]],
        *,
        words: tuple[str, ...] = (),
        named: Callable[[str], Any] | None = None,
    ) -> None:
        self.name = name
        self.kinds = dict(kinds)
        self.words = words
        self.named = named or (lambda word: _kind(name, self.kinds, word)())

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value that a text means."""
        try:
            return read_value(self.name, self.kinds, value) if "(" in value else self.named(value)
        except (Error, TypeError) as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin so."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete.lower())]


def read_value(name: str, kinds: Mapping[str, Callable[..., Any]], text: str) -> Any:
    """The value that an expression of Python's means, made without executing it.

    Args:
        name: what the value is, as errors say it.
        kinds: the classes that may be named, also as ``rt.SGD`` and in small letters.
        text: such as ``SGD(0.1, momentum=0.9)``; one kind may stand in another.
    Raises:
        ArgumentError: it cannot be read, names another kind, or that kind refuses its settings.
    Example:
        >>> from retia.training.schedules import SCHEDULES
        >>> read_value("schedule", SCHEDULES, "Warmup(100, then=rt.CosineDecay(least=0.1))")
        Warmup(100, then=CosineDecay(least=0.1))
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise ArgumentError(
            f"{name} is a name, or as Python has it; {text!r} cannot be read.",
            fix="quotes around all of it: 'SGD(0.1, momentum=0.9)'",
            got=text,
        ) from None
    return _value(name, kinds, node)


def _value(name: str, kinds: Mapping[str, Callable[..., Any]], node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and all(word.arg for word in node.keywords):
        kind = _kind(name, kinds, ast.unparse(node.func))
        given = {str(word.arg): _value(name, kinds, word.value) for word in node.keywords}
        return kind(*(_value(name, kinds, each) for each in node.args), **given)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        text = ast.unparse(node)
        raise ArgumentError(
            f"{name}: {text} is no number, text in quotes, tuple, list or dict of these.", got=text
        ) from None


def _kind(name: str, kinds: Mapping[str, Callable[..., Any]], word: str) -> Callable[..., Any]:
    """A kind by its name; case and marks do not matter."""
    plain = {"".join(filter(str.isalnum, known.lower())): kind for known, kind in kinds.items()}
    wanted = "".join(filter(str.isalnum, word.removeprefix("rt.").lower()))
    if wanted not in plain:
        raise ArgumentError(
            f"{name}: there is none called {word!r}.{did_you_mean(word, kinds)}",
            fix=f"one of {', '.join(kinds)}",
            expected=[*kinds],
            got=word,
        )
    return plain[wanted]

"""Rewriting a tape: known patterns are replaced by better ones that give the same numbers.

A rule looks at one call and its neighbours, and answers what shall stand in their places, or None. Rules
stand in tables (``rules.py``); each can be checked against the tape that it was given. What no rule knows
stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.engine.trace import Call, Ref, Tape, map_refs

if TYPE_CHECKING:
    from torch import Tensor

ROUNDS = 20


class View:
    """A tape as rules look at it: who makes a tensor, and who reads it."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.maker: dict[int, Call] = {}
        self.readers: dict[int, list[Call]] = defaultdict(list)
        self.written: set[int] = set()
        for call in tape.calls:
            for ref in call.results:
                if ref is not None:
                    self.maker.setdefault(ref.number, call)
            for ref in dict.fromkeys(call.refs()):
                self.readers[ref.number].append(call)
            self.written |= {tape.facts[ref.number].alias for ref in call.written()}
        self.wanted = {ref.number for ref in tape.outputs.values()}

    def made_by(self, ref: Any, name: str) -> Call | None:
        """The call that makes a tensor, if it is of this operation (``"relu"``) and never changed after."""
        if not isinstance(ref, Ref) or self.tape.facts[ref.number].alias in self.written:
            return None
        call = self.maker.get(ref.number)
        return call if call is not None and is_op(call, name) else None

    def read_only_by(self, ref: Ref, calls: Sequence[Call]) -> bool:
        """Whether nobody but these calls reads a tensor."""
        return ref.number not in self.wanted and all(
            any(reader is call for call in calls) for reader in self.readers[ref.number]
        )

    def value_of(self, ref: Any) -> Tensor | None:
        """The numbers of a constant."""
        return self.tape.constants.get(ref.number) if isinstance(ref, Ref) else None


Change: TypeAlias = "Mapping[Call, Sequence[Call]]"
"""Calls, and what stands in the place of each."""


@dataclass(frozen=True)
class Rule:
    """A rewrite.

    Attributes:
        name: for tests and people.
        op: the operation that it starts from, ``"relu"``.
        change: from the view and such a call to what shall change, or None.
    """

    name: str
    op: str
    change: Callable[[View, Call], Change | None]


def is_op(call: Call, name: str) -> bool:
    """Whether a call is of this operation, in any overload."""
    return bool(call.op._schema.name == f"aten::{name}")


def rewritten(tape: Tape, rules: Sequence[Rule]) -> Tape:
    """A tape of the same outputs: constants computed, rules applied, useless calls left out.

    Args:
        tape: stays as it is.
        rules: the first one first, again and again until none finds anything.
    """
    tape = pruned(folded(simplified(_copied(tape))))
    for _ in range(ROUNDS):
        changes = _changes(tape, rules)
        if not changes:
            break
        tape = pruned(folded(simplified(_spliced(tape, changes))))
    return tape


def _changes(tape: Tape, rules: Sequence[Rule]) -> dict[Call, Sequence[Call]]:
    """What rules find on a tape, as far as one change leaves to another what that one saw."""
    view = View(tape)
    changes: dict[Call, Sequence[Call]] = {}
    gone: set[int] = set()
    read: set[int] = set()
    for rule in rules:
        for call in tape.calls:
            found = rule.change(view, call) if call not in changes and is_op(call, rule.op) else None
            if found is None or any(each in changes for each in found):
                continue
            new = [each for calls in found.values() for each in calls]
            made = {ref.number for each in new for ref in each.made()}
            leaves = {ref.number for each in found for ref in each.made()} - made
            takes = {ref.number for each in new for ref in each.refs()}
            if leaves & read or takes & gone:
                continue
            changes.update(found)
            gone |= leaves
            read |= takes
    return changes


def _copied(tape: Tape) -> Tape:
    return replace(tape, calls=[*tape.calls], facts=[*tape.facts], constants=dict(tape.constants))


def _spliced(tape: Tape, changes: Mapping[Call, Sequence[Call]]) -> Tape:
    calls: list[Call] = []
    for call in tape.calls:
        calls += changes.get(call, (call,))
    return replace(tape, calls=calls)


def pruned(tape: Tape) -> Tape:
    """The tape without calls whose results nobody reads."""
    live = {ref.number for ref in tape.outputs.values()}
    groups = {tape.facts[number].alias for number in live}
    kept: list[Call] = []
    for call in reversed(tape.calls):
        changes = any(tape.fact(ref).alias in groups for ref in call.written())
        if changes or any(ref.number in live for ref in call.made()):
            live |= {ref.number for ref in call.refs()}
            groups |= {tape.fact(ref).alias for ref in call.refs()}
            kept.append(call)
    used = {ref.number for call in kept for ref in call.refs()}
    used |= {ref.number for ref in tape.outputs.values()}
    constants = {number: tensor for number, tensor in tape.constants.items() if number in used}
    return replace(tape, calls=kept[::-1], constants=constants)


# Views --------------------------------------------------------------------------------------------

SAME = ("detach", "alias", "lift_fresh", "view", "_unsafe_view", "permute", "expand", "transpose", "squeeze")
"""Views that may show what they are of as it is."""


def simplified(tape: Tape) -> Tape:
    """The tape without views that change nothing, and without transposes of transposes."""
    instead: dict[int, Ref] = {}
    made: dict[int, Call] = {}
    kept: list[Call] = []

    def swap(ref: Ref) -> Ref:
        return instead.get(ref.number, ref)

    for call in tape.calls:
        call = call.replaced(swap)
        same = _shown(tape, call, made)
        if same is None:
            kept.append(call)
            made.update({ref.number: call for ref in call.results if ref is not None})
        else:
            instead[call.result.number] = same
    outputs = {name: swap(ref) for name, ref in tape.outputs.items()}
    return replace(tape, calls=kept, outputs=outputs)


def _shown(tape: Tape, call: Call, made: Mapping[int, Call]) -> Ref | None:
    """What a view shows, where that is a tensor which is there already."""
    name = call.op._schema.name.removeprefix("aten::")
    if name == "t":
        inner = made.get(call.args[0].number)
        return inner.args[0] if inner is not None and is_op(inner, "t") else None
    if name not in SAME:
        return None
    before, after = tape.fact(call.args[0]), tape.fact(call.result)
    same = before.shape == after.shape and before.strides == after.strides and before.dtype == after.dtype
    moved = name in ("permute", "transpose") and not _is_identity(name, call.args, len(before.shape))
    return call.args[0] if same and not moved else None


def _is_identity(name: str, args: Sequence[Any], rank: int) -> bool:
    if name == "permute":
        return [axis % rank for axis in args[1]] == [*range(rank)]
    return rank == 0 or bool(args[1] % rank == args[2] % rank)


# Constants ----------------------------------------------------------------------------------------

FILLED = {
    "ones_like": 1, "zeros_like": 0, "new_zeros": 0, "new_ones": 1, "full_like": None, "new_full": None,
}  # fmt: skip
"""Operations whose result does not depend on the numbers they are given, and what it is full of."""
NEVER_FOLDED = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided")
LARGEST = 2**22
"""Constants of more elements than this are made again in every run instead of kept."""


def folded(tape: Tape) -> Tape:
    """The tape with everything computed that depends on constants alone."""
    written = {tape.facts[ref.number].alias for call in tape.calls for ref in call.written()}
    constants = dict(tape.constants)
    kept: list[Call] = []
    with torch.no_grad():
        for call in tape.calls:
            results = None if _is_volatile(tape, call, written) else _computed(tape, call, constants)
            if results is None:
                kept.append(call)
                continue
            for ref, tensor in zip(call.results, results, strict=True):
                if ref is not None:
                    constants[ref.number] = tensor
                    tape.facts[ref.number] = replace(tape.facts[ref.number], alias=ref.number)
    return replace(tape, calls=kept, constants=constants)


def _is_volatile(tape: Tape, call: Call, written: set[int]) -> bool:
    """Whether a call's results may differ from run to run for the same numbers, or are changed later."""
    name = call.op._schema.name.removeprefix("aten::")
    made = [ref for ref in call.results if ref is not None]
    facts = [tape.facts[ref.number] for ref in made]
    large = any(len(fact.shape) and torch.Size(fact.shape).numel() > LARGEST for fact in facts)
    random = torch.Tag.nondeterministic_seeded in call.op.tags
    return large or random or name in NEVER_FOLDED or any(fact.alias in written for fact in facts)


def _computed(tape: Tape, call: Call, constants: Mapping[int, Tensor]) -> list[Tensor] | None:
    """The results of a call that reads nothing but constants."""
    name = call.op._schema.name.removeprefix("aten::")
    if name in FILLED:
        fact = tape.facts[call.result.number]
        value = FILLED[name]
        filling = value if value is not None else call.args[-1]
        if isinstance(filling, Ref):
            return None
        made = torch.empty_strided(fact.shape, fact.dense, dtype=fact.dtype, device=fact.device)
        return [made.fill_(filling)]
    if any(ref.number not in constants for ref in call.refs()):
        return None
    args = map_refs(call.args, lambda ref: constants[ref.number])
    kwargs = {key: map_refs(value, lambda ref: constants[ref.number]) for key, value in call.kwargs.items()}
    found = call.op(*args, **kwargs)
    return [*found] if isinstance(found, list | tuple) else [found]

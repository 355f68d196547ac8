"""How long each piece of a tape's memory is needed, and what depends on how it is laid out.

Tensors that share memory form a group, named by the number of the tensor that the memory is of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from retia.engine.trace import Call, Ref, Tape


class Lives:
    """What is known of a tape's groups.

    Attributes:
        written: groups that a call changes in place.
        strict: groups whose strides may not be chosen: those, and what ``as_strided`` reads.
    """

    def __init__(self, tape: Tape) -> None:
        self._facts = tape.facts
        self._members: dict[int, list[int]] = defaultdict(list)
        for number, fact in enumerate(tape.facts):
            self._members[fact.alias].append(number)
        self.written = {self.group(ref) for call in tape.calls for ref in call.written()}
        by_strides = [call for call in tape.calls if "as_strided" in call.op._schema.name]
        self.strict = self.written | {self.group(ref) for call in by_strides for ref in call.refs()}
        self._last = self._last_calls(tape)
        self._ending: dict[Call, list[int]] = defaultdict(list)
        for group, call in self._last.items():
            if call is not None:
                self._ending[call].append(group)

    def group(self, ref: Ref) -> int:
        """Whose memory a tensor stands in."""
        return self._facts[ref.number].alias

    def members(self, group: int) -> Sequence[int]:
        """The numbers of all tensors of a group."""
        return self._members[group]

    def ends(self, group: int, call: Call) -> bool:
        """Whether nothing of a group is read after a call."""
        return self._last[group] is call

    def ending(self, call: Call) -> Sequence[int]:
        """The groups of which nothing is read after a call."""
        return self._ending.get(call, ())

    def _last_calls(self, tape: Tape) -> dict[int, Call | None]:
        """The last call that has to do with each group; None for what is there before and after."""
        last: dict[int, Call | None] = {}
        for call in tape.calls:
            for ref in (*call.refs(), *call.made()):
                last[self.group(ref)] = call
        for ref in (*tape.outputs.values(), *tape.inputs.values(), *map(Ref, tape.constants)):
            last[self.group(ref)] = None
        return last

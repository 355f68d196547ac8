"""Sizes of a whole net, from everything that is known of it, and the errors where that cannot be.

The facts are the layers' signatures, the settings that the user gave, the types declared at ports,
and the shapes of arrays that are there already. The solver of ``shapes`` joins them; this file says
what the facts are and tells a conflict in the words of the net.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from retia.errors import Error, ShapeError
from retia.nets.codec import Codec
from retia.nets.ports import spec_shape
from retia.nets.wiring import Declared, Node, Value, Wiring
from retia.shapes import Conflict, Extent, Fact, Rest, Shape, Solver, Unknown, dimensions, varies
from retia.shapes.solver import Pattern, describe, find, reasons, shape, sized, spread, value

Terms = dict[str, "Unknown | Rest"]


@dataclass
class Solution:
    """What is known of a net's sizes: of values, of arrays, and of each layer's own variables."""

    values: dict[Value, Pattern] = field(default_factory=dict)
    arrays: dict[str, dict[str, Pattern]] = field(default_factory=dict)
    terms: dict[str, Terms] = field(default_factory=dict)
    kinds: dict[Value, str] = field(default_factory=dict)

    def shape(self, at: Value) -> Shape | None:
        """Shape of a value; None while its rank is unknown."""
        return shape(self.values[at])

    def array_shape(self, key: str, name: str) -> Shape | None:
        """Shape of an array."""
        return shape(self.arrays[key][name])

    def describe_array(self, key: str, name: str) -> str:
        """Shape of an array in words, with the names of sizes that are unknown."""
        return describe(self.arrays[key][name])

    def sizes(self, path: str) -> dict[str, Any]:
        """What a layer's signature variables are here."""
        terms = self.terms[path]
        return {
            name: value(term) if isinstance(term, Unknown) else shape((term,)) for name, term in terms.items()
        }

    def varying(self, at: Value) -> bool:
        """Whether a value's shape varies from example to example."""
        return varies(self.shape(at))


@dataclass(frozen=True)
class Site:
    """The place that a fact speaks of, to tell a conflict in its words."""

    node: Node | None
    what: str
    port: str = ""
    source: Value = ("", "")
    declared: Declared | None = None


def infer(wiring: Wiring) -> Solution:
    """Solve a wiring. Raises ``ShapeError`` where its facts contradict each other."""
    return _Inference(wiring).run()


class _Inference:
    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.solver = Solver()
        self.solution = Solution()

    def run(self) -> Solution:
        for name in self.wiring.inputs:
            self.solution.values[("", name)] = (Rest(f"*{name}"),)
        try:
            for declared in self.wiring.declared:
                if declared.side == "input" and declared.value[0] == "":
                    self._declare(declared)
            for node in self.wiring.nodes:
                self._place(node)
            for node in self.wiring.nodes:
                self._end(node)
            for declared in self.wiring.declared:
                if declared.side == "output" or declared.value[0] != "":
                    self._declare(declared)
                else:
                    self._count(declared)
            self.solver.solve()
        except Conflict as conflict:
            raise self._tell(conflict) from None
        self._find_kinds()
        for node in self.wiring.nodes:
            self._check_varying(node)
        return self.solution

    def _place(self, node: Node) -> None:
        terms: Terms = {}
        self.solution.terms[node.path] = terms
        site = Site(node, "settings")
        for term, source in zip(node.signature.inputs, node.sources, strict=True):
            pattern = _pattern(term.dims, terms)
            fact = Fact("", quiet=True, site=Site(node, "edge", term.name, source))
            self.solver.unify(pattern, self.solution.values[source], fact)
        for term, at in zip(node.signature.outputs, node.outputs, strict=True):
            self.solution.values[at] = _pattern(term.dims, terms)
        self._place_arrays(node, terms)
        for name, size in node.layer.sizes().items():
            if size is None:
                continue
            fact = Fact(f"{node.label} says so", site=site)
            known: Any = size if isinstance(size, tuple) else (size,)
            known = tuple(Unknown(name) if s is None else s for s in known)
            self.solver.unify((_term(name, terms),), known, fact)
        for name in node.layer.solves:
            _term(name, terms)
        if node.layer.solves:
            self.solver.hook(_hook(node), terms, f"{node.label} makes it so", Site(node, "hook"))
        if node.inside is not None:
            for term, at in zip(node.inside.signature.inputs, node.inside.given, strict=True):
                self.solution.values[at] = _pattern(term.dims, terms)

    def _end(self, node: Node) -> None:
        """Join what the net within an operator gives to what the operator says of it."""
        if node.inside is None:
            return
        terms = self.solution.terms[node.path]
        for term, source in zip(node.inside.signature.outputs, node.inside.ends, strict=True):
            fact = Fact("", quiet=True, site=Site(node, "end", term.name, source))
            self.solver.unify(_pattern(term.dims, terms), self.solution.values[source], fact)

    def _place_arrays(self, node: Node, terms: Terms) -> None:
        self.solution.arrays.setdefault(node.key, {})
        for name, array in node.layer.owns().items():
            pattern = _pattern(dimensions(array.shape), terms)
            key, there = node.home(name)
            known = self.solution.arrays.setdefault(key, {}).setdefault(there, pattern)
            if known is not pattern:
                fact = Fact(f"{node.label} is shared with {key}", site=Site(node, "shared", name))
                self.solver.unify(pattern, known, fact)
            held = node.layer.held.get(name)
            if held is not None:
                text = f"{node.label}'s {name} was made with shape {tuple(held.shape)}"
                self.solver.unify(pattern, tuple(held.shape), Fact(text, site=Site(node, "array", name)))

    def _declare(self, declared: Declared) -> None:
        wanted = spec_shape(declared.spec, declared.side)
        if wanted is None:
            return
        if declared.side == "output" and isinstance(declared.spec, Codec) and declared.spec.column:
            wanted = _alone_or_column(self.solution.values[declared.value])
        port = declared.port if declared.port not in ("input", "output") else declared.side
        whose = f"{declared.path}'s" if declared.path else "the"
        text = f"{whose} {port if port == declared.side else f'{declared.side} {port}'} is {declared.spec!r}"
        fact = Fact(text, site=Site(None, "declared", declared=declared))
        pattern = sized(wanted, "?", fact)
        self.solver.unify(self.solution.values[declared.value], pattern, fact)

    def _count(self, declared: Declared) -> None:
        """Tell the layers that take an input's whole numbers how many of these there are."""
        count = declared.spec.class_count if isinstance(declared.spec, Codec) else None
        if count is None:
            return
        fact = Fact(f"the {declared.port} is {declared.spec!r}", site=Site(None, "counted"))
        for node in self.wiring.nodes:
            name = node.layer.counted
            if name and declared.value in node.sources and node.layer.sizes()[name] is None:
                self.solver.unify((_term(name, self.solution.terms[node.path]),), (count,), fact)

    # Kinds ----------------------------------------------------------------------------------------

    def _find_kinds(self) -> None:
        kinds = self.solution.kinds
        for declared in self.wiring.declared:
            if isinstance(declared.spec, Codec):
                codec = declared.spec
                kinds.setdefault(
                    declared.value, codec.output_kind if declared.side == "output" else codec.kind
                )
        for nodes in (self.wiring.nodes, self.wiring.nodes[::-1], self.wiring.nodes):
            for node in nodes:
                self._spread_kinds(node, kinds)

    def _spread_kinds(self, node: Node, kinds: dict[Value, str]) -> None:
        for pair in node.inside.alike if node.inside is not None else ():
            known = next((kinds[at] for at in pair if at in kinds), None)
            if known is not None:
                kinds.update(dict.fromkeys(pair, known))
        rules = node.layer.kinds
        inputs = list(zip(node.signature.inputs, node.sources, strict=True))
        outputs = list(zip(node.signature.outputs, node.outputs, strict=True))
        free = [
            at for term, at in inputs + outputs if rules.get(term.name, rules.get("*", "float")) == "same"
        ]
        agreed = next((kinds[at] for at in free if at in kinds), None)
        for term, at in inputs + outputs:
            said = rules.get(term.name, rules.get("*", "float"))
            rule = agreed if said == "same" else said
            if rule is None or rule == "any":
                continue
            known = kinds.setdefault(at, rule)
            if known == "float" and rule == "int" and (term, at) in inputs:
                raise ShapeError(
                    f"{node.label} takes whole numbers at {term.name}, "
                    f"but {self._giver(at)} gives real ones.",
                    path=node.path,
                    expected="int",
                    got="float",
                )

    def _check_varying(self, node: Node) -> None:
        for term, at in zip(node.signature.inputs, node.sources, strict=True):
            sizes = self.solution.shape(at)
            if sizes is None or not varies(sizes):
                continue
            for position, name in enumerate(term.names(len(sizes))):
                size = sizes[position]
                if isinstance(size, Extent) and node.layer.role(name) == "refuse":
                    raise ShapeError(
                        f"{node.label}: axis {position} of its {term.name} varies from example to example "
                        f"({size}), and it cannot treat each example by its own length there.",
                        because=list(reasons(self.solution.values[at][0])),
                        fix="pool or take a part along that axis first, or give it a fixed size",
                        path=node.path,
                        got=size,
                    )

    # Errors ---------------------------------------------------------------------------------------

    def _tell(self, conflict: Conflict) -> Error:
        site = conflict.fact.site
        because = self._because(conflict)
        expected, got = describe(conflict.left), describe(conflict.right)
        path = None
        fix = None
        if isinstance(site, Site) and site.node is not None:
            path = site.node.path
            message = f"{site.node.label}: {expected} cannot be {got}."
            if site.what == "edge":
                port = "" if len(site.node.sources) == 1 else f" at {site.port}"
                giver = self._giver(site.source)
                message = f"{site.node.label} takes {expected}{port}, but {giver} gives {got}."
            elif site.what == "end":
                message = f"{site.node.label} needs {expected} at {site.port} of the net within it, "
                message += f"but {self._giver(site.source)} gives {got}."
            elif site.what == "array":
                message = (
                    f"{site.node.label}: its {site.port} would have shape {expected} here, "
                    f"but it was made with {got}."
                )
                fix = (
                    f"without_arrays() takes them from {site.node.layer.brief} before, and init() makes new "
                    "ones after; or keep the part that fitted them"
                )
            elif site.what == "shared":
                there = site.node.home(site.port)[0]
                message = f"{site.node.label} shares {site.port} with {there}: {got} there, {expected} here."
        elif isinstance(site, Site) and site.declared is not None:
            declared = site.declared
            path = declared.path
            giver = self._giver(declared.value)
            node = next((n for n in self.wiring.nodes if n.path == declared.path), None)
            whose = node.label if node is not None and declared.path else declared.path or "The net"
            where = f"{whose} declares its"
            port = declared.side if declared.port == declared.side else f"{declared.side} {declared.port!r}"
            spec = "" if isinstance(declared.spec, int | tuple) else f" {declared.spec!r},"
            message = f"{where} {port} as{spec} {got}, but {giver} gives {expected}."
            if declared.side == "input" and declared.path:
                at = "" if port == "input" else f" at {port}"
                message = f"{whose} takes {got}{at}, but {giver} gives {expected}."
        else:
            message = f"{expected} cannot be {got}."
        return ShapeError(message, because=because, fix=fix, path=path, expected=expected, got=got)

    def _because(self, conflict: Conflict) -> list[str]:
        lines = []
        if conflict.clash is None:
            return [conflict.fact.text] if conflict.fact.text and not conflict.fact.quiet else []
        for item, whole in zip(conflict.clash, (conflict.left, conflict.right), strict=True):
            told = [*reasons(item)] or [*_reasons_of_all(whole)] or [conflict.fact.text]
            lines += [f"{_number(item)} because {text}" for text in told[:4] if text]
        return lines

    def _giver(self, at: Value) -> str:
        node = self.wiring.producer(at)
        if node is not None:
            return node.label
        return "the input" if at[1] == "input" else f"the input {at[1]!r}"


def _alone_or_column(pattern: Pattern) -> Shape:
    """Where a single number goes out: a column of one if the net gives an axis, else a scalar."""
    fixed = [item for item in spread(pattern) if not isinstance(item, Rest)]
    return (1,) if len(fixed) == 1 else ()


def _number(item: Any) -> str:
    found = find(item)
    return found.label if isinstance(found, Unknown | Rest) else str(found)


def _reasons_of_all(pattern: Pattern) -> list[str]:
    told: list[str] = []
    for item in pattern:
        told += [text for text in reasons(item) if text not in told]
    return told


def _term(name: str, terms: Terms) -> Unknown | Rest:
    if name not in terms:
        terms[name] = Rest(name) if name.startswith("*") else Unknown(name)
    return terms[name]


def _pattern(dims: tuple[str, ...], terms: Terms) -> Pattern:
    return tuple(int(dim) if dim.isdigit() else _term(dim, terms) for dim in dims)


def _hook(node: Node) -> Any:
    def hook(known: Any) -> Any:
        try:
            return node.layer.solve(known)
        except ShapeError as error:
            raise ShapeError(
                f"{node.label}: {error.message}",
                because=error.because,
                fix=error.fix,
                path=node.path,
                expected=error.expected,
                got=error.got,
            ) from None

    return hook

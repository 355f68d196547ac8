"""Surgery as methods of nets: each is one line, and its work is done in a file beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from retia.nets.verbs import _reach

if TYPE_CHECKING:
    from retia.nets.layer import Layer
    from retia.nets.net import Net


def _do(room: str, verb: str, *how: Any) -> Net:
    made: Net = _reach(f"nets.surgery.{room}", verb)(*how)
    return made


class SurgeryVerbs:
    """What makes other nets of a net's parts.

    Every result has its sizes inferred at once, shares its arrays with the old net, and the old net stays as
    it is. Parts are named by their paths, ``"block.conv"``, and those of a chain also by their numbers.
    """

    def _slice(self, key: slice) -> Net:
        return _do("cut", "sliced", self, key)

    def take(self, what: int | str, to: str | None = None) -> Net:
        """The beginning: the first so many parts (the last, if below 0), or all up to a part and with it.

        Args:
            what: how many children of a chain; or a path; with ``to`` the first part that is taken.
            to: the last part that is taken.
        Raises:
            StructureError: wires that would dangle, by name.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Linear(3), relu=rt.ReLU(), head=rt.Linear(2), input=4)
            >>> net.take("relu")
            Chain(Linear(3), relu=ReLU(), input=4)
            >>> net.take(-1)
            Chain(head=Linear(2))
        """
        return _do("cut", "take", self, what, to)

    def drop(self, what: int | str) -> Net:
        """The rest: without the first so many parts (the last, if below 0), or without all up to a part.

        Args:
            what: how many children of a chain, or a path. ``net.take(what)`` is what is left out.
        Raises:
            StructureError: wires that would dangle, by name.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Linear(3), relu=rt.ReLU(), head=rt.Linear(2), input=4)
            >>> net.drop(-2), net.drop("relu")
            (Chain(Linear(3), input=4), Chain(head=Linear(2)))
        """
        return _do("cut", "drop", self, what)

    def split(self, path: int | str) -> tuple[Net, Net]:
        """Two nets: what a part depends on, and the rest, the part among it. ``join`` makes them one again.

        Of several values that go from one into the other each is an output there and an input here, named
        after the part that gives it.

        Args:
            path: of a part, also within other parts.
        Example:
            >>> import retia as rt
            >>> net = rt.Graph(lambda x: rt.Tanh()(x) + rt.ReLU()(x), input=3)
            >>> first, second = net.split("plus")
            >>> [*first.outputs], [*second.inputs]
            (['tanh', 'relu'], ['tanh', 'relu'])
        """
        first, second = _reach("nets.surgery.cut", "split")(self, path)
        return first, second

    def append(self, *parts: Any, **named: Any) -> Net:
        """The net with parts after its end. What is declared of its output stays with the output.

        Args:
            parts: nets, as ``rt.Chain`` takes them; or one dict of nets by name.
            named: nets by name.
        Raises:
            ShapeError: what they give is not what the output says; ``with_ports(output=None)`` takes it back.
        Example:
            >>> import retia as rt
            >>> rt.Chain(rt.Linear(3), input=4).append(rt.ReLU(), head=rt.Linear(2))
            Chain(Linear(3), ReLU(), head=Linear(2), input=4)
        """
        return _do("ends", "append", self, parts, named)

    def prepend(self, *parts: Any, **named: Any) -> Net:
        """The net with parts before its beginning. What is declared of its input stays with the input.

        Args:
            parts: nets, as ``rt.Chain`` takes them; or one dict of nets by name.
            named: nets by name.
        Example:
            >>> import retia as rt
            >>> rt.Chain(rt.Linear(3), input=(2, 2)).prepend(rt.Flatten())
            Chain(Flatten(), Linear(3), input=(2, 2))
        """
        return _do("ends", "prepend", self, parts, named)

    def join(self, *others: Net) -> Net:
        """Nets end to end: chains as one chain, graphs as one graph.

        An only output feeds an only input; of several each feeds the input of its name, and those that are
        left stay outputs and inputs of the whole. Codecs that come inside are dropped, and told.

        Args:
            others: what follows, one after another.
        Raises:
            StructureError: ports that do not meet, or names that two parts would have.
        Example:
            >>> import retia as rt
            >>> rt.Chain(rt.Linear(3), rt.ReLU()).join(rt.Chain(rt.Linear(2), rt.Softmax()))
            Chain(Linear(3), ReLU(), Linear(2), Softmax())
        """
        return _do("ends", "join", self, others)

    def insert(self, place: int | str, /, *parts: Any, after: bool = False, **named: Any) -> Net:
        """The net with parts before another one, after it, or on an edge of a graph.

        Args:
            place: a path, a number in a chain (its length for the end), or an edge, ``"relu -> plus"``.
            parts: nets, one after another; or one dict of nets by name.
            after: behind the part at ``place`` instead of before it.
            named: nets by name.
        Raises:
            StructureError: a place to which several wires lead, with these.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Linear(3), rt.ReLU(), input=4)
            >>> net.insert(1, norm=rt.LayerNorm())
            Chain({'0': Linear(3), 'norm': LayerNorm(), '2': ReLU()}, input=4)
            >>> skip = rt.Graph(lambda x: rt.ReLU()(x) + x, input=4)
            >>> skip.insert("input -> plus", rt.Tanh()).edges()
            ('input -> tanh', 'input -> relu -> plus', 'tanh -> plus -> output')
        """
        return _do("edit", "insert", self, place, parts, named, after)

    def delete(self, *places: int | str) -> Net:
        """The net without some parts; what fed them feeds what they fed.

        Args:
            places: paths, numbers in a chain, or patterns of paths, ``"*.dropout"``.
        Raises:
            StructureError: a part of a graph that does not stand on one wire, with its wires.
            UnknownNameError: a path that is not there, or a pattern that matches nothing.
        Example:
            >>> import retia as rt
            >>> rt.Chain(rt.Linear(3), rt.Dropout(), rt.ReLU(), input=4).delete(1)
            Chain(Linear(3), ReLU(), input=4)
        """
        return _do("edit", "delete", self, places)

    def replace(self, what: Any, new: Net | Callable[[Any], Net]) -> Net:
        """The net with other parts in the place of some, wired as those were.

        Args:
            what: a path, a number in a chain, a pattern of paths (``"*.relu"``, the outermost parts that it
                matches); a class of layers, or a function of a layer that says whether it is meant.
            new: a net, or a function of the old part.
        Raises:
            UnknownNameError: nothing is meant. ShapeError: it does not fit.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Linear(3), rt.ReLU(), head=rt.Linear(2), input=4)
            >>> net.replace("head", rt.Linear(5)).replace(rt.ReLU, rt.GELU())
            Chain(Linear(3), GELU(), head=Linear(5), input=4)
        """
        return _do("exchange", "replace", self, what, new)

    def rename(self, names: Mapping[Any, str] | Callable[[str], str]) -> Net:
        """The net with other names of its parts, and so other paths of its arrays.

        Args:
            names: from paths (or numbers in a chain) to new names; or a function of each part's own name.
        Raises:
            StructureError: two parts of one name, or a name with a point.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Linear(3), rt.ReLU(), input=4).init().rename({0: "first"})
            >>> [*net.arrays]
            ['first.weight', 'first.bias']
        """
        return _do("names", "rename", self, names)

    def flatten(self, levels: int | None = None) -> Net:
        """The net with chains and graphs within it dissolved, so that all layers stand side by side.

        The parts of ``"block"`` are called ``"block_conv"``; those of a chain without a name keep theirs. A
        graph that is a line becomes a chain, a chain around a graph that is none becomes a graph.

        Args:
            levels: so many levels are dissolved; by default all.
        Example:
            >>> import retia as rt
            >>> rt.Chain(rt.Chain(rt.Linear(3), rt.ReLU()), head=rt.Chain(rt.Linear(2)), input=4).flatten()
            Chain(Linear(3), ReLU(), head_0=Linear(2), input=4)
        """
        return _do("levels", "flatten", self, levels)

    def nest(self, name: str, start: int | str | None = None, stop: int | str | None = None) -> Net:
        """The net with those parts as one named part that ``net[start:stop]`` has.

        Args:
            name: of the new part.
            start: path or number of the first; from the beginning by default.
            stop: path or number of the first that is not among them.
        Example:
            >>> import retia as rt
            >>> rt.Chain(rt.Linear(3), rt.ReLU(), rt.Linear(2), input=4).nest("block", 0, 2)
            Chain({'block': Chain(Linear(3), ReLU()), '1': Linear(2)}, input=4)
        """
        return _do("levels", "nest", self, name, start, stop)

    def expose(self, *paths: str, **named: str) -> Net:
        """The net with inner values as further outputs; ``net.at`` answers these alone.

        A chain becomes a graph whose parts have the same names.

        Args:
            paths: of parts; the output of ``"block.conv"`` is called ``"block_conv"``.
            named: paths of parts by the name of the output.
        Raises:
            StructureError: a part that is shared or runs within an operator.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Linear(3), rt.ReLU(), rt.Linear(2), input=4)
            >>> [*net.expose(features="1").outputs]
            ['output', 'features']
        """
        return _do("levels", "expose", self, paths, named)

    def map_layers(self, change: Callable[[str, Layer], Net]) -> Net:
        """The net with every layer changed.

        Args:
            change: what stands in a layer's place, of its path and itself; itself where it stays.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Linear(3), rt.ReLU(), input=4)
            >>> net.map_layers(lambda path, layer: rt.Tanh() if path == "1" else layer)
            Chain(Linear(3), Tanh(), input=4)
        """
        return _do("exchange", "map_layers", self, change)

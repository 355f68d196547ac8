"""Nets made of a net: repeated, nested, in both directions, of two inputs, against another net.

These are functions that answer chains and graphs, so every part can be sliced, replaced and drawn.
"""

from __future__ import annotations

from collections.abc import Callable

from retia.errors import ArgumentError
from retia.layers.combine import Concat, Plus
from retia.layers.elementwise import Sigmoid, Softplus
from retia.layers.functions import Arithmetic
from retia.layers.random import RandomArray
from retia.layers.reduce import Reduce
from retia.layers.sequences import Reverse
from retia.layers.stop import StopGradient
from retia.nets import Chain, Graph, Net, Shared, Wire
from retia.nets.chain import check_part
from retia.nets.settings import choice, whole

JOINS: dict[str, dict[str, Net]] = {
    "concat": {"concat": Concat(-1)},
    "sum": {"plus": Plus()},
    "mean": {"plus": Plus(), "half": Arithmetic("*", 0.5)},
}
"""How two directions come together."""


def Repeat(net: Net, times: int, *, shared: str | None = None) -> Chain:
    """Copies of a net one after another.

    Shape:  (*s) -> (*s), or what the copies make of it where their sizes are inferred
    Args:
        net: the net; where it has arrays already, each copy begins with these.
        times: how many copies, at least 1.
        shared: a name under which all copies have the same arrays, as ``Shared`` takes it; None for arrays
            of their own.
    Example:
        >>> import retia as rt
        >>> rt.Repeat(rt.Chain(rt.Linear(3), rt.Tanh()), 2)
        Chain(Chain(Linear(3), Tanh()), Chain(Linear(3), Tanh()))
        >>> rt.Chain(rt.Repeat(rt.Linear(3), 4), input=3).count
        48
    """
    check_part("Repeat", "net", net)
    number = whole(1, 10_000)("Repeat: times", times)
    return Chain(*[net if shared is None else Shared(shared, net)] * number)


def Nest(net: Net, times: int, *, name: str) -> Chain:
    """A net applied to its own output again and again, with the same arrays: ``y = net(net(net(x)))``.

    Shape:  (*s) -> (*s), where the net is (*s) -> (*s)
    Args:
        net: the net.
        times: how often, at least 1.
        name: under which the places share their arrays; another one for each ``Nest`` of a net.
    Example:
        >>> import retia as rt
        >>> rt.Nest(rt.Arithmetic("*", 2), 3, name="double").one(1.0)
        tensor(8.)
        >>> rt.Chain(rt.Nest(rt.Linear(3), 4, name="step"), input=3).count
        12
    """
    check_part("Nest", "net", net)
    return Repeat(net, whole(1, 10_000)("Nest: times", times), shared=name)


def Bidirectional(forward: Net, backward: Net | None = None, *, join: str = "concat") -> Graph:
    """A net of sequences from the first element to the last, and one from the last to the first.

    What the second gives is turned again, so that both results of an element meet. ``LSTM`` and its like do
    it by themselves, ``LSTM(64, bidirectional=True)``.

    Shape:  (n, *s) -> (n, *t), with ``"concat"`` the last axis as long as both
    Args:
        forward: from sequences to sequences of the same length.
        backward: the same for the other direction; a copy of ``forward`` with arrays of its own if None.
        join: ``"concat"`` along the last axis, ``"sum"`` or ``"mean"``.
    Source: Schuster and Paliwal 1997.
    Example:
        >>> import retia as rt
        >>> both = rt.Bidirectional(rt.GRU(3), rt.GRU(2))
        >>> rt.Chain(both, input=("n", 4)).outputs["output"].shape[1]
        5
    """
    check_part("Bidirectional", "forward", forward)
    check_part("Bidirectional", "backward", forward if backward is None else backward)
    parts = JOINS[choice(*JOINS)("Bidirectional: join", join)]
    ends: dict[str, Net] = {"reverse": Reverse(), "backward": forward if backward is None else backward}
    way = [*ends, "back", *parts, "output"]
    return Graph(
        {"forward": forward, **ends, "back": Reverse(), **parts},
        f"input -> forward -> {next(iter(parts))}",
        " -> ".join(["input", *way]),
    )


def Pair(net: Net, head: Net | None = None, *, name: str) -> Graph:
    """Two inputs through one net with the same arrays, and what is made of both results: a siamese net.

    With a distance as its head it learns which inputs are alike: ``loss=rt.Contrastive()``, with truth values
    as targets.

    Shape:  left (*s), right (*s) -> that of the head
    Args:
        net: with one input and one output.
        head: a net of both results, as ``PairwiseDistance``; of one input, it takes them one after another
            (along the last axis). None answers both results, as ``left`` and ``right``.
        name: under which both places share their arrays; another one for each ``Pair`` of a net.
    Raises:
        ArgumentError: the net has several inputs or outputs, or the head more than two inputs.
    Source: Bromley et al. 1993.
    Example:
        >>> import retia as rt
        >>> far = rt.Pair(rt.Linear(3), rt.PairwiseDistance(), name="place")
        >>> rt.Chain(far, input={"left": 5, "right": 5}).count
        18
    """
    check_part("Pair", "net", net)
    _check_single("Pair: net", net)
    sides = {"left": f"{name}_left", "right": f"{name}_right"}
    nodes: dict[str, Net] = dict.fromkeys(sides.values(), Shared(name, net))
    edges = [f"{side} -> {node}" for side, node in sides.items()]
    if head is None:
        edges += [f"{node} -> {side}" for side, node in sides.items()]
        return Graph(nodes, *edges, input=dict.fromkeys(sides), output=dict.fromkeys(sides))
    check_part("Pair", "head", head)
    number = len(head.input_names(2))
    if number not in (1, 2) or len(head.output_names()) != 1:
        raise ArgumentError(
            f"Pair: the head has one or two inputs and one output; it has {number} and "
            f"{len(head.output_names())}.",
            got=number,
        )
    nodes |= {"concat": Concat(-1), "head": head} if number == 1 else {"head": head}
    edges += [f"{node} -> {'concat' if number == 1 else 'head'}" for node in sides.values()]
    edges += ["concat -> head"] if number == 1 else []
    return Graph(nodes, *edges, input=dict.fromkeys(sides))


def _check_single(what: str, net: Net) -> None:
    if len(net.input_names(1)) != 1 or len(net.output_names()) != 1:
        inputs, outputs = ", ".join(net.input_names(1)), ", ".join(net.output_names())
        raise ArgumentError(
            f"{what} has one input and one output; it has {inputs or 'none'} and {outputs}.",
            got=(net.input_names(1), net.output_names()),
        )


def _logistic(real: Wire, held: Wire, made: Wire) -> Wire:
    softplus: Callable[[Wire], Wire] = Softplus()
    return softplus(-real) + softplus(held) + (softplus(-made) - softplus(-held))


def _least_squares(real: Wire, held: Wire, made: Wire) -> Wire:
    return (real - 1) ** 2 + held**2 + ((made - 1) ** 2 - (held - 1) ** 2)


def _wasserstein(real: Wire, held: Wire, made: Wire) -> Wire:
    return held - real + (held - made)


GAMES: dict[str, Callable[[Wire, Wire, Wire], Wire]] = {
    "logistic": _logistic, "least-squares": _least_squares, "wasserstein": _wasserstein,
}  # fmt: skip
"""The discriminator's loss, of the scores of real samples and of made ones that are held constant; and what
the generator is to lower, of the scores of made ones, less the same of the held ones. This difference is 0,
and so are its derivatives by the discriminator's arrays, for both scores are those of one sample."""


def GAN(
    generator: Net, discriminator: Net, *, latent: int | tuple[int, ...] | None = None, game: str = "logistic"
) -> Graph:
    """Two nets against each other: one makes samples, the other tells them from real ones.

    The output ``loss`` is the discriminator's, and each net gets the derivatives of its own game.
    ``rt.train(gan, {"sample": samples}, keep="last")`` moves both at every step, and with
    ``turns=["discriminator", "generator"]`` one after the other. ``keep="last"``, for the loss of a game does
    not fall. Afterwards ``run.net["generator"]`` makes samples. Where the discriminator has dropout, the
    generator's game disturbs it by what differs between two draws.

    Shape:  sample (*s), and what the generator takes -> loss (), made (*s)
    Args:
        generator: from latent numbers to a sample.
        discriminator: from a sample to a score (or several, whose mean counts), high for real ones; without
            a ``Sigmoid`` at its end.
        latent: sizes of the normal numbers that are drawn for each example. None: the generator's inputs are
            those of the net, a single one as ``latent``.
        game: ``"logistic"``, binary cross-entropy, the generator's with the labels exchanged;
            ``"least-squares"``, from scores of 1 and 0; ``"wasserstein"``, the difference of scores, for a
            discriminator that is kept smooth (``l2``).
    Raises:
        ArgumentError: ports that do not fit a game, or a discriminator that ends in a ``Sigmoid``.
    Source: Goodfellow et al. 2014 (with the loss for the generator that does not saturate), Mao et al. 2017,
        Arjovsky et al. 2017.
    Example:
        >>> import retia as rt
        >>> generator = rt.Chain(rt.Linear(16), rt.Tanh(), rt.Linear(2))
        >>> gan = rt.GAN(generator, rt.Chain(rt.Linear(16), rt.ReLU(), rt.Linear(1)), latent=4)
        >>> gan.count
        179
    """
    check_part("GAN", "generator", generator)
    check_part("GAN", "discriminator", discriminator)
    _check_single("GAN: the discriminator", discriminator)
    end = discriminator.wiring.producer(next(iter(discriminator.wiring.outputs.values())))
    if end is not None and isinstance(end.layer, Sigmoid):
        raise ArgumentError(
            "GAN: the discriminator ends in a Sigmoid, but the game takes scores.", fix="leave it out"
        )
    taken = generator.input_names()
    if len(generator.output_names()) != 1 or (latent is not None and len(taken) != 1):
        raise ArgumentError(
            f"GAN: the generator has one output, and one input where latent= is given; it takes "
            f"{', '.join(taken) or 'nothing'} and gives {', '.join(generator.output_names())}.",
            got=taken,
        )
    judge = Shared("discriminator", discriminator)
    play = Chain(Graph(GAMES[choice(*GAMES)("GAN: game", game)]), Reduce("mean"))
    nodes: dict[str, Net] = {
        "discriminator": judge, "generator": generator, "stop": StopGradient(), "on_held": judge,
        "on_made": judge, "game": play,
    }  # fmt: skip
    edges = ["sample -> discriminator -> game.real", "generator -> stop -> on_held -> game.held"]
    edges += ["generator -> on_made -> game.made", "game -> loss", "generator -> made"]
    ports = {"latent": taken[0]} if len(taken) == 1 else {name: name for name in taken}
    if latent is not None:
        nodes["latent"] = RandomArray((latent,) if isinstance(latent, int) else latent)
        edges.append("latent -> generator")
        ports = {}
    edges += [f"{port} -> generator.{name}" for port, name in ports.items()]
    outputs = dict.fromkeys(("loss", "made"))
    return Graph(nodes, *edges, input=dict.fromkeys(("sample", *ports)), output=outputs)

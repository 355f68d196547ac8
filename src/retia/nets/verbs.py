"""The methods of nets and codecs that reach a higher room, by name, when they are called.

This is the one inversion of the direction of imports: a net can be called, saved and looked at,
without its room knowing how. Each method is one line; what it does is written where it is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retia._torch import torch
    from retia.nets.net import Net


def _reach(room: str, name: str) -> Callable[..., Any]:
    return getattr(import_module(f"retia.{room}"), name)  # type: ignore[no-any-return]


class NetVerbs:
    """What a net can do beyond being a value."""

    def __call__(
        self,
        *things: Any,
        top: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        beam: int | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Run the net, always as in inference; one example or many, by the ports' types.

        Args:
            things: the input (a dict by port where there are several), then, if wanted, the property
                that the decoder answers: ``None`` for the raw tensor, ``"probabilities"``, ``"logits"``...
                Wires of a graph instead of things extend the graph.
            top: so many of the best answers, with their probabilities.
            temperature: above 0, of a random draw (property ``"sample"``).
            seed: of a random draw.
            top_k: draw each token of a text among so many of the likeliest.
            top_p: draw it among the likeliest that have this chance together (the nucleus).
            beam: follow so many texts in the search for the best one.
            batch_size: examples at once; by default as many as fit comfortably.
        Returns:
            What the output's codec decodes to, one for one example, a list for a batch; the tensor where
            there is no codec; a named result where there are several outputs.
        Raises:
            ArraysError: arrays are missing. CodecError: the input cannot be encoded.
        Example:
            >>> import retia as rt
            >>> rt.Chain(rt.ReLU(), input=3)([-1.0, 0.0, 2.0])
            tensor([0., 0., 2.])
        """
        return _reach("engine.call", "call")(
            self,
            things,
            top=top,
            temperature=temperature,
            seed=seed,
            top_k=top_k,
            top_p=top_p,
            beam=beam,
            batch_size=batch_size,
        )

    def one(self, thing: Any, *property: Any, **how: Any) -> Any:
        """Run the net on one example, whatever it looks like."""
        return _reach("engine.call", "call")(self, (thing, *property), many=False, **how)

    def batch(self, things: Any, *property: Any, **how: Any) -> Any:
        """Run the net on a batch of examples, whatever it looks like."""
        return _reach("engine.call", "call")(self, (things, *property), many=True, **how)

    def program(self, batch: int = 1) -> Callable[..., Any]:
        """The net as a bare function of tensors, for batches of one size: what serves many calls.

        It takes what stands behind the input's codec (``codec.encode``), so it knows nothing of files,
        labels and lists. Its kernels and layouts are those that cost least, so its answers differ from
        those of ``net(x, None)`` by rounding. Any number of threads may call it at once.

        Args:
            batch: how many examples a call brings, at least 1.
        Returns:
            A function of a tensor, batch first (of a dict by port where the net has several inputs), that
            answers the output (a dict where there are several). ``lengths=`` names varying sizes.
        Raises:
            ArraysError: arrays are missing.
        Example:
            >>> import retia as rt
            >>> program = rt.Chain(rt.ReLU(), input=3).program()
            >>> import torch
            >>> program(torch.tensor([[-1.0, 0.0, 2.0]]))
            tensor([[0., 0., 2.]])
        """
        made: Callable[..., Any] = _reach("engine.program", "program")(self, batch)
        return made

    def stateful(self, batch: int | None = None, *, given: Mapping[str, Any] | None = None) -> Any:
        """A view that takes a sequence piece by piece, and answers as the net does at these elements.

        For recurrent and causal nets: what recurrent layers carry, the keys and values of causal attention
        and positions are remembered, so that a step does not cost what came before again. After ``Last()``
        the view answers for the run so far.

        Args:
            batch: sequences that go side by side, at least 1; None for one that is no batch.
            given: inputs that are known whole from the beginning, by port: a first state, another sequence
                that is attended to. Of a batch, one for each.
        Returns:
            A view ``v``: ``v(piece)`` as ``net(x)``; ``v.reset()``; ``v.copy()``, a cheap branch;
            ``v.take([0, 0])``, of some rows; ``len(v)``, elements so far; ``v.most``, how many it can take.
        Raises:
            StructureError: a layer needs all elements at once; by its path, with the cure.
        Example:
            >>> import retia as rt
            >>> view = rt.Chain(rt.Embedding(4), rt.GRU(2), input=rt.Characters("ab")).init().stateful()
            >>> view("ab").shape, view("a").shape, len(view)
            (torch.Size([2, 2]), torch.Size([1, 2]), 3)
        """
        return _reach("engine.stateful", "Stateful")(self, batch, given)

    def generate(
        self,
        prompt: Any = "",
        *,
        length: int = 256,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        beam: int | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> Any:
        """Write a text: ``for piece in net.generate("To be"): print(piece, end="")``, or ``print`` all of it.

        For a net that reads a text and scores the next token at each of its places, with the same codec of
        texts at both ends. As a decoder decides, each token is the likeliest, unless a draw (``temperature``,
        ``top_k``, ``top_p``, ``seed``) or a search (``beam``) is asked for. It ends at the net's end token,
        or where it would go on with padding.

        A net with places for so many tokens (``Characters(length=64)``, ``PositionEmbedding(64)``) goes on
        with the last half of them whenever all are taken; of a longer prompt it reads the end.

        Args:
            prompt: what to go on from; empty only where the codec has a begin token. Of a list of prompts a
                list of texts comes back.
            length: tokens at most, at least 1.
            temperature: above 0; below 1 it favours the likelier tokens, above 1 it levels.
            top_k: draw among so many of the likeliest.
            top_p: draw among the likeliest that have this chance together (the nucleus).
            beam: search for the likeliest text among so many beginnings; it comes in one piece.
            seed: of the draws, at least 0; another one each time by default, which the result has.
            stop: a text or a list of them; what is written ends before the first that occurs.
            given: inputs that are known whole, by port, where the net has others; lists for a list.
        Returns:
            An iterator of pieces of text, whole characters as they are made; ``str`` and ``.text`` are all
            of it, without the prompt; ``.ended`` says why it ended, ``.seed`` with what it was drawn.
        Raises:
            StructureError: a layer needs all elements at once, so that the net cannot write token by token.
            CodecError: other tokens at the output than at the input, or an empty prompt.
        Example:
            >>> import retia as rt
            >>> codec = rt.Characters("ab ")
            >>> net = rt.Chain(rt.Embedding(8), rt.GRU(8), rt.Linear(), input=codec, output=codec).init()
            >>> text = net.generate("ab", length=5, seed=1)
            >>> len("".join(text)), text.ended
            (5, 'length')
        """
        how = dict(length=length, temperature=temperature, top_k=top_k, top_p=top_p, beam=beam, seed=seed)
        return _reach("engine.writing", "generate")(self, prompt, stop=stop, given=given, **how)

    def grad(self, thing: Any, wrt: Any = None, *, of: Any = None) -> Any:
        """Derivatives of the output's sum (or of ``of(outputs)``) at an input, by input ports or arrays.

        Args:
            thing: the input, as in a call.
            wrt: a port's name, an array's path, or a list of these (then a dict comes back); the only
                input where it is left out.
            of: the scalar whose derivative is wanted, as a function of the output tensor.
        Returns:
            Tensors of the shape of what they are derivatives by; by an input, one for each example.
        Example:
            >>> import retia as rt
            >>> rt.Sigmoid(input=()).grad(0.0)
            tensor(0.2500)
        """
        return _reach("engine.call", "grad")(self, thing, wrt, of)

    def with_ports(self, *, input: Any = ..., output: Any = ...) -> Net:
        """The same net with other types or codecs at its ports.

        What parts of the net declare for such a port goes, for the net's own word is the only one then.

        Args:
            input: a size, a shape, a codec, or None for nothing; a dict of these by port where there are
                several. What is not named stays as it is.
            output: the same way.
        Raises:
            ArgumentError: ports that are not there, all of them. ShapeError: types that do not fit the net.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Linear(2), rt.Softmax(), input=3, output=rt.Classes(["cat", "dog"]))
            >>> net.with_ports(input=rt.Vector(3), output=None)
            Chain(Linear(2), Softmax(), input=Vector(3))
        """
        return _reach("nets.outer", "with_ports")(self, input, output)  # type: ignore[no-any-return]

    def cast(self, kind: str | torch.dtype, *, only: str | None = None) -> Net:
        """The net in other numbers; calls then compute in them. Whole numbers stay as they are.

        Where its arrays are of several types, a layer computes in the widest of its own; one without arrays,
        in the widest of what it is given.

        Args:
            kind: ``"float64"``, ``"float32"``, ``"float16"`` or ``"bfloat16"``.
            only: a path or pattern of the arrays that are cast; all by default.
        Raises:
            ArraysError: the net has no arrays yet.
        Example:
            >>> import retia as rt
            >>> rt.Chain(rt.Linear(2), input=3).init().cast("bfloat16")([1, 2, 3]).dtype
            torch.bfloat16
        """
        return _reach("nets.casting", "cast")(self, kind, only)  # type: ignore[no-any-return]

    def tie(self, *paths: str, name: str | None = None) -> Net:
        """The net in which equal parts, or arrays of different layers, are one: ``rt.Shared`` around each.

        Training then moves them by the sum of all gradients, and files keep them once. Where their arrays
        differ those of the first path stay, and a warning says so.

        Args:
            paths: of two parts or more, ``"encoder", "decoder"``; or of arrays of one shape.
            name: that the sharing has; the first path by default.
        Raises:
            StructureError: parts that are not the same. ShapeError: arrays of different shapes.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(tokens=rt.Embedding(8, classes=50), head=rt.Linear(50, bias=False))
            >>> net.count, net.tie("tokens.weight", "head.weight").count
            (800, 400)
        """
        return _reach("nets.tying", "tie")(self, paths, name)  # type: ignore[no-any-return]

    def untie(self, path: str) -> Net:
        """The net in which a part, or an array, that was tied is its own again, as it is now.

        Where only one other is left of those that were tied, it is untied too.

        Raises:
            StructureError: it is not tied.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(a=rt.Linear(3), b=rt.Linear(3), input=3)
            >>> net.tie("a", "b").untie("b") == net
            True
        """
        return _reach("nets.tying", "untie")(self, path)  # type: ignore[no-any-return]

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Copies of the arrays by the keys of a PyTorch module of the same nesting.

        Shared arrays stand under each of their places, and are one tensor, as in PyTorch.

        Raises:
            ArraysError: arrays that were not made yet.
        Example:
            >>> import retia as rt
            >>> import torch
            >>> net = rt.Chain(rt.Linear(2), rt.ReLU(), input=3).init()
            >>> module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
            >>> module.load_state_dict(net.state_dict())
            <All keys matched successfully>
        """
        return _reach("formats.state", "state_dict")(self)  # type: ignore[no-any-return]

    def with_state_dict(
        self,
        source: Mapping[str, Any] | str | os.PathLike[str],
        *,
        rename: Mapping[str, str | None] | Callable[[str], str | None] | None = None,
        only: str | Sequence[str] | None = None,
    ) -> Net:
        """The net with arrays that PyTorch, NumPy or another tool saved, by name: all, or none and an error.

        Of a file names and shapes are compared before an array is read, and nothing in it is executed:
        PyTorch's files are read by ``torch.load(weights_only=True)`` alone. Dicts within dicts give names
        with points, and what is no tensor in them is left out. Numbers become those of the net's own type
        (float32, where it has no arrays yet). Counters of ``BatchNorm`` may be missing.

        Args:
            source: a dict of tensors or NumPy arrays; or a file, .safetensors, .npz, .pt or .pth.
            rename: from their names to the net's paths, as a function or a dict of names: a name covers all
                below it, ``{"module": "", "fc": "classifier"}``; ``""`` stands before all names; None, also
                of a pattern, leaves them out, ``{"optimizer": None, "*.extra": None}``. The first wins.
            only: paths or patterns of the net; all others stay as they are, and other names do not matter.
        Raises:
            ArraysError: names that are missing or unknown, shapes and types that do not fit; all of them,
                with a probable cure. FormatError: a file that is damaged or holds more than arrays.
        Example:
            >>> import retia as rt
            >>> import torch
            >>> module = torch.nn.Sequential(torch.nn.Linear(3, 2))
            >>> net = rt.Chain(head=rt.Linear(2), input=3)
            >>> net = net.with_state_dict(module.state_dict(), rename={"0": "head"})
            >>> torch.equal(net.arrays["head.weight"], module[0].weight)
            True
        """
        made: Net = _reach("formats.state", "with_state_dict")(self, source, rename, only)
        return made

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the net into one safetensors file, atomically. ``rt.load`` reads it back."""
        _reach("formats.file", "save")(self, path)

    def torch(self) -> torch.nn.Module:
        """The net as a plain ``torch.nn.Module``, for code that wants one. ``rt.from_torch`` is the way back.

        Its ``state_dict`` has the keys of ``net.arrays``, in copies; what the net learns are parameters, the
        rest buffers (a tied array is there once). ``forward`` takes batches as the ports do, so codecs stay
        outside (``codec.encode(thing)``): one tensor for each input, by position or by name; ``lengths=``
        names varying sizes. It answers the tensor of the output, a dict of them where there are several.
        ``train()`` and ``eval()`` rule dropout and batch statistics, of each part alone if wanted; draws
        follow ``torch.manual_seed``. It can be copied, pickled, moved, cast and given to
        ``torch.export.export`` as any module; only what that exports runs where Retia is not installed.

        Raises:
            ArraysError: arrays are missing.
        Example:
            >>> import retia as rt
            >>> import torch
            >>> module = rt.Chain(rt.Linear(2), rt.ReLU(), input=3).init().torch()
            >>> [*module.state_dict()], module(torch.zeros(4, 3)).shape
            (['0.weight', '0.bias'], torch.Size([4, 2]))
        """
        return _reach("formats.pytorch", "module_of")(self)  # type: ignore[no-any-return]

    def table(self, width: int | None = None, *, rates: Mapping[str, float] | None = None) -> str:
        """The table of layers, shapes and counts, so many characters wide; ``rates`` tell what is frozen."""
        return _reach("view.text", "table")(self, width, rates=rates)  # type: ignore[no-any-return]

    def diagram(
        self,
        *,
        view: str = "layers",
        depth: int | None = None,
        unfold: bool = False,
        most: int | None = None,
        theme: str = "auto",
        rates: Mapping[str, float] | None = None,
        x: Any = None,
        layer: str | None = None,
        unit: int | None = None,
    ) -> Any:
        """A picture of the net, as SVG: shown in a notebook, written by ``.save("net.svg")``.

        ``print(net.diagram())`` draws it in characters, as wide as the terminal; ``.text(120)`` is that text.

        Args:
            view: ``"layers"``, boxes and what flows between them; ``"units"``, the circles of a net of
                linear layers with its weights; ``"neuron"``, one of them with its sum.
            depth: how many levels of groups are opened; None for as many as fit on a page.
            unfold: draw equal blocks in a row one by one, instead of one of them and their number.
            most: boxes in one group (300), or places in one column of units (16); what is left out is
                counted in the picture.
            theme: ``"light"``, ``"dark"``, or ``"auto"`` for what the reader's system prefers.
            rates: as ``rt.train`` takes them; what has 0 is marked as frozen.
            x: one example, as the net is called with it: its values are shown in the units.
            layer: the path of the neuron's linear layer; None for the last.
            unit: the number of the neuron, from 0.
        Raises:
            ArgumentError: an argument that the view has no use for; for units, a net that is no row of
                linear layers and activations. UnknownNameError: rates whose pattern matches nothing.
        Example:
            >>> import retia as rt
            >>> rt.Chain(rt.Linear(30), rt.Tanh(), rt.Linear(3), input=2).diagram()
            Diagram('Chain, 3 layers, 183 parameters')
        """
        said = dict(depth=depth, unfold=unfold, most=most, rates=rates, x=x, layer=layer, unit=unit)
        return _reach("view.diagram", "diagram")(self, view=view, theme=theme, **said)

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        ax: Any = None,
        *,
        low: float = -4.0,
        high: float = 4.0,
    ) -> Any:
        """Draw the net as a function of one number, and its derivative: ``rt.GELU().plot()``.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
            low: where the curve begins. high: where it ends.
        Returns:
            The matplotlib figure, or the axes that were given. Nothing global is changed.
        Raises:
            ShapeError: the net takes more than one number, or gives more. ArgumentError: an empty range.
        Example:
            >>> import retia as rt
            >>> drawn = rt.Tanh().plot()
            >>> [line.get_label() for line in drawn.axes[0].lines if not line.get_label().startswith("_")]
            ['Tanh()', 'derivative']
        """
        return _reach("view.function", "plot")(self, low, high, path, ax)

    def saliency(
        self,
        thing: Any,
        of: Any = None,
        *,
        method: str = "gradient",
        input: str | None = None,
        baseline: Any = None,
        steps: int | None = None,
        samples: int | None = None,
        noise: float | None = None,
        seed: int | None = None,
        path: str | None = None,
        window: int | tuple[int, ...] | None = None,
        stride: int | tuple[int, ...] | None = None,
    ) -> Any:
        """Which part of an input an answer comes from: of pictures, texts, tables, sequences.

        What is explained is one number of the output; before a Softmax or Sigmoid at the end its logit, as
        the papers do. Of whole numbers (tokens) the vectors that stand for them are looked at.

        Args:
            thing: one example, as in a call.
            of: a label or place of the output; a port, or a pair of port and label, where there are several;
                a function of the logits to one number. What the net decides where it is left out.
            method: ``"gradient"``; ``"smooth"``, its mean under noise; ``"integrated"``, gradients along the
                way from a baseline, which add up to the difference of the scores; ``"grad-cam"``, feature
                maps weighted by their mean gradient; ``"occlusion"``, the fall of the score behind a window.
            input: the port that is looked at; the only one, or the only picture, where it is left out.
            baseline: of integrated and occlusion: a number that stands everywhere at the port, or another
                thing as in a call; black for pictures and 0 for all others where it is left out.
            steps: of integrated: so many points at equal distances; as many as make the sum right to 1e-3
                (of the difference, where that takes over 100), where they are needed, when left out.
            samples: of smooth, at least 1; 25 when left out. noise: its standard deviation as a part of the
                input's range, 0.15 when left out. seed: of the noise, 0 when left out.
            path: of grad-cam: a part with feature maps; the last convolution, with the normalisation,
                addition and activation after it, when left out.
            window: of occlusion: places along each axis; a seventh of a picture's when left out, else 1.
            stride: from window to window; half a window when left out.
        Returns:
            A value: ``s.map`` has a number for each place, ``s.values`` for each number of the input;
            ``s.plot()`` draws it, and a notebook shows it.
        Raises:
            ArgumentError: a batch, an unknown method or an argument of another one. StructureError: whole
                numbers that no Embedding or OneHot reads, or no feature maps.
        Source: Simonyan et al. 2013; Smilkov et al. 2017; Sundararajan et al. 2017; Selvaraju et al. 2017;
            Zeiler and Fergus 2014.
        Example:
            >>> import retia as rt
            >>> net = rt.Chain(rt.Linear(1, input=2).with_arrays({"weight": [[2.0, -1.0]], "bias": [5.0]}))
            >>> net.saliency([3.0, 1.0], method="integrated").map
            array([ 6., -1.], dtype=float32)
        """
        how = dict(baseline=baseline, steps=steps, samples=samples, noise=noise, seed=seed, path=path)
        how |= dict(window=window, stride=stride)
        return _reach("view.saliency", "saliency")(self, thing, of, method, input, **how)

    def linear_at(self, thing: Any, of: Any = None, *, input: str | None = None) -> Any:
        """The one affine map that a net of linear pieces (ReLU, max pooling...) is at an input: ``W x + b``.

        Before a Softmax or Sigmoid at the end, where it is the map of the logits. All is computed in float64.

        Args:
            thing: one example, as in a call.
            of: some of the outputs, a label or a list of them; a port, or a pair of port and label, where
                there are several. All of them when left out.
            input: the port that is meant; the only one, or the only picture, where it is left out.
        Returns:
            A value: ``m.weight @ m.input.ravel() + m.bias`` is ``m.output``; ``m.norms``, ``m.angles``
            (between rows and input), ``m.on`` (which units are); ``m.plot()`` draws the rows as pictures.
        Raises:
            StructureError: a layer is not made of linear pieces, by its path. ArgumentError: a batch, or a
                map that is too large.
        Source: Montúfar et al. 2014; Balestriero and Baraniuk 2018.
        Example:
            >>> import retia as rt
            >>> relu = rt.Chain(rt.ReLU(), input=2).linear_at([3.0, -1.0])
            >>> relu.weight.tolist(), relu.bias.tolist(), relu.on["0"].tolist()
            ([[1.0, 0.0], [0.0, 0.0]], [0.0, 0.0], [True, False])
        """
        return _reach("view.linear", "linear_at")(self, thing, of, input)

    def show(self) -> None:
        """Print the table."""
        _reach("view.text", "show")(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Mapping[str, str]:
        return _reach("view.notebook", "mimebundle")(self)  # type: ignore[no-any-return]

    def look(self, thing: Any = None) -> None:
        """Open the page on which the net is seen at work. Not there yet."""
        _reach("view.text", "not_yet")("net.look", "the studio")


class CodecVerbs:
    """What a codec can do without a net."""

    def encode(self, thing: Any) -> torch.Tensor:
        """One thing, or a batch of them, to what the net's port takes.

        Example:
            >>> import retia as rt
            >>> rt.Classes(["cat", "dog"]).encode("dog")
            tensor(1)
        """
        return _reach("engine.call", "encode")(self, thing)  # type: ignore[no-any-return]

    def decode(
        self,
        array: Any,
        property: Any = "decision",
        *,
        top: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        beam: int | None = None,
    ) -> Any:
        """One array of the port, or a batch of them, back to things.

        Args:
            array: of the output port's shape, or a batch of these.
            property: what is asked, and how: these and the others are as in a call of a net.

        Example:
            >>> import retia as rt
            >>> rt.Classes(["cat", "dog"]).decode([0.1, 0.9])
            'dog'
        """
        asked = dict(temperature=temperature, seed=seed, top_k=top_k, top_p=top_p, beam=beam)
        return _reach("engine.call", "decode")(self, array, property=property, top=top, **asked)

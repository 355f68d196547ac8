"""Diagrams of all nets that there are, read back from their SVG: every number, every box, every line."""

import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

import retia as rt
from nets.random_nets import nets
from retia.view.lettering import cut, text_width
from retia.view.model import show_sizes, sizes, view
from retia.view.scene import scene
from retia.zoo.efficientnet import efficientnet_lite0
from retia.zoo.resnet import resnet18
from retia.zoo.small import convolutional, dense, lenet
from view.sketches import Read, crosses, kinds, overlap, sampled, span, within

EXAMPLES = Path(__file__).parents[2] / "examples"


def inception() -> rt.Net:
    def mixed(x: rt.Net) -> rt.Net:
        ways = [rt.Conv2d(16, 1)(x), rt.Conv2d(16, 3, padding=1)(rt.Conv2d(8, 1)(x))]
        ways += [
            rt.Conv2d(16, 5, padding=2)(rt.Conv2d(8, 1)(x)),
            rt.Conv2d(8, 1)(rt.MaxPool2d(3, stride=1, padding=1)(x)),
        ]
        return rt.Concat(0)(*ways)

    return rt.Chain(rt.Graph(mixed), rt.ReLU(), rt.Graph(mixed), rt.GlobalAvgPool(), input=(3, 32, 32))


def decoder(layers: int) -> rt.Net:
    made = rt.TransformerDecoder(layers, 4, size=16)
    return rt.Graph(lambda x, memory: made(x, memory), input={"x": ("n", 16), "memory": ("m", 16)})


def siamese() -> rt.Net:
    shared = rt.Shared("f", rt.Chain(rt.Linear(3), rt.ReLU()))
    return rt.Graph(lambda a, b: shared(a) - shared(b), input={"a": 2, "b": 2})


def gan() -> rt.Net:
    return rt.GAN(
        rt.Chain(rt.Linear(16), rt.Tanh(), rt.Linear(2)), rt.Chain(rt.Linear(16), rt.Linear(1)), latent=4
    )


def example(name: str) -> rt.Net:
    """The net of an example, without what it is trained with."""
    names: dict[str, object] = {}
    for part in ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf8")).body:
        is_named = isinstance(part, ast.Assign) and re.fullmatch("net|[A-Z]+", ast.unparse(part.targets[0]))
        is_tool = isinstance(part, ast.Import | ast.ImportFrom | ast.FunctionDef)
        if is_named or is_tool and getattr(part, "module", "") != "job":
            exec(compile(ast.Module([part], []), name, "exec"), names)
    net = names["net"]
    assert isinstance(net, rt.Net)
    return net


NETS = {
    "lenet": lenet, "dense": lambda: dense([784, 200, 60, 10]), "convolutional": convolutional,
    "resnet18": resnet18, "lite0": efficientnet_lite0, "inception": inception, "siamese": siamese, "gan": gan,
    "encoder": lambda: rt.Chain(rt.TransformerEncoder(12, 4, size=16), input=("n", 16)),
    "decoder": lambda: decoder(3), "one layer": lambda: rt.Linear(10, input=784),
    "unknown": lambda: rt.Chain(rt.Linear(3), rt.Linear()),
    "words": lambda: rt.Chain(
        rt.Embedding(16), rt.LSTM(16), rt.Last(), rt.Linear(), input=rt.Words(), output=rt.Classes()
    ),
    "operators": lambda: rt.Chain(
        rt.Map(rt.Chain(rt.Linear(2), rt.ReLU())), rt.Fold(rt.Graph(lambda x, sum: x + sum), 2),
        input=("n", 3),
    ),
    "operator": lambda: rt.Map(rt.Chain(rt.Linear(3), rt.ReLU()), input=("n", 4)),
    "sharing": lambda: rt.Chain(*[rt.Shared("block", rt.Chain(rt.Linear(8), rt.ReLU()))] * 6, input=8),
    "inner values": lambda: resnet18().at("layer2.0.relu", "fc"),
    "wide": lambda: rt.Graph(lambda x: rt.Concat(0)(*[rt.Linear(2)(x) for _ in range(40)]), input=3),
    "passing": lambda: rt.Graph(
        {"r": rt.ReLU()}, "x -> r -> y", "x -> same", input={"x": 3}, output={"y": None, "same": None}
    ),
    "nothing": lambda: rt.Chain(rt.Chain(), rt.Chain(rt.Chain()), input=3),
    "long names": lambda: rt.Chain({"x" * 200: rt.Linear(3), "日本語の層": rt.ReLU()}, input=3),
    "mnist": lambda: example("mnist"), "segmentation": lambda: example("segmentation"),
    "detection": lambda: example("detection"), "sentiment": lambda: example("sentiment"),
}  # fmt: skip


def check(svg: str) -> Read:
    """Everything that a diagram of layers promises a reader's eye."""
    seen = Read(svg)
    assert len(seen.boxes) == seen.number
    boxes = [*seen.boxes.values()]
    frames = [frame for _, frame in seen.frames]
    assert not any(overlap(one, two) for one, two in itertools.combinations(boxes, 2))
    for one, two in itertools.combinations(frames, 2):
        assert within(one, two) or within(two, one) or not overlap(one, two)
    for box, frame in itertools.product(boxes, frames):
        assert within(box, frame) or not overlap(box, frame)
    for edge in seen.edges:
        points = sampled(edge.get("d") or "")
        assert not any(crosses(points, box) for box in boxes)
        assert all(within((x, y, x, y), seen.sheet) for x, y in points)
    for text in seen.texts:
        assert within(span(text), seen.sheet)
        for box in boxes:  # a text is in a box or beside it
            assert within(span(text), box, 1.0) or not overlap(span(text), box)
    return seen


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("depth", [None, 0, 1, 2, 9])
def test_no_box_overlaps_no_line_crosses_one_and_no_text_leaves_its_own(name: str, depth: int | None) -> None:
    check(NETS[name]().diagram(depth=depth).svg)


@given(net=nets())
def test_random_nets_are_drawn_so_too(net: rt.Net) -> None:
    check(net.diagram().svg)
    check(net.diagram(depth=9, unfold=True).svg)


@pytest.mark.parametrize("name", NETS)
def test_every_layer_is_there_with_its_shape_and_its_count(name: str) -> None:
    net = NETS[name]()
    seen = Read(net.diagram(depth=99, unfold=True).svg)
    layers = {node.path: node for node in net.wiring.nodes if not node.layer.children}
    ports = {*(f"input {port}" for port in net.inputs), *(f"output {port}" for port in net.outputs)}
    empty = {path for path in net.wiring.starts if path and net.part(path) == rt.Chain()}
    assert set(seen.boxes) == ports | empty | set(layers)
    shapes = [
        show_sizes(sizes(net.solution.shape(value))) for node in layers.values() for value in node.outputs
    ]
    assert {text for text in seen.words if re.fullmatch(r"\(.*\)", text)} <= {
        *shapes,
        *(show_sizes(sizes(port.shape)) for port in net.inputs.values()),
    }
    assert set(shapes) <= set(seen.words)
    for path, node in layers.items():
        learned = [at for at, array in node.layer.owns().items() if array.learned]
        known = [net.solution.array_shape(node.key, at) for at in learned]
        if learned and all(shape is not None and all(isinstance(s, int) for s in shape) for shape in known):
            count = f"{sum(int(np.prod(shape)) for shape in known):,}"
            inside = [t.text for t in seen.texts if within(span(t), seen.boxes[path], 1.0)]
            assert any(count in (text or "").split(" · ") for text in inside), (path, count, inside)


def test_equal_blocks_are_one_with_their_number() -> None:
    net = rt.Chain(rt.TransformerEncoder(12, 4, size=16), input=("n", 16))
    folded, unfolded = Read(net.diagram().svg), Read(net.diagram(depth=9, unfold=True).svg)
    block = view(net).parts["0.layers.0"]
    assert f"×12  0 to 11  Graph · {block.count:,} each" in folded.words
    assert len([path for path in unfolded.boxes if path.endswith("linear1")]) == 12
    assert len([path for path in folded.boxes if path.endswith("linear1")]) == 1


def test_arrays_that_copies_share_are_told_once() -> None:
    words = Read(NETS["sharing"]().diagram().svg).words
    assert "×6  0 to 5  Chain · 72 shared: block" in words


def test_blocks_that_stay_closed_stand_one_behind_the_other() -> None:
    blocks = rt.Chain(*[rt.Chain(rt.Linear(8), rt.ReLU())] * 5, input=8)
    seen = check(blocks.diagram(depth=1).svg)
    assert seen.words == ["×5  0 to 4", "Chain", "2 layers · 72 each", "input", "output", "(8)", "(8)"]


def test_rows_of_layers_are_folded_where_they_repeat() -> None:
    hidden = [rt.Linear(64), rt.ReLU()] * 20
    net = rt.Chain(rt.Linear(64), *hidden, rt.Linear(3), input=9)
    assert "×20  1 to 40  2 layers · 4,160 each" in Read(net.diagram().svg).words


def test_blocks_that_take_something_else_besides_are_folded_too() -> None:
    words = Read(decoder(6).diagram().svg).words
    assert any(text.startswith("×6  0 to 5  Graph") for text in words)


def test_blocks_of_other_sizes_or_other_neighbours_are_not_folded() -> None:
    growing = rt.Chain(*[rt.Linear(10 + n) for n in range(12)], input=9)
    assert "×" not in growing.diagram().svg
    blocks = {name: rt.Chain(rt.Linear(3), rt.ReLU()) for name in "abc"}
    skipping = rt.Graph(
        {**blocks, "plus": rt.Plus()}, "input -> a -> b -> c -> plus", "a -> plus", "b -> plus", input=3
    )
    assert not any(text.startswith("×") for text in Read(skipping.diagram().svg).words)


def test_fifty_layers_are_one_page() -> None:
    chain = rt.Chain(*[rt.Linear(10 + n) if n % 2 else rt.ReLU() for n in range(50)], input=10)
    left, top, right, bottom = Read(chain.diagram().svg).sheet
    assert bottom - top < 1000
    assert 0.6 < (bottom - top) / (right - left) < 1.6


def test_more_boxes_than_asked_become_one_that_counts_them() -> None:
    net = rt.Chain(*[rt.Linear(1 + n) for n in range(100)], input=3)
    seen = check(net.diagram(most=10).svg)
    assert len(seen.boxes) == 12
    assert "+91 more layers" in seen.words
    hidden = sum(
        int(np.prod(net.array_shapes()[path])) for path in net.learned() if 5 <= int(path.split(".")[0]) < 96
    )
    assert f"5 to 95 · {hidden:,}" in seen.words


def test_eight_thousand_nodes_are_drawn() -> None:
    nodes = {f"n{n}": rt.Plus() if n % 7 == 6 else rt.ReLU() for n in range(8000)}
    edges = [" -> ".join(["input", *nodes])] + [f"n{n - 5} -> n{n}" for n in range(8000) if n % 7 == 6]
    seen = check(rt.Graph(nodes, *edges, input=3).diagram(most=100).svg)
    assert len(seen.boxes) <= 102


def test_sharing_and_freezing_are_written_and_not_only_coloured() -> None:
    words = Read(siamese().diagram().svg).words
    assert len([text for text in words if "shared: f" in text]) == 2
    net = rt.Chain(body=rt.Linear(4), head=rt.Linear(2), input=3)
    frozen = [text for text in Read(net.diagram(rates={"head": 1, "*": 0}).svg).words if "frozen" in text]
    assert frozen == ["16 · frozen"]


def test_a_picture_is_described_for_those_who_listen() -> None:
    root = Read(rt.Chain(rt.Linear(30), rt.Tanh(), input=2).diagram().svg).root
    assert root.get("role") == "img"
    title, desc = (root.find(f"{{http://www.w3.org/2000/svg}}{tag}") for tag in ("title", "desc"))
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert title.text == "Chain, 2 layers, 90 parameters"
    assert desc.text == (
        "Input input (2). 0 Linear(30) gives (30), 90 parameters. 1 Tanh() gives (30). Output output (30)."
    )


def test_themes_are_light_dark_or_what_the_reader_prefers() -> None:
    net = rt.Chain(rt.Linear(30), input=2)
    auto, light, dark = (net.diagram(theme=theme).svg for theme in ("auto", "light", "dark"))
    assert "prefers-color-scheme:dark" in auto
    assert "prefers-color-scheme" not in light + dark
    assert "#ffffff" in light
    assert "#ffffff" not in dark


def luminance(color: str) -> float:
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["LIGHT", "DARK"])
def test_texts_and_marks_stand_out_as_the_web_asks(theme: str) -> None:
    from retia.view import svg

    colors = getattr(svg, theme)
    for family in svg.FAMILIES:
        fill, stroke = colors[family].split()
        assert min(contrast(colors["ink"], fill), contrast(colors["muted"], fill)) >= 4.5, family
        assert contrast(stroke, colors["ground"]) >= 3, family
    for ground in ("ground", "frame"):
        assert contrast(colors["muted"], colors[ground]) >= 4.5
        assert min(contrast(colors[mark], colors[ground]) for mark in ("line", "positive", "negative")) >= 3


def test_what_a_net_says_is_escaped() -> None:
    svg = rt.Chain({"<b>&'\"": rt.ReLU()}, input=2).diagram().svg
    assert "<b>" not in svg
    assert "<b>&'\"" in Read(svg).words


def test_two_pictures_on_one_page_do_not_colour_each_other() -> None:
    one, two = lenet().diagram(theme="light").svg, lenet().diagram(theme="dark").svg
    keys = [re.findall(r"retia-\w{10}", svg) for svg in (one, two)]
    assert {len({*found}) for found in keys} == {1}
    assert keys[0][0] != keys[1][0]
    rules = re.findall(r"[^{}]+(?=\{[^{}]*\})", Read(one).root.find("{http://www.w3.org/2000/svg}style").text)
    assert all(rule.startswith(f".{keys[0][0]}") for rule in rules)


def test_it_is_saved_as_svg_and_shown_by_notebooks(tmp_path: Path) -> None:
    made = lenet().diagram()
    made.save(tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text(encoding="utf8") == made.svg
    assert made._repr_mimebundle_() == {"text/plain": str(made), "image/svg+xml": made.svg}
    assert repr(made) == "Diagram('Chain, 11 layers, 431,080 parameters')"
    with pytest.raises(rt.ArgumentError) as caught:
        made.save(tmp_path / "net.pdf")
    assert str(caught.value).endswith('\n  fix   save("net.svg")')


def test_a_png_is_the_diagram_twice_as_large(tmp_path: Path) -> None:
    drawn = lenet().diagram()
    drawn.save(tmp_path / "net.png")
    *_, wide, high = re.findall(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', drawn.svg)[0]
    with Image.open(tmp_path / "net.png") as picture:
        assert picture.size == pytest.approx((2 * float(wide), 2 * float(high)), abs=2)
        assert len(picture.convert("RGB").getcolors(2**24) or ()) > 20


def test_a_png_without_the_library_that_draws_it_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(rt.MissingExtraError) as caught:
        lenet().diagram().save(tmp_path / "net.png")
    assert str(caught.value) == (
        "A diagram becomes a .png by resvg-py, which is not installed.\n"
        "  fix   pip install 'retia[diagrams]', or diagram.save(\"net.svg\")"
    )
    assert not (tmp_path / "net.png").exists()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"view": "boxes"}, "diagram: view is one of 'layers', 'units', 'neuron'; got 'boxes'."),
        (
            {"theme": "drak"},
            "diagram: theme is one of 'auto', 'light', 'dark'; got 'drak'. Did you mean 'dark'?",
        ),
        ({"depth": -1}, "diagram: depth is a whole number of at least 0, or None; got -1."),
        ({"unit": 3}, 'diagram: unit is for view="neuron"; got view="layers".'),
        ({"x": [1.0]}, 'diagram: x is for view="units" or view="neuron"; got view="layers".'),
        ({"view": "units", "depth": 2}, 'diagram: depth is for view="layers"; got view="units".'),
    ],
)
def test_what_a_view_has_no_use_for_is_refused(how: dict[str, object], said: str) -> None:
    with pytest.raises(rt.ArgumentError) as caught:
        dense([784, 10]).diagram(**how)
    assert str(caught.value).splitlines()[0] == said


def test_a_diagram_needs_no_pytorch() -> None:
    code = (
        "import sys; import retia as rt; "
        "rt.Chain(rt.Linear(3), rt.ReLU(), input=2).diagram(); "
        "print([name for name in ('torch', 'numpy', 'PIL', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_texts_are_cut_to_the_room_they_have() -> None:
    words = "Conv2d(64, 7, stride=2, padding=3, bias=False)"
    for room in (20, 60, 120, 400):
        assert text_width(cut(words, 12, room), 12) <= max(room, text_width("...", 12))
    assert cut(words, 12, 400) == words


def test_the_scene_of_a_net_is_the_same_every_time() -> None:
    net = resnet18()
    assert scene(view(net)) == scene(view(net))
    assert net.diagram().svg == resnet18().diagram().svg
    assert kinds(Read(net.diagram().svg).edges[0]) == ["edge"]

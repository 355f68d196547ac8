"""Saving and loading: the net that comes back is the one that was saved, to the bit."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from crafting import apart, together
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.formats import file
from retia.formats.header import DTYPES
from retia.nets import registry

FILES = Path(__file__).parent / "files"


@pytest.fixture
def own_layers(monkeypatch):
    """Layers that a test registers are unknown after it."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))


@pytest.fixture
def odd(own_layers):
    @rt.layer
    class Odd(rt.Layer):
        """A layer with arrays of both kinds, whose sizes nothing fixes."""

        signature = "*s -> *s"

        def owns(self):
            return {"real": rt.Array("a b"), "whole": rt.Array("c", learned=False, kind="int")}

        def forward(self, x, *, real, whole):
            return x

    return Odd()


def shared():
    return rt.Shared("twin", rt.Linear(3))


def nets():
    return {
        "one layer": rt.Linear(2, input=3),
        "no arrays of its own": rt.Chain(rt.ReLU(), rt.Tanh()),
        "an empty chain": rt.Chain(input=2),
        "digits": rt.Chain(
            rt.Flatten(), rt.Linear(5), rt.ReLU(), rt.Linear(), rt.Softmax(),
            input=rt.Image(4, 4, color="gray"), output=rt.Classes(range(3)),
        ),
        "labels of three types": rt.Chain(rt.Linear(), input=2, output=rt.Classes(["7", 8, False])),
        "nested and named": rt.Chain(a=rt.Chain({"1x1": rt.Linear(2)}, ), b=rt.Linear(1), input=3),
        "a graph": rt.Graph(lambda x, y: rt.Linear(3)(x) * rt.Tanh()(y), input={"x": 2, "y": 3}),
        "two outputs": rt.Graph({"a": rt.Linear(1), "b": rt.Linear(2)}, "input -> a", "input -> b", input=2),
        "shared": rt.Chain(shared(), rt.ReLU(), shared(), input=3),
        "a varying axis": rt.Chain(rt.Linear(2), input=("n", 3)),
        "a part's answer": rt.Chain(hidden=rt.Linear(2), last=rt.Linear(1), input=3).at("hidden"),
        "names in other scripts": rt.Chain({"größe": rt.Linear(2), "层": rt.Linear(1)}, input=2),
        "an initialiser": rt.Chain(rt.Linear(2, init=rt.Initial("normal", std=0.5)), input=2),
    }  # fmt: skip


def again(net, folder):
    place = folder / "net.safetensors"
    net.save(place)
    return rt.load(place)


def assert_same(loaded, net):
    assert loaded == net
    assert loaded.hash == net.hash
    assert repr(loaded) == repr(net)
    assert list(loaded.arrays) == list(net.arrays)
    for path, array in net.arrays.items():
        bits = array.contiguous().reshape(-1).view(torch.uint8)
        assert loaded.arrays[path].dtype == array.dtype
        assert loaded.arrays[path].shape == array.shape
        assert torch.equal(loaded.arrays[path].reshape(-1).view(torch.uint8), bits)
    assert {n: p.codec for n, p in loaded.inputs.items()} == {n: p.codec for n, p in net.inputs.items()}
    assert {n: p.codec for n, p in loaded.outputs.items()} == {n: p.codec for n, p in net.outputs.items()}


@pytest.mark.parametrize("name", nets())
def test_a_net_comes_back_as_it_was(name, tmp_path):
    net = nets()[name].init(seed=1)
    assert_same(again(net, tmp_path), net)


@pytest.mark.parametrize("name", nets())
def test_a_net_without_arrays_comes_back_as_it_was(name, tmp_path):
    net = nets()[name]
    loaded = again(net, tmp_path)
    assert_same(loaded, net)
    assert loaded.init(seed=2).hash == net.init(seed=2).hash


def test_a_net_with_some_of_its_arrays_comes_back_with_those(tmp_path):
    net = rt.Chain(a=rt.Linear(2), b=rt.Linear(1), input=3).init(only="b")
    loaded = again(net, tmp_path)
    assert_same(loaded, net)
    assert file.read_header(tmp_path / "net.safetensors").missing == ("a.weight", "a.bias")


def test_sizes_that_only_the_arrays_know_come_back(tmp_path):
    trained = rt.Chain(rt.Linear(4), rt.Linear(2), input=3).init()
    head = trained[1:]
    assert head.array_shapes()["0.weight"] == (2, 4)
    loaded = again(head, tmp_path)
    assert_same(loaded, head)
    assert loaded.array_shapes() == head.array_shapes()


sizes = st.integers(1, 4)
elementwise = st.sampled_from([rt.ReLU(), rt.Tanh(), rt.Softmax()])
layers = st.one_of(
    elementwise, st.builds(lambda size, bias: rt.Linear(size, bias=bias), sizes, st.booleans())
)


def chains(parts):
    return st.lists(parts, min_size=1, max_size=4).map(lambda nets: rt.Chain(*nets))


def graphs(parts):
    def sum_of(left, right, size):
        return rt.Graph(lambda x: rt.Linear(size)(left(x)) + rt.Linear(size)(right(x)))

    return st.builds(sum_of, parts, parts, sizes)


random_nets = st.recursive(layers, lambda parts: chains(parts) | graphs(parts), max_leaves=6)


@given(
    net=random_nets,
    width=sizes,
    labels=st.none() | st.lists(st.text(), min_size=1, max_size=3, unique=True),
    data=st.data(),
)
def test_random_nets_come_back_as_they_were(net, width, labels, data, tmp_path_factory):
    parts = [net] if labels is None else [net, rt.Linear()]
    output = None if labels is None else rt.Classes(labels)
    whole = rt.Chain(*parts, input=width, output=output).init(seed=3)
    bits = {
        path: torch.tensor(data.draw(st.binary(min_size=a.numel() * 4, max_size=a.numel() * 4).map(list)))
        for path, a in whole.arrays.items()
    }
    arrays = {
        p: b.to(torch.uint8).view(torch.float32).reshape(whole.arrays[p].shape) for p, b in bits.items()
    }
    whole = whole.with_arrays(arrays)
    assert_same(again(whole, tmp_path_factory.mktemp("net")), whole)


def test_bits_that_compare_badly_come_back(tmp_path):
    bits = torch.tensor([0x7FC00001, 0x7F800001, -1, -(2**31), 1, 0x007FFFFF], dtype=torch.int32)
    net = rt.Linear(2, bias=False, input=3).with_arrays({"weight": bits.view(torch.float32).reshape(2, 3)})
    loaded = again(net, tmp_path)
    assert torch.equal(loaded.arrays["weight"].view(torch.int32).reshape(-1), bits)


@pytest.mark.parametrize("name", [name for name in DTYPES if name.startswith(("F", "BF"))])
def test_real_numbers_of_every_type_come_back(name, odd, tmp_path):
    dtype = getattr(torch, DTYPES[name][0])
    net = odd.with_arrays({"real": torch.tensor([[1.0, -0.0], [0.5, 2.0]]).to(dtype)})
    assert_same(again(net, tmp_path), net)


@pytest.mark.parametrize("name", [name for name in DTYPES if name.startswith(("I", "U", "BOOL"))])
def test_whole_numbers_of_every_type_come_back(name, odd, tmp_path):
    dtype = getattr(torch, DTYPES[name][0])
    net = odd.with_arrays({"whole": torch.tensor([0, 1, 1]).to(dtype)})
    assert_same(again(net, tmp_path), net)


def test_the_largest_whole_numbers_come_back(odd, tmp_path):
    whole = torch.tensor([2**63 - 1, -(2**63), 2**53 + 1])
    loaded = again(odd.with_arrays({"whole": whole}), tmp_path)
    assert torch.equal(loaded.arrays["whole"], whole)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1)])
def test_empty_arrays_come_back(shape, odd, tmp_path):
    net = odd.with_arrays({"real": torch.zeros(shape), "whole": torch.zeros(0, dtype=torch.int64)})
    assert_same(again(net, tmp_path), net)


def test_views_are_saved_by_what_they_show(tmp_path):
    wide = torch.arange(12.0).reshape(3, 4)
    net = rt.Linear(2, bias=False, input=3).with_arrays({"weight": wide.T[1:3]})
    net.save(tmp_path / "net")
    assert (tmp_path / "net").stat().st_size == file.read_header(tmp_path / "net").start + 24
    assert rt.load(tmp_path / "net").arrays["weight"].tolist() == [[1.0, 5.0, 9.0], [2.0, 6.0, 10.0]]


def test_shared_arrays_stand_once(tmp_path):
    net = rt.Chain(shared(), rt.ReLU(), shared(), input=3).init()
    loaded = again(net, tmp_path)
    assert sorted(safetensors.torch.load_file(tmp_path / "net.safetensors")) == ["0.bias", "0.weight"]
    assert loaded.count == 12
    assert torch.equal(loaded([1.0, 2.0, 3.0]), net([1.0, 2.0, 3.0]))


def test_any_tool_for_safetensors_opens_it(tmp_path):
    net = nets()["digits"].init()
    net.save(tmp_path / "net.safetensors")
    arrays = safetensors.torch.load_file(tmp_path / "net.safetensors")
    assert {path: array.tolist() for path, array in arrays.items()} == {
        path: array.tolist() for path, array in net.arrays.items()
    }
    with safetensors.safe_open(tmp_path / "net.safetensors", "pt") as opened:
        said = opened.metadata()
    assert said["format"] == "pt"
    assert said["retia.expression_sha256"] == net.expression_hash
    assert hashlib.sha256(said["retia.expression"].encode()).hexdigest() == net.expression_hash
    assert json.loads(said["retia.expression"])["type"] == "Chain"


def test_a_pytorch_module_of_the_same_nesting_loads_its_arrays(tmp_path):
    net = rt.Chain(rt.Linear(4), rt.Tanh(), rt.Chain(rt.Linear(3), rt.ReLU()), rt.Linear(2), input=5).init()
    net.save(tmp_path / "net.safetensors")
    module = torch.nn.Sequential(
        torch.nn.Linear(5, 4),
        torch.nn.Tanh(),
        torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()),
        torch.nn.Linear(3, 2),
    )
    module.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    x = torch.linspace(-1, 1, 10).reshape(2, 5)
    torch.testing.assert_close(net(x), module(x).detach())


def test_equal_nets_of_one_lineage_give_equal_bytes(tmp_path):
    one, other = (nets()["digits"].init(seed=4) for _ in range(2))
    one = one.with_arrays(one.arrays)
    other = other.with_arrays({path: other.arrays[path] for path in sorted(other.arrays, reverse=True)})
    one.save(tmp_path / "one")
    other.save(tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_arrays_stand_aligned_in_the_file(odd, tmp_path):
    net = odd.with_arrays({"real": torch.zeros(1, 3).half(), "whole": torch.zeros(2, dtype=torch.int64)})
    net.save(tmp_path / "net")
    described = file.read_header(tmp_path / "net")
    assert [(e.path, (described.start + e.begin) % 8) for e in described.entries] == [
        ("whole", 0),
        ("real", 0),
    ]


def test_the_order_of_arrays_in_a_file_does_not_matter(tmp_path):
    net = rt.Linear(2, input=3).init()
    net.save(tmp_path / "net")
    header, data = apart((tmp_path / "net").read_bytes())
    header["bias"]["data_offsets"], header["weight"]["data_offsets"] = [24, 32], [0, 24]
    (tmp_path / "net").write_bytes(together(header, data[8:] + data[:8]))
    assert rt.load(tmp_path / "net") == net


def test_what_is_loaded_is_the_nets_own(tmp_path):
    net = rt.Linear(2, input=3).init()
    net.save(tmp_path / "net")
    loaded = rt.load(tmp_path / "net")
    (tmp_path / "net").write_bytes(bytes((tmp_path / "net").stat().st_size))
    assert loaded == net
    loaded.arrays["weight"].add_(1)
    with pytest.raises(rt.ArraysError, match="changed in place"):
        _ = loaded.hash


def test_a_net_loaded_in_inference_mode_or_on_another_default_is_the_same(tmp_path):
    net = rt.Linear(2, input=3).init()
    net.save(tmp_path / "net")
    with torch.inference_mode(), torch.device("meta"):
        loaded = rt.load(tmp_path / "net")
    assert loaded == net
    assert not loaded.arrays["weight"].is_inference()


def test_paths_may_be_texts_bytes_or_path_objects(tmp_path):
    net = rt.ReLU()
    for place in (tmp_path / "a", str(tmp_path / "b"), os.fsencode(tmp_path / "c")):
        net.save(place)
        assert rt.load(place) == net
    for wrong in (3, None, "", "a\0b"):
        with pytest.raises(rt.ArgumentError, match="a path is"):
            rt.load(wrong)
        with pytest.raises(rt.ArgumentError, match="a path is"):
            net.save(wrong)


def test_only_nets_are_saved(tmp_path):
    with pytest.raises(rt.ArgumentError, match="save takes a net; got dict"):
        file.save({}, tmp_path / "net")


def test_what_could_not_be_loaded_again_is_not_saved(odd, tmp_path):
    whole = odd.with_arrays({"real": torch.zeros(2, 3, dtype=torch.int64)})
    with pytest.raises(rt.FormatError, match="'real' is I64, expected float"):
        whole.save(tmp_path / "net")
    half = rt.Chain(rt.Linear(), output=rt.Classes(["\ud800"]))
    with pytest.raises(rt.FormatError, match="surrogate"):
        half.save(tmp_path / "net")
    deep = rt.ReLU()
    for _ in range(70):
        deep = rt.Chain(deep)
    with pytest.raises(rt.FormatError, match="levels"):
        deep.save(tmp_path / "net")
    assert os.listdir(tmp_path) == []


def test_a_layer_that_does_not_come_back_is_not_saved(own_layers, tmp_path):
    @rt.layer
    class Forgetful(rt.Layer):
        """Always says that it is 1."""

        signature = "*s -> *s"
        number: int = 1

        def forward(self, x):
            return x

        @classmethod
        def from_settings(cls, settings):
            return cls(1)

    Forgetful(1).save(tmp_path / "net")
    with pytest.raises(rt.FormatError, match="does not come back from its expression"):
        Forgetful(2).save(tmp_path / "net")
    assert rt.load(tmp_path / "net") == Forgetful(1)


def test_a_header_is_read_without_the_net(tmp_path):
    net = rt.Chain(rt.Linear(2), input=3).init()
    net.save(tmp_path / "net")
    described = file.read_header(tmp_path / "net")
    assert described.format == 1
    assert described.version == "0.1.0"
    assert described.expression == json.loads(json.dumps(described.expression))
    assert described.expression["parts"]["items"][0][1]["size"] == 2
    assert [(e.path, e.dtype, e.shape) for e in described.entries] == [
        ("0.bias", "F32", (2,)),
        ("0.weight", "F32", (2, 3)),
    ]
    assert described.size == (tmp_path / "net").stat().st_size == described.start + 32


# Old and new formats ------------------------------------------------------------------------------


def test_a_file_of_format_1_is_read_for_ever():
    net = rt.load(FILES / "format1.safetensors")
    arrays = safetensors.torch.load_file(FILES / "format1.safetensors")
    twin = rt.Shared("twin", rt.Linear(3))
    expected = rt.Chain(
        trunk=rt.Chain(twin, rt.Tanh(), twin),
        gate=rt.Graph(lambda x: rt.ReLU()(x) + rt.Linear(3)(x)),
        head=rt.Linear(),
        probabilities=rt.Softmax(),
        input=3,
        output=rt.Classes(["cat", "dog"]),
    )
    assert net == expected.with_arrays(arrays)
    x = torch.tensor([0.5, -1.0, 2.0])
    w, b = arrays["trunk.0.weight"], arrays["trunk.0.bias"]
    x = torch.tanh(x @ w.T + b) @ w.T + b
    x = torch.relu(x) + x @ arrays["gate.linear.weight"].T + arrays["gate.linear.bias"]
    logits = x @ arrays["head.weight"].T + arrays["head.bias"]
    torch.testing.assert_close(net([0.5, -1.0, 2.0], None), torch.softmax(logits, 0))


def test_an_older_format_is_migrated(tmp_path, monkeypatch):
    rt.Linear(2, input=3).init().save(tmp_path / "net")
    monkeypatch.setattr(file, "FORMAT", 3)
    steps = {1: lambda data: {**data, "size": 7}, 2: lambda data: {**data, "size": data["size"] - 5}}
    monkeypatch.setattr(file, "MIGRATIONS", steps)
    assert repr(rt.load(tmp_path / "net")) == "Linear(2, input=3)"


def test_a_newer_format_is_refused_with_who_wrote_it(tmp_path):
    rt.ReLU().save(tmp_path / "net")
    header, _ = apart((tmp_path / "net").read_bytes())
    header["__metadata__"].update({"retia.format": "2", "retia.version": "9.1"})
    (tmp_path / "net").write_bytes(together(header))
    with pytest.raises(rt.FormatError) as caught:
        rt.load(tmp_path / "net")
    assert str(caught.value) == (
        f"{tmp_path / 'net'}: it is of format 2, written by Retia '9.1'; this Retia reads up to 1.\n"
        "  fix   pip install -U retia"
    )
    assert (caught.value.path, caught.value.expected, caught.value.got) == (str(tmp_path / "net"), 1, 2)

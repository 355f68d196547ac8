"""State dicts: arrays by PyTorch's names, from dicts and files, with every mismatch told at once."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

import retia as rt
from retia.zoo.efficientnet import efficientnet_lite0, published_names

NET = rt.Chain(
    stem=rt.Chain(conv=rt.Conv2d(4, 3), norm=rt.BatchNorm()),
    pool=rt.GlobalAvgPool(),
    head=rt.Linear(2),
    input=(3, 8, 8),
)
FULL = NET.init(seed=1)


def module():
    stem = torch.nn.Sequential()
    stem.add_module("conv", torch.nn.Conv2d(3, 4, 3))
    stem.add_module("norm", torch.nn.BatchNorm2d(4))
    whole = torch.nn.Module()
    whole.stem, whole.head = stem, torch.nn.Linear(4, 2)
    return whole


def numbers(state):
    return {name: tensor.numpy() for name, tensor in state.items()}


WRITERS = {
    "zip.pt": lambda state, place: torch.save(state, place),
    "legacy.pth": lambda state, place: torch.save(state, place, _use_new_zipfile_serialization=False),
    "plain.npz": lambda state, place: np.savez(place, **numbers(state)),
    "packed.npz": lambda state, place: np.savez_compressed(place, **numbers(state)),
    "a.safetensors": safetensors.torch.save_file,
}


def refused(kind, act):
    with pytest.raises(kind) as caught:
        act()
    assert type(caught.value) is kind
    return caught.value


def test_a_module_of_the_same_nesting_takes_the_state_dict_strictly():
    there = module()
    there.load_state_dict(FULL.state_dict(), strict=True)
    assert list(there.state_dict()) == list(FULL.state_dict())
    x = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    there.eval()
    expected = there.head(there.stem(x).mean((2, 3)))
    assert torch.allclose(FULL(x), expected, atol=1e-6)


def test_a_state_dict_is_of_copies():
    state = FULL.state_dict()
    before = FULL.hash
    state["head.bias"].fill_(7)
    assert FULL.hash == before
    assert not any(tensor.requires_grad for tensor in state.values())


def test_shared_arrays_stand_at_each_place_and_are_one_tensor():
    net = rt.Chain(a=rt.Shared("f", rt.Linear(3)), b=rt.Shared("f", rt.Linear(3)), input=3).init()
    state = net.state_dict()
    assert list(state) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert state["a.weight"] is state["b.weight"]
    assert net.init(seed=4, only="a").with_state_dict(state) == net
    assert net.with_state_dict({n: t for n, t in state.items() if n.startswith("b")}) == net


def test_shared_arrays_that_differ_are_refused():
    net = rt.Chain(a=rt.Shared("f", rt.Linear(3)), b=rt.Shared("f", rt.Linear(3)), input=3)
    state = {**net.init().state_dict(), "b.bias": torch.ones(3)}
    error = refused(rt.ArraysError, lambda: net.with_state_dict(state))
    assert str(error) == (
        "with_state_dict: these arrays do not fit the net: 1 in conflict.\n"
        "  from  'a.bias' and 'b.bias' differ, but the net shares them"
    )


def test_a_net_without_arrays_has_no_state_dict():
    error = refused(rt.ArraysError, NET.state_dict)
    assert str(error) == (
        "state_dict: this net has no arrays yet: stem.conv.weight, stem.conv.bias, stem.norm.weight, "
        "stem.norm.bias....\n  fix   net = net.init(seed=0), or rt.train(net, data)"
    )


@pytest.mark.parametrize("name", WRITERS)
def test_what_other_tools_write_is_read_to_the_bit(name, tmp_path):
    WRITERS[name](FULL.state_dict(), tmp_path / name)
    net = NET.with_state_dict(tmp_path / name)
    assert net == FULL
    assert [str(step) for step in net.lineage] == [f"with_state_dict({name!r})"]
    (tmp_path / name).write_bytes(b"")
    assert net.hash == FULL.hash


def test_what_retia_writes_is_read_too(tmp_path):
    FULL.save(tmp_path / "net.safetensors")
    assert NET.with_state_dict(str(tmp_path / "net.safetensors")) == FULL


def test_a_dict_of_tensors_arrays_or_lists_is_copied():
    state = FULL.state_dict()
    net = NET.with_state_dict(state)
    state["head.bias"].fill_(7)
    assert net == FULL
    given = numbers(FULL.state_dict())
    net = NET.with_state_dict(given)
    given["head.bias"][:] = 7
    assert net == FULL
    assert NET.with_state_dict({**FULL.state_dict(), "head.bias": [1.0, 2.0]}).arrays[
        "head.bias"
    ].tolist() == [1, 2]


def test_numbers_become_those_of_the_nets_own_type():
    double = {n: t.double() if t.is_floating_point() else t.int() for n, t in FULL.state_dict().items()}
    assert NET.with_state_dict(double) == FULL
    half = FULL.with_arrays({n: t.half() for n, t in FULL.arrays.items() if t.is_floating_point()})
    assert half.with_state_dict(double) == half


def test_numpy_arrays_of_any_order_are_read(tmp_path):
    state = numbers(FULL.state_dict())
    state["head.weight"] = np.asfortranarray(state["head.weight"].astype(">f8"))
    np.savez(tmp_path / "a.npz", **state)
    assert NET.with_state_dict(tmp_path / "a.npz") == FULL


def test_counters_may_be_missing():
    state = FULL.state_dict()
    del state["stem.norm.num_batches_tracked"]
    assert NET.with_state_dict(state) == FULL


# What does not fit --------------------------------------------------------------------------------


def test_every_mismatch_is_told_at_once_and_what_fits_is_named():
    state = {**FULL.state_dict(), "head.weight": torch.ones(5, 4), "fc.bias": torch.ones(5)}
    state["stem.norm.bias"] = torch.ones(4, dtype=torch.int64)
    del state["head.bias"]
    error = refused(rt.ArraysError, lambda: NET.with_state_dict(state))
    assert str(error) == (
        "with_state_dict: these arrays do not fit the net: "
        "1 unknown, 1 missing, 1 of another type, 1 of another shape.\n"
        "  from  'fc.bias' (5) is unknown\n"
        "  from  head.bias (2) is missing\n"
        "  from  'stem.norm.bias' is int64, expected float\n"
        "  from  'head.weight' has shape (5, 4), expected (2, 4)"
    )
    state["stem.norm.bias"] = torch.ones(4)
    error = refused(rt.ArraysError, lambda: NET.with_state_dict(state))
    assert error.fix == "only=['stem'] loads what fits; net.init() makes what is missing then"
    made = FULL.with_state_dict(state, only=["stem"])
    assert made.arrays["stem.norm.bias"].tolist() == [1, 1, 1, 1]
    assert made.arrays["head.weight"] is FULL.arrays["head.weight"]


@pytest.mark.parametrize(
    ("prefix", "more", "cure"),
    [
        ("module", {}, "rename={'module': ''}, for their names begin with 'module.'"),
        ("model.backbone", {}, "rename={'model.backbone': ''}, for their names begin with 'model.backbone.'"),
        (
            "state_dict.module",
            {"optimizer.state.0.exp_avg": torch.ones(2)},
            "rename={'state_dict.module': '', '*': None}, for their names begin with 'state_dict.module.'",
        ),
    ],
)
def test_a_prefix_is_told_with_the_call_that_takes_it_away(prefix, more, cure):
    state = {f"{prefix}.{name}": tensor for name, tensor in FULL.state_dict().items()} | more
    error = refused(rt.ArraysError, lambda: NET.with_state_dict(state))
    assert error.fix == cure
    rename = eval(cure.removeprefix("rename=").partition("}")[0] + "}")
    assert NET.with_state_dict(state, rename=rename) == FULL


def test_a_prefix_that_the_net_has_is_told_too():
    outer = rt.Chain(feature=NET, head=rt.Linear(3)).init()
    error = refused(rt.ArraysError, lambda: outer.with_state_dict(FULL.state_dict()))
    assert error.fix == ("rename={'': 'feature'}, only='feature', for the net's names begin with 'feature.'")
    made = outer.with_state_dict(FULL.state_dict(), rename={"": "feature"}, only="feature")
    assert made["feature"] == FULL
    assert made["head"] == outer["head"]


def test_names_go_by_a_dict_or_a_function():
    state = {name.replace("head", "fc"): tensor for name, tensor in FULL.state_dict().items()}
    assert NET.with_state_dict(state, rename={"fc": "head"}) == FULL
    assert NET.with_state_dict(state, rename={"fc.weight": "head.weight", "fc": "head"}) == FULL
    assert NET.with_state_dict(state, rename=lambda name: name.replace("fc", "head")) == FULL
    without = NET.with_state_dict(state, rename={"fc": None}, only="stem")
    assert "head.weight" not in without.arrays


def test_published_names_of_a_known_net_are_read_in_one_call():
    net = efficientnet_lite0(labels=["cat", "dog"])
    made = net.init(seed=1)
    published = published_names()
    state = {name: made.arrays[path] for name, path in published.items()}
    assert net.with_state_dict(state, rename=published) == made
    wide = efficientnet_lite0(labels=range(5)).init(seed=2)
    error = refused(rt.ArraysError, lambda: wide.with_state_dict(made.state_dict()))
    assert error.message == "with_state_dict: these arrays do not fit the net: 2 of another shape."
    assert (
        error.fix == "only=['blocks', 'head', 'stem'] loads what fits; net.init() makes what is missing then"
    )
    assert wide.with_state_dict(made.state_dict(), only=["blocks", "head", "stem"])[:-2] == made[:-2]


def test_renaming_that_does_nothing_or_cannot_be_is_refused():
    error = refused(rt.UnknownNameError, lambda: NET.with_state_dict(FULL.state_dict(), rename={"haed": "x"}))
    assert str(error) == (
        "with_state_dict: rename: no name there is 'haed' or begins so. Did you mean 'head'?\n"
        "  fix   the names begin with head, stem"
    )
    error = refused(rt.ArgumentError, lambda: NET.with_state_dict(FULL.state_dict(), rename={"h*": "x"}))
    assert str(error) == (
        "with_state_dict: rename={'h*': ...} is a pattern, which can only be left out.\n"
        "  fix   {'h*': None}, or a function of the name"
    )
    twice = {**FULL.state_dict(), "tail.bias": torch.ones(2)}
    error = refused(rt.ArraysError, lambda: NET.with_state_dict(twice, rename={"tail": "head"}))
    assert error.because == ("'head.bias' and 'tail.bias' are both head.bias",)


def test_a_module_is_refused_with_the_cure():
    error = refused(rt.ArgumentError, lambda: NET.with_state_dict(module()))
    assert str(error) == "a module is no dict of arrays.\n  fix   module.state_dict()"


def test_many_faults_are_counted_and_not_all_told():
    state = {f"x{number}": torch.ones(1) for number in range(30)}
    error = refused(rt.ArraysError, lambda: NET.with_state_dict({**FULL.state_dict(), **state}))
    assert error.message == "with_state_dict: these arrays do not fit the net: 30 unknown."
    assert error.because[-1] == "and 22 more"
    assert len(error.because) == 9


# Hostile files ------------------------------------------------------------------------------------


class Making:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def bad(raw, folder, name="a.pt"):
    """The error of a file of these bytes."""
    place = folder / name
    place.write_bytes(raw)
    with pytest.raises(rt.FormatError) as caught:
        NET.with_state_dict(place)
    error = caught.value
    assert type(error) is rt.FormatError
    assert error.path == str(place)
    assert str(error).startswith(f"{place}: ")
    assert all(line.isprintable() for line in str(error).split("\n"))
    assert not (folder / "PWNED").exists()
    return str(error).removeprefix(f"{place}: ")


def saved(write, *arguments, **how):
    held = io.BytesIO()
    write(held, *arguments, **how)
    return held.getvalue()


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_a_pickle_that_would_execute_something_is_refused_unexecuted(new, tmp_path):
    held = io.BytesIO()
    torch.save({"a": Making(tmp_path / "PWNED")}, held, _use_new_zipfile_serialization=new)
    assert bad(held.getvalue(), tmp_path) == (
        f"it holds more than arrays: '{os.name}.mkdir', which would have to be executed. Nothing of it was.\n"
        "  fix   torch.save(module.state_dict(), path) where the module is known writes arrays alone"
    )


def test_a_bare_pickle_is_refused(tmp_path):
    for protocol in range(2, 6):
        raw = pickle.dumps({"a": Making(tmp_path / "PWNED")}, protocol)
        assert "Nothing of it was" in bad(raw, tmp_path) or "which is a program" in bad(raw, tmp_path)


def test_a_whole_module_is_refused_by_name(tmp_path):
    held = io.BytesIO()
    torch.save(torch.nn.Linear(2, 3), held)
    assert bad(held.getvalue(), tmp_path) == (
        "it holds more than arrays: 'torch.nn.modules.linear.Linear', which would have to be executed. "
        "Nothing of it was.\n"
        "  fix   torch.save(module.state_dict(), path) where the module is known writes arrays alone"
    )


def test_objects_in_numpy_archives_are_refused(tmp_path):
    raw = saved(np.savez, a=np.array([Making(tmp_path / "PWNED")], dtype=object))
    assert bad(raw, tmp_path, "a.npz") == "'a.npy' holds Python's objects (a pickle), which are programs."


def npz(members, compression=zipfile.ZIP_STORED):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return held.getvalue()


def npy(shape, descr="<f4", data=b""):
    said = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    said += " " * (-(len(said) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(said).to_bytes(2, "little") + said.encode() + data


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            npz({"a.npy": npy((2**40,), data=b"1234")}),
            "'a.npy' has 4 bytes, but its shape is (1099511627776,).",
        ),
        (npz({"a.npy": npy((-1,))}), "the shape of 'a.npy' is '(-1,)'."),
        (npz({"a.npy": b"\x93NUMPX" + bytes(20)}), None),
        (npz({"a.npy": b""}), None),
        (
            npz({"a.npy": npy((1,), "|O", b"12345678")}),
            "'a.npy' holds Python's objects (a pickle), which are programs.",
        ),
        (npz({"a.py": b"1"}), "'a.py' is no array (.npy)."),
        (npz({"\x1b[2J.npy": npy(())}), "'\\x1b[2J' cannot be an array's path."),
        (npz({"a.npy": npy((1,), data=b"1234")})[:-30], None),
        (
            npz({"a/data.pkl": b"\x80\x02}."}, zipfile.ZIP_DEFLATED),
            "its members are compressed, which PyTorch's files are not.",
        ),
        (
            npz({"a/data.pkl": b"\x80\x04}."}),
            "it is a pickle that torch.save did not write, which is a program.",
        ),
        (b"PK\x03\x04" + bytes(50), "the archive is damaged: File is not a zip file."),
        (
            b"\x89HDF\r\n\x1a\n" + bytes(99),
            "it is an HDF5 file, as old Keras writes (.h5), which holds no arrays by name.\n"
            "  fix   a .safetensors, .npz or .pt file",
        ),
        (b"", "a net's file has at least 8 bytes; this one has 0."),
    ],
)
def test_bad_archives_give_one_clear_error(raw, message, tmp_path):
    told = bad(raw, tmp_path, "a.npz")
    assert message is None or told == message


def test_a_small_file_cannot_mean_a_large_array(tmp_path):
    wide = rt.Linear(2)  # any number of inputs
    torch.save({"weight": torch.ones(1).expand(2, 10**12), "bias": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(rt.FormatError) as caught:
        wide.with_state_dict(tmp_path / "a.pt")
    assert caught.value.message.endswith(
        "'weight' has shape (2, 1000000000000), but the file holds less of it."
    )


def test_dicts_that_hold_each_other_end(tmp_path):
    held = {}
    for _ in range(60):
        held = {"a": held, "b": held}
    torch.save(held, tmp_path / "a.pt")
    assert bad((tmp_path / "a.pt").read_bytes(), tmp_path) == (
        "it holds dicts of more than 50,000 entries or 8 levels."
    )


def test_what_is_no_dict_of_arrays_is_refused(tmp_path):
    for held in (torch.ones(3), [torch.ones(2)], {"epoch": 3}, {}):
        torch.save(held, tmp_path / "a.pt")
        assert bad((tmp_path / "a.pt").read_bytes(), tmp_path) == "it holds no arrays by name."


def test_a_file_that_is_not_there_or_is_a_folder_is_told(tmp_path):
    error = refused(rt.errors.MissingFileError, lambda: NET.with_state_dict(tmp_path / "a.pt"))
    assert error.message == f"{tmp_path / 'a.pt'}: could not be read: No such file or directory."
    error = refused(rt.FormatError, lambda: NET.with_state_dict(tmp_path))
    assert error.message == f"{tmp_path}: it is a folder, not a file."


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("rounds", [60, pytest.param(3000, marks=pytest.mark.full)])
def test_damaged_files_are_refused_or_mean_what_they_say(name, rounds, tmp_path):
    WRITERS[name](FULL.state_dict(), tmp_path / name)
    good = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        raw = bytearray(good)
        for place in rng.integers(0, len(raw), int(rng.integers(1, 4))):
            raw[place] = int(rng.integers(0, 256))
        if rng.random() < 0.3:
            raw = raw[: int(rng.integers(0, len(raw)))]
        (tmp_path / "bad").write_bytes(raw)
        try:
            net = NET.with_state_dict(tmp_path / "bad")
        except (rt.FormatError, rt.ArraysError):
            continue
        assert net.arrays.keys() == FULL.arrays.keys()

"""Bad files: each gives one ``FormatError`` that names the file and says what is wrong with it."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from crafting import ARRAYS, BIAS, apart, chain, forge, layer, linear, metadata, together

import retia as rt
from retia.formats import container, file

GOOD = forge(chain(linear()), ARRAYS)
EXPRESSION = json.dumps(chain(linear()))
SAID = metadata(EXPRESSION, ARRAYS)
ENTRIES = {
    "0.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "0.bias": {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]},
}


def refused(raw, folder, name="net.safetensors"):
    """The error of a file of these bytes, which must be a designed one."""
    place = folder / name
    place.write_bytes(raw)
    with pytest.raises(rt.FormatError) as caught:
        rt.load(place)
    error = caught.value
    assert type(error) is rt.FormatError
    assert error.__cause__ is None
    assert error.path == str(place)
    assert str(error).startswith(f"{place}: ")
    assert all(line.isprintable() for line in str(error).split("\n"))
    assert len(str(error)) < 4000
    return error


def with_entries(data=bytes(32), **changes):
    """The good file with other entries: ``weight__shape=[3, 2]``."""
    header = {"__metadata__": SAID, **{path: dict(entry) for path, entry in ENTRIES.items()}}
    for name, value in changes.items():
        array, _, field = name.partition("__")
        header[f"0.{array}"][field] = value
    return together(header, data)


def with_texts(old, new):
    """The good file with a piece of its header replaced, as text."""
    header, data = json.dumps({"__metadata__": SAID, **ENTRIES}), bytes(32)
    assert old in header
    return together(header.replace(old, new, 1).encode("utf-8", "surrogatepass"), data)


def test_the_good_file_is_good(tmp_path):
    (tmp_path / "net").write_bytes(GOOD)
    assert rt.load(tmp_path / "net") == rt.Chain(rt.Linear(2), input=3).init(method="zeros")


CONTAINERS = {
    "empty": (b"", "at least 8 bytes; this one has 0"),
    "seven bytes": (b"\x01" * 7, "at least 8 bytes; this one has 7"),
    "length of 2**63": (
        struct.pack("<Q", 2**63) + b"{}",
        "header would have 9,223,372,036,854,775,808 bytes",
    ),
    "length of 200 MB": (struct.pack("<Q", 200_000_000) + b"{}", "at most 12,582,912 are read"),
    "length beyond the end": (struct.pack("<Q", 100) + b"{}", "would have 100 bytes, but 2 follow"),
    "length zero": (bytes(8), "does not begin with '{'"),
    "not UTF-8": (together(b'{"\xff": 1}'), "not UTF-8 at byte 2"),
    "not JSON": (together(b"{nonsense}"), "not JSON: Expecting property name"),
    "a list": (together(b"[]"), "does not begin with '{'"),
    "a space before": (together(b" {}"), "does not begin with '{'"),
    "a line break after": (together(b"{}\n"), "does not begin with '{' and end with '}'"),
    "two objects": (together(b"{}{}"), "not JSON: Extra data"),
    "no description": (together(b"{}"), "it holds arrays but no net"),
    "bytes after the arrays": (GOOD + b"PK\x05\x06" + bytes(18), "have 32 bytes, but 54 follow the header"),
    "a byte too few": (GOOD[:-1], "have 32 bytes, but 31 follow the header"),
    "nested 100,000 levels": (
        together(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "nested too deeply",
    ),
    "nested 400 levels": (together(b'{"a":' + b"[" * 400 + b"]" * 400 + b"}"), "more than 300 levels deep"),
    "a million lists": (together(b'{"a":[' + b"[]," * 999_999 + b"[]]}"), "lists and dicts, at most 250,000"),
    "a million numbers": (together(b'{"a":[' + b"1," * 999_999 + b"1]}"), "entries, at most 300,000"),
    "60,000 arrays": (
        together(
            {f"a{i}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(60_000)},
            bytes(60_000),
        ),
        "60,000 arrays, at most 50,000",
    ),
    "metadata of numbers": (together({"__metadata__": {"a": 1}}), "metadata is not a table of texts"),
    "metadata a list": (together({"__metadata__": []}), "metadata is not a table of texts"),
    "a number of 5,000 digits": (together(b'{"a":' + b"9" * 5000 + b"}"), "a number has 5000 digits"),
    "NaN": (together(b'{"a": NaN}'), "NaN is not a finite number"),
    "Infinity": (together(b'{"a": -Infinity}'), "-Infinity is not a finite number"),
    "1e999": (together(b'{"a": 1e999}'), "'1e999' is not a finite number"),
    "half a character as a name": (together(b'{"\\ud800": 1}'), "half of a character"),
    "half a character": (together(b'{"a": "x\\udfff"}'), "half of a character"),
    "a raw control character": (together(b'{"a\x1b": 1}'), "Invalid control character"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_that_is_wrong_is_refused(name, tmp_path):
    raw, words = CONTAINERS[name]
    assert words in refused(raw, tmp_path).message


def repeated(key):
    """The good file with a key of its header, or of an array's entry, standing twice."""
    header = json.dumps({"__metadata__": SAID, **ENTRIES})
    at = header.index(f'"{key}"')
    return together(f'{header[:at]}"{key}": {{}}, {header[at:]}'.encode(), bytes(32))


ENTRIES_WRONG = {
    "an array twice": (repeated("0.weight"), "the key '0.weight' stands twice"),
    "the metadata twice": (repeated("__metadata__"), "the key '__metadata__' stands twice"),
    "a field twice": (with_texts('"dtype": "F32"', '"dtype": "U8", "dtype": "F32"'), "'dtype' stands twice"),
    "an overlap": (with_entries(bias__data_offsets=[20, 28]), "overlap at 20"),
    "two arrays, one range": (with_entries(bias__data_offsets=[16, 24]), "overlap at 16"),
    "a hole": (with_entries(bytes(40), bias__data_offsets=[32, 40]), "leave a gap at 24"),
    "reversed": (with_entries(weight__data_offsets=[24, 0]), "span -24"),
    "past the end": (with_entries(bytes(24)), "have 32 bytes, but 24 follow"),
    "not its size": (with_entries(weight__shape=[2, 4]), "32 bytes, but its data_offsets span 24"),
    "a negative axis": (with_entries(weight__shape=[-2, -3]), "shape of '0.weight' is '[-2, -3]'"),
    "a real axis": (with_entries(weight__shape=[2.0, 3]), "shape of '0.weight' is '[2.0, 3]'"),
    "a true axis": (with_entries(bias__shape=[2, True]), "shape of '0.bias' is '[2, True]'"),
    "a shape of text": (with_entries(bias__shape="2"), "shape of '0.bias' is '2'"),
    "an overflowing product": (
        with_entries(weight__shape=[4194305, 4194305, 211106198978564]),
        "data_offsets span 24",
    ),
    "a huge axis": (with_entries(weight__shape=[0, 2**62]), "from 0 to 2**48"),
    "100 axes": (with_entries(bias__shape=[1] * 99 + [2]), "at most 32 whole numbers"),
    "real offsets": (with_entries(weight__data_offsets=[0.0, 24]), "expected two whole numbers"),
    "three offsets": (with_entries(weight__data_offsets=[0, 12, 24]), "expected two whole numbers"),
    "unknown type": (with_entries(bias__dtype="Q99"), "dtype 'Q99'; known are F64, F32"),
    "type of four bits": (with_entries(bias__dtype="F4"), "dtype 'F4'; known are"),
    "complex type": (with_entries(bias__dtype="C64"), "dtype 'C64'; known are"),
    "type a list": (with_entries(bias__dtype=["F32"]), "known are"),
    "a further field": (with_entries(bias__note="hello"), "dtype, shape and data_offsets alone"),
    "an entry that is a list": (
        with_texts('"0.bias": {', '"0.bias": [], "x": {'),
        "'0.bias' is not described",
    ),
    "an empty name": (with_texts('"0.bias"', '""'), "'' cannot be an array's path"),
    "a NUL in a name": (with_texts('"0.bias"', '"0.bias\\u0000"'), "'0.bias\\x00' cannot be"),
    "a line break in a name": (with_texts('"0.bias"', '"x\\nFAKE LOG"'), "'x\\nFAKE LOG' cannot be"),
    "an escape in a name": (with_texts('"0.bias"', '"\\u001b[2J"'), "'\\x1b[2J' cannot be"),
    "a turned name": (with_texts('"0.bias"', '"\\u202egnp.exe"'), "'\\u202egnp.exe' cannot be"),
    "a name of a megabyte": (with_texts('"0.bias"', f'"{"x" * 2**20}"'), "a key has 1,048,576 characters"),
    "a path up": (with_texts('"0.bias"', '"../../x"'), "'0.bias' is missing"),
}


@pytest.mark.parametrize("name", ENTRIES_WRONG)
def test_an_entry_that_is_wrong_is_refused(name, tmp_path):
    raw, words = ENTRIES_WRONG[name]
    assert words in str(refused(raw, tmp_path))


def test_bytes_that_are_neither_true_nor_false_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(file, "check_arrays", lambda *_: None)
    raw = forge(chain(linear()), {"0.weight": ("BOOL", [2, 3], b"\x00\x01\x02\x00\x00\x01"), "0.bias": BIAS})
    assert "'0.weight' holds bytes that are neither true nor false" in refused(raw, tmp_path).message


def test_all_arrays_that_do_not_fit_are_told_at_once(tmp_path):
    arrays = {"0.weight": ("F32", [3, 2], bytes(24)), "1.bias": BIAS, "2.weight": ("I64", [2, 2], bytes(32))}
    error = refused(forge(chain(linear(), linear(), linear()), arrays), tmp_path)
    assert error.message.endswith("its arrays do not fit its net: '0.bias' is missing.")
    assert error.because == (
        "'1.weight' is missing",
        "'2.bias' is missing",
        "'0.weight' has shape (3, 2), expected (2, 3)",
        "'2.weight' is I64, expected float",
    )


def test_a_thousand_arrays_too_many_are_told_in_brief(tmp_path):
    arrays = {f"x{i}": ("U8", [1], b"0") for i in range(1000)}
    error = refused(forge(chain(), arrays), tmp_path)
    assert error.message.endswith("'x0' belongs to no layer.")
    assert error.because[-1] == "and 980 more"


MISSING = {
    "said to be missing, but there": ('["0.bias"]', "'0.bias' is said to be missing"),
    "said to be missing, but of no layer": ('["1.bias"]', "'1.bias' is said to be missing"),
    "not a list": ('{"0.bias": 1}', "retia.missing is not a list of paths"),
    "not of texts": ("[1]", "retia.missing is not a list of paths"),
    "not JSON": ("[", "retia.missing is not JSON"),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_said_to_be_missing_is_checked(name, tmp_path):
    text, words = MISSING[name]
    raw = forge(chain(linear()), ARRAYS, missing=text)
    assert words in str(refused(raw, tmp_path))


def test_a_large_layer_without_its_arrays_is_refused_before_anything_is_made(tmp_path):
    raw = forge(chain(linear(10**6), input=10**6))
    assert "'0.weight' is missing" in refused(raw, tmp_path).message


def nested(levels, inner):
    for _ in range(levels):
        inner = chain(inner, input=None)
    return inner


def graph(nodes, links, ends, names=("input",)):
    def table(entries):
        return {"type": "dict", "items": [[key, value] for key, value in entries.items()]}

    links = {node: table(feeds) for node, feeds in links.items()}
    return {
        "type": "Graph",
        "version": 1,
        "nodes": table(nodes),
        "links": table(links),
        "ends": table(ends),
        "names": list(names),
        "input": None,
        "output": None,
    }


RELU = layer("ReLU")
FEED = {"input": ["", "input"]}
END = {"output": ["a", "output"]}

EXPRESSIONS = {
    "nothing": (None, "is not that of a net"),
    "a number": (3, "is not that of a net"),
    "a codec": ({"type": "Classes", "version": 1, "labels": ["a"], "form": "index"}, "not that of a net"),
    "a list of nets": ([RELU], "is not that of a net"),
    "no type": ({"version": 1}, "the type is missing"),
    "a type that is a list": ({"type": ["Linear"], "version": 1}, "the type is missing"),
    "os.system": (layer("os.system"), "'os.system' is not a layer"),
    "builtins.eval": (layer("builtins.eval", code="1"), "'builtins.eval' is not a layer"),
    "a Keras lambda": (layer("keras>Lambda", code="4wEAAA=="), "'keras>Lambda' is not a layer"),
    "a private name": (layer("__class__"), "'__class__' is not a layer"),
    "a long name": (layer("x" * 10**6), "xxxxx..."),
    "a name of another framework": (layer("Dense", size=3), "It is called Linear here"),
    "no version": ({"type": "ReLU"}, "ReLU version None; this Retia reads 1 to 1"),
    "a newer layer": ({**RELU, "version": 2}, "ReLU version 2; this Retia reads 1 to 1"),
    "a true version": ({**RELU, "version": True}, "ReLU version True"),
    "a version of text": ({**RELU, "version": "1.0; rm"}, "ReLU version '1.0; rm'"),
    "a size of text": (
        chain(linear("10")),
        "Linear: size is a whole number of at least 1, or None; got '10'",
    ),
    "a true size": (chain(linear(True)), "Linear: size is a whole number"),
    "a real size": (chain(linear(1e18)), "Linear: size is a whole number"),
    "a negative size": (chain(linear(-1)), "Linear: size is a whole number"),
    "a huge size": (chain(linear(2**60)), "Linear: size is a whole number"),
    "a size that is a net": (chain(linear(RELU)), "Linear: size is a whole number"),
    "a flag of text": (chain(linear(2, bias="yes")), "Linear: bias is True or False"),
    "an unknown argument": (chain(linear(2, code="import os")), "Linear has no argument 'code'"),
    "an argument called self": (chain(linear(2, self=1)), "Linear has no argument 'self'"),
    "an unknown initialiser": (chain(linear(2, init="exec")), "init"),
    "an initialiser that is a net": (chain(linear(2, init=RELU)), "init"),
    "an initialiser of no method": (
        chain(linear(2, init={"type": "Initial", "version": 1, "method": {"type": "dict", "items": []}})),
        "Initial: method is one of",
    ),
    "an input that is true": (chain(linear(), input=True), "Chain: input is a whole number"),
    "an input that is a net": (chain(linear(), input=RELU), "Chain: input is a whole number"),
    "an input that is negative": (chain(linear(), input=[-1]), "Chain: input is a whole number"),
    "an input with no port": (
        chain(linear(), input={"type": "dict", "items": [["x", 1]]}),
        "there is no such port",
    ),
    "an input of 100 axes": (chain(linear(), input=[1] * 100), "more than 64 axes"),
    "an input beyond all sizes": (chain(linear(), input=2**70), "more than 2**63 - 1"),
    "an input of 100,000 axes": (chain(linear(), input=[1] * 100_000), "more than 64 axes"),
    "a chain of no net": (chain(3), "0 is 3, which is not a net"),
    "a chain of a list": ({**chain(), "parts": [RELU]}, "A Chain has parts, input and output"),
    "a chain without parts": ({"type": "Chain", "version": 1}, "A Chain has parts, input and output"),
    "a chain of misplaced numbers": (
        {**chain(), "parts": {"type": "dict", "items": [["1", RELU]]}},
        "stands at it; '1' is at 0",
    ),
    "a part whose name is a number": (
        {**chain(), "parts": {"type": "dict", "items": [[0, RELU]]}},
        "a word without dots or spaces; got 0",
    ),
    "a part with a dot": (
        {**chain(), "parts": {"type": "dict", "items": [["a.b", RELU]]}},
        "a word without dots or spaces",
    ),
    "two parts of one name": (
        {**chain(), "parts": {"type": "dict", "items": [["a", RELU], ["a", RELU]]}},
        "a key is repeated",
    ),
    "pairs of three": ({**chain(), "parts": {"type": "dict", "items": [["a", RELU, 1]]}}, "a list of pairs"),
    "pairs that are none": ({**chain(), "parts": {"type": "dict", "items": 5}}, "a list of pairs"),
    "a name that is a list": (
        {**chain(), "parts": {"type": "dict", "items": [[[], RELU]]}},
        "keys are texts",
    ),
    "sizes that contradict": (
        chain(linear(2), linear(3), input=4, output=5),
        "its output as (5), but 1 (Linear(3)) gives (3)",
    ),
    "100,000 layers": (chain(*[RELU] * 100_000), "entries, at most 300,000"),
    "40,000 layers": (chain(*[RELU] * 40_000), "40,001 parts or more, at most 15,000"),
    "70 levels": (nested(70, RELU), "65 levels of parts or more, at most 64"),
    "deep and wide": (nested(60, chain(*[RELU] * 10_000)), "parts times levels or more, at most 200,000"),
    "sizes that grow without end": (
        chain(*[layer("Flatten")] * 3, input=[2**48] * 4),
        "more than 2**63 - 1",
    ),
    "a graph of nothing": (graph({}, {}, {}), "there is no output"),
    "a graph with a cycle": (
        graph(
            {"a": RELU, "b": RELU}, {"a": {"input": ["b", "output"]}, "b": {"input": ["a", "output"]}}, END
        ),
        "is a cycle",
    ),
    "a node that feeds itself": (
        graph({"a": RELU}, {"a": {"input": ["a", "output"]}}, END, ()),
        "is a cycle",
    ),
    "a node that leads nowhere": (
        graph({"a": RELU, "b": RELU}, {"a": FEED, "b": FEED}, END),
        "b leads to nothing",
    ),
    "an input that leads nowhere": (graph({"a": RELU}, {"a": FEED}, END, ("input", "x")), "'x' is not used"),
    "two inputs of one name": (
        graph({"a": RELU}, {"a": FEED}, END, ("input", "input")),
        "inputs have different names",
    ),
    "an edge from nowhere": (
        graph({"a": RELU}, {"a": {"input": ["z", "output"]}}, END),
        "there is no z.output",
    ),
    "an output from nowhere": (graph({"a": RELU}, {"a": FEED}, {"output": ["a", "x"]}), "there is no a.x"),
    "a port that a node lacks": (
        graph({"a": RELU}, {"a": {"x": ["", "input"]}}, END),
        "a takes input; got x",
    ),
    "nodes without links": (graph({"a": RELU}, {}, END), "nodes and links name different parts"),
    "links that are a list": ({**graph({"a": RELU}, {}, END), "links": [1]}, "tables by name"),
    "links of numbers": (graph({"a": RELU}, {"a": {"input": [0, 0]}}, END), "pairs of a node's name"),
    "links of three": (
        graph({"a": RELU}, {"a": {"input": ["", "input", ""]}}, END),
        "pairs of a node's name",
    ),
    "links of texts": (graph({"a": RELU}, {"a": {"input": "ab"}}, END), "pairs of a node's name"),
    "names that are numbers": (graph({"a": RELU}, {"a": FEED}, END, (1,)), "names are texts"),
    "names that are a text": ({**graph({"a": RELU}, {"a": FEED}, END), "names": "i"}, "names are texts"),
    "nodes that are no nets": (graph({"a": 5}, {"a": FEED}, END), "a is 5, which is not a net"),
    "a graph without nodes": ({"type": "Graph", "version": 1}, "A Graph has nodes, links, ends"),
    "shared under no name": ({"type": "Shared", "version": 1, "name": "", "net": RELU}, "name is a text"),
    "shared nothing": (
        {"type": "Shared", "version": 1, "name": "a", "net": 3},
        "net is 3, which is not a net",
    ),
    "shared without": ({"type": "Shared", "version": 1}, "A Shared has name and net"),
    "sharing two nets": (
        chain(*({"type": "Shared", "version": 1, "name": "s", "net": linear(n)} for n in (2, 3))),
        "Shared('s') is",
    ),
    "the answer of a part that is not there": (
        {"type": "At", "version": 1, "net": chain(RELU), "paths": ["x"]},
        "There is no part 'x'",
    ),
    "the answer of no part": (
        {"type": "At", "version": 1, "net": chain(RELU), "paths": []},
        "at least one part",
    ),
    "the answer of a list": (
        {"type": "At", "version": 1, "net": chain(RELU), "paths": [["0"]]},
        "An At's paths are texts",
    ),
    "the answer of a number": (
        {"type": "At", "version": 1, "net": chain(RELU), "paths": 0},
        "paths are texts",
    ),
    "the answer of no net": ({"type": "At", "version": 1, "net": 1, "paths": ["0"]}, "which is not a net"),
    "text that is no JSON": ("{", "the expression is not JSON"),
    "a key twice": ('{"type": "ReLU", "type": "Tanh", "version": 1}', "the key 'type' stands twice"),
    "NaN in a setting": ('{"type": "Initial", "std": NaN}', "NaN is not a finite number"),
    "1e999 in a setting": ('{"type": "Initial", "std": 1e999}', "is not a finite number"),
    "a number of 5,000 digits": ('{"size": ' + "9" * 5000 + "}", "a number has 5000 digits"),
    "nested 100,000 levels": ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_that_is_wrong_is_refused(name, tmp_path):
    expression, words = EXPRESSIONS[name]
    assert words in str(refused(forge(expression), tmp_path))


def test_errors_quote_nothing_that_a_terminal_would_act_on(tmp_path):
    raw = forge(chain({**layer("\x1b]0;owned\x07\nFAKE"), "version": 1}))
    assert "\\x1b]0;owned\\x07\\nFAKE" in refused(raw, tmp_path).message


METADATA = {
    "a newer format": (
        "retia.format",
        "2",
        "of format 2, written by Retia '0.1.0'; this Retia reads up to 1",
    ),
    "a format of text": ("retia.format", "1.0; rm", "its format is '1.0; rm', expected a number"),
    "format zero": ("retia.format", "0", "its format is '0', expected a number"),
    "a long format": ("retia.format", "1" * 5000, "expected a number"),
    "digits of another script": ("retia.format", "１", "expected a number"),
    "another expression": ("retia.expression", json.dumps(chain(linear(3))), "the checksum differs"),
    "another checksum of the expression": ("retia.expression_sha256", "0" * 64, "the checksum differs"),
    "another checksum of the arrays": (
        "retia.arrays_sha256",
        "0" * 64,
        "arrays are not those that were saved",
    ),
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_is_wrong_is_refused(name, tmp_path):
    key, value, words = METADATA[name]
    header, data = apart(GOOD)
    header["__metadata__"][key] = value
    assert words in refused(together(header, data), tmp_path).message


@pytest.mark.parametrize("key", [key for key in SAID if key != "retia.version"])
def test_metadata_that_is_missing_is_missed(key, tmp_path):
    header, data = apart(GOOD)
    del header["__metadata__"][key]
    refused(together(header, data), tmp_path)


def test_arrays_of_one_size_are_not_taken_for_each_other(tmp_path):
    arrays = {"0.weight": ("F32", [3, 3], bytes(range(36))), "1.weight": ("F32", [3, 3], bytes(36))}
    expression = chain(linear(3, bias=False), linear(3, bias=False))
    header, data = apart(forge(expression, arrays))
    header["0.weight"], header["1.weight"] = header["1.weight"], header["0.weight"]
    assert "arrays are not those that were saved" in refused(together(header, data), tmp_path).message


def test_bytes_are_not_read_as_another_type(tmp_path):
    raw = forge(layer("Linear", size=None, bias=False), {"weight": ("F32", [2, 3], bytes(range(24)))})
    header, data = apart(raw)
    header["weight"].update(dtype="F16", shape=[4, 3])
    assert "arrays are not those that were saved" in refused(together(header, data), tmp_path).message


# Other files --------------------------------------------------------------------------------------


def foreign(folder):
    """Files of other programs, as those write them."""
    import pickle

    torch.save({"weight": torch.zeros(3)}, folder / "zip.pt")
    torch.save({"weight": torch.zeros(3)}, folder / "old.pt", _use_new_zipfile_serialization=False)
    (folder / "net.pkl").write_bytes(pickle.dumps({"weight": [0.0] * 9}))
    with zipfile.ZipFile(folder / "net.keras", "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.9.0"}')
        archive.writestr("config.json", "{}")
    with zipfile.ZipFile(folder / "some.zip", "w") as archive:
        archive.writestr("note.txt", "hello")
    (folder / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (folder / "net.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(100))
    (folder / "net.onnx").write_bytes(b"\x08\x08\x12\x07pytorch:" + bytes(100))
    (folder / "net.npy").write_bytes(b"\x93NUMPY\x01\x00" + bytes(100))
    (folder / "lfs").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    (folder / "page").write_bytes(b"<!DOCTYPE html><html></html>")


FOREIGN = {
    "zip.pt": "a PyTorch archive (.pt), which holds a pickle",
    "old.pt": "a pickle (a .pt or .pkl file), which is a program",
    "net.pkl": "a pickle (a .pt or .pkl file), which is a program",
    "net.keras": "a Keras archive (.keras)",
    "some.zip": "a zip archive (as .pt, .keras and .npz files are)",
    "net.h5": "an HDF5 file, as old Keras writes (.h5)",
    "net.gguf": "a GGUF file",
    "net.onnx": "an ONNX file",
    "net.npy": "a NumPy array (.npy)",
    "lfs": "a pointer of Git LFS, not the file itself (git lfs pull fetches it)",
    "page": "an HTML or XML page",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_other_programs_are_recognised_under_any_name(name, tmp_path):
    foreign(tmp_path)
    raw = (tmp_path / name).read_bytes()
    error = refused(raw, tmp_path, "net.safetensors")
    assert error.message.endswith(
        f": it is {FOREIGN[name]}, not a net that Retia saved. Nothing of it was executed."
    )


def test_a_pickle_is_not_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trapped"),)

    import pickle

    refused(pickle.dumps(Trap()), tmp_path)
    assert not (tmp_path / "trapped").exists()


def test_arrays_alone_are_told_from_a_net(tmp_path):
    raw = together({"weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8))
    error = refused(raw, tmp_path)
    assert error.message.endswith("it holds arrays but no net: Retia's description is not in its metadata.")
    assert "net.with_arrays(safetensors.torch.load_file(path))" in str(error.fix)


# Other things than files --------------------------------------------------------------------------


def test_a_missing_file_is_also_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="could not be read: No such file") as caught:
        rt.load(tmp_path / "nowhere")
    assert isinstance(caught.value, rt.FormatError)
    assert caught.value.filename == str(tmp_path / "nowhere")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError):
        rt.load(tmp_path / "link")


def test_what_is_no_file_is_refused_unread(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place, kind in ((tmp_path, "a folder"), (tmp_path / "pipe", "a pipe"), ("/dev/zero", "a device")):
        with pytest.raises(rt.FormatError, match=f"{place}: it is {kind}, not a file"):
            rt.load(place)


def test_links_that_go_round_and_paths_below_files_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "file").write_bytes(GOOD)
    for place in (tmp_path / "a", tmp_path / "file" / "net"):
        with pytest.raises(rt.FormatError, match="could not be read") as caught:
            rt.load(place)
        assert isinstance(caught.value, OSError)


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "net").write_bytes(GOOD)

    def closed(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", closed)
    with pytest.raises(rt.FormatError, match="net: could not be read: Permission denied.") as caught:
        rt.load(tmp_path / "net")
    assert caught.value.errno == 13


def test_a_disk_that_fails_while_reading_is_told(tmp_path, monkeypatch):
    (tmp_path / "net").write_bytes(GOOD)

    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(container, "_fill", broken)
    with pytest.raises(rt.FormatError, match="net: could not be read: Input/output error."):
        rt.load(tmp_path / "net")


def test_reading_leaves_no_file_open(tmp_path):
    (tmp_path / "net").write_bytes(GOOD)
    (tmp_path / "bad").write_bytes(GOOD[:-1])
    before = os.listdir("/proc/self/fd") if Path("/proc/self/fd").exists() else []
    rt.load(tmp_path / "net")
    for place in (tmp_path / "bad", tmp_path, "/dev/zero"):
        with pytest.raises(rt.FormatError):
            rt.load(place)
    after = os.listdir("/proc/self/fd") if before else []
    assert len(after) == len(before)


@pytest.mark.parametrize("change", ["truncated", "overwritten", "replaced"])
def test_a_file_that_changes_while_it_is_read(change, tmp_path, monkeypatch):
    place = tmp_path / "net"
    place.write_bytes(GOOD)
    read = file.read_arrays

    def changed(*how):
        if change == "truncated":
            os.truncate(place, len(GOOD) - 5)
        elif change == "overwritten":
            with open(place, "r+b") as opened:
                opened.seek(len(GOOD) - 5)
                opened.write(b"other")
        else:
            (tmp_path / "new").write_bytes(bytes(len(GOOD)))
            os.replace(tmp_path / "new", place)
        return read(*how)

    monkeypatch.setattr(file, "read_arrays", changed)
    if change == "replaced":
        assert rt.load(place) == rt.Chain(rt.Linear(2), input=3).init(method="zeros")
        return
    words = {"truncated": "became shorter while it was read", "overwritten": "the checksum differs"}
    with pytest.raises(rt.FormatError, match=words[change]):
        rt.load(place)


def test_weights_that_are_not_finite_are_loaded_as_they_are(tmp_path):
    weight = struct.pack("<6f", float("nan"), float("inf"), 1e-45, 3e38, 0, -0.0)
    (tmp_path / "net").write_bytes(
        forge(chain(linear()), {"0.weight": ("F32", [2, 3], weight), "0.bias": BIAS})
    )
    assert rt.load(tmp_path / "net").arrays["0.weight"].numpy().tobytes() == weight


def test_a_layer_whose_own_check_fails_is_told_as_a_bad_file(tmp_path, monkeypatch):
    monkeypatch.setattr(rt.Linear, "validate", lambda self: 1 // 0)
    (tmp_path / "net").write_bytes(GOOD)
    with pytest.raises(rt.FormatError, match="its net cannot be made: ZeroDivisionError") as caught:
        rt.load(tmp_path / "net")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)

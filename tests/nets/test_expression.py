"""Expressions: what is stored, and how what was stored long ago is read."""

import json

import pytest

import retia as rt
from retia.nets import expression


def test_equal_nets_have_equal_texts_and_hashes():
    one, other = rt.Chain(rt.Linear(3), input=2), rt.Chain(rt.Linear(3), input=2)
    assert expression.canonical(one) == expression.canonical(other)
    assert one.expression_hash == other.expression_hash
    assert rt.Chain(rt.Linear(3), input=3).expression_hash != one.expression_hash


def test_settings_of_an_older_version_are_brought_up_to_date(monkeypatch):
    stored = expression.to_json(rt.LeakyReLU(0.2))
    stored["steepness"] = stored.pop("slope")
    monkeypatch.setattr(rt.LeakyReLU, "version", 2)
    rename = {("LeakyReLU", 1): lambda old: {**{k: v for k, v in old.items() if k != "steepness"},
                                             "slope": old["steepness"]}}  # fmt: skip
    monkeypatch.setattr(expression, "MIGRATIONS", rename)
    assert expression.from_json(json.loads(json.dumps(stored))) == rt.LeakyReLU(0.2)


def test_a_newer_version_is_refused():
    stored = expression.to_json(rt.ReLU())
    with pytest.raises(rt.FormatError, match=r"ReLU version 2; this Retia reads 1 to 1"):
        expression.from_json({**stored, "version": 2})


def test_long_lists_of_labels_are_shown_short_and_stored_whole():
    codec = rt.Classes([f"label {i}" for i in range(1000)])
    assert len(repr(codec)) < 120
    assert "<1000 entries, 'label 0' to 'label 999'" in repr(codec)
    assert expression.from_json(expression.to_json(codec)) == codec


def test_names_of_other_frameworks_lead_to_names_that_are_there():
    from retia.nets.registry import FOREIGN

    assert [name for name in FOREIGN.values() if name not in [*rt.__all__, "model"]] == []
    with pytest.raises(AttributeError, match=r"It is called rt\.Linear here"):
        _ = rt.Dense
    with pytest.raises(AttributeError, match=r"Did you mean 'Linear'"):
        _ = rt.Liner

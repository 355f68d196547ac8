"""Folds and nested orders: every row once, labels in fair shares, groups together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.sources.dealing import deal, nested

LABELS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=5, max_size=60)
SEEDS = st.integers(0, 2**63 - 1)


@given(LABELS, st.integers(2, 5), SEEDS)
def test_folds_and_the_labels_in_them_differ_by_at_most_one(labels, folds, seed):
    found = deal(len(labels), folds, seed, labels)
    sizes = np.bincount(found, minlength=folds)
    assert sizes.sum() == len(labels)
    assert sizes.max() - sizes.min() <= 1
    for label in set(labels):
        own = np.bincount(found[[each == label for each in labels]], minlength=folds)
        assert own.max() - own.min() <= 1


@given(st.integers(5, 60), st.integers(2, 5), SEEDS)
def test_without_labels_folds_differ_by_at_most_one(n, folds, seed):
    sizes = np.bincount(deal(n, folds, seed), minlength=folds)
    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1


@given(st.lists(st.integers(0, 9), min_size=20, max_size=60), SEEDS, st.booleans())
def test_a_group_is_in_one_fold(groups, seed, stratified):
    folds = min(3, len(set(groups)))
    if folds < 2:
        return
    labels = [group % 2 == 0 for group in groups] if stratified else None
    found = deal(len(groups), folds, seed, labels, groups)
    for group in set(groups):
        assert len(set(found[[each == group for each in groups]].tolist())) == 1
    assert set(found.tolist()) == set(range(folds))


def test_groups_keep_sizes_and_labels_as_even_as_they_can():
    groups = [number for number in range(30) for _ in range(4)]
    labels = ["a" if group < 15 else "b" for group in groups]
    found = deal(len(groups), 5, 0, labels, groups)
    for fold in range(5):
        assert Counter(np.asarray(labels)[found == fold].tolist()) == {"a": 12, "b": 12}


def test_the_seed_decides_alone():
    first = deal(50, 5, 1, ["a", "b"] * 25)
    assert (first == deal(50, 5, 1, ["a", "b"] * 25)).all()
    assert (first != deal(50, 5, 2, ["a", "b"] * 25)).any()


@given(LABELS, SEEDS)
def test_every_beginning_of_a_nested_order_has_about_its_share_of_each_label(labels, seed):
    order = nested(len(labels), seed, labels)
    assert sorted(order.tolist()) == list(range(len(labels)))
    counts = Counter(labels)
    for size in range(1, len(labels) + 1):
        own = Counter(labels[row] for row in order[:size])
        for label, count in counts.items():
            assert abs(own[label] - count * size / len(labels)) <= len(counts) / 2 + 1e-9


def test_without_labels_an_order_is_a_permutation():
    order = nested(100, 3)
    assert sorted(order.tolist()) == list(range(100))
    assert (order != nested(100, 4)).any()


def test_too_few_rows_or_groups_are_refused():
    with pytest.raises(rt.DataError) as caught:
        deal(3, 5, 0)
    assert str(caught.value) == "3 examples do not make 5 folds."
    with pytest.raises(rt.DataError) as caught:
        deal(6, 5, 0, None, ["x", "y", "z"] * 2)
    assert str(caught.value) == "3 groups do not make 5 folds."

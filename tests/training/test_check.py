"""rt.check: every fault is found in data that has it, and none in data that has not; nothing is changed."""

import os
import random
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import retia as rt
from retia.sources.inspection import gaps
from retia.training.findings.alike import alike
from retia.training.findings.audit import Finding
from retia.training.findings.looks import sample
from retia.training.findings.warned import quick_warnings
from retia.training.prepare import prepare
from retia.training.rates import read_rates
from retia.training.step import Step


def spots(n=300, seed=0):
    """Points around three places, and which place."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return draw.normal(size=(n, 4)) + labels[:, None], labels


def spot_net(**how):
    return rt.Chain(rt.Linear(16), rt.ReLU(), rt.Linear(), rt.Softmax(), output=rt.Classes(range(3)), **how)


def line(n=200, columns=5, seed=0):
    """A regression: numbers, and a noisy sum of them."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, columns))
    return x, (x @ draw.normal(size=columns) + 0.1 * draw.normal(size=n)).reshape(-1, 1)


def line_net():
    return rt.Chain(rt.Linear(16), rt.ReLU(), rt.Linear(1))


def digit_net():
    return rt.Chain(
        rt.Flatten(), rt.Linear(32), rt.ReLU(), rt.Linear(), rt.Softmax(),
        input=rt.Image(28, 28, color="gray"), output=rt.Classes(range(10)),
    )  # fmt: skip


def quick(net, data, optimizer=None, rates=None, **how):
    """What ``train`` would say before the first step."""
    found = rt.data(data)
    ready = prepare(net, found, how.pop("validation", None), how.pop("loss", None), 0, torch.device("cpu"))
    step = Step(ready.net, ready.objective, optimizer or rt.Adam(), 0, read_rates(ready.net, rates))
    return quick_warnings(ready, step, given=net, data=found, **how)


def kinds(found):
    return [each.kind for each in getattr(found, "warnings", found)]


def only(found, kind):
    [each] = [each for each in getattr(found, "warnings", found) if each.kind == kind]
    return each


# No false alarm -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mnist():
    return rt.check(digit_net(), "mnist", epochs=1)


def test_nothing_is_said_against_mnist(mnist):
    assert mnist.problems == mnist.warnings == ()


def test_the_facts_of_mnist_are_right(mnist):
    facts = mnist.facts
    assert facts["parameters"] == 784 * 32 + 32 + 32 * 10 + 10
    assert facts["trained"] == {"1": 784 * 32 + 32, "3": 330}
    assert facts["frozen"] == {}
    assert facts["examples"] == {"training": 54000, "validation": 6000}
    labels = rt.data("mnist").train.arrays()["output"]
    both = {label: sum(counts) for label, counts in facts["classes"]["output"].items()}
    assert both == {label: int((labels == label).sum()) for label in range(10)}
    assert facts["loss"] == "cross-entropy, for output is Classes"
    assert facts["steps"] == 844
    products = 2 * 784 * 32 * 2 + 2 * 32 * 10 * 3  # nobody asks for the derivative by the input
    assert facts["flops"] == pytest.approx(54000 * products)
    assert facts["seconds"] > 0


@pytest.mark.parametrize(
    ("net", "data"),
    [
        (spot_net(), spots()),
        (line_net(), line()),
        (rt.Linear(1), ([[1.0], [2.0], [3.0], [4.0]] * 40, [[3.0], [5.0], [7.0], [9.0]] * 40)),
        (rt.Chain(rt.Linear(1), rt.Sigmoid(), output=rt.Boolean()), ([[0, 0], [0, 1], [1, 0], [1, 1]] * 50,
                                                                     [False, True, True, True] * 50)),
        (rt.Chain(rt.Embedding(8, classes=50), rt.Flatten(), rt.Linear(2), rt.Softmax(), input=12,
                  output=rt.Classes(["a", "b"])),
         (np.random.default_rng(0).integers(0, 50, (200, 12)), ["a", "b"] * 100)),
    ],
    ids=["classes", "numbers", "one column", "truth table", "tokens"],
)  # fmt: skip
def test_nothing_is_said_against_sound_data(net, data):
    audit = rt.check(net, data, validation=0.2)
    assert (audit.problems, audit.warnings) == ((), ())


@pytest.mark.parametrize("name", ["load_iris", "load_breast_cancer", "load_wine"])
def test_tables_that_come_with_scikit_learn_have_no_copies(name):
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = getattr(datasets, name)(return_X_y=True)
    net = rt.Chain(rt.Linear(16), rt.ReLU(), rt.Linear(), rt.Softmax(), output=rt.Classes())
    audit = rt.check(net, (x, y), validation=0.2)
    assert audit.problems == ()
    unscaled = {"load_iris": [], "load_breast_cancer": ["unlike columns"], "load_wine": ["unlike columns"]}
    assert [kind for kind in kinds(audit) if kind not in ("first loss", "dead units")] == unscaled[name]


# What train would refuse --------------------------------------------------------------------------


def problems(*args, **how):
    audit = rt.check(*args, **how)
    assert audit.warnings == ()
    return audit.problems


@pytest.mark.parametrize(
    ("net", "data", "how"),
    [
        (line_net(), (line()[0], line()[1].ravel()), {}),
        (rt.Chain(rt.Linear(3), rt.Softmax()), (spots()[0], spots()[1] + 1), {}),
        (rt.Chain(rt.Linear(), rt.Softmax(), rt.Softmax(), output=rt.Classes(range(3))), spots(), {}),
        (spot_net(), (spots()[0], ["cat"] * 300), {}),
        (line_net(), line(), {"loss": "cross-entropyy"}),
        (line_net(), line(), {"rates": {"nothing": 0}}),
        (line_net(), line(), {"optimizer": "adamm"}),
        (line_net(), line(), {"batch_size": 0}),
        (line_net(), line(), {"epochs": -1}),
        (line_net(), line(), {"validation": 2.0}),
        (line_net(), line(), {"validation_split": 0.1}),
        (line_net(), line(), {"seed": -1}),
        (line_net(), line(), {"seed": 0.5, "validation": 0.2}),
        (line_net(), line(), {"engine": "fast"}),
        (line_net(), line(), {"loss": lambda output, target: "low"}),
        (line_net(), "no such set", {}),
        (line_net(), {"age": [1.0, 2.0], "output": [1.0, 2.0]}, {}),
        (rt.ReLU(input=2), ([[1.0, 2.0]], [[1.0, 2.0]]), {}),
    ],
)  # fmt: skip
def test_what_train_refuses_is_a_problem_in_its_words(net, data, how):
    with pytest.raises(rt.Error) as refused:
        rt.train(net, data, **{"progress": False, **how})
    told = [numberless(each) for each in problems(net, data, **how)]
    assert numberless(Finding.of(refused.value)) in told  # the sizes of batches may differ


def numberless(finding):
    return replace(finding, text=re.sub(r"[0-9]+ examples", "examples", finding.text))


def test_what_is_no_net_is_no_question_of_problems():
    with pytest.raises(rt.ArgumentError) as refused:
        rt.check("mnist", line_net())
    assert str(refused.value) == "check: the first argument is a net; got 'mnist'."


def test_no_epochs_are_no_problem():
    audit = rt.check(line_net(), line(), epochs=0)
    assert (audit.problems, audit.facts["steps"], audit.facts["seconds"]) == ((), 0, 0)


def test_several_problems_are_told_at_once():
    x, y = line()
    x[7, 2], x[9, 0] = np.nan, np.inf
    found = problems(line_net(), (x, y), optimizer="adamm", batch_size=0, rates={"nope": 1})
    assert [each.kind for each in found] == [
        "not finite",
        "ArgumentError",
        "ArgumentError",
        "UnknownNameError",
    ]
    assert str(found[0]) == (
        "not finite: input: 2 rows hold what is no number: row 7, column 2 (nan), row 9, column 0 (inf).\n"
        "  fix   leave the rows out, or fill the gaps"
    )


def test_gaps_hide_no_wrong_label():
    x, y = spots()
    x[3, 1], y[5] = np.nan, 9
    found = problems(rt.Chain(rt.Linear(3), rt.Softmax()), (x, y))
    assert [each.kind for each in found] == ["not finite", "DataError"]
    assert "row 5 has the class number 9" in found[1].text


def test_gaps_in_targets_and_in_validation_are_found():
    (x, y), (a, b) = line(), line(seed=1)
    y[4], b[6] = np.nan, -np.inf
    found = problems(line_net(), (x, y), validation=(a, b))
    assert [each.text for each in found] == [
        "output: 1 row holds what is no number: row 4, column 0 (nan).",
        "output: 1 row holds what is no number: validation row 6, column 0 (-inf).",
    ]


def test_gaps_are_counted_and_the_first_told():
    x = np.zeros((10_000, 2, 3), np.float32)
    x[5000:5010, 1, 2] = np.inf
    [found] = gaps(rt.data({"input": x, "output": np.zeros(10_000)}), most=2)
    assert (found.column, found.count, found.rows) == ("input", 10, 10)
    assert found.first == ((5000, (1, 2), np.inf), (5001, (1, 2), np.inf))


# Classes and parts --------------------------------------------------------------------------------


def test_a_class_without_examples_is_told():
    x, y = spots()
    found = quick(spot_net(), (x[y < 2], y[y < 2]), validation=0.2)
    assert kinds(found) == ["class missing"]
    assert found[0].text == "output: no training example is 2."


def test_a_class_that_nobody_validates_is_told():
    x, y = spots()
    found = quick(spot_net(), (x, y), validation=(spots(seed=1)[0][y > 0], y[y > 0]))
    assert kinds(found) == ["class missing"]
    assert found[0].text == ("output: no validation example is 0, so nothing tells how well that is learned.")


def test_a_single_class_is_told():
    x, _ = spots()
    net = rt.Chain(rt.Linear(8), rt.ReLU(), rt.Linear(), rt.Softmax(), output=rt.Classes())
    assert kinds(quick(net, (x, ["cat"] * 300))) == ["one class"]


@pytest.mark.parametrize(("rare", "expected"), [(20, ["unbalanced classes"]), (40, [])])
def test_unbalanced_classes_are_told(rare, expected):
    x, _ = spots()
    net = rt.Chain(rt.Linear(8), rt.ReLU(), rt.Linear(1), rt.Sigmoid(), output=rt.Boolean())
    found = quick(net, (x, [number < rare for number in range(300)]))
    assert kinds(found) == expected


def test_an_example_in_both_parts_is_found_by_its_content():
    x, y = spots()
    a, b = spots(60, seed=1)
    a[10] = x[20]
    b[10] = y[20]
    found = only(quick(spot_net(), (x, y), validation=(a, b)), "in both parts")
    assert found.text == (
        "1 of 60 validation examples are in the training part too: validation row 10 as training row 20. "
        "What is measured there flatters."
    )


def test_a_digit_in_both_parts_is_found():
    digits = rt.data("mnist").train
    found = quick(digit_net(), digits[:2000], validation=digits[1990:2500])
    assert "10 of 510" in only(found, "in both parts").text


def test_repeated_examples_and_contradictions_are_told():
    x, y = spots()
    x[1:12] = x[0]
    found = quick(spot_net(), (x, y))
    assert kinds(found) == ["repeated examples", "contradicting targets"]
    assert "11 of 300" in found[0].text
    wrong = sum(int(y[number] != y[0]) for number in range(1, 12))
    assert found[1].text.startswith(f"{wrong} examples")


def test_rows_are_alike_only_if_all_inputs_are():
    x, y = spots(60)
    net = rt.Graph(
        {"a": rt.Linear(4), "b": rt.Linear(4), "sum": rt.Plus(), "end": rt.Linear(3), "p": rt.Softmax()},
        "one -> a -> sum", "two -> b -> sum -> end -> p",
        input={"one": 4, "two": 4}, output=rt.Classes(range(3)),
    )  # fmt: skip
    other = spots(60, seed=1)[0]
    other[3] = other[4]
    data = rt.data({"one": x, "two": other, "output": y})
    ready = prepare(net, data, None, None, 0, torch.device("cpu"))
    assert alike(ready.train, None).repeated == ()
    x[3] = x[4]
    ready = prepare(net, data, None, None, 0, torch.device("cpu"))
    assert alike(ready.train, None).repeated == ((4, 3),)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_rows_alike_are_those_that_a_comparison_finds(dtype):
    draw = np.random.default_rng(3)
    x = draw.integers(0, 250, (400, 7)).astype(dtype)
    x[300:] = x[draw.integers(0, 300, 100)]
    net = rt.Linear(1, input=7)
    ready = prepare(net, rt.data((x, np.zeros((400, 1)))), None, None, 0, torch.device("cpu"))
    found = alike(ready.train, None)
    expected = {int(row): min(n for n in range(400) if (x[n] == x[row]).all()) for row in range(400)}
    assert dict(found.repeated) == {row: first for row, first in expected.items() if first < row}
    assert found.torn == ()


def test_the_test_part_as_validation_is_told():
    (x, y), (a, b) = spots(), spots(60, seed=1)
    data = {"train": (x, y), "test": (a, b)}
    assert kinds(quick(spot_net(), data, validation=rt.data((a, b)))) == ["test set"]
    assert kinds(quick(spot_net(), data, validation=(a[1:], b[1:]))) == []


# Columns ------------------------------------------------------------------------------------------


def test_a_constant_column_is_named():
    x, y = spots()
    x[:, 2] = 7
    found = only(quick(spot_net(), (x, y)), "constant column")
    assert found.text == "1 of 4 columns holds one number in all training examples: input[2] (7)."
    assert found.where == "input[2]"


def test_a_column_that_changes_outside_the_sample_is_not_constant():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(5000, 2))
    x[:, 1] = 0
    data = rt.data((x, x[:, :1] ** 2))
    assert "constant column" in kinds(quick(line_net(), data, validation=0))
    ready = prepare(line_net(), data, 0, None, 0, torch.device("cpu"))
    left_out = next(row for row in range(5000) if row not in sample(ready.train).rows.tolist())
    x[left_out, 1] = 1
    assert "constant column" not in kinds(quick(line_net(), (x, x[:, :1] ** 2), validation=0))


def test_columns_of_unlike_scale_are_told_unless_they_are_normalized():
    x, y = line()
    x[:, 3] *= 1e5
    assert only(quick(line_net(), (x, y)), "unlike columns").where == "input[3]"
    normed = rt.Chain(rt.BatchNorm(), rt.Linear(16), rt.ReLU(), rt.Linear(1), input=5)
    assert kinds(quick(normed, (x, y))) == []


def test_raw_pixels_are_told():
    x = np.random.default_rng(0).integers(0, 256, (200, 1, 8, 8)).astype(np.uint8)
    net = rt.Chain(rt.Flatten(), rt.Linear(8), rt.ReLU(), rt.Linear(2), rt.Softmax(), input=(1, 8, 8))
    y = np.arange(200) % 2
    found = only(quick(net, (x, y)), "large inputs")
    assert found.text == "input: the numbers go from 0 to 255; nets learn well from inputs of about -1 to 1."
    assert found.fix == "input=rt.Image(8, 8) scales pixels, or x / 255"
    assert kinds(quick(net, (x / 255, y))) == []


def test_far_targets_are_told():
    x, y = line()
    assert only(quick(line_net(), (x, 1e4 * y + 1e5)), "far targets").where == "output"


@pytest.mark.parametrize("slope", [1.0, -2.5])
def test_a_target_among_the_inputs_is_told(slope):
    x, y = line()
    x[:, 1] = slope * y[:, 0] + 0.5
    assert only(quick(line_net(), (x, y)), "target among inputs").where == "input[1]"
    x[:, 1] += 0.1 * np.random.default_rng(5).normal(size=len(x))
    assert kinds(quick(line_net(), (x, y))) == []


def test_a_column_that_stands_for_the_class_is_told():
    x, y = spots()
    x[:, 0] = np.array([0.7, -2.0, 0.1])[y]
    assert only(quick(spot_net(), (x, y)), "target among inputs").where == "input[0]"
    x[0, 0] = 0.1
    assert kinds(quick(spot_net(), (x, y))) == []


def test_columns_of_a_table_have_its_names_and_may_say_that_nothing_is_missing():
    rows = [{"age": 20 + n % 7, "sex": "fm"[n % 2], "land": "Oz"} for n in range(60)]
    net = rt.Chain(rt.Linear(1), input=rt.Table(missing="always"))
    found = only(quick(net, (rows, np.arange(60.0)[:, None] % 5)), "constant column")
    assert found.text == ("1 of 7 columns holds one number in all training examples: input['land=Oz'] (1).")


def test_ports_of_one_number_are_columns_by_their_names():
    draw = np.random.default_rng(0)
    net = rt.Graph(
        {"join": rt.Concat(), "end": rt.Linear(1)}, "age -> join", "size -> join -> end",
        input={"age": 1, "size": 1},
    )  # fmt: skip
    data = {"age": draw.normal(size=(50, 1)), "size": np.ones((50, 1)), "output": draw.normal(size=(50, 1))}
    assert only(quick(net, data), "constant column").where == "size[0]"


# Settings and net ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [(rt.Adam(1.0), True), (rt.Adam(0.1), False), (rt.SGD(1.0), False), (rt.SGD(50.0), True),
     (rt.Adam(0.0), True)],
)  # fmt: skip
def test_a_learning_rate_beyond_reason_is_told(optimizer, said):
    assert kinds(quick(line_net(), line(), optimizer)) == ["learning rate"] * said


def test_multipliers_count_for_the_learning_rate():
    found = quick(line_net(), line(), rt.Adam(0.01), rates={"0": 200})
    assert only(found, "learning rate").text.startswith("Adam's learning rate is 0.01, 2 with rates:")


def test_batches_of_one_beside_batch_norm_are_told():
    net = rt.Chain(rt.Linear(8), rt.BatchNorm(), rt.Linear(1), input=5)
    assert kinds(quick(net, line(), batch_size=1)) == ["batches of one"]
    assert kinds(quick(net, line(), batch_size=2)) == []


def test_a_batch_larger_than_the_data_is_told():
    audit = rt.check(line_net(), line(40), batch_size=100, epochs=3)
    assert only(audit, "batch size").text == (
        "batch_size=100 is more than the 40 training examples: an epoch is one step, and 3 of them are all."
    )


def trunk(**how):
    body = rt.Chain(rt.Linear(8), rt.BatchNorm(), rt.ReLU())
    return rt.Chain(body=body, head=rt.Linear(1), input=5, **how)


def test_frozen_layers_that_nobody_trained_are_told():
    found = quick(trunk(), line(), rates={"body": 0})
    assert kinds(found) == ["frozen at random"]
    assert kinds(quick(trunk(), line())) == []


def test_frozen_statistics_that_nobody_learned_are_told():
    net = trunk().init(seed=0)
    assert kinds(quick(net, line(), rates={"body": 0})) == ["fresh statistics"]
    trained = rt.train(net, line(), epochs=1, progress=False).net
    assert kinds(quick(trained, line(), rates={"body": 0})) == []


def test_what_the_loss_does_not_read_is_told():
    net = rt.Graph(
        {"a": rt.Linear(1), "b": rt.Linear(1)}, "x -> a -> left", "z -> b -> right",
        input={"x": 5, "z": 5}, output={"left": 1, "right": 1},
    )  # fmt: skip
    x, y = line()
    found = quick(net, {"x": x, "z": x + 1, "left": y, "right": y}, loss={"left": "mse"})
    assert kinds(found) == ["never trained", "unread input"]
    assert found[0].text == "The loss (mse) does not read b.weight, b.bias, so nothing moves them."
    assert found[1].where == "z"


# The beginning ------------------------------------------------------------------------------------


def test_dead_units_are_told():
    net = (
        line_net().init(seed=0) if False else rt.Chain(rt.Linear(16), rt.ReLU(), rt.Linear(1), input=5).init()
    )
    arrays = {**net.arrays, "0.bias": torch.full((16,), -100.0)}
    audit = rt.check(net.with_arrays(arrays), line())
    assert kinds(audit) == ["dead units", "no gradient"]
    assert audit.warnings[0].text == "Units that are 0 for all 32 examples looked at: 100% of 1 (ReLU())."
    assert audit.warnings[1].where == "0"


def test_saturated_units_are_told_but_not_at_the_output():
    net = rt.Chain(rt.Linear(16), rt.Tanh(), rt.Linear(1), rt.Tanh(), input=5).init()
    x, y = line()
    assert kinds(rt.check(net, (x, y))) == []
    arrays = {**net.arrays, "0.weight": 1000 * net.arrays["0.weight"], "2.bias": torch.tensor([50.0])}
    assert only(rt.check(net.with_arrays(arrays), (x, y)), "saturated units").where == "1"


@pytest.mark.parametrize(("kind", "said"), [(rt.Sigmoid, ["vanishing gradients"]), (rt.ReLU, [])])
def test_gradients_that_vanish_in_deep_nets_are_told(kind, said):
    layers = [each for _ in range(10) for each in (rt.Linear(32), kind())]
    assert kinds(rt.check(rt.Chain(*layers, rt.Linear(3), rt.Softmax()), spots())) == said


def test_a_first_loss_far_above_chance_is_told():
    net = spot_net(input=4).init()
    large = net.with_arrays({**net.arrays, "2.weight": 300 * net.arrays["2.weight"]})
    assert kinds(rt.check(net, spots())) == []
    assert only(rt.check(large, spots()), "first loss").where == "2"


# Side effects, facts, the report ------------------------------------------------------------------


def test_nothing_is_changed(tmp_path):
    net = rt.Chain(rt.Linear(16), rt.BatchNorm(), rt.ReLU(), rt.Dropout(0.2), rt.Linear(1), input=5).init()
    x, y = line()
    before = net.hash, x.tobytes(), y.tobytes(), {p: t.numpy().tobytes() for p, t in net.arrays.items()}
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    told = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()
    settings = torch.get_num_threads(), torch.is_grad_enabled(), os.getcwd(), sys.getrecursionlimit()
    rt.check(net, (x, y), epochs=20, checkpoint=tmp_path / "runs", cache=tmp_path / "cache")
    after = net.hash, x.tobytes(), y.tobytes(), {p: t.numpy().tobytes() for p, t in net.arrays.items()}
    assert after == before
    assert (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()) == told
    assert (
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        os.getcwd(),
        sys.getrecursionlimit(),
    ) == settings
    assert [*tmp_path.iterdir()] == []


def test_two_audits_find_the_same():
    x, y = line()
    one, two = (rt.check(line_net(), (x, 1e4 * y), epochs=2) for _ in range(2))
    assert one.warnings == two.warnings
    timed = {"seconds", "timed", "engine"}
    assert {k: v for k, v in one.facts.items() if k not in timed} == {
        k: v for k, v in two.facts.items() if k not in timed
    }


@pytest.mark.parametrize("engine", ["walk", "program"])
def test_steps_are_timed_by_the_engine_that_is_asked_for(engine):
    facts = rt.check(line_net(), line(), engine=engine, epochs=3).facts
    assert facts["engine"].startswith(engine)
    assert facts["seconds"] > 0


def test_what_is_frozen_is_told_by_its_name():
    facts = rt.check(trunk().init(), line(), rates={"body": 0}).facts
    assert facts["frozen"] == {"body": 5 * 8 + 8 + 16}
    assert facts["trained"] == {"head": 9}
    assert facts["parameters"] == 5 * 8 + 8 + 16 + 9


def test_columns_that_nobody_reads_are_a_fact():
    x, y = line()
    facts = rt.check(line_net(), {"input": x, "output": y, "id": np.arange(len(x))}).facts
    assert facts["unread columns"] == ("id",)


def test_an_audit_by_part_of_the_examples_says_so(mnist):
    assert mnist.facts["sampled"] == ("inputs and targets by 334 training examples", "layers by 256")


def test_the_report_fits_a_terminal():
    x, y = line()
    x[:, 2] = 1
    audit = rt.check(line_net(), (x, 1e4 * y), epochs=2)
    text = str(audit)
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[:9] == [
        "no problems, 2 warnings",
        "",
        "looks wrong",
        *text.splitlines()[3:6],
        "  - constant column: 1 of 5 columns holds one number in all training examples:",
        "    input[2] (1).",
        "    fix   leave out what never changes",
    ]
    assert repr(audit) == "<Audit: 0 problems, 2 warnings>"


def test_the_report_of_a_refusal_is_whole():
    audit = rt.check(line_net(), line(), batch_size=0)
    assert str(audit).splitlines()[:5] == [
        "1 problem, no warnings",
        "",
        "rt.train refuses this",
        "  - ArgumentError: train: batch_size is a whole number of at least 1; got 0.",
        "",
    ]


def test_of_several_seeds_and_optimizers_the_first_is_looked_at():
    audit = rt.check(line_net(), line(), seed=range(3), optimizer=[rt.SGD(0.1), rt.Adam()])
    assert audit.problems == ()
    assert audit.facts["optimizer"].startswith("SGD(0.1")

"""Which loss an output has, what it reads, and what the graph shows to be wrong."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

import retia as rt
from retia.engine.walk import Run, walk_values
from retia.metrics.objective import aims_of, objective


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def numbers(high, *shape, seed=0):
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


def loss_of(net, inputs, targets, loss=None, **how):
    lower = objective(net, loss)
    run = Run(lengths=how.get("lengths", {}))
    values = walk_values(net, {"input": inputs}, net.arrays, run, lower.wanted)
    return lower(values, {"output": targets}, **how)


@pytest.mark.parametrize("ending", ["Softmax", "LogSoftmax"])
def test_the_loss_of_a_net_that_ends_in_softmax_is_computed_from_its_logits(ending):
    net = rt.Chain(rt.Linear(3), getattr(rt, ending)(), input=2).init()
    x, y = 1e4 * drawn(5, 2), numbers(3, 5)
    logits = functional.linear(x, net.arrays["0.weight"], net.arrays["0.bias"])
    assert torch.allclose(loss_of(net, x, y), functional.cross_entropy(logits, y))
    assert loss_of(net, x, y) > 100  # the probabilities are 0 and 1: from them it could not be known


def test_the_loss_of_a_net_that_ends_in_sigmoid_is_computed_from_its_logits():
    net = rt.Chain(rt.Linear(3), rt.Sigmoid(), input=2).init()
    x, y = 1e4 * drawn(5, 2), numbers(2, 5, 3).float()
    logits = functional.linear(x, net.arrays["0.weight"], net.arrays["0.bias"])
    reference = functional.binary_cross_entropy_with_logits(logits, y)
    assert torch.allclose(loss_of(net, x, y, "binary-cross-entropy"), reference)


def test_a_net_that_ends_in_neither_gives_logits():
    net = rt.Chain(rt.Linear(3), input=2).init()
    x, y = drawn(5, 2), numbers(3, 5)
    logits = functional.linear(x, net.arrays["0.weight"], net.arrays["0.bias"])
    assert torch.allclose(loss_of(net, x, y, "cross-entropy"), functional.cross_entropy(logits, y))


def test_probabilities_that_are_moved_after_softmax_stay_probabilities():
    net = rt.Chain(rt.Linear(3), rt.Softmax(), rt.Flatten(), input=2).init()
    plain = rt.Chain(net[0], rt.Softmax(), input=2)
    x, y = drawn(5, 2), numbers(3, 5)
    assert torch.allclose(loss_of(net, x, y, "cross-entropy"), loss_of(plain, x, y), atol=1e-6)


def test_the_classes_may_stand_along_another_axis():
    net = rt.Chain(rt.Softmax(axis=0), input=(3, 4))
    x, y = drawn(2, 3, 4), numbers(3, 2, 4)
    assert torch.allclose(loss_of(net, x, y), functional.cross_entropy(x, y))


def test_only_real_positions_count_where_examples_are_padded():
    net = rt.Chain(rt.Linear(3), rt.Softmax(), input=("n", 2)).init()
    long, short = drawn(1, 5, 2), drawn(1, 2, 2, seed=1)
    y_long, y_short = numbers(3, 1, 5), numbers(3, 1, 2, seed=1)
    x = torch.cat([long, functional.pad(short, (0, 0, 0, 3))])
    y = torch.cat([y_long, functional.pad(y_short, (0, 3), value=2)])
    together = loss_of(net, x, y, lengths={"n": torch.tensor([5, 2])})
    apart = (5 * loss_of(net, long, y_long) + 2 * loss_of(net, short, y_short)) / 7
    assert torch.allclose(together, apart)


def test_the_loss_follows_from_the_codec_and_the_ending():
    def name(net):
        return objective(net).name

    labels = rt.Classes(["cat", "dog"])
    assert name(rt.Chain(rt.Linear(), rt.Softmax(), input=2, output=labels)) == "cross-entropy"
    assert name(rt.Chain(rt.Linear(), input=2, output=labels)) == "cross-entropy"
    assert name(rt.Chain(rt.Linear(), rt.Sigmoid(), input=2, output=labels)) == "binary-cross-entropy"
    assert name(rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean())) == "binary-cross-entropy"
    assert name(rt.Chain(rt.Linear(3), rt.Softmax(), input=2)) == "cross-entropy"
    assert name(rt.Chain(rt.Linear(3), input=2)) == "mse"
    softmax = rt.Chain(rt.Linear(3), rt.Softmax(), input=2)
    assert objective(softmax, whole={"output": False}).name == "mse"


def two_ends():
    x = rt.Input(2)
    return rt.Graph({"a": rt.Linear(1)(x), "b": rt.Linear(3)(x)}).init()


def test_the_losses_of_several_outputs_add_by_their_weights():
    net = two_ends()
    x = drawn(4, 2)
    targets = {"a": drawn(4, 1), "b": numbers(3, 4)}
    lower = objective(net, {"a": ("mse", 0.5), "b": "cross-entropy"})
    values = walk_values(net, {"input": x}, net.arrays, Run(), lower.wanted)
    a, b = (values[net.wiring.outputs[port]] for port in ("a", "b"))
    expected = 0.5 * functional.mse_loss(a, targets["a"]) + functional.cross_entropy(b, targets["b"])
    assert torch.allclose(lower(values, targets), expected)
    assert lower.name == "0.5 * mse(a) + 1 * cross-entropy(b)"


def test_outputs_that_a_dict_leaves_out_have_no_loss():
    assert objective(two_ends(), {"a": "mae"}).ports == ("a",)


def test_the_loss_may_be_a_function():
    net = rt.Chain(rt.Linear(1), input=2).init()
    x, y = drawn(4, 2), drawn(4, 1)
    each = loss_of(net, x, y, lambda output, target: (output - target) ** 2)
    one = loss_of(net, x, y, lambda output, target: ((output - target) ** 2).mean())
    assert torch.allclose(each, one)
    assert torch.allclose(one, loss_of(net, x, y, "mse"))
    both = objective(two_ends(), lambda outputs, targets: outputs["a"].square() + targets["b"])
    values = {value: torch.ones(2, 1) for value in both.net.wiring.outputs.values()}
    assert both(values, {"a": torch.zeros(2, 1), "b": torch.ones(2, 1)}) == 2


def test_a_loss_function_that_answers_something_else_is_an_error():
    net = rt.Chain(rt.Linear(1), input=2).init()
    with pytest.raises(rt.TrainingError, match=r"one number, or one for each of the 4 examples; got \(3,\)"):
        loss_of(net, drawn(4, 2), drawn(4, 1), lambda output, target: torch.ones(3))


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"c": "mse"}, r"no output 'c'; there are a, b"),
        ({}, "loss names no output"),
        ({"a": ("mse", -1)}, "weight of a is above 0; got -1"),
        (
            {"a": ("mse", 0), "b": "mse"},
            "above 0; got 0.\n  fix   leave 'a' out of loss=: outputs without a loss are not trained",
        ),
        ({"a": ("mse", True)}, "a pair is a loss and its weight"),
        (
            {"a": 3},
            "loss is a name, a loss, a function of output and target, or a dict of these by port; got 3",
        ),
        ({"a": rt.MSE}, r"loss is the class MSE, not a value.\n  fix   loss=rt.MSE\(\)"),
        ({"a": torch.nn.MSELoss}, r"another framework's MSELoss, .*\n  fix   loss=rt.MSE\(\)"),
    ],
)
def test_what_is_no_loss_is_refused(loss, said):
    with pytest.raises(rt.ArgumentError, match=said):
        objective(two_ends(), loss)


@pytest.mark.parametrize("loss", [None, "cross-entropy", "mse"])
def test_softmax_twice_is_refused(loss):
    net = rt.Chain(rt.Linear(3), rt.Softmax(), rt.Softmax(), input=2)
    with pytest.raises(rt.TrainingError) as caught:
        objective(net, loss)
    assert str(caught.value) == (
        "2 (Softmax()) comes right after 1 (Softmax()): the probabilities would be squashed twice, "
        "and the net could hardly learn.\n  fix   leave 1 out"
    )


def test_cross_entropy_of_single_probabilities_is_refused():
    net = rt.Chain(rt.Linear(3), rt.Sigmoid(), input=2)
    with pytest.raises(rt.TrainingError, match="sum to 1, but 1 \\(Sigmoid\\(\\)\\) gives each alone"):
        objective(net, "cross-entropy")


def check(net, targets, loss=None):
    objective(net, loss).check({"output": targets})


def test_n_against_n_1_is_refused_with_the_cure():
    with pytest.raises(rt.ShapeError) as caught:
        check(rt.Linear(1, input=2), torch.zeros(5))
    assert "the net gives (1) for each example, but the targets are ()" in str(caught.value)
    assert "y.reshape(-1, 1)" in str(caught.value)
    with pytest.raises(rt.ShapeError, match=r"y\.reshape\(-1\)"):
        check(rt.Chain(rt.Sigmoid(), input=()), torch.zeros(5, 1))
    with pytest.raises(rt.ShapeError, match=r"without the column, y\.reshape\(-1\)"):
        check(rt.Chain(rt.Linear(3), rt.Softmax(), input=2), torch.zeros(5, 1, dtype=torch.int64))


def test_a_label_out_of_range_is_refused_with_its_row():
    net = rt.Chain(rt.Linear(3), rt.Softmax(), input=2)
    with pytest.raises(rt.DataError, match="row 1 has the class number 3, but there are 3 classes"):
        check(net, torch.tensor([0, 3, -1]))
    with pytest.raises(rt.DataError, match="class numbers are whole numbers; the targets are torch.float32"):
        check(net, torch.zeros(3))


def test_a_target_that_is_not_finite_is_refused_with_its_row():
    with pytest.raises(rt.DataError, match="the target in row 2 is nan"):
        check(rt.Linear(1, input=2), torch.tensor([[0.0], [1.0], [np.nan]]))


# Losses of other frameworks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (torch.nn.CrossEntropyLoss(), "CrossEntropyLoss"),
        (functional.cross_entropy, "cross_entropy"),
        (partial(functional.cross_entropy, label_smoothing=0.1), "cross_entropy"),
    ],
)
def test_pytorchs_loss_on_a_net_that_ends_in_softmax_is_refused_with_the_cure(loss, name):
    for net in (rt.Chain(rt.Linear(3), rt.Softmax(), input=2), two_ends()):
        with pytest.raises(rt.ArgumentError) as caught:
            objective(net, loss)
    assert str(caught.value) == (
        f"loss is another framework's {name}, which cannot see what the net ends in.\n"
        "  fix   loss=rt.CrossEntropy()"
    )


# Settings that know the output --------------------------------------------------------------------


def pets(**how):
    return rt.Chain(rt.Linear(), input=2, output=rt.Classes(["cat", "dog", 7]), **how)


def test_weights_by_label_stand_in_the_order_of_the_labels():
    lower = objective(pets(), rt.CrossEntropy(weights={7: 3, "cat": 0.5}))
    assert lower.terms[0].loss == rt.CrossEntropy(weights=(0.5, 1.0, 3.0))
    assert lower.name == "CrossEntropy(weights=(0.5, 1.0, 3.0))"
    plain = rt.Chain(rt.Linear(3), rt.Softmax(), input=2)
    assert objective(plain, rt.Focal(weights={2: 4})).terms[0].loss == rt.Focal(weights=(1.0, 1.0, 4.0))


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (
            rt.CrossEntropy(weights={"dgo": 2}),
            "CrossEntropy(weights={'dgo': 2.0}): weights names 'dgo', which is none of the 3 labels. "
            "Did you mean 'dog'?",
        ),
        (
            rt.CrossEntropy(weights={"7": 2}),
            "CrossEntropy(weights={'7': 2.0}): weights names '7', which is none of the 3 labels.",
        ),
        (rt.Focal(weights=[1, 2]), "Focal(weights=(1.0, 2.0)): there are 2 weights, but 3 classes."),
        (
            rt.BinaryCrossEntropy(weight_of_true=[1, 2]),
            "BinaryCrossEntropy(weight_of_true=(1.0, 2.0)): there are 2 weights, but 3 entries.",
        ),
    ],
)
def test_weights_that_do_not_fit_the_output_are_refused(loss, said):
    with pytest.raises(rt.ArgumentError) as caught:
        objective(pets(), loss)
    assert str(caught.value) == said


@pytest.mark.parametrize("loss", [rt.Focal(), rt.CrossEntropy(smoothing=0.2, weights=[1, 2, 3]), rt.KL()])
def test_every_loss_of_classes_reads_the_logits_before_softmax(loss):
    net = rt.Chain(rt.Linear(3), rt.Softmax(), input=2).init()
    x, y = 1e4 * drawn(5, 2), functional.one_hot(numbers(3, 5), 3)
    logits = functional.linear(x, net.arrays["0.weight"], net.arrays["0.bias"])
    assert torch.equal(loss_of(net, x, y, loss), loss.of_logits(logits, y).sum() / 5)


def test_the_mean_of_two_softmaxes_is_a_probability_and_no_logit():
    x = rt.Input(2)
    both = rt.Graph((rt.Softmax()(rt.Linear(3)(x)) + rt.Softmax()(rt.Linear(3)(x))) / 2).init()
    x, y = drawn(5, 2), numbers(3, 5)
    chances = both(x, None)
    expected = functional.nll_loss(chances.log(), y)
    assert torch.allclose(loss_of(both, x, y, "cross-entropy"), expected, atol=1e-6)


def test_a_gate_after_which_numbers_follow_is_no_probability():
    x = rt.Input(2)
    gated = rt.Graph(rt.Linear(3)(x) * rt.Sigmoid()(rt.Linear(3)(x))).init()
    x, y = drawn(5, 2), numbers(3, 5)
    assert torch.allclose(loss_of(gated, x, y, "cross-entropy"), functional.cross_entropy(gated(x, None), y))


def test_losses_of_half_precision_are_computed_in_full():
    net = rt.Chain(rt.Linear(3), input=2).init()
    lower = objective(net, "cross-entropy")
    logits, y = drawn(64, 3).bfloat16(), numbers(3, 64)
    found = lower({lower.wanted[0]: logits}, {"output": y})
    assert found.dtype == torch.float32
    assert torch.equal(
        found, objective(net, "cross-entropy")({lower.wanted[0]: logits.float()}, {"output": y})
    )


# Endings and shapes that cannot be ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "loss", "said"),
    [
        (
            rt.Sigmoid(), "focal",
            "output: focal takes probabilities that sum to 1, but 1 (Sigmoid()) gives each alone.\n"
            "  fix   end in rt.Softmax(), or loss='binary-cross-entropy' or 'mse'",
        ),
        (
            rt.LogSoftmax(), "bce",
            "output: binary-cross-entropy takes a probability for each entry, but 1 (LogSoftmax()) gives "
            "logarithms.\n  fix   end in rt.Sigmoid(), or loss='cross-entropy'",
        ),
        (
            rt.Sigmoid(), "hinge",
            "output: hinge takes scores of any size, but 1 (Sigmoid()) gives probabilities.\n"
            "  fix   leave 1 out, or loss='binary-cross-entropy'",
        ),
        (
            rt.Softmax(), "hinge",
            "output: hinge takes scores of any size, but 1 (Softmax()) gives probabilities.\n"
            "  fix   leave 1 out, or loss='cross-entropy'",
        ),
    ],
)  # fmt: skip
def test_an_ending_that_a_loss_cannot_read_is_refused(ending, loss, said):
    with pytest.raises(rt.TrainingError) as caught:
        objective(rt.Chain(rt.Linear(3), ending, input=2), loss)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("shape", "loss", "said"),
    [
        (
            (4, 3), "triplet",
            "output: what triplet compares is an embedding, (n); the net gives (4, 3).\n  fix   rt.Flatten()",
        ),
        (
            (1,), "contrastive",
            "output: what contrastive compares is an embedding, (n), or a distance, (); the net gives (1).\n"
            "  fix   rt.Flatten(); rt.Part(0) of a distance in a column",
        ),
        (
            (3,), "ctc",
            "output: what ctc compares is (time, classes), the classes last; the net gives (3).\n"
            "  fix   rt.Transpose, or rt.Softmax() along the last axis",
        ),
    ],
)  # fmt: skip
def test_an_output_of_another_form_than_the_loss_needs_is_refused(shape, loss, said):
    with pytest.raises(rt.ShapeError) as caught:
        objective(rt.Chain(rt.Tanh(), input=shape), loss)
    assert str(caught.value) == said


# Targets that cannot be ---------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [lambda y, t: (y - t).square().mean(), lambda y, t: (y - t).square()])
def test_n_against_n_1_is_refused_for_functions_too(loss):
    with pytest.raises(rt.ShapeError) as caught:
        check(rt.Linear(1, input=2), torch.zeros(5), loss)
    assert str(caught.value) == (
        "output: the net gives (1) for each example, but the targets are (); <lambda> would compare each "
        "with all.\n  fix   give the targets a column of their own, y.reshape(-1, 1), or the net output=()"
    )


@pytest.mark.parametrize(
    ("loss", "targets", "said"),
    [
        (
            "bce", [[0.0, 1.0], [0.0, 2.0]],
            "output: the target in row 1 is 2, but binary-cross-entropy takes numbers from 0 to 1.",
        ),
        (
            "bce", [[0.0, 1.0], [-1.0, 1.0]],
            "output: the target in row 1 is -1, but binary-cross-entropy takes numbers from 0 to 1.",
        ),
        (
            "poisson", [[0.0, 1.0], [0.0, -2.0]],
            "output: the target in row 1 is -2, but poisson takes numbers from 0 to inf.",
        ),
        (
            "hinge", [[-1.0, 1.0], [3.0, 1.0]],
            "output: the target in row 1 is 3, but hinge takes numbers from -1 to 1.",
        ),
        (
            "cross-entropy", [[0.5, 0.5], [1.0, 1.0]],
            "output: the targets in row 1 add up to 2, but cross-entropy takes probabilities that add "
            "up to 1.\n"
            "  fix   end in rt.Sigmoid() with loss='binary-cross-entropy' where several classes are true "
            "at once",
        ),
        (
            "kl", [[0.5, 0.5], [1.5, -0.5]],
            "output: the target in row 1 is 1.5, but kl takes numbers from 0 to 1.",
        ),
    ],
)  # fmt: skip
def test_targets_out_of_range_are_refused_with_their_row(loss, targets, said):
    with pytest.raises(rt.DataError) as caught:
        check(rt.Chain(rt.Linear(2), input=3), torch.tensor(targets), loss)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("shape", "targets", "said"),
    [
        ((3,), torch.zeros(5, 1, dtype=torch.int64), "class numbers without the column, y.reshape(-1)"),
        ((3,), torch.zeros(5, 2), "class numbers, one for each example, or probabilities of shape (3)"),
        (
            (4, 3), torch.zeros(5, 2),
            "class numbers, (4), one for each place, or probabilities of shape (4, 3)",
        ),
        ((3,), torch.zeros(5), "y.astype(int), if the numbers are class numbers"),
    ],
)  # fmt: skip
def test_targets_of_another_form_than_classes_are_refused_with_the_cure(shape, targets, said):
    with pytest.raises((rt.ShapeError, rt.DataError)) as caught:
        check(rt.Chain(rt.Softmax(), input=shape), targets, "cross-entropy")
    assert caught.value.fix == said


def test_labels_of_embeddings_are_whole_numbers_one_an_example():
    net = rt.Chain(rt.Linear(3), input=2)
    check(net, torch.tensor([5, -7, 1000]), "triplet")
    with pytest.raises(rt.DataError) as caught:
        check(net, torch.tensor([0.5]), "triplet")
    assert str(caught.value) == (
        "output: labels are whole numbers; the targets are torch.float32.\n"
        "  fix   y.astype(int), if the numbers are labels"
    )
    with pytest.raises(rt.ShapeError, match="labels, one whole number for each example"):
        check(net, torch.zeros(2, 3), "triplet")


# A loss that the net computes ---------------------------------------------------------------------


def own(size=(), **more):
    x, t = rt.Input(2, name="x"), rt.Input(2, name="t")
    wrong = (rt.Linear(2)(x) - t) ** 2
    loss = rt.Reduce("mean")(wrong) if size == () else wrong
    return rt.Graph({"loss": loss, **{name: rt.Tanh()(wrong) for name in more}}).init()


def test_an_output_named_loss_is_what_is_lowered_and_needs_no_targets():
    net = own()
    lower = objective(net)
    assert (lower.name, lower.ports, aims_of(net, None)) == ("own", (), ())
    x, t = drawn(4, 2), drawn(4, 2, seed=1)
    values = walk_values(net, {"x": x, "t": t}, net.arrays, Run(), lower.wanted)
    weight, bias = (tensor for path, tensor in net.arrays.items())
    assert torch.allclose(lower(values, {}), functional.mse_loss(functional.linear(x, weight, bias), t))


def test_an_output_named_loss_is_lowered_alone_unless_others_are_named():
    net = own(more=True)
    assert objective(net).wanted == (net.wiring.outputs["loss"],)
    both = objective(net, {"loss": (None, 0.5), "more": "mse"})
    assert (both.name, both.ports) == ("0.5 * own(loss) + 1 * mse(more)", ("more",))
    assert aims_of(net, {"loss": None, "more": "mse"}) == ("more",)
    assert objective(net, {"loss": "mse"}).ports == ("loss",)


def test_an_output_named_loss_is_one_number_an_example():
    with pytest.raises(rt.ShapeError) as caught:
        objective(own(2))
    assert str(caught.value) == (
        "loss: an output named 'loss' is one number an example; the net gives (2).\n"
        '  fix   rt.Reduce("mean") before it makes it one'
    )

"""Arrays: made from a seed, owned by the net, compared by content, guarded against changes in place."""

import copy
import pickle

import numpy as np
import pytest
import torch

import retia as rt

NET = rt.Chain(rt.Linear(4), rt.ReLU(), head=rt.Linear(3), input=2)


def test_the_same_seed_gives_the_same_arrays_and_another_seed_others():
    assert NET.init(seed=5) == NET.init(seed=5)
    assert NET.init(seed=5) != NET.init(seed=6)
    assert NET.init().hash != NET.hash
    assert hash(NET.init(seed=1)) == hash(NET.init(seed=2)) == hash(NET)


def test_an_array_starts_alike_whatever_else_the_net_has():
    longer = rt.Chain(rt.Linear(4), rt.Tanh(), head=rt.Linear(9), input=2)
    assert torch.equal(NET.init().arrays["0.weight"], longer.init().arrays["0.weight"])


def test_no_global_generator_is_read_or_set():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state()
    first = NET.init()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert first == NET.init()


def test_init_makes_what_is_missing_and_only_makes_anew_what_is_named():
    made = NET.init(seed=1)
    assert made.init(seed=2) == made
    again = made.init(seed=2, only="head")
    assert torch.equal(again.arrays["0.weight"], made.arrays["0.weight"])
    assert not torch.equal(again.arrays["head.weight"], made.arrays["head.weight"])
    with pytest.raises(rt.UnknownNameError, match="matches no array"):
        made.init(only="heat")


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, None, True, "0"])
def test_a_seed_is_a_whole_number_in_range(seed):
    with pytest.raises(rt.ArgumentError, match="seed is a whole number"):
        NET.init(seed=seed)


def test_with_arrays_gives_a_new_net_and_leaves_the_old_one():
    made = NET.init()
    before = made.hash
    changed = made.with_arrays({"head.bias": np.array([1.0, 2.0, 3.0])})
    assert changed.arrays["head.bias"].tolist() == [1, 2, 3]
    assert changed.arrays["0.weight"] is made.arrays["0.weight"]
    assert made.hash == before != changed.hash


def test_with_arrays_names_all_faults_at_once():
    with pytest.raises(rt.ArraysError) as caught:
        NET.with_arrays({"head.bios": np.zeros(3), "0.weight": np.zeros((4, 3))})
    assert "Did you mean 'head.bias'?" in str(caught.value)
    assert "0.weight has shape (4, 3), expected (4, 2)" in str(caught.value)


def test_arrays_make_sizes_known():
    open_net = rt.Chain(rt.Linear(), rt.ReLU())
    made = open_net.with_arrays({"0.weight": np.zeros((3, 5)), "0.bias": np.zeros(3)})
    assert made.outputs["output"].shape is None or made.outputs["output"].shape[-1] == 3
    assert made.count == 18
    contradiction = {"0.weight": np.zeros((3, 5)), "0.bias": np.zeros(4)}
    with pytest.raises(rt.ShapeError, match="its bias would have shape"):
        open_net.with_arrays(contradiction).init()


def test_a_change_in_place_is_noticed_at_the_next_use():
    made = NET.init()
    made.arrays["0.weight"].mul_(2)
    for use in (lambda: made([1.0, 2.0]), lambda: made.arrays["0.weight"], lambda: made.hash):
        with pytest.raises(rt.ArraysError, match=r"0\.weight was changed in place"):
            use()


def test_arrays_made_in_inference_mode_are_ordinary_ones():
    with torch.inference_mode():
        made = NET.init()
        inner = NET.with_arrays({"head.bias": torch.zeros(3)})
    assert not made.arrays["0.weight"].is_inference()
    assert not inner.arrays["head.bias"].is_inference()
    assert made([1.0, 2.0]).shape == (3,)


def test_computing_without_arrays_names_the_cure():
    with pytest.raises(rt.ArraysError) as caught:
        NET([1.0, 2.0])
    assert str(caught.value).endswith("fix   net = net.init(seed=0), or rt.train(net, data)")


def test_counts_are_those_of_the_seeds():
    dense = rt.Chain(rt.Flatten(), rt.Linear(15), rt.Sigmoid(), rt.Linear(10), rt.Sigmoid(), input=(28, 28))
    assert dense.count == 11_935
    assert rt.Linear(10, input=784).count == 7_850


def test_nets_are_copied_and_pickled_as_values():
    made = NET.init()
    assert copy.deepcopy(made) == made
    assert pickle.loads(pickle.dumps(made)) == made


def test_nets_are_frozen():
    for net, name in ((NET, "parts"), (rt.Linear(3), "size"), (rt.Graph(rt.Input(2) + 1), "nodes")):
        with pytest.raises(AttributeError):
            setattr(net, name, None)


METHODS = {
    "kaiming_uniform": (torch.nn.init.kaiming_uniform_, {"nonlinearity": "relu"}),
    "kaiming_normal": (torch.nn.init.kaiming_normal_, {"nonlinearity": "relu"}),
    "xavier_uniform": (torch.nn.init.xavier_uniform_, {}),
    "xavier_normal": (torch.nn.init.xavier_normal_, {}),
    "orthogonal": (torch.nn.init.orthogonal_, {}),
    "normal": (torch.nn.init.normal_, {}),
    "truncated_normal": (torch.nn.init.trunc_normal_, {"a": -2.0, "b": 2.0}),
    "uniform": (torch.nn.init.uniform_, {}),
    "zeros": (torch.nn.init.zeros_, {}),
    "ones": (torch.nn.init.ones_, {}),
    "identity": (torch.nn.init.eye_, {}),
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_are_those_of_pytorch(method):
    draw, keywords = METHODS[method]
    made = rt.Linear(30, input=20).init(seed=3, method=method).arrays["weight"]
    expected = torch.empty(30, 20)
    if method not in ("zeros", "ones", "identity"):
        from retia.nets.initial import stream

        keywords = {**keywords, "generator": stream(3, "weight")}
    assert torch.equal(made, draw(expected, **keywords))


def test_each_array_can_say_how_it_starts():
    layer = rt.Linear(50, input=400, init={"weight": rt.Initial("normal", std=0.02), "bias": "ones"})
    arrays = layer.init().arrays
    assert abs(arrays["weight"].std().item() - 0.02) < 0.001
    assert arrays["bias"].tolist() == [1.0] * 50
    assert rt.Linear(3, input=3, init="identity").init().arrays["weight"].tolist() == torch.eye(3).tolist()
    names = vars(rt)
    assert eval(repr(layer), dict(names)) == layer


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: rt.Linear(3, init="xaver"), "Did you mean 'xavier"),
        (lambda: rt.Linear(3, init={"wait": "zeros"}), "init names 'wait', but its arrays are: weight, bias"),
        (lambda: rt.ReLU(init="zeros"), "its arrays are: none"),
        (lambda: rt.Linear(3, init=3), "a method's name"),
        (lambda: rt.Initial("normal", std=-1), "std is a number from 0"),
        (lambda: rt.Initial("uniform", low=2, high=1), "above high"),
    ],
)
def test_what_is_no_start_is_refused(build, message):
    with pytest.raises(rt.ArgumentError, match=message):
        build()


def test_with_arrays_tells_everything_that_does_not_fit_at_once():
    made = NET.init()
    given = {
        "0.weight": torch.ones(3),
        "0.bias": "one",
        "haed.bias": torch.ones(3),
        "head.bias": torch.ones(3) * 1j,
    }
    with pytest.raises(rt.ArraysError) as caught:
        made.with_arrays(given)
    assert str(caught.value) == (
        "with_arrays: 0.weight has shape (3,), expected (4, 2)\n"
        "  from  0.bias is no array of numbers; got str.\n"
        "  from  there is no array 'haed.bias'. Did you mean 'head.bias'?\n"
        "  from  head.bias: arrays are dense and real; got torch.strided, torch.complex64."
    )


def test_an_array_of_numpys_that_is_changed_later_does_not_change_the_net():
    given = np.ones(3, np.float32)
    given.flags.writeable = False
    net = NET.init().with_arrays({"head.bias": given})
    given.flags.writeable = True
    before = net.hash
    given[:] = 7
    assert net.arrays["head.bias"].tolist() == [1, 1, 1]
    assert net.hash == before


def test_without_arrays_a_part_fits_other_sizes():
    made = NET.init(seed=1)
    bare = made.without_arrays()
    assert not bare.arrays
    assert bare == NET
    assert bare.without_arrays() is bare
    assert str(bare.lineage[-1]) == "without_arrays()"
    cut = made.without_arrays("head")
    assert {*cut.arrays} == {"0.weight", "0.bias"}
    assert cut.arrays["0.weight"] is made.arrays["0.weight"]
    with pytest.raises(rt.ShapeError, match="without_arrays"):
        made.replace("0", rt.Linear(7))
    assert cut.replace("0", rt.Linear(7)).init().arrays["head.weight"].shape == (3, 7)
    with pytest.raises(rt.UnknownNameError, match="without_arrays: only='heat' matches no array"):
        made.without_arrays("heat")


def test_arrays_that_are_shared_are_taken_away_in_all_places():
    tied = rt.Chain(tokens=rt.Embedding(4, classes=9), head=rt.Linear(9), input=()).tie(
        "tokens.weight", "head.weight"
    )
    assert {*tied.init().without_arrays("tokens").arrays} == {"head.bias"}
    assert tied.init().without_arrays("tokens").init(seed=0) == tied.init(seed=0)

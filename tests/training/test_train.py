"""rt.train: real digits, the same bits from the same seed, what is held out, and what is refused."""

import io
import math
import signal
import sys

import numpy as np
import pytest
import torch

import retia as rt
from retia.sources.order import order
from retia.training.progress import Progress


def mlp(**how):
    return rt.Chain(rt.Flatten(), rt.Linear(30), rt.ReLU(), rt.Linear(), rt.Softmax(), **how)


def spots(n=400, seed=0):
    """Points around three places, and which place."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, n)
    return draw.normal(size=(n, 2)) + 4 * np.array([[0, 0], [0, 1], [1, 0]])[labels], labels


def spot_net(**how):
    return rt.Chain(rt.Linear(8), rt.Tanh(), rt.Linear(), rt.Softmax(), output=rt.Classes(range(3)), **how)


def quiet(*args, **how):
    return rt.train(*args, **{"progress": False, **how})


def bits(net):
    return {path: tensor.numpy().tobytes() for path, tensor in net.arrays.items()}


@pytest.fixture(scope="module")
def digits():
    return rt.data("mnist").train.take(2500)


def test_a_net_learns_to_read_digits(digits):
    net = mlp(input=rt.Image(28, 28, color="gray"), output=rt.Classes())
    run = quiet(net, digits.take(2000), epochs=5, validation=digits[2000:], optimizer=rt.Adam(3e-3))
    assert run.history[-1]["val_accuracy"] > 0.85
    assert run.net.outputs["output"].codec == rt.Classes(range(10))
    held_out = digits[2000:]
    measured = rt.measure(run.net, held_out)
    best = run.history[run.best_epoch - 1]
    assert measured.accuracy == best["val_accuracy"]
    assert math.isclose(measured.loss, best["val_loss"], rel_tol=1e-5)
    answers = run.net([held_out[i][0] for i in range(50)])
    right = sum(answer == held_out[i][1] for i, answer in enumerate(answers))
    assert right > 35


def test_training_is_the_hand_written_loop_over_the_same_batches():
    x, y = spots(100)
    net = spot_net(input=2).init(seed=5)
    run = quiet(net, (x, y), epochs=2, batch_size=32, optimizer=rt.SGD(0.1), seed=7)
    module = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    module.load_state_dict(dict(net.arrays))
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    inputs, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    for epoch in range(2):
        for rows in order(100, 7, epoch).split(32):
            loss = torch.nn.functional.cross_entropy(module(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for path, parameter in module.named_parameters():
        assert torch.equal(run.last.arrays[path], parameter)


def test_the_same_seed_gives_the_same_bits_and_the_input_net_stays():
    data = spots()
    net = spot_net(input=2).init()
    before = bits(net), net.hash
    first, second = (quiet(net, data, epochs=2, seed=3) for _ in range(2))
    assert bits(first.net) == bits(second.net)
    assert bits(first.net) != bits(quiet(net, data, epochs=2, seed=4).net)
    assert (bits(net), net.hash) == before


def test_no_global_seed_is_read_or_set():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = quiet(spot_net(input=2), spots(), epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert bits(quiet(spot_net(input=2), spots(), epochs=1).net) == bits(first.net)


def test_history_tells_every_epoch():
    run = quiet(spot_net(), spots(), epochs=3, validation=0.25, batch_size=50)
    assert [entry["epoch"] for entry in run.history] == [1, 2, 3]
    assert {*run.history[0]} == {
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "rate", "examples_per_second",
    }  # fmt: skip
    assert run.history[2]["loss"] < run.history[0]["loss"]
    assert all(entry["rate"] == 1e-3 and entry["seconds"] > 0 for entry in run.history)
    assert run.why == "all 3 epochs done"
    lowest = min(run.history, key=lambda entry: entry["val_loss"])
    assert run.best_epoch == lowest["epoch"]


def test_the_loss_and_accuracy_of_an_epoch_count_examples_and_not_batches():
    x, y = spots(70)  # batches of 64 and 6
    net = spot_net(input=2).init()
    run = quiet(net, (x, y), epochs=1, optimizer=rt.SGD(0.0), validation=(x, y))
    entry = run.history[0]
    inputs = torch.tensor(x, dtype=torch.float32)
    output = net(inputs, None)
    expected = torch.nn.functional.nll_loss(output.log(), torch.tensor(y)).item()
    assert math.isclose(entry["loss"], expected, rel_tol=1e-5)
    assert math.isclose(entry["val_loss"], expected, rel_tol=1e-5)
    assert entry["accuracy"] == entry["val_accuracy"] == (output.argmax(1) == torch.tensor(y)).float().mean()


def test_the_best_net_by_validation_is_kept_and_the_last_beside_it():
    x, y = spots(60)
    wrong = (y + 1) % 3  # what is learned makes this worse from the first step on
    run = quiet(spot_net(input=2), (x, y), epochs=4, validation=(x, wrong), optimizer=rt.Adam(0.05))
    assert run.best_epoch == 1
    assert bits(run.net) != bits(run.last)
    assert math.isclose(rt.measure(run.net, (x, wrong)).loss, run.history[0]["val_loss"], rel_tol=1e-5)
    without = quiet(spot_net(input=2), (x, y), epochs=2, validation=0)
    assert bits(without.net) == bits(without.last)
    assert without.best_epoch == 2
    assert "val_loss" not in without.history[0]


def test_what_is_held_out():
    x, y = spots(1200)

    def held_out(data, validation=None):
        told = quiet(spot_net(), data, epochs=0, validation=validation).settings
        return told["examples"], told["validation"].split(" ex")[0]

    assert held_out((x, y)) == (1080, "120")
    assert held_out((x[:999], y[:999])) == (999, "none (fewer than 1,000")
    assert held_out((x, y), 0) == (1200, "none")
    assert held_out((x, y), 0.5) == (600, "600")
    assert held_out((x, y), spots(7)) == (1200, "7")
    assert held_out((x, y), rt.data(spots(8))) == (1200, "8")
    parts = {"train": (x, y), "validation": spots(9), "test": spots(10)}
    assert held_out(parts) == (1200, "9")
    assert held_out(parts, 0.5) == (600, "600")
    assert held_out({"train": spots(20), "test": spots(10)})[0] == 20


@pytest.mark.parametrize("validation", [True, 1, 1.0, -0.1, 2.5])
def test_what_is_no_validation_is_refused(validation):
    with pytest.raises(rt.ArgumentError, match="validation is a fraction from 0 to below 1"):
        quiet(spot_net(), spots(), validation=validation)


def test_codecs_learn_from_the_training_part_alone():
    x, y = spots(30)
    words = np.array(["c", "a", "b"])[y]
    net = rt.Chain(rt.Linear(), rt.Softmax(), output=rt.Classes())
    run = quiet(net, (x, words), epochs=1)
    assert run.net.outputs["output"].codec.labels == ("a", "b", "c")
    assert run.net.arrays["0.weight"].shape == (3, 2)
    with pytest.raises(rt.CodecError, match="'d' is not one of the 3 labels"):
        quiet(net, (x, words), epochs=1, validation=(x[:1], ["d"]))


def test_shapes_that_a_net_leaves_open_come_from_the_data():
    x, y = spots(20)
    run = quiet(spot_net(), (x, y), epochs=0)
    assert run.net.inputs["input"].shape == (2,)
    assert run.why == "all 0 epochs done"
    assert run.history == []
    assert bits(run.net) == bits(spot_net(input=2).init())


def test_numbers_are_learned_by_squared_error():
    x = np.linspace(-1, 1, 64).reshape(-1, 1)
    run = quiet(
        rt.Chain(rt.Linear(), input=1, output=rt.Vector(1)), (x, 2 * x + 1), epochs=60,
        optimizer=rt.Adam(0.1), batch_size=16,
    )  # fmt: skip
    assert run.settings["loss"] == "mse"
    assert run.history[-1]["loss"] < 1e-3
    assert "accuracy" not in run.history[0]


def test_classes_may_be_learned_by_squared_error_on_one_hot_targets():
    net = rt.Chain(rt.Linear(8), rt.Sigmoid(), rt.Linear(), rt.Sigmoid(), output=rt.Classes())
    run = quiet(net, spots(), epochs=30, loss="mse", optimizer=rt.Adam(0.03))
    assert run.settings["loss"] == "mse"
    assert run.history[-1]["accuracy"] > 0.8


def test_several_inputs_and_outputs_go_by_name():
    a, b = rt.Input(2, name="a"), rt.Input(1, name="b")
    both = rt.Concat()(a, b)
    net = rt.Graph({"sum": rt.Linear(1)(both), "place": rt.Chain(rt.Linear(3), rt.Softmax())(both)})
    x, y = spots(64)
    data = {"a": x, "b": x[:, :1], "sum": x.sum(1, keepdims=True), "place": y}
    run = quiet(net, data, epochs=2, loss={"sum": ("mse", 0.1), "place": "cross-entropy"}, validation=data)
    entry = run.history[-1]
    measured = rt.measure(run.net, data, loss={"sum": ("mse", 0.1), "place": "cross-entropy"})
    assert entry["val_accuracy"] == measured["place"].accuracy
    assert math.isclose(entry["val_loss"], 0.1 * measured["sum"].mse + measured["place"].loss, rel_tol=1e-5)


def test_a_net_with_dropout_learns_and_answers_without_it():
    net = rt.Chain(
        rt.Linear(16), rt.ReLU(), rt.Dropout(0.5), rt.Linear(), rt.Softmax(), output=rt.Classes(range(3))
    )
    x, y = spots()
    run = quiet(net, (x, y), epochs=20, optimizer=rt.Adam(0.01))
    inputs = x.astype(np.float32)
    assert torch.equal(run.net(inputs, None), run.net(inputs, None))
    assert rt.measure(run.net, (x, y)).accuracy > 0.9
    assert bits(quiet(net, (x, y), epochs=2).net) == bits(quiet(net, (x, y), epochs=2).net)


def test_batch_statistics_are_learned_and_a_last_batch_of_one_joins_its_neighbour():
    net = rt.Chain(rt.BatchNorm(), rt.Linear(), rt.Softmax(), output=rt.Classes(range(3)))
    x, y = spots(33)
    run = quiet(net, (x, y), epochs=1, batch_size=16, validation=0)
    assert run.last.arrays["0.running_mean"].abs().sum() > 0


# Stopping -----------------------------------------------------------------------------------------


def pressing(times, at):
    """A loss that presses Ctrl-C at its so-manieth call."""
    calls = []

    def loss(output, target):
        calls.append(1)
        if len(calls) == at:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return ((output - target) ** 2).mean()

    return loss, calls


def test_ctrl_c_returns_what_there_is():
    x = np.ones((64, 1))
    loss, calls = pressing(1, at=6)
    before = signal.getsignal(signal.SIGINT)
    run = quiet(rt.Linear(1, input=1), (x, x), epochs=100, batch_size=16, loss=loss, engine="walk")
    assert run.why == "interrupted"
    assert len(calls) == 6
    assert [entry["epoch"] for entry in run.history] == [1]
    assert bool(torch.isfinite(run.net([1.0])))
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_ends_at_once():
    x = np.ones((64, 1))
    loss, _ = pressing(2, at=2)
    with pytest.raises(KeyboardInterrupt):
        quiet(rt.Linear(1, input=1), (x, x), loss=loss)


def test_an_infinite_loss_stops_with_the_step_and_what_there_is():
    x = np.full((128, 1), 1e20)
    net = rt.Chain(rt.Linear(4), rt.ReLU(), rt.Linear(1), input=1).init()
    with pytest.raises(rt.TrainingError) as caught:
        quiet(net, (x, x), epochs=3, optimizer=rt.SGD(1.0))
    text = str(caught.value)
    assert text.startswith("The loss became inf in step 1 (epoch 1), though all outputs are finite")
    assert "fix   a smaller learning rate" in text
    run = caught.value.run
    assert run.why == "loss inf in step 1 (epoch 1)"
    assert bits(run.net) == bits(net)


def test_the_first_layer_that_overflows_is_named():
    net = rt.Chain(rt.Linear(4), rt.ReLU(), rt.Linear(1), input=1).init()
    net = net.with_arrays({"0.weight": torch.full((4, 1), 3e38)})
    with pytest.raises(
        rt.TrainingError, match=r"first layer whose output is not finite is 0 \(Linear\(4\)\)"
    ):
        quiet(net, (np.full((8, 1), 10.0), np.zeros((8, 1))))


def test_a_gradient_that_is_not_finite_is_told_by_its_layer():
    @rt.layer
    class Root(rt.Layer):
        """Square root, whose derivative at 0 is infinite."""

        signature = "*s -> *s"

        def forward(self, x):
            return x.sqrt()

    net = rt.Chain(rt.Linear(1, bias=False), Root(), input=1).init()
    net = net.with_arrays({"0.weight": torch.zeros(1, 1)})
    with pytest.raises(rt.TrainingError, match=r"in step 2 .*gave 0 \(Linear\(1, bias=False\)\) a gradient"):
        quiet(net, (np.ones((8, 1)), np.ones((8, 1))), epochs=3)


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"epochs": -1}, "epochs is a whole number of at least 0; got -1"),
        ({"epochs": 2.5}, "epochs is a whole number"),
        ({"epochs": True}, "epochs is a whole number"),
        ({"batch_size": 0}, "batch_size is a whole number of at least 1; got 0"),
        ({"batch_size": 2.5}, "batch_size is a whole number"),
        ({"seed": -1}, "seed is a whole number of at least 0; got -1"),
        ({"seed": 2**63}, "seed is a whole number"),
        ({"seed": None}, "seed is a whole number"),
        ({"device": "nowhere"}, "device='nowhere' is not there"),
        ({"engine": "wlak"}, "engine is one of 'auto', 'program', 'compile', 'walk'"),
        ({"optimizer": "adamm"}, "Did you mean 'Adam'"),
        ({"loss": "mes"}, "Did you mean 'mse'"),
        ({"lr": 0.1}, r"train has no argument 'lr'\. Here the learning rate belongs to the optimizer"),
        ({"epoch": 3}, r"train has no argument 'epoch'\. Did you mean 'epochs'\?"),
    ],
)
def test_arguments_out_of_range_are_refused_before_any_work(how, said):
    with pytest.raises(rt.ArgumentError, match=said):
        quiet(spot_net(), spots(), **how)


def test_what_is_not_there_yet_says_so():
    with pytest.raises(rt.NotYetError, match="train: look= is not there yet"):
        quiet(spot_net(), spots(), look="x")


def test_a_row_that_is_not_finite_is_named():
    x, y = spots(200)
    x[150, 1] = np.nan
    with pytest.raises(rt.DataError, match="input: row 150 holds nan"):
        quiet(spot_net(), (x, y))


def test_a_label_out_of_range_is_named_before_it_is_learned_from():
    x, y = spots(20)
    y[7] = 9
    with pytest.raises(rt.CodecError, match="row 7.*9 is not one of the 3 labels"):
        quiet(spot_net(), (x, y))
    plain = rt.Chain(rt.Linear(3), rt.Softmax())
    with pytest.raises(rt.DataError, match="row 7 has the class number 9, but there are 3 classes"):
        quiet(plain, (x, y))


def test_n_against_n_1_is_refused():
    x = np.ones((8, 1))
    with pytest.raises(rt.ShapeError, match=r"the targets are \(\); mse cannot compare these"):
        quiet(rt.Linear(1, input=1), (x, x[:, 0]))


def test_a_port_without_a_column_is_refused():
    x, y = spots(8)
    net = rt.Graph(lambda a, b: a + b, input={"a": 2, "b": 2})
    with pytest.raises(rt.DataError, match="port 'b' has no column; the data's are 'a', 'output'"):
        quiet(net, {"a": x, "output": x})


def test_what_is_no_net_is_refused():
    with pytest.raises(rt.ArgumentError, match="the first argument is a net"):
        quiet(spots(), spot_net())


# Showing ------------------------------------------------------------------------------------------


def test_one_line_an_epoch_where_there_is_no_terminal(monkeypatch):
    told = io.StringIO()
    monkeypatch.setattr(sys, "stderr", told)
    rt.train(spot_net(), spots(), epochs=2, validation=0.1)
    lines = told.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss ")
    assert all(word in lines[1] for word in ("accuracy", "val_loss", "val_accuracy", "s  ", "examples/s"))


def test_no_word_where_silence_is_asked_for(capfd):
    quiet(spot_net(), spots(), epochs=1)
    assert capfd.readouterr() == ("", "")


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("wide", "shown"), [(76, []), (86, ["40 ms"]), (120, ["40 ms", "examples/s"])])
def test_an_epoch_has_one_line_of_a_terminal(monkeypatch, wide, shown):
    told = Terminal()
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(wide))
    monkeypatch.setenv("NO_COLOR", "1")
    progress = Progress(None, 3, 100)
    entry = {"epoch": 1, "loss": 1.676, "accuracy": 0.5121, "val_loss": 1.087, "val_accuracy": 0.7367}
    with progress:
        progress.epoch({**entry, "rate": 0.1, "seconds": 0.04, "examples_per_second": 224947.0})
    (line,) = [line for line in told.getvalue().split("\n") if "val_accuracy" in line]
    line = line[line.index("epoch") :].rstrip()
    assert len(line) <= wide
    assert line.startswith("epoch 1/3  loss 1.676  accuracy 0.5121  val_loss 1.087  val_accuracy 0.7367")
    assert [word for word in ("40 ms", "examples/s") if word in line] == shown


@pytest.mark.parametrize("color", [True, False])
def test_a_live_line_in_a_terminal(monkeypatch, color):
    told = Terminal()
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setattr("retia.training.progress.EVERY", 0.0)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not color:
        monkeypatch.setenv("NO_COLOR", "1")
    rt.train(spot_net(), spots(), epochs=2)
    assert "epoch 1/2" in told.getvalue()
    assert "400/400" in told.getvalue()
    assert ("\x1b[38;" in told.getvalue() or "\x1b[3" in told.getvalue()) == color


def test_the_curves_are_drawn_without_touching_matplotlibs_state(tmp_path):
    import matplotlib

    backend = matplotlib.rcParams._get("backend")
    run = quiet(spot_net(), spots(), epochs=2, validation=0.2)
    figure = run.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "accuracy"]
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert [*drawn["training"]] == [entry["loss"] for entry in run.history]
    assert [*drawn["validation"]] == [entry["val_loss"] for entry in run.history]
    assert run.plot(ax=figure.axes[1]) is figure.axes[1]
    assert matplotlib.rcParams._get("backend") == backend
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()


def test_no_epoch_has_no_curves():
    with pytest.raises(rt.TrainingError, match="No epoch was finished"):
        quiet(spot_net(), spots(), epochs=0).plot()


def test_the_summary_shows_what_was_chosen():
    run = quiet(spot_net(), spots(), epochs=2, validation=0.1)
    text = str(run)
    for line in ("loss           cross-entropy", "batch_size     64", "seed           0", "best epoch "):
        assert line in text
    assert "optimizer      Adam(learning_rate=0.001" in text
    assert "0.1 of the examples, drawn by seed 0" in text
    assert repr(run).startswith("<Training: 2 epochs, best ")

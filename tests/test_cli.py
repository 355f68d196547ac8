import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from PIL import Image

import retia as rt
from retia.cli.group import retia
from retia.training.optimizers import OPTIMIZERS
from retia.zoo import small

LABELS = ("dark", "light")


def run(*args: object) -> Result:
    return CliRunner().invoke(retia, [str(arg) for arg in args], prog_name="retia")


def start(*args: object, unbuffered: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "retia", *map(str, args)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one folder of small pictures a class."""
    folder = tmp_path_factory.mktemp("pictures")
    draws = np.random.default_rng(0)
    for label, low in zip(LABELS, (0, 200), strict=True):
        (folder / label).mkdir()
        for number in range(12):
            pixels = draws.integers(low, low + 56, (4, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a net that tells dark from light."""
    path = tmp_path_factory.mktemp("nets") / "net.safetensors"
    result = run(
        "train", pictures, "--net", "16-8-2", "--epochs", 20, "--rate", 0.05, "--save", path, "--quiet"
    )
    assert result.exit_code == 0, result.output
    return path


def test_train_saves_the_net_and_draws_its_curves(pictures: Path, tmp_path: Path) -> None:
    net, curves = tmp_path / "net.safetensors", tmp_path / "curves.png"
    result = run(
        "train", pictures, "--net", "16-3-2", "--activation", "tanh", "--epochs", 2, "--batch-size", 5,
        "--optimizer", "sgd", "--seed", 7, "--device", "cpu", "--engine", "walk", "--validation", 0.25,
        "--save", net, "--plot", curves,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"saved          {net}" in result.stdout
    assert f"curves         {curves}" in result.stdout
    assert [type(layer).__name__ for _, layer in rt.load(net).layers()] == [
        "Flatten", "Linear", "Tanh", "Linear", "Softmax",
    ]  # fmt: skip
    with Image.open(curves) as picture:
        assert picture.format == "PNG"


def test_the_same_seed_trains_the_same_net(pictures: Path, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.safetensors")]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        assert run("train", pictures, "--net", "16-2", "--seed", seed, "--save", path).exit_code == 0
    same, again, other = map(rt.load, paths)
    assert same == again
    assert same != other


def test_a_folder_trains_a_convolutional_net_by_default(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    result = run("train", pictures, "--epochs", 1, "--save", path, "--quiet")
    assert result.exit_code == 0, result.output
    net = rt.load(path)
    assert net.inputs["input"].codec == rt.Image(64, 64)
    assert net.outputs["output"].codec == rt.Classes(LABELS)


def test_predict_answers_the_label_of_one_picture(trained: Path, pictures: Path) -> None:
    for label in LABELS:
        assert run("predict", trained, pictures / label / "0.png").stdout == f"{label}\n"


def test_predict_answers_a_line_for_each_of_several_pictures(trained: Path, pictures: Path) -> None:
    files = [pictures / label / "0.png" for label in LABELS]
    expected = [f"{file}\t{label}" for file, label in zip(files, LABELS, strict=True)]
    assert run("predict", trained, *files).stdout.splitlines() == expected


def test_predict_answers_the_best_few_with_their_probabilities(trained: Path, pictures: Path) -> None:
    picture = pictures / "light" / "0.png"
    (answer,) = json.loads(run("predict", trained, picture, "--top", 2, "--json").stdout)
    assert answer["file"] == str(picture)
    assert [each["label"] for each in answer["answer"]] == ["light", "dark"]
    assert sum(each["probability"] for each in answer["answer"]) == pytest.approx(1)
    text = run("predict", trained, picture, "--top", 2).stdout
    assert text.startswith("light ")
    assert ", dark " in text


def test_predict_answers_as_the_net_does(trained: Path, pictures: Path) -> None:
    files = sorted(map(str, pictures.rglob("*.png")))
    answers = [each["answer"] for each in json.loads(run("predict", trained, *files, "--json").stdout)]
    assert answers == rt.load(trained)(files)


def test_predict_needs_a_net_that_reads_files(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "plain.safetensors"
    rt.Linear(2, input=3).init().save(path)
    result = run("predict", path, pictures / "dark" / "0.png")
    assert result.exit_code == 2
    assert (
        "predict needs one input with a codec and one output; it has input: (3); output: (2)" in result.stderr
    )


def test_show_prints_the_table(trained: Path) -> None:
    assert run("show", trained).stdout == f"{rt.load(trained)}\n"


def test_show_draws_a_diagram_besides_the_table(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.svg"
    shown = run("show", trained, "--svg", path, "--theme", "dark", "--depth", 1)
    assert shown.stdout == f"{rt.load(trained)}\n"
    assert path.read_text(encoding="utf8") == rt.load(trained).diagram(theme="dark", depth=1).svg
    wrong = run("show", trained, "--svg", tmp_path / "net.pdf")
    assert wrong.exit_code == 2
    assert "A diagram is saved as .svg or .png" in wrong.stderr


def test_show_gives_json_with_the_sizes_of_everything(trained: Path) -> None:
    facts = json.loads(run("show", trained, "--json").stdout)
    net = rt.load(trained)
    assert facts["expression"] == repr(net)
    assert facts["count"] == net.count
    assert facts["hash"] == net.hash
    assert facts["arrays"] == {path: list(tensor.shape) for path, tensor in net.arrays.items()}
    assert [layer["output"] for layer in facts["layers"]] == [[[16]], [[8]], [[8]], [[2]], [[2]]]


def test_data_lists_the_bundled_sets() -> None:
    listed = run("data").stdout.splitlines()
    assert listed[0].startswith("mnist\tpackage\t9.2 MB\tMNIST: handwritten digits")
    assert any(line.startswith("fashion-mnist\tdownload\t30.9 MB\tarticles of clothing") for line in listed)


def test_data_describes_a_set_and_a_folder(pictures: Path) -> None:
    assert "60,000 (train), 10,000 (test) examples" in run("data", "mnist").stdout
    assert run("data", pictures).stdout == f"{rt.data(pictures)}\n"


def test_the_version_is_the_package_s() -> None:
    from importlib.metadata import version

    assert run("--version").stdout == f"retia {version('retia')}\n"


@pytest.mark.parametrize("command", sorted(retia.commands))
def test_every_command_has_help_with_examples(command: str) -> None:
    help = run(command, "--help").stdout
    assert help.startswith(f"Usage: retia {command} ")
    assert f"retia {command} " in help.partition("\n\n")[2]
    assert "--traceback" in help


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete ")]
)
def test_completion_prints_a_script(shell: str, word: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0, result.output
    assert word in result.stdout
    assert "_RETIA_COMPLETE" in result.stdout


def test_completion_knows_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retia"], capture_output=True, text=True, check=False,
        env={**os.environ, "_RETIA_COMPLETE": "bash_complete", "COMP_WORDS": "retia pre", "COMP_CWORD": "1"},
    )  # fmt: skip
    assert done.stdout == "plain,predict\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["train", "mnits"], "DataError"),
        (["train", "mnist", "--net", "lenett"], "got 'lenett'. Did you mean 'lenet'?"),
        (["train", "mnist", "--net", "783-10"], "from a square picture's pixels to classes; got 783-10."),
        (["train", "mnist", "--net", "784-11"], "ShapeError"),
        (["train", "mnist", "--save", "nowhere/net.safetensors"], "there is no folder nowhere."),
        (["show", __file__], "FormatError"),
    ],
)  # fmt: skip
def test_an_error_is_its_message_and_exit_status_2(args: list[str], told: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_the_traceback_is_shown_when_it_is_asked_for() -> None:
    result = run("show", __file__, "--traceback")
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback")
    assert "FormatError" in result.stderr


@pytest.mark.parametrize(
    "args", [["show", "no-such-file"], ["train"], ["train", "mnist", "--epochs", "0"], ["shwo"]]
)
def test_a_wrong_call_says_so_with_exit_status_2(args: list[str]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_ctrl_c_keeps_the_best_net_and_saves_it(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with start("train", pictures, "--net", "16-2", "--epochs", 10**6, "--save", path) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert rt.load(path).count == 34


ALIKE = [
    (["--rate", 0.2], {"optimizer": rt.Adam(0.2)}),
    (["--optimizer", "sgd", "--rate", 0.2], {"optimizer": rt.SGD(0.2)}),
    (["--optimizer", "nesterov"], {"optimizer": rt.SGD(momentum=0.9, nesterov=True)}),
    (["--optimizer", "SGD(0.1, momentum=0.9)"], {"optimizer": rt.SGD(0.1, momentum=0.9)}),
    (["--optimizer", "rt.adamw(betas=(0.5, 0.9))"], {"optimizer": rt.AdamW(betas=(0.5, 0.9))}),
    (["--schedule", "cosine"], {"schedule": rt.CosineDecay()}),
    (["--schedule", "Warmup(2, then=rt.StepDecay(1))"], {"schedule": rt.Warmup(2, then=rt.StepDecay(1))}),
    (["--loss", "mse"], {"loss": rt.MSE()}),
    (["--loss", "CrossEntropy(smoothing=0.1)"], {"loss": rt.CrossEntropy(smoothing=0.1)}),
    (["--l1", 0.1], {"l1": 0.1}),
    (["--l2", 0.1], {"l2": 0.1}),
    (["--optimizer", "sgd", "--clip-norm", 0.01], {"optimizer": rt.SGD(), "clip_norm": 0.01}),
    (["--optimizer", "sgd", "--clip-value", 0.01], {"optimizer": rt.SGD(), "clip_value": 0.01}),
    (["--accumulate", 2], {"accumulate": 2}),
    (["--ema", 0.9], {"ema": 0.9}),
    (["--mix", "mixup"], {"mix": rt.MixUp()}),
    (["--mix", "mixup", "--mix", "MixUp(1, chance=0.5)"], {"mix": [rt.MixUp(), rt.MixUp(1, chance=0.5)]}),
    (["--precision", "bf16"], {"precision": "bf16"}),
    (["--batch-size", 3], {"batch_size": 3}),
    (["--epochs", 3], {"epochs": 3}),
    (["--validation", 0.5], {"validation": 0.5}),
    (["--seed", 5], {"seed": 5}),
    *((["--optimizer", name.lower()], {"optimizer": kind()}) for name, kind in OPTIMIZERS.items()
      if name != "Adam"),
]  # fmt: skip


@pytest.fixture(scope="module")
def plain(pictures: Path) -> rt.Net:
    """What a training gives that is told nothing but the net, the size of its batches and its epochs."""
    return rt.train(dense(), pictures, batch_size=8, epochs=2, progress=False).net


def dense() -> rt.Net:
    return small.dense([16, 2], labels=LABELS)


@pytest.mark.parametrize(("args", "how"), ALIKE, ids=lambda given: " ".join(map(str, given)))
def test_an_option_is_the_argument_of_its_name(
    args: list[object], how: dict[str, Any], pictures: Path, plain: rt.Net, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    usual = ["--net", "16-2", "--batch-size", 8, "--epochs", 2, "--save", path, "--quiet"]
    result = run("train", pictures, *usual, *args)
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = {"batch_size": 8, "epochs": 2, "progress": False, **how}
    net = rt.train(dense(), pictures, **told).net
    assert rt.load(path) == net
    assert net != plain


def test_the_last_net_is_kept_where_that_is_asked_for(pictures: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "best.safetensors", tmp_path / "last.safetensors"]
    for path in paths:
        result = run(
            "train", pictures, "--net", "16-2", "--rate", 0.3, "--validation", 0.25, "--epochs", 2,
            "--keep", path.stem, "--save", path,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
    best, last = map(rt.load, paths)
    assert best != last


@pytest.mark.parametrize(
    ("args", "epochs"),
    [
        (["--minutes", 1e-9], 1),
        (["--stop", "Target(loss=1000)"], 1),
        (["--stop", "EarlyStopping(1, on='loss', least_change=10)", "--stop", "TimeLimit(hours=1)"], 2),
        (["--patience", 1, "--validation", 0.25, "--rate", 0], 2),
        (["--patience", 3, "--validation", 0.25, "--rate", 0], 4),
    ],
)
def test_a_training_stops_when_it_was_told_to(
    args: list[object], epochs: int, pictures: Path, tmp_path: Path
) -> None:
    log = tmp_path / "run.jsonl"
    result = run("train", pictures, "--net", "16-2", "--epochs", 9, "--log", log, *args)
    assert result.exit_code == 0, result.output
    assert len(log.read_text().splitlines()) == epochs


def test_every_epoch_is_logged_with_the_metrics_asked_for(pictures: Path, tmp_path: Path) -> None:
    lines, table = tmp_path / "run.jsonl", tmp_path / "run.csv"
    result = run(
        "train", pictures, "--net", "16-2", "--epochs", 2, "--validation", 0.25, "--metrics", "f1",
        "--metrics", "top_1", "--log", lines, "--log", table,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    entries = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [entry["epoch"] for entry in entries] == [1, 2]
    assert {"f1", "val_f1", "top_1", "val_top_1"} < entries[0].keys()
    assert table.read_text().splitlines()[0] == ",".join(entries[0])


def test_the_report_is_a_page_and_the_verdict_a_line(pictures: Path, tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    result = run("train", pictures, "--net", "16-2", "--epochs", 2, "--l2", 0.125, "--report", page)
    assert result.exit_code == 0, result.output
    verdict = "Too short to tell: 2 epochs; 3 say something."
    assert result.stdout == f"report         {page}\nverdict        {verdict}\n"
    assert verdict in page.read_text()
    assert "0.125" in page.read_text()


def test_a_training_goes_on_from_its_checkpoint(pictures: Path, tmp_path: Path) -> None:
    whole, parts, folder = tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "runs"
    usual = ["train", pictures, "--net", "16-2", "--validation", 0.25]
    assert run(*usual, "--epochs", 4, "--save", whole).exit_code == 0
    assert run(*usual, "--epochs", 2, "--checkpoint", folder).exit_code == 0
    told = run(*usual, "--epochs", 4, "--checkpoint", folder)
    assert (told.exit_code, told.stderr.count("ArgumentError")) == (2, 1)
    assert run(*usual, "--epochs", 4, "--checkpoint", folder, "--resume", "--save", parts).exit_code == 0
    assert rt.load(parts) == rt.load(whole)


def test_a_saved_net_is_trained_on(trained: Path, pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    result = run("train", pictures, "--net", trained, "--rate", 0, "--epochs", 1, "--save", path)
    assert result.exit_code == 0, result.output
    assert rt.load(path) == rt.load(trained)


def test_a_training_that_diverges_keeps_its_best_net_and_can_be_replayed(
    pictures: Path, tmp_path: Path
) -> None:
    path, folder = tmp_path / "net.safetensors", tmp_path / "runs"
    result = run(
        "train", pictures, "--net", "16-3-2", "--optimizer", "SGD(1e30)", "--loss", "mse",
        "--checkpoint", folder, "--save", path,
    )  # fmt: skip
    assert result.exit_code == 2
    assert "TrainingError: The loss became nan" in result.stderr
    assert rt.load(path).count == 59
    (file,) = folder.glob("replay-*.safetensors")
    assert run("replay", file).stdout == f"{rt.replay(file)}\n"


def test_check_prints_the_audit_of_the_same_options(pictures: Path) -> None:
    result = run(
        "check", pictures, "--net", "16-2", "--optimizer", "SGD(0.5)", "--epochs", 7, "--loss", "mse",
        "--engine", "program",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines() if line.startswith("  ")]
    facts = {line[0]: line[1] for line in lines if len(line) == 2}
    assert facts["optimizer"] == "SGD(0.5)"
    assert facts["steps"] == "7"
    assert facts["engine"].startswith("program")
    assert facts["loss"].startswith("mse")
    assert facts["parameters"] == "34"


def test_check_leaves_with_1_where_a_training_would_be_refused(pictures: Path) -> None:
    result = run("check", pictures, "--net", "16-2", "--stop", "Target(val_accuracy=0.9)")
    assert result.exit_code == 1
    assert result.stdout.startswith("1 problem, ")
    assert result.stderr == ""


def test_measure_prints_the_figures(trained: Path, pictures: Path) -> None:
    expected = rt.measure(rt.load(trained), pictures)
    assert run("measure", trained, pictures).stdout == f"{expected}\n"
    some = rt.measure(rt.load(trained), pictures, metrics=["f1", "auc"])
    assert run("measure", trained, pictures, "--metrics", "f1", "--metrics", "auc").stdout == f"{some}\n"
    facts = json.loads(run("measure", trained, pictures, "--json").stdout)
    assert facts == {"examples": 24, **expected.figures()}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a net for MNIST that has learned nothing."""
    path = tmp_path_factory.mktemp("digits") / "net.safetensors"
    small.dense([784, 10], labels=list(range(10))).init().save(path)
    return path


def test_measure_takes_the_test_part_or_the_one_that_is_named(digits: Path) -> None:
    counts = [
        json.loads(run("measure", digits, "mnist", "--json", *part).stdout)["examples"]
        for part in ([], ["--part", "test"], ["--part", "train"])
    ]
    assert counts == [10_000, 10_000, 60_000]


def test_completion_knows_names_of_values() -> None:
    def words(*args: str) -> list[str]:
        shell = ShellComplete(retia, {}, "retia", "_RETIA_COMPLETE")
        return [item.value for item in shell.get_completions([*args[:-1]], args[-1])]

    assert words("train", "--optimizer", "ada") == ["adam", "adamw", "adamax", "adagrad", "adadelta"]
    assert words("train", "--schedule", "o") == ["one-cycle"]
    assert words("check", "--loss", "cr") == ["cross-entropy"]
    assert words("train", "--mix", "") == ["mixup", "cutmix"]
    assert words("measure", "a", "b", "--metrics", "cal") == ["calibration_error"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--optimizer", "adma"], "optimizer: there is none called 'adma'."),
        (["--optimizer", "SDG(0.1)"], "optimizer: there is none called 'SDG'. Did you mean 'SGD'?"),
        (["--optimizer", "SGD(0.1"], "optimizer is a name, or as Python has it; 'SGD(0.1' cannot be read."),
        (["--optimizer", "SGD(open('x'))"], "optimizer: there is none called 'open'."),
        (["--optimizer", "SGD(rate)"], "optimizer: rate is no number, text in quotes, tuple, list or dict"),
        (["--optimizer", "SGD(lr=1)"], "SGD has no argument 'lr'. Here it is called learning_rate, and"),
        (["--optimizer", "SGD(**{'lr': 1})"], "optimizer: SGD(**{'lr': 1}) is no number, text in quotes"),
        (["--schedule", "step"], "fix   schedule=rt.StepDecay(30)"),
        (["--loss", "MSELos(1)"], "loss: there is none called 'MSELos'."),
        (["--mix", "MixUpp"], "mix: there is none called 'MixUpp'. Did you mean 'MixUp'?"),
        (["--stop", "Target"], "Target has no target."),
        (["--stop", "Target(1)"], "takes 1 positional argument but 2 were given"),
        (["--resume"], "--resume goes on from a checkpoint: --checkpoint FOLDER is missing."),
        (["--device", "cudo"], "device='cudo' is not there. Did you mean 'cuda'?"),
        (["--patience", "0"], "0 is not in the range x>=1."),
        (["--report", "run.pdf"], "run.pdf: a report is written as .html."),
        (["--log", "run.txt"], "run.txt: epochs are logged as .jsonl, .csv."),
        (["--metrics", "f2", "--net", "784-10"], "metrics: there is none called 'f2'."),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused_before_the_training(args: list[str], told: str) -> None:
    result = run("train", "mnist", *args)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--part", "tets"], "--part: mnist has the parts train, test, not 'tets'. Did you mean 'test'?"),
        (["--metrics", "f2"], "metrics: there is none called 'f2'."),
    ],
)
def test_measure_refuses_what_is_not_there(args: list[str], told: str, digits: Path) -> None:
    result = run("measure", digits, "mnist", *args)
    assert result.exit_code == 2
    assert told in result.stderr


def examples_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("retia ")]


def test_every_line_of_the_readme_and_of_the_help_is_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text()
    lines = examples_of(readme.partition("## In a shell\n")[2].partition("\n## ")[0])
    for each in [retia, *retia.commands.values()]:
        lines += examples_of(each.help or "")
    assert len(lines) > 20
    monkeypatch.chdir(tmp_path)
    for name in ("digits.safetensors", "pets.safetensors", "seven.png", "*.png"):
        Path(name).touch()
    for line in lines:
        _, command, *args = shlex.split(line, comments=True)
        for name in args:
            if name.startswith("runs/pets/"):
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).touch()
        retia.commands[command].make_context(command, args)


def test_sigterm_writes_a_checkpoint_and_exits_143(pictures: Path, tmp_path: Path) -> None:
    usual = ["train", pictures, "--net", "16-2", "--checkpoint", tmp_path / "runs"]
    with start(*usual, "--epochs", 10**6) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert errors.endswith("terminated; --resume goes on from the checkpoint\n")
    again = run(*usual, "--epochs", 1, "--resume")
    assert again.exit_code == 0, again.output
    assert "resumed after step " in again.stderr


def test_ctrl_c_outside_of_a_training_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rt.sources, "data", pressed)
    result = run("data", "mnist")
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_traceback(trained: Path, unbuffered: str) -> None:
    with start("show", trained, unbuffered=unbuffered) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == ""


def test_a_net_of_numbers_is_tested_by_its_own_figures(tmp_path):
    net = rt.Chain(rt.Flatten(), rt.Linear(), input=rt.Image(28, 28, color="gray"), output=rt.Scalar())
    net.init(seed=0).save(tmp_path / "net.safetensors")
    told = run("train", "mnist", "--net", tmp_path / "net.safetensors", "--epochs", "1", "--quiet").stdout
    assert re.search(r"^test  loss \d\S*  mse .*  10,000 examples$", told, re.M)

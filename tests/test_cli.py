import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import retia as rt
from retia.cli.group import retia

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


def test_show_gives_json_with_the_sizes_of_everything(trained: Path) -> None:
    facts = json.loads(run("show", trained, "--json").stdout)
    net = rt.load(trained)
    assert facts["expression"] == repr(net)
    assert facts["count"] == net.count
    assert facts["hash"] == net.hash
    assert facts["arrays"] == {path: list(tensor.shape) for path, tensor in net.arrays.items()}
    assert [layer["output"] for layer in facts["layers"]] == [[[16]], [[8]], [[8]], [[2]], [[2]]]


def test_data_lists_the_bundled_sets() -> None:
    assert run("data").stdout.startswith("mnist\tMNIST: handwritten digits")


def test_data_describes_a_set_and_a_folder(pictures: Path) -> None:
    assert "60,000 (train), 10,000 (test) examples" in run("data", "mnist").stdout
    assert run("data", pictures).stdout == f"{rt.data(pictures)}\n"


def test_the_version_is_the_package_s() -> None:
    from importlib.metadata import version

    assert run("--version").stdout == f"retia {version('retia')}\n"


@pytest.mark.parametrize("command", ["train", "predict", "show", "data", "completion"])
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


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_traceback(trained: Path, unbuffered: str) -> None:
    with start("show", trained, unbuffered=unbuffered) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == ""

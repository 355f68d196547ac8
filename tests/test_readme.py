"""The README's Python runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retia as rt

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf8")
BEFORE, _, REST = TEXT.partition("## Training that explains itself\n")
EXPLAINED, _, AFTER = REST.partition("\n## ")


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.S)


BLOCKS = blocks(BEFORE + AFTER)
TRAINING = [block for block in BLOCKS if "rt.train(" in block]
OTHERS = [block for block in BLOCKS if block not in TRAINING]


def digit(label: int) -> Image.Image:
    """A picture of the test part."""
    test = rt.data("mnist").test
    assert test is not None
    columns = test.take(100).arrays()
    return Image.fromarray(columns["input"][np.flatnonzero(columns["output"] == label)[0]])


def test_all_blocks_but_the_training_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in OTHERS:
        exec(block, names)
    assert "169,670" in capsys.readouterr().out
    assert names["pets"].arrays == {}
    assert names["pets"].array_shapes()["classifier.weight"] == (2, 60)


@pytest.mark.full
def test_the_training_block_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digit(7).save("seven.png")
    digit(3).save("three.png")
    names: dict[str, object] = {}
    exec(OTHERS[0], names)
    for line in TRAINING[0].splitlines():
        answer, _, said = line.partition("#")
        names["answer"] = None
        exec(answer if answer.startswith(("run =", "run.net.save")) else f"answer = {answer}", names)
        if said.strip() in ("7", "[7, 3]"):
            assert names["answer"] == eval(said)
    assert names["answer"] >= 0.97
    assert {path.name for path in tmp_path.iterdir()} >= {"digits.safetensors", "curves.png"}


def test_a_frozen_part_is_computed_once() -> None:
    names: dict[str, object] = {}
    exec(OTHERS[0], names)
    *lines, last = TRAINING[1].strip().splitlines()
    exec("\n".join(lines).replace("epochs=10", "epochs=2, progress=False"), names)
    asked, said = last.split("  # ")
    assert eval(asked, names) == said


def test_texts_are_data_as_pictures_are() -> None:
    names: dict[str, object] = {"rt": rt}
    exec(TRAINING[2].replace("epochs=2", "epochs=2, progress=False"), names)
    assert set(names["run"].net(["You have won! Call now", "see you at home"])) <= {"ham", "spam"}


def test_a_training_explains_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"digits": rt.data("mnist").train.take(2000)}
    for block in [OTHERS[0], *blocks(EXPLAINED)]:
        exec(block, names)
    run = names["run"]
    assert isinstance(run, rt.Training)
    assert run.why.startswith("val_loss was no better for 5 epochs; it was best in ")
    assert (tmp_path / "digits.html").is_file()


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((README.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = [
        *project["dependencies"],
        *extras["plots"],
        *extras["pandas"],
        *extras["audio"],
        *extras["tensorboard"],
        *extras["test"],
    ]
    packages = {re.match(r"[\w-]+", each)[0] for each in named} - {"retia"}
    last = README.read_text(encoding="utf8").rpartition("\n## ")[2]
    assert last.startswith("Dependencies")
    assert {package for package in packages if f"`{package}`" not in last} == set()


def test_the_commands_of_the_readme_are_there() -> None:
    from retia.cli.group import retia

    text = README.read_text(encoding="utf8")
    shell = re.findall(r"^    retia (\w+) (.*)$", text, re.M)
    assert {command for command, _ in shell} == set(retia.commands) - {"completion"}
    for command, rest in shell:
        options = {name for parameter in retia.commands[command].params for name in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= options


@pytest.mark.full
def test_the_example_answers_twenty_digits_with_probabilities() -> None:
    example = README.parent / "examples" / "mnist.py"
    done = subprocess.run([sys.executable, example], capture_output=True, text=True, check=True)
    told = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[-4:]}
    assert told["probabilities"] == ["(20,", "10)"]
    assert len(told["answers"]) == len(told["labels"]) == 20
    assert sum(a == b for a, b in zip(told["answers"], told["labels"], strict=True)) >= 17

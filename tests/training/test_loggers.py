"""Loggers: a line an epoch, none twice, whatever happened before."""

from __future__ import annotations

import csv
import json
import math
import os

import pytest

import retia as rt
from retia.errors import FileError
from retia.training import loggers
from retia.training.callbacks import View, read_callbacks
from retia.training.loggers import CSV, JSONLines, TensorBoard

HISTORY = [{"epoch": e, "loss": 1 / e, "val_loss": 2 / e, "note": f'"{e}", ü'} for e in range(1, 7)]


def view(count, history=HISTORY):
    return View(count, 10 * count, 60, entries=history[:count])


def logged(logger, begin, end, history=HISTORY):
    """A training from one epoch to another, as the loop tells of it."""
    callbacks = read_callbacks(logger)
    callbacks.call("start", view(begin, history))
    for count in range(begin + 1, end + 1):
        callbacks.call("epoch", view(count, history))
    callbacks.call("end", view(end, history))


def json_lines(place):
    return [json.loads(line) for line in place.read_text(encoding="utf8").splitlines()]


def table(place):
    with open(place, encoding="utf8", newline="") as file:
        return [*csv.DictReader(file)]


def as_texts(history):
    return [{name: str(value) for name, value in entry.items()} for entry in history]


def test_json_lines_hold_every_epoch_exactly(tmp_path):
    place = tmp_path / "runs" / "log.jsonl"
    logged(JSONLines(place), 0, 6)
    assert json_lines(place) == HISTORY


def test_a_table_holds_every_epoch_exactly(tmp_path):
    place = tmp_path / "runs" / "log.csv"
    logged(CSV(place), 0, 6)
    assert table(place) == as_texts(HISTORY)
    assert [float(row["loss"]) for row in table(place)] == [entry["loss"] for entry in HISTORY]


@pytest.mark.parametrize(("kind", "read"), [(JSONLines, json_lines), (CSV, table)])
def test_every_epoch_can_be_read_as_soon_as_it_is_done(kind, read, tmp_path):
    logger = kind(tmp_path / "log")
    logger.start(view(0))
    for count in range(1, 7):
        logger.epoch(view(count))
        assert [int(entry["epoch"]) for entry in read(tmp_path / "log")] == [*range(1, count + 1)]


@pytest.mark.parametrize(("kind", "read"), [(JSONLines, json_lines), (CSV, table)])
@pytest.mark.parametrize("half", [b"", b'{"epoch": 5, "lo', b"5,0.2"])
def test_a_training_that_goes_on_has_no_line_twice(kind, read, half, tmp_path):
    place = tmp_path / "log"
    logged(kind(place), 0, 4)
    with open(place, "ab") as file:
        file.write(half)  # killed while it wrote the fifth
    logged(kind(place), 2, 6)  # its last checkpoint was after the second
    assert [int(entry["epoch"]) for entry in read(place)] == [1, 2, 3, 4, 5, 6]
    logged(kind(tmp_path / "whole"), 0, 6)
    assert place.read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("kind", [JSONLines, CSV])
def test_a_new_training_begins_a_new_file(kind, tmp_path):
    logged(kind(tmp_path / "log"), 0, 6)
    logged(kind(tmp_path / "log"), 0, 3)
    logged(kind(tmp_path / "new"), 0, 3)
    assert (tmp_path / "log").read_bytes() == (tmp_path / "new").read_bytes()


def test_what_json_has_no_word_for_is_null(tmp_path):
    odd = [{"epoch": 1, "a": math.nan, "b": math.inf, "c": -math.inf, "d": 1e-300}]
    logged(JSONLines(tmp_path / "log"), 0, 1, odd)
    assert json_lines(tmp_path / "log") == [{"epoch": 1, "a": None, "b": None, "c": None, "d": 1e-300}]
    logged(CSV(tmp_path / "log.csv"), 0, 1, odd)
    assert table(tmp_path / "log.csv") == [{"epoch": "1", "a": "nan", "b": "inf", "c": "-inf", "d": "1e-300"}]


def test_a_figure_that_comes_later_gets_a_column(tmp_path):
    history = [{"epoch": 1, "loss": 3}, {"epoch": 2, "loss": 2, "f1": 0.5}, {"epoch": 3, "f1": 0.6}]
    logged(CSV(tmp_path / "log"), 0, 3, history)
    assert (tmp_path / "log").read_text() == "epoch,loss,f1\n1,3,\n2,2,0.5\n3,,0.6\n"


def test_a_logger_writes_where_it_was_made_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logger = JSONLines("log")
    monkeypatch.chdir("/")
    logged(logger, 0, 1)
    assert json_lines(tmp_path / "log") == HISTORY[:1]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    for kind in (JSONLines, CSV):
        logger = kind(tmp_path / "folder")
        with pytest.raises(FileError) as caught:
            logger.start(view(0))
        assert str(caught.value) == f"{tmp_path / 'folder'}: could not be written: it is a folder."
        with pytest.raises(FileError, match="could not be written: Is a directory"):
            logger.epoch(view(2))
    with pytest.raises(rt.ArgumentError, match="a path is a text"):
        JSONLines(3)


# TensorBoard --------------------------------------------------------------------------------------


def events(folder):
    """All events in a folder, as TensorBoard reads them: file by file in the order of their names."""
    reader = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = []
    for name in sorted(os.listdir(folder)):
        raw = (folder / name).read_bytes()
        while raw:
            length = int.from_bytes(raw[:8], "little")
            event = reader.Event()
            event.ParseFromString(raw[12 : 12 + length])
            found.append(event)
            raw = raw[12 + length + 4 :]
    return found


def shown(folder):
    """What TensorBoard shows: a session that starts at a step makes it forget what was from there on."""
    curves = {}
    for event in events(folder):
        if event.HasField("session_log"):
            curves = {n: {s: v for s, v in c.items() if s < event.step} for n, c in curves.items()}
        for value in event.summary.value:
            curve = curves.setdefault(value.tag, {})
            assert event.step not in curve, "a step stands twice"
            curve[event.step] = value.simple_value
    return curves


def test_tensorboard_shows_every_figure_of_every_epoch(tmp_path):
    logged(TensorBoard(tmp_path / "runs"), 0, 3)
    curves = shown(tmp_path / "runs")
    assert curves.keys() == {"loss", "val_loss"}
    assert curves["loss"] == pytest.approx({1: 1.0, 2: 0.5, 3: 1 / 3})


def test_tensorboard_shows_no_step_twice_when_a_training_goes_on(tmp_path):
    logger = TensorBoard(tmp_path)
    logger.start(view(0))
    for count in range(1, 5):
        logger.epoch(view(count))
        assert len(shown(tmp_path)["loss"]) == count
    os.rename(*[(each := next(tmp_path.iterdir())), each.with_name("events.out.tfevents.1")])
    logger.end(view(4))
    logged(TensorBoard(tmp_path), 2, 6)
    assert len(os.listdir(tmp_path)) == 2
    assert shown(tmp_path)["loss"] == pytest.approx({e: 1 / e for e in range(1, 7)})


def test_without_its_writer_tensorboard_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "_files", loggers.Late("no_such_writer", extra="tensorboard"))
    with pytest.raises(rt.MissingExtraError) as caught:
        TensorBoard(tmp_path).start(view(0))
    assert str(caught.value) == (
        "This needs no_such_writer, which is not installed.\n  fix   pip install 'retia[tensorboard]'"
    )

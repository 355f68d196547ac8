"""Loggers: callbacks that write every epoch's entry down, as JSON Lines, as CSV, for TensorBoard.

What is written is what the history says, whatever happened before: when a training begins, the file is made
to hold the history so far, and every epoch is appended and handed to the system at once. So a training that
goes on from a checkpoint has no line twice, and none of epochs that it did not keep.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from retia import _atomic
from retia._late import Late
from retia.formats.container import place_of
from retia.training.callbacks import View

# Its writer of files alone: what stands around it hands events to a thread, which may lose the last ones.
_files: Any = Late("tensorboardX.event_file_writer", extra="tensorboard")
_events: Any = Late("tensorboardX.proto.event_pb2", extra="tensorboard")
_summary: Any = Late("tensorboardX.summary", extra="tensorboard")

NOT_DRAWN = ("epoch",)


class JSONLines:
    """A logger that writes one JSON object a line for every epoch: ``callbacks=[rt.JSONLines("run.jsonl")]``.

    What JSON has no word for (NaN, infinity) becomes null.

    Args:
        path: of the file. Its folder is made if it is not there; a file that is there is replaced.
    Raises:
        FileError: (when a training begins) the system refuses.
    Example:
        >>> import pathlib, tempfile
        >>> import retia as rt
        >>> log = JSONLines(pathlib.Path(tempfile.mkdtemp(), "run.jsonl"))
        >>> log.start(View(0, 0, 20))
        >>> log.epoch(View(1, 10, 20, entries=[{"epoch": 1, "loss": 0.5, "val_loss": float("nan")}]))
        >>> pathlib.Path(log.path).read_text()
        '{"epoch": 1, "loss": 0.5, "val_loss": null}\\n'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(place_of(path))

    def start(self, view: View) -> None:
        """Write the history so far."""
        _replace(self.path, "".join(map(_json, view.history)))

    def epoch(self, view: View) -> None:
        """Append the epoch's entry."""
        _append(self.path, _json(view.history[-1]))

    def __repr__(self) -> str:
        return f"JSONLines({self.path!r})"


class CSV:
    """A logger that writes a table with a row for every epoch: ``callbacks=[rt.CSV("run.csv")]``.

    The first line names the columns. A figure that appears later than in the first epoch gets a column too;
    where an entry has no such figure the place is empty.

    Args:
        path: of the file. Its folder is made if it is not there; a file that is there is replaced.
    Raises:
        FileError: (when a training begins) the system refuses.
    Example:
        >>> import pathlib, tempfile
        >>> log = CSV(pathlib.Path(tempfile.mkdtemp(), "run.csv"))
        >>> log.epoch(View(1, 10, 20, entries=[{"epoch": 1, "loss": 0.5}]))
        >>> pathlib.Path(log.path).read_text().splitlines()
        ['epoch,loss', '1,0.5']
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(place_of(path))

    def start(self, view: View) -> None:
        """Write the history so far."""
        _replace(self.path, _table(view.history))

    def epoch(self, view: View) -> None:
        """Append the epoch's entry; write all anew where it has a figure that no epoch had before."""
        before, entry = _columns(view.history[:-1]), view.history[-1]
        if before and not entry.keys() - set(before):
            _append(self.path, _lines([entry], before))
        else:
            _replace(self.path, _table(view.history))

    def __repr__(self) -> str:
        return f"CSV({self.path!r})"


class TensorBoard:
    """A logger whose curves TensorBoard shows: ``callbacks=[rt.TensorBoard("runs/pets")]``.

    Every figure of an epoch becomes a scalar of its name at the epoch's number. When a training begins or
    goes on, TensorBoard is told to forget what an earlier one wrote for its epochs into this folder.

    Args:
        folder: made if it is not there; ``tensorboard --logdir`` shows it and those beside it.
    Raises:
        MissingExtraError: (when a training begins) the writer is not installed.
    Example:
        >>> TensorBoard("runs/pets").folder.endswith("pets")
        True
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = os.path.abspath(place_of(folder))
        self._writer: Any = None

    def start(self, view: View) -> None:
        """Begin a file of events."""
        _atomic.made_folder(self.folder)
        # Names have a time in whole seconds.
        self._writer = _files.EventsWriter(os.path.join(self.folder, "events"), f".{secrets.token_hex(4)}")
        begun = _events.SessionLog(status=_events.SessionLog.START)
        self._write(len(view.history) + 1, session_log=begun)
        self._writer.flush()

    def epoch(self, view: View) -> None:
        """Write the epoch's figures."""
        entry = view.history[-1]
        for name, value in entry.items():
            if name not in NOT_DRAWN and isinstance(value, int | float):
                self._write(entry["epoch"], summary=_summary.scalar(name, value))
        self._writer.flush()

    def _write(self, step: int, **what: Any) -> None:
        self._writer.write_event(_events.Event(wall_time=time.time(), step=step, **what))

    def end(self, view: View) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __repr__(self) -> str:
        return f"TensorBoard({self.folder!r})"


def _json(entry: Mapping[str, Any]) -> str:
    finite = {name: None if _is_odd(value) else value for name, value in entry.items()}
    return json.dumps(finite, ensure_ascii=False, allow_nan=False) + "\n"


def _is_odd(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _table(history: Sequence[Mapping[str, Any]]) -> str:
    columns = _columns(history)
    return _lines([dict(zip(columns, columns, strict=True)), *history], columns) if columns else ""


def _columns(history: Iterable[Mapping[str, Any]]) -> list[str]:
    return [*dict.fromkeys(name for entry in history for name in entry)]


def _lines(entries: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    made = io.StringIO()
    csv.DictWriter(made, columns, restval="", lineterminator="\n").writerows(map(dict, entries))
    return made.getvalue()


def _replace(path: str, text: str) -> None:
    _atomic.made_folder(os.path.dirname(path))
    raw = text.encode()
    _atomic.write(path, [raw], size=len(raw))


def _append(path: str, text: str) -> None:
    try:
        with open(path, "ab") as file:
            file.write(text.encode())
    except OSError as error:
        raise _atomic.failed(path, "could not be written", error) from None

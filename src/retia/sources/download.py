"""Files of known sets, fetched once and kept in a folder of the user's.

A file is checked by its sha256 while it is written and takes its place only when it is whole. What stands in
its place is used and never changed. Nothing is unpacked here, and nothing that was fetched is run.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from retia import _atomic
from retia._late import Late
from retia.errors import DataError, FileError
from retia.sources.catalogue import Entry, Remote

if TYPE_CHECKING:
    import hashlib
    from http import client as http_client
    from http.client import HTTPResponse
    from urllib import error as urllib_error
    from urllib import request
else:
    hashlib = Late("hashlib")
    request = Late("urllib.request")
    urllib_error = Late("urllib.error")
    http_client = Late("http.client")


Opener: TypeAlias = "Callable[[str, int], HTTPResponse]"
"""Opens an address from a byte on; what answers may begin at the first byte all the same."""

CHUNK = 1 << 20
PATIENCE = 60.0
"""Seconds without a byte after which a connection counts as cut."""

TRIES = 5
"""So often in a row a connection may break without a byte more."""

WAIT = 1.0
"""Seconds from the first break to the next try; twice as many after each one more."""


def folder_of(name: str) -> Path:
    """Where the files of a set are kept: in ``RETIA_DATA``, else where the system keeps caches."""
    said = os.environ.get("RETIA_DATA")
    if said:
        return Path(said).expanduser() / name
    if sys.platform == "win32":
        place = Path(os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local"))
    elif sys.platform == "darwin":
        place = Path(os.path.expanduser("~/Library/Caches"))
    else:
        place = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return place / "retia" / "data" / name


def open_url(url: str, start: int, scheme: str = "https") -> HTTPResponse:
    """Open an address by one scheme alone, also where it is sent on to another address."""
    opener = request.OpenerDirector()
    by_scheme = request.HTTPSHandler if scheme == "https" else request.HTTPHandler
    for handler in (
        request.ProxyHandler, request.UnknownHandler, request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler, request.HTTPErrorProcessor, by_scheme,
    ):  # fmt: skip
        opener.add_handler(handler())
    headers = {"User-Agent": "retia", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    answer: HTTPResponse = opener.open(request.Request(url, headers=headers), timeout=PATIENCE)
    return answer


def fetched(
    entry: Entry, *, folder: Path | None = None, opener: Opener = open_url, wait: float = WAIT
) -> Path:
    """The folder with all files of a set; those that are missing are fetched.

    Args:
        entry: the set.
        folder: where they are, or shall be.
        opener: of addresses.
        wait: seconds before a broken connection is tried again.
    Raises:
        DataError: a file is missing and cannot be fetched, or is not the one that is meant.
    """
    folder = folder_of(entry.name) if folder is None else folder
    missing = [file for file in entry.files if not _stands(entry, folder, file)]
    if missing and entry.by_hand:
        raise _unavailable(entry, folder, missing, "nobody offers a file of it for download")
    for number, file in enumerate(missing):
        try:
            _atomic.made_folder(str(folder))
            _atomic.write(str(folder / file.name), _pieces(file, opener, wait), size=file.bytes)
        except _GoneError as gone:
            raise _unavailable(entry, folder, missing[number:], f"{file.name} {gone}") from None
        except FileError as error:
            raise _unavailable(entry, folder, missing[number:], error.message.rstrip(".")) from None
    return folder


class _GoneError(Exception):
    """Why a file could not be fetched."""


def _unavailable(entry: Entry, folder: Path, missing: Sequence[Remote], why: str) -> DataError:
    """The one error of files that are not there, with all that is needed to put them there by hand."""
    told = [
        f"{file.name}, {file.bytes:,} bytes, sha256 {file.sha256}" + (f", {file.url}" if file.url else "")
        for file in missing
    ]
    it = "this file" if len(missing) == 1 else "these files"
    return DataError(
        f"data: {entry.name!r} is not here: {why}.",
        because=told,
        fix=f"put {it} into {folder} (RETIA_DATA names another place for all sets)",
        path=str(folder),
        expected=[file.name for file in missing],
        got=why,
    )


# Files that are there -----------------------------------------------------------------------------


def _stands(entry: Entry, folder: Path, file: Remote) -> bool:
    """Whether a file is in its place; one that is not what is meant is an error."""
    path = folder / file.name
    try:
        found = os.stat(path)
        good = found.st_size == file.bytes and _sha256(path, found.st_mtime_ns) == file.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", path=str(path)) from None
    if not good:
        then = "put the right one there" if entry.by_hand else "it is then fetched again"
        raise DataError(
            f"{path} is not the file that is meant.",
            because=[f"{file.name} of {entry.name!r} has {file.bytes:,} bytes and sha256 {file.sha256}"],
            fix=f"delete it; {then}",
            path=str(path),
            expected=file.sha256,
        )
    return True


@functools.cache
def _sha256(path: Path, changed: int) -> str:
    """Of a file, read once in a process as long as it does not change."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Files that come ----------------------------------------------------------------------------------


def _pieces(file: Remote, opener: Opener, wait: float) -> Iterator[bytes]:
    """The bytes of a file from its address, after a break from where it broke off; checked at their end."""
    digest = hashlib.sha256()
    done = breaks = 0
    with _Progress(file) as progress:
        while done < file.bytes:
            before = done
            try:
                with opener(file.url, done) as answer:
                    for piece in _from(answer, file, done):
                        done += len(piece)
                        if done > file.bytes:
                            raise _GoneError(f"has more than {file.bytes:,} bytes at {file.url}")
                        digest.update(piece)
                        progress(done)
                        yield piece
                why = "the connection ended early"
            except urllib_error.HTTPError as error:
                error.close()
                why = f"the answer was {error.code} {error.reason}"
                if error.code < 500 and error.code not in (408, 429):
                    raise _GoneError(f"cannot be fetched from {file.url}: {why}") from None
            except (OSError, http_client.HTTPException) as error:
                why = str(getattr(error, "reason", "") or error) or type(error).__name__
                if done == 0 and isinstance(error, urllib_error.URLError):  # there is no way there
                    raise _GoneError(f"cannot be fetched from {file.url}: {why}") from None
            breaks = 0 if done > before else breaks + 1
            if breaks == TRIES:
                raise _GoneError(f"cannot be fetched from {file.url}: {why}")
            if done < file.bytes:
                time.sleep(wait * 2 ** min(breaks, TRIES))
    if digest.hexdigest() != file.sha256:
        found = digest.hexdigest()
        raise _GoneError(f"has other bytes at {file.url} than are meant: sha256 {found}")


def _from(answer: HTTPResponse, file: Remote, start: int) -> Iterator[bytes]:
    """What an answer has from a byte on, whether it begins there or at the first one."""
    skip = start if answer.status != 206 else 0
    length = answer.headers.get("Content-Length")
    if length is not None and length.isdigit() and int(length) != file.bytes - start + skip:
        raise _GoneError(f"has {int(length) + start - skip:,} bytes at {file.url}, not {file.bytes:,}")
    while piece := answer.read(CHUNK):
        left = piece[skip:]
        skip -= min(skip, len(piece))
        if left:
            yield left


class _Progress:
    """A line on stderr: which file comes, and how much of it is there."""

    def __init__(self, file: Remote) -> None:
        self.file = file
        self.lively = sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> _Progress:
        if not self.lively and sys.stderr is not None:
            print(f"fetching {self._told()} from {self.file.url}", file=sys.stderr)
        return self

    def __call__(self, done: int) -> None:
        """Tell how much is there."""
        if self.lively:
            print(f"\rfetching {done / 1e6:.1f} of {self._told()}", end="", file=sys.stderr, flush=True)

    def __exit__(self, *what: object) -> None:
        if self.lively:
            print(file=sys.stderr)

    def _told(self) -> str:
        return f"{self.file.name} ({self.file.bytes / 1e6:.1f} MB)"

"""Checks where a job's responses are to be written, before anything is sent."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from ..disk.files import DRAFT_PREFIX, PRIVATE_FILE, PRIVATE_FOLDER, Draft
from ..errors import RequestError, StorageError

STDOUT = "-"
DEVICES = ("/dev/", "/proc/")
"""Folders of the names that standard output has, such as `/dev/stdout` and `/dev/fd/1`."""


class Output:
    """
    A checked output. A pipe stays open from the check on: its reader ends when it is closed.

    `is_stdout` says that it is standard output, under whatever name.
    """

    def __init__(self, path: Path, *, is_stdout: bool = False, pipe: Draft | None = None) -> None:
        self.path, self.is_stdout, self._pipe = path, is_stdout, pipe
        self.errors = errors_path(path, is_stdout=is_stdout)

    def open(self) -> Draft:
        """The file to write, which is complete or missing; or the pipe."""
        return self._pipe or Draft(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._pipe is not None:
            self._pipe.discard()


def check_output(output: str | Path, inputs: Iterable[str | Path] = ()) -> Output:
    """
    Raise `RequestError` unless the file can be written and is none of the `inputs`.

    Links are followed, so two names of one file are the same. Missing folders are created, but none
    at the top of the file system: its name is mistyped.
    """
    path = Path(output)
    try:
        if _is_stdout(path):
            _check(errors_path(path, is_stdout=True), inputs)
            return Output(path, is_stdout=True)
        _check(path, inputs)
        errors = errors_path(path)
        _check(errors, inputs)
        if (found := _status(errors)) is not None and stat.S_ISFIFO(found.st_mode):
            raise _rejected(errors, "it is a pipe; remove it")
        return Output(path, pipe=_open_pipe(path))
    except OSError as error:
        raise _rejected(path, error.strerror or type(error).__name__) from None


def errors_path(output: Path, *, is_stdout: bool = False) -> Path:
    """Where failed lines are written: beside the responses; of a pipe or device, in this folder."""
    name = "stdout" if str(output) == STDOUT else output.name.removesuffix(".jsonl")
    found = None if is_stdout else _status(output)
    is_file = not is_stdout and (found is None or stat.S_ISREG(found.st_mode))
    return output.with_name(f"{name}.errors.jsonl") if is_file else Path(f"{name}.errors.jsonl")


def _is_stdout(path: Path) -> bool:
    if str(path) == STDOUT:
        return True
    if not str(path).startswith(DEVICES):
        return False
    with suppress(OSError, ValueError, AttributeError):
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    return False


def _open_pipe(path: Path) -> Draft | None:
    found = _status(path)
    if found is None or not stat.S_ISFIFO(found.st_mode):
        return None
    try:
        return Draft(path)
    except StorageError as error:
        raise _rejected(path, error.reason) from None


def _check(path: Path, inputs: Iterable[str | Path]) -> None:
    found = _status(path)
    if found is None:
        _check_folder(path.resolve().parent, path)
        return
    if stat.S_ISDIR(found.st_mode):
        raise _rejected(path, "it is a folder; name a file")
    if stat.S_ISSOCK(found.st_mode):
        raise _rejected(path, "it is a socket; name a file")
    for one in inputs:
        other = _status(Path(one))
        if other is not None and os.path.samestat(found, other) and _is_kept(found):
            raise _rejected(path, f"it is the input `{one}`; name another file")
    if not os.access(path, os.W_OK):
        raise _rejected(path, "no permission")
    if stat.S_ISREG(found.st_mode):
        _check_folder(path.resolve().parent, path)


def _is_kept(found: os.stat_result) -> bool:
    """Whether what is written is what another reader finds: in a file and a named pipe."""
    return stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)


def _check_folder(folder: Path, path: Path) -> None:
    """A file can be created in the folder, or in one below the first folder that exists."""
    is_missing = False
    while (found := _status(folder)) is None:
        if folder.parent == Path(folder.anchor):
            raise _rejected(path, f"there is no folder `{folder}`; create it first")
        folder, is_missing = folder.parent, True
    if not stat.S_ISDIR(found.st_mode):
        raise _rejected(path, f"`{folder}` is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _rejected(path, f"no permission for the folder `{folder}`")
    try:
        _create_and_delete(folder, is_missing=is_missing)
    except (OSError, StorageError) as error:
        reason = error.reason if isinstance(error, StorageError) else error.strerror
        message = f"no file can be created in the folder `{folder}`: {reason}"
        raise _rejected(path, message) from None


def _create_and_delete(folder: Path, *, is_missing: bool) -> None:
    """
    Create an empty file in the folder, or in a new one in it, and delete it.

    What a folder allows is not in its mode: `/proc` takes no files, and a mount may be read-only.
    """
    inner = folder
    if is_missing:
        inner = folder / f"{DRAFT_PREFIX}{secrets.token_hex(8)}"
        inner.mkdir(mode=PRIVATE_FOLDER)
    try:
        Draft(inner / "output", mode=PRIVATE_FILE).discard()
    finally:
        if is_missing:
            inner.rmdir()


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _rejected(path: Path, reason: str) -> RequestError:
    return RequestError(f"the output `{path}` cannot be written: {reason}", "output")

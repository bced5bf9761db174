"""Checks where a job's responses are to be written, before anything is sent."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ..errors import RequestError


def check_output(output: Path, inputs: Iterable[str | Path] = ()) -> None:
    """
    Raise `RequestError` unless the file can be written and is none of the `inputs`.

    Links are followed, so two names of one file are the same. Missing folders are no problem: they
    are created.
    """
    try:
        for path in (output, errors_path(output)):
            _check(path, inputs)
    except OSError as error:
        raise _rejected(output, error.strerror or type(error).__name__) from None


def errors_path(output: Path) -> Path:
    """Where failed lines are written: beside the responses; of a pipe or device, in this folder."""
    name = f"{output.name.removesuffix('.jsonl')}.errors.jsonl"
    found = _status(output)
    is_file = found is None or stat.S_ISREG(found.st_mode)
    return output.with_name(name) if is_file else Path(name)


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
        if other is not None and os.path.samestat(found, other) and stat.S_ISREG(found.st_mode):
            raise _rejected(path, f"it is the input `{one}`; name another file")
    if not os.access(path, os.W_OK):
        raise _rejected(path, "no permission")
    if stat.S_ISREG(found.st_mode):
        _check_folder(path.resolve().parent, path)


def _check_folder(folder: Path, path: Path) -> None:
    """The folder, or the first one above it that exists, lets the user create files."""
    while (found := _status(folder)) is None:
        folder = folder.parent
    if not stat.S_ISDIR(found.st_mode):
        raise _rejected(path, f"`{folder}` is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _rejected(path, f"no permission for the folder `{folder}`")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _rejected(path: Path, reason: str) -> RequestError:
    return RequestError(f"the output `{path}` cannot be written: {reason}", "output")

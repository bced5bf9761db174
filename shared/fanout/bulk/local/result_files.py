"""
A shard's two files of results on a disk: lines are appended, and damaged ones are moved away.

Everything here blocks.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import BinaryIO

from ...disk.files import (
    PRIVATE_FILE,
    Draft,
    check_room,
    make_private_folder,
    storage_error,
    storage_errors,
    write_all,
)
from ...errors import StorageError
from ..work.result_lines import ResultReader
from .file_store import CHUNK

ROOM = 1 << 18
"""Bytes for which there must be room before lines of a shard are sent."""


class QueuedLine:
    """A line to append, who waits for it, and why it could not be stored."""

    __slots__ = ("done", "error", "failed", "line")

    def __init__(self, line: bytes, failed: bool, done: asyncio.Future[None]) -> None:  # noqa: FBT001
        self.line = line
        self.failed = failed
        self.done = done
        self.error: StorageError | None = None


class AppendedFile:
    """A file to which whole lines are appended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._end = 0

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def open(self) -> BinaryIO:
        """The file, which is opened or created if it is not open."""
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            number = os.open(self.path, flags, PRIVATE_FILE)
            self._end = os.fstat(number).st_size
            self._file = os.fdopen(number, "ab", buffering=0)
        return self._file

    def append_all(self, lines: list[QueuedLine]) -> None:
        """Append the lines with one write; if there is no room for all, each that fits."""
        try:
            self.append(b"".join([one.line for one in lines]))
        except StorageError as error:
            for one in lines:
                one.error = error
                if len(lines) > 1:
                    self.append_all([one])
        else:
            for one in lines:
                one.error = None

    def append(self, data: bytes) -> None:
        """Append all of the data or nothing."""
        try:
            file = self.open()
            try:
                write_all(file, data)
            except OSError:
                file.truncate(self._end)
                raise
        except OSError as error:
            raise storage_error(error, self.path) from error
        self._end += len(data)

    def detach(self) -> BinaryIO | None:
        """The file, which the caller closes; the next `append` opens it again."""
        file, self._file = self._file, None
        return file

    def close(self) -> None:
        """Close the file."""
        if (file := self.detach()) is not None:
            file.close()


def open_if_there(path: Path) -> BinaryIO | None:
    return path.open("rb") if path.is_file() else None


def prepare_files(paths: list[Path]) -> None:
    """
    Create the folder, and make sure that there is room in it.

    The last line of each file is removed if it has no line break.
    """
    with storage_errors(paths[0]):
        make_private_folder(paths[0].parent)
        for path in paths:
            _truncate_last_line(path)
        check_room(paths[0].with_name(".room"), ROOM)


def has_whole(paths: list[Path], lines: int) -> bool:
    """Whether the two files have so many lines, and each is a whole result."""
    reader, found = ResultReader(), 0
    for failed, path in zip((False, True), paths, strict=True):
        if (file := open_if_there(path)) is not None:
            with file:
                for line in file:
                    found += 1
                    if reader.read(line, failed=failed) is None:
                        return False
    return found == lines


def move_damaged(paths: list[Path]) -> None:
    """Move the lines of the two files that are not whole results to files beside them."""
    reader = ResultReader()
    for failed, path in zip((False, True), paths, strict=True):
        if (file := open_if_there(path)) is None:
            continue
        others = path.with_suffix(".damaged")
        with (
            Draft(others, mode=PRIVATE_FILE) as bad,
            Draft(path, mode=PRIVATE_FILE) as good,
        ):
            has_bad = False
            with file:
                for line in file:
                    is_whole = reader.read(line, failed=failed) is not None
                    has_bad = has_bad or not is_whole
                    (good if is_whole else bad).write(line)
            if has_bad:
                bad.commit()
                good.commit()


def _truncate_last_line(path: Path) -> None:
    if not path.is_file() or not (size := path.stat().st_size):
        return
    with path.open("rb+") as file:
        keep = size
        while keep:
            start = max(0, keep - CHUNK)
            file.seek(start)
            found = file.read(keep - start).rfind(b"\n")
            keep = start + found + 1 if found >= 0 else start
            if found >= 0:
                break
        if keep < size:
            file.truncate(keep)

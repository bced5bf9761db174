"""
Opens a job's input: a file, a pipe or standard input, gzipped or not, in any encoding.

What can be read only once is copied to a temporary file, as a job's input is read several times.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO, cast

from msgspec import Struct

from ...disk.files import storage_errors, write_all
from ...errors import RequestError
from ..input.file_kinds import HEAD, kind_error, kind_of
from ..input.text_encodings import ERRORS, EncodingDetector, checked_encoding, mark_of

CHUNK = 1 << 20
MAX_BYTES = 8 * 1024**3
"""The most bytes of a pipe, and of a gzip file when unpacked; as of an upload."""

STDIN = "-"
GZIP = b"\x1f\x8b"


class InputFile(Struct, frozen=True):
    """An input, which can be opened several times; `copy` is that of what can be read only once."""

    path: Path
    copy: BinaryIO | None = None

    @property
    def shown(self) -> str:
        """The input's name in messages."""
        return shown_path(str(self.path))

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Its bytes, unpacked."""
        with reading_errors(self.shown), self._raw() as raw:
            head = raw.read(2)
            raw.seek(0)
            yield self._unpacked(raw) if head == GZIP else raw

    def _raw(self) -> BinaryIO:
        if self.copy is None:
            return self.path.open("rb")
        self.copy.seek(0)
        return cast("BinaryIO", os.fdopen(os.dup(self.copy.fileno()), "rb"))

    def _unpacked(self, raw: BinaryIO) -> BinaryIO:
        packed = gzip.GzipFile(fileobj=raw)
        return io.BufferedReader(_Unpacked(packed, self.shown), CHUNK)

    def first_bytes(self) -> bytes:
        """Its first bytes, unpacked."""
        with self.open() as file:
            return file.read(HEAD)

    def has_mark(self) -> bool:
        """Whether it begins with a byte order mark."""
        return mark_of(self.first_bytes()) is not None

    def head(self) -> bytes:
        """Its first bytes; raises `RequestError` if they are not those of text."""
        head = self.first_bytes()
        if kind := kind_of(head, self.path.name):
            raise RequestError(kind_error(self.shown, kind), "file")
        return head

    def encoding(self, named: str | None) -> str:
        """Its encoding: the one that is named, or the one that the whole file shows."""
        head = self.head()
        if named is not None:
            return checked_encoding(named, head)
        detector = EncodingDetector()
        with self.open() as file:
            while (data := file.read(CHUNK)) and not detector.feed(data):
                pass
        return detector.encoding

    @contextmanager
    def text(self, encoding: str) -> Iterator[TextIO]:
        """Its text without a mark; line breaks stay, and bytes that are no text become `BAD`."""
        with self.open() as file:
            mark = mark_of(file.read(4))
        with self.open() as file:
            file.read(mark[1] if mark and mark[0] == encoding else 0)
            with io.TextIOWrapper(file, encoding, ERRORS, newline="") as text:
                yield text


@contextmanager
def open_input(path: str) -> Iterator[InputFile]:
    """The input; what is no regular file is read to its end now."""
    found, shown = Path(path), shown_path(path)
    if path == STDIN:
        with _copy(sys.stdin.buffer, shown) as copy:
            yield InputFile(found, copy)
        return
    with reading_errors(shown):
        mode = found.stat().st_mode
    if stat.S_ISDIR(mode):
        raise folder_error(shown)
    if stat.S_ISREG(mode):
        yield InputFile(found)
        return
    with reading_errors(shown):
        source = found.open("rb")
    with source, _copy(source, shown) as copy:
        yield InputFile(found, copy)


@contextmanager
def _copy(source: IO[bytes], shown: str) -> Iterator[BinaryIO]:
    """A temporary file of all bytes of a pipe."""
    folder = tempfile.gettempdir()
    with storage_errors(folder):
        copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- closed below
    with copy:
        size = 0
        while True:
            with reading_errors(shown):
                data = source.read(CHUNK)
            if not data:
                break
            size += len(data)
            if size > MAX_BYTES:
                raise RequestError(f"{shown} has over {MAX_BYTES >> 30} GiB", "file")
            with storage_errors(folder):
                write_all(cast("BinaryIO", copy), data)
        yield cast("BinaryIO", copy)


@contextmanager
def reading_errors(shown: str) -> Iterator[None]:
    """Raise `RequestError` for an `OSError` inside the block."""
    try:
        yield
    except FileNotFoundError:
        raise RequestError(f"there is no file {shown}", "file") from None
    except IsADirectoryError:
        raise folder_error(shown) from None
    except OSError as error:
        raise RequestError(f"{shown}: {error.strerror or error}", "file") from None


def folder_error(shown: str) -> RequestError:
    return RequestError(f"{shown} is a folder; name a file", "file")


def shown_path(path: str) -> str:
    """An input's name in messages."""
    return "standard input" if path == STDIN else f"`{path}`"


class _Unpacked(io.RawIOBase):
    """Unpacks a gzip file a piece at a time, and stops at `MAX_BYTES`."""

    def __init__(self, packed: gzip.GzipFile, shown: str) -> None:
        super().__init__()
        self._packed, self._shown = packed, shown
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        try:
            data = self._packed.read(len(view))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            reason = "the gzip file is damaged, or its end is missing"
            raise RequestError(f"{self._shown}: {reason}", "file") from None
        self._size += len(data)
        if self._size > MAX_BYTES:
            reason = f"over {MAX_BYTES >> 30} GiB when unpacked; divide it"
            raise RequestError(f"{self._shown} has {reason}", "file")
        view[: len(data)] = data
        return len(data)

"""
Names files that are no text by their first bytes, with what to do instead. Pure.

The page has the same table, `page/jobs/file-kinds.js`; `tests/support/file_kinds.json` judges both.
Source: the magic numbers of https://man7.org/linux/man-pages/man4/magic.4.html's database, the
formats' own pages, and https://parquet.apache.org/docs/file-format (2026-11-29).
"""

from __future__ import annotations

from typing import NamedTuple

HEAD = 4096
"""Bytes from a file's start that show its kind."""

_SAVE_CSV = "save it as CSV"
_EXPORT = "write it as CSV or JSONL, for example with pandas or DuckDB"
_UNPACK = "unpack it first, or compress the file with gzip"
_IMAGE = "put images into the messages of JSONL lines, as `image_url`"
_MEDIA = "put it into the messages of JSONL lines, as base64"


class FileKind(NamedTuple):
    """What a file is, in words, and what to do instead."""

    name: str
    remedy: str


EXCEL = FileKind("an Excel workbook", _SAVE_CSV)
WORD = FileKind("a Word document", "save it as plain text")
OLD_OFFICE = FileKind("an old Excel or Word file", _SAVE_CSV)
OPEN_DOCUMENT = FileKind("an OpenDocument file", _SAVE_CSV)
PARQUET = FileKind("a Parquet file", _EXPORT)
ZIP = FileKind("a ZIP archive", _UNPACK)
TAR = FileKind("a tar archive", "unpack it first")
UTF_32 = FileKind("UTF-32 text", "save it as UTF-8")

MAGIC: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"\xff\xfe\0\0", UTF_32),
    (0, b"\0\0\xfe\xff", UTF_32),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLD_OFFICE),
    (0, b"PAR1\x15", PARQUET),
    (0, b"ARROW1\0\0", FileKind("an Arrow file", _EXPORT)),
    (0, b"Obj\x01", FileKind("an Avro file", _EXPORT)),
    (0, b"SQLite format 3\0", FileKind("an SQLite database", "export a table as CSV")),
    (0, b"%PDF-", FileKind("a PDF", "copy its text into a text or CSV file")),
    (0, b"{\\rtf", FileKind("a rich text file", "save it as plain text")),
    (0, b"\x89PNG\r\n\x1a\n", FileKind("a PNG image", _IMAGE)),
    (0, b"\xff\xd8\xff", FileKind("a JPEG image", _IMAGE)),
    (0, b"GIF87a", FileKind("a GIF image", _IMAGE)),
    (0, b"GIF89a", FileKind("a GIF image", _IMAGE)),
    (0, b"II*\0", FileKind("a TIFF image", _IMAGE)),
    (0, b"MM\0*", FileKind("a TIFF image", _IMAGE)),
    (8, b"WEBP", FileKind("a WebP image", _IMAGE)),
    (8, b"WAVE", FileKind("a WAV sound", _MEDIA)),
    (4, b"ftyp", FileKind("a video or a HEIC image", _MEDIA)),
    (0, b"OggS\0", FileKind("an Ogg sound", _MEDIA)),
    (0, b"BZh91AY&SY", FileKind("a bzip2 file", _UNPACK)),
    (0, b"\xfd7zXZ\0", FileKind("an xz file", _UNPACK)),
    (0, b"\x28\xb5\x2f\xfd", FileKind("a zstd file", _UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind("a 7-Zip archive", _UNPACK)),
    (0, b"Rar!\x1a\x07", FileKind("a RAR archive", _UNPACK)),
    (257, b"ustar", TAR),
)
"""Offset and bytes. What begins with letters that text may begin with has more to it."""

STARTS = {"WEBP": b"RIFF", "WAVE": b"RIFF", "ftyp": b"\0\0\0"}
"""How a file begins whose bytes in `MAGIC` are further on."""


def kind_of(head: bytes, name: str = "") -> FileKind | None:
    """What the file is if it is no text; `head` are its first bytes, at most `HEAD`."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _kind_of_zip(head, name.lower())
    if head.startswith(b"PAR1") and name.lower().endswith(".parquet"):
        return PARQUET
    for offset, magic, kind in MAGIC:
        start = STARTS.get(magic.decode("latin-1"), b"")
        if head.startswith(magic, offset) and head.startswith(start):
            return kind
    return None


def _kind_of_zip(head: bytes, name: str) -> FileKind:
    """Office's files are ZIP archives; their first entries or the file's name show which one."""
    if name.endswith((".xlsx", ".xlsm")) or b"xl/" in head:
        return EXCEL
    if name.endswith(".docx") or b"word/" in head:
        return WORD
    if head.startswith(b"[Content_Types].xml", 30):
        return EXCEL
    if b"application/vnd.oasis.opendocument" in head:
        return OPEN_DOCUMENT
    return ZIP


def kind_error(shown: str, kind: FileKind) -> str:
    """The sentence for the user."""
    return f"{shown} is {kind.name}: {kind.remedy}"

"""
Finds a file's encoding: by its mark, by NUL bytes of UTF-16, or because it is no UTF-8. Pure.

The page has the same rules, `page/jobs/encodings.js`; `tests/support/csv_cases.json` judges both.
Marks: https://www.unicode.org/faq/utf_bom.html (2026-11-29). cp1252 is what Excel and Notepad write
on a Western Windows: https://encoding.spec.whatwg.org/#windows-1252 (2026-11-29).
"""

from __future__ import annotations

import codecs
import io
import re

from ...errors import RequestError

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SHOWN = {"utf-8": "UTF-8", "utf-16-le": "UTF-16 LE", "utf-16-be": "UTF-16 BE"}
"""The names of encodings in messages, if others than Python's."""

SAMPLE = 128
"""At most so many bytes show UTF-16 without a byte order mark."""

LEAST = 4
"""At least so many bytes are needed for that."""

UTF8_CHARACTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
NOT_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d\xff]")
"""Bytes without a character, and the one that is common in what is no text (and rare as `ÿ`)."""

BAD = "\udc80"
"""What stands for bytes that the encoding does not have."""

ERRORS = "fanout-mark-bad-bytes"


def _mark_bad_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return BAD, error.end


codecs.register_error(ERRORS, _mark_bad_bytes)


def shown(encoding: str) -> str:
    """The encoding's name in messages."""
    return SHOWN.get(encoding, encoding)


def mark_of(head: bytes) -> tuple[str, int] | None:
    """The encoding of the byte order mark at the file's start, and the mark's length."""
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return None


def checked_encoding(name: str, head: bytes) -> str:
    """The encoding of `--encoding`; raises if there is none, or if the file's mark is another's."""
    try:
        encoding = codecs.lookup(name).name.removesuffix("-sig")
        io.TextIOWrapper(io.BytesIO(), encoding)  # rejects what gives no text, such as `hex`
    except (LookupError, ValueError, AttributeError):
        known = "such as utf-8, utf-16, cp1252, latin-1, shift_jis or gb18030"
        raise RequestError(f"there is no encoding `{name}`; name one {known}", "encoding") from None
    mark = mark_of(head)
    if encoding == "utf-16":
        encoding = mark[0] if mark and mark[0] != "utf-8" else "utf-16-le"
    if mark is not None and mark[0] != encoding:
        reason = f"the file begins with the mark of {shown(mark[0])}"
        raise RequestError(f"`{name}` is not its encoding: {reason}", "encoding")
    return encoding


class EncodingDetector:
    """Reads a whole file in chunks; `encoding` is known at the end."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_utf8 = True
        self._has_utf8 = False
        self._is_cp1252 = True

    def feed(self, data: bytes) -> bool:
        """Add a chunk. Returns whether the encoding is known, so that the rest need not be read."""
        if len(self._head) < SAMPLE:
            self._head += data[:SAMPLE]
        if mark_of(self._head) or _utf16_without_mark(self._head):
            return True
        if self._is_utf8 and not (data.isascii() and not self._tail):
            self._check(data)
        elif not self._is_utf8:
            self._compare(data)
        return self._has_utf8 and not self._is_utf8

    def _check(self, data: bytes) -> None:
        try:
            self._has_utf8 = not self._decoder.decode(data).isascii() or self._has_utf8
            self._tail = self._decoder.getstate()[0]
        except UnicodeDecodeError:
            self._is_utf8 = False
            self._compare(data)

    def _compare(self, data: bytes) -> None:
        joined = self._tail + data
        self._has_utf8 = self._has_utf8 or UTF8_CHARACTER.search(joined) is not None
        self._is_cp1252 = self._is_cp1252 and NOT_IN_CP1252.search(joined) is None
        self._tail = data[-3:]

    @property
    def encoding(self) -> str:
        """
        The encoding of what was read.

        A file that is not UTF-8 is cp1252 if none of it could be UTF-8; otherwise it is a damaged
        file, whose error names the place.
        """
        if mark := mark_of(self._head):
            return mark[0]
        if found := _utf16_without_mark(self._head):
            return found
        is_whole = self._is_utf8 and not self._tail
        if is_whole or self._has_utf8 or not self._is_cp1252 or NOT_IN_CP1252.search(self._tail):
            return "utf-8"
        return "cp1252"


def _utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 if every other byte of the first ones is NUL for the most part, and no other is."""
    head = head[:SAMPLE]
    low, high = head[0::2], head[1::2]
    for encoding, letters, nuls in (("utf-16-le", low, high), ("utf-16-be", high, low)):
        if len(head) >= LEAST and 0 not in letters and nuls.count(0) * 2 > len(nuls):
            return encoding
    return None

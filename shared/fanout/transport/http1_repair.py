"""
Repairs a response's head that the parser rejects although its meaning is clear.

Some servers, and proxies before them, send `Content-Length` twice, or a blank before a colon. A
client may accept both: RFC 9112, 5.1 and 6.3:
https://www.rfc-editor.org/rfc/rfc9112#section-6.3 (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable

_END = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"(?:\r?\n)*HTTP/1\.[01] \d{3}[^\n]*\n")
_INTERIM = re.compile(rb"(?:\r?\n)*HTTP/1\.\d 1\d\d")
_NAME = re.compile(rb"([!#$%&'*+.^`|~\w-]+)[ \t]*:[ \t]*")
_LENGTH = b"content-length"


def may_be_repaired(data: bytes) -> bool:
    """Whether the response begins as one of HTTP/1.1, so that the error is in a later line."""
    return _STATUS_LINE.match(data) is not None


class RepairingParser:
    """Collects a response's bytes until its head is whole; then `parse` gets the repaired bytes."""

    def __init__(self, parse: Callable[[bytes], None]) -> None:
        self._parse = parse
        self._collected = b""

    def feed_data(self, data: bytes) -> None:
        """Add the next bytes. The caller bounds how many there are."""
        self._collected += data
        if (repaired := repair(self._collected)) is not None:
            self._parse(repaired)


def repair(data: bytes) -> bytes | None:
    """The response with a repaired head; `None` if its head is not whole."""
    if (found := _find_head(data)) is None:
        return None
    start, end = found
    return data[:start] + _repair_head(data[start : end.start() + 1]) + data[end.start() + 1 :]


def body_of(data: bytes) -> bytes:
    """The response without its head, which is whole, and without those of interim responses."""
    found = _find_head(data)
    return b"" if found is None else data[found[1].end() :]


def _find_head(data: bytes) -> tuple[int, re.Match[bytes]] | None:
    """Where the head of the final response begins, and its end; `None` if it is not whole."""
    start = 0
    while (end := _END.search(data, start)) is not None:
        if not _INTERIM.match(data, start):
            return start, end
        start = end.end()
    return None


def _repair_head(head: bytes) -> bytes:
    """The head with no blank before a colon, and with one length if all its lengths are equal."""
    first, *lines = head.splitlines(keepends=True)
    lines = [_NAME.sub(rb"\1: ", line, count=1) if _NAME.match(line) else line for line in lines]
    lengths = [line for line in lines if line.lower().startswith(_LENGTH + b":")]
    values = {value.strip() for line in lengths for value in line[len(_LENGTH) + 1 :].split(b",")}
    if len(values) == 1:
        others = [line for line in lines if line not in lengths]
        lines = [*others, _LENGTH + b": " + values.pop() + b"\r\n"]
    return first + b"".join(lines)

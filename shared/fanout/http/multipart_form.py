"""
Reads a multipart form as a stream: its file goes to storage in pieces and is never whole in memory.

The only importer of `python_multipart`; see RFC 7578.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal, TypeAlias

from msgspec import Struct, field
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ..errors import RequestError, TooLarge
from .asgi import ClientGone, Headers, Receive

MAX_FIELDS = 64 * 1024
"""Bytes of all fields of a form that are not its file."""

FIELD_OVERHEAD = 64
"""Bytes counted per field beside its name and value, so that there are at most 1,024 fields."""

StoreFile: TypeAlias = Callable[[AsyncIterator[bytes]], Awaitable[object]]

_Event: TypeAlias = tuple[Literal["part", "data", "end"], bytes]


class Form(Struct):
    """The fields of a form; `filename` is `None` if it has no file."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None


async def read_form(
    receive: Receive, headers: Headers, file_field: str, store_file: StoreFile, limit: int
) -> Form:
    """Read the form; `store_file` gets its file as a stream of bytes."""
    kind, options = parse_options_header(headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise RequestError("the body must be multipart/form-data", None, "invalid_content_type")
    events = _events(receive, boundary, limit)
    form, bytes_left = Form(), MAX_FIELDS
    async for what, header in events:
        if what != "part":
            raise AssertionError("each part is read to its end")
        name, filename = _name_and_filename(header)
        if name == file_field and form.filename is None:
            form.filename = filename or "file"
            await store_file(_until_end(events))
            continue
        bytes_left, value = _subtract(bytes_left, len(name) + FIELD_OVERHEAD), b""
        async for piece in _until_end(events):
            bytes_left, value = _subtract(bytes_left, len(piece)), value + piece
        form.fields[name] = value.decode(errors="replace")
    return form


def _subtract(bytes_left: int, size: int) -> int:
    if size > bytes_left:
        raise TooLarge(f"the form's fields are over {MAX_FIELDS} bytes")
    return bytes_left - size


def _name_and_filename(header: bytes) -> tuple[str, str | None]:
    _, options = parse_options_header(header)
    filename = options.get(b"filename")
    name = options.get(b"name", b"").decode(errors="replace")
    return name, None if filename is None else filename.decode(errors="replace")


async def _until_end(events: AsyncIterator[_Event]) -> AsyncIterator[bytes]:
    async for what, data in events:
        if what == "end":
            return
        yield data


async def _events(receive: Receive, boundary: bytes, limit: int) -> AsyncIterator[_Event]:
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks)  # type: ignore[arg-type]  # a TypedDict
    except FormParserError as error:  # its boundary is too long
        raise _malformed(error) from None
    parser.logger.disabled = True  # it would log parts of broken forms
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        data: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(data)
        if size > limit:
            raise TooLarge("File is too large.")
        try:
            parser.write(data)
            if not more:
                parser.finalize()
        except FormParserError as error:
            raise _malformed(error) from None
        for event in parts.take():
            yield event
    if not parts.is_complete:
        raise RequestError("the form is incomplete", None, "invalid_form")


def _malformed(error: FormParserError) -> RequestError:
    return RequestError(f"the form is malformed: {error}", None, "invalid_form")


class _Parts:
    """The parser's callbacks as events: a part with its content disposition, its data, its end."""

    def __init__(self) -> None:
        self._events: list[_Event] = []
        self._header = self._value = self._disposition = b""
        self.is_complete = False
        self.callbacks = {
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": lambda: self._events.append(("end", b"")),
            "on_end": self._on_end,
        }

    def take(self) -> list[_Event]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _on_headers(self) -> None:
        self._events.append(("part", self._disposition))
        self._disposition = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(("data", data[start:end]))

    def _on_end(self) -> None:
        self.is_complete = True

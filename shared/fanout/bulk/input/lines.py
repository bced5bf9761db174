"""
One line of a job's input, and one line of its output, in OpenAI's batch shapes.

A line is an OpenAI batch line, `{"messages": […]}`, or a bare list of messages; the last two take
their model from the job and their `custom_id` from their line number. Pure.
Source: OpenAI's Batch API reference, `BatchRequestInput` and `BatchRequestOutput`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from ...errors import DeadlineExceeded, FanoutError, status_of
from ...schema.error import error_body
from ...schema.validation import as_request_error
from ...wire import json

ENDPOINT = "/v1/chat/completions"
MAX_LINE = 8 * 1024 * 1024
"""Bytes of one line: the most that one item of a Distributed Map could be read as."""

MAX_CUSTOM_ID = 64
"""Characters of a `custom_id`, as OpenAI has it."""


UNREADABLE = "this line has a number that is too large, or is nested too deeply"
"""What the planner does not look for, as it would have to read every line whole."""


class BadLine(ValueError):
    """A line that cannot be a request; `code` is OpenAI's, `param` the field to change."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class Head(Struct, frozen=True, gc=False):
    """What the planner must know of a line, without reading all of it."""

    custom_id: str
    models: tuple[str, ...]


class Line(Struct, frozen=True):
    """A line as a request: its name, and the body to ask with; `fault` is why there is none."""

    custom_id: str
    body: dict[str, Any]
    fault: str | None = None


# What follows is decoded for every line of a job. `Raw` is checked to be JSON, and left as it is;
# `gc=False`: nothing in here can refer to itself.


class _Fanout(Struct, frozen=True, gc=False):
    models: list[str] | None = None


class _Body(Struct, frozen=True, gc=False):
    model: str | list[str] | None = None
    messages: list[Raw] | None = None
    stream: bool | None = None
    fanout: _Fanout | None = None


class _Batch(Struct, frozen=True, gc=False):
    custom_id: str
    method: str
    url: str
    body: _Body


class _Short(_Body, frozen=True, gc=False):
    custom_id: str | None = None


_BATCH = msgspec.json.Decoder(_Batch)


class _Shape(Struct, frozen=True):
    """Enough of a line to see which of the shapes it is."""

    method: Raw = Raw()
    url: Raw = Raw()
    body: Raw = Raw()


def read_head(data: bytes, number: int, default_model: str | None) -> Head:
    """Check one line and tell its name and its models; raises `BadLine`."""
    if len(data) > MAX_LINE:
        raise BadLine("line_too_long", f"The line is over {MAX_LINE} bytes long.")
    if not data.isascii():
        _check_text(data)
    if data.startswith(b"["):
        messages = _decode(data, list[Raw])
        if not messages:
            raise BadLine("missing_required_parameter", "The line has no messages.", "messages")
        return Head(f"line-{number}", _models(_Body(), default_model))
    try:
        batch = _BATCH.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_short(data, number, default_model)
    if batch.method != "POST" or batch.url != ENDPOINT:
        raise _misdirected(batch)
    _check_body(batch.body, "body.")
    return Head(_named(batch.custom_id), _models(batch.body, default_model, "body."))


def _check_text(data: bytes) -> None:
    """Refuse what is not UTF-8, also where the decoder would pass over it."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        said = f"This line is not valid UTF-8 (byte {error.start + 1}: {error.reason})."
        raise BadLine("invalid_json_line", said) from None


def _misdirected(batch: _Batch) -> BadLine:
    if batch.method != "POST":
        return BadLine("invalid_method", f"`method` must be POST, not {batch.method}.", "method")
    said = f"`url` must be the batch's endpoint, {ENDPOINT}, not {batch.url[:100]}."
    return BadLine("url_mismatch", said, "url")


def _read_short(data: bytes, number: int, default_model: str | None) -> Head:
    """`{"messages": […]}`; or whatever is wrong with what was meant as a batch line."""
    shape = _decode(data, _Shape)
    if any(map(bytes, (shape.body, shape.method, shape.url))):
        _decode(data, _Batch)  # it is a batch line: this says what is wrong with it
        raise BadLine("invalid_json_line", "This line is not a batch request.")
    short = _decode(data, _Short)
    _check_body(short, "")
    custom_id = f"line-{number}" if short.custom_id is None else _named(short.custom_id)
    return Head(custom_id, _models(short, default_model))


def _decode(data: bytes, kind: Any) -> Any:
    try:
        return json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        found = as_request_error(str(error)).detail
        missing = found.code == "missing_required_parameter"
        code = "missing_required_parameter" if missing else "invalid_type"
        raise BadLine(code, f"{found.message}.", found.param) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = "This line is not parseable as valid JSON."
        raise BadLine("invalid_json_line", said) from None


def _named(custom_id: str) -> str:
    if not 1 <= len(custom_id) <= MAX_CUSTOM_ID:
        said = f"`custom_id` must have 1 to {MAX_CUSTOM_ID} characters."
        raise BadLine("invalid_custom_id", said, "custom_id")
    return custom_id


def _check_body(body: _Body, place: str) -> None:
    if not body.messages:
        said = f"`{place}messages` is missing or empty."
        raise BadLine("missing_required_parameter", said, f"{place}messages")
    if body.stream:
        said = "A batch cannot stream; leave `stream` out."
        raise BadLine("invalid_value", said, f"{place}stream")


def _models(body: _Body, default_model: str | None, place: str = "") -> tuple[str, ...]:
    given: Any = body.fanout.models if body.fanout and body.fanout.models else body.model
    given = default_model if given is None else given
    if isinstance(given, str) and "," not in given and (name := given.strip()):
        return (name,)
    names = given.split(",") if isinstance(given, str) else given or ()
    found = tuple(name.strip() for name in names)
    if not found or not all(found):
        said = f"`{place}model` is missing, and the job has no model of its own."
        raise BadLine("missing_required_parameter", said, f"{place}model")
    return found


def read_line(data: bytes, number: int, default_model: str | None) -> Line:
    """A line that the planner passed, as the request it is."""
    try:
        value = json.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return Line(_name_of(data, number), {}, UNREADABLE)
    if isinstance(value, list):
        custom_id = f"line-{number}"
        body: dict[str, Any] = {"messages": value}
    elif "body" in value:
        custom_id, body = value["custom_id"], value["body"]
    else:
        custom_id = value.get("custom_id") or f"line-{number}"
        body = {name: inner for name, inner in value.items() if name != "custom_id"}
    if body.get("model") is None and "models" not in (body.get("fanout") or {}):
        body = {**body, "model": default_model}
    return Line(custom_id, body)


def _name_of(data: bytes, number: int) -> str:
    """The name of a line that the planner passed and that cannot be read."""
    try:
        return read_head(data, number, "any").custom_id
    except BadLine:  # nested so deeply that it depends on the stack
        return f"line-{number}"


def asked(line: Line) -> bytes:
    """The batch line of a request, with its line break: what `read_line` reads."""
    said = {"custom_id": line.custom_id, "method": "POST", "url": ENDPOINT, "body": line.body}
    return json.encode(said) + b"\n"


def answered(custom_id: str, request_id: str, body: object) -> bytes:
    """The output line of an answer, with its line break."""
    return _line(custom_id, request_id, {"status_code": 200, "body": body}, None)


def failed(custom_id: str, request_id: str, error: Exception) -> bytes:
    """The error line of a failure: a refused request has a response, a missed deadline an error."""
    if isinstance(error, DeadlineExceeded):
        fault = {"code": "request_timeout", "message": str(error)}
        return _line(custom_id, request_id, None, fault)
    status = status_of(error)
    body = error_body(error if isinstance(error, FanoutError) else Exception())
    return _line(custom_id, request_id, {"status_code": status, "body": body}, None)


def not_run(custom_id: str, request_id: str, code: str, message: str) -> bytes:
    """The error line of a request that was never made: `batch_expired`, `batch_cancelled`."""
    return _line(custom_id, request_id, None, {"code": code, "message": message})


def _line(
    custom_id: str, request_id: str, response: dict[str, Any] | None, error: dict[str, str] | None
) -> bytes:
    if response is not None:
        response = {**response, "request_id": request_id}
    said = {
        "id": f"batch_{request_id}",
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }
    return json.encode(said) + b"\n"


class _Stored(Struct, frozen=True):
    custom_id: str


def stored_custom_id(data: bytes) -> str | None:
    """The `custom_id` of a stored output line; `None` for one that was cut by a crash."""
    try:
        return json.decode(data, type=_Stored).custom_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None

"""
The shapes of a line of a job's input: OpenAI's of batches, or a shorter one; and their checks.

A line is an OpenAI batch line, also without `method` and `url`, as Mistral and Together have it;
`{"messages": […]}`; `{"prompt": "…"}`; or a bare list of messages. The last three take their model
from the job, and their `custom_id` is made from the line number, unless they have their own. Pure.
Sources: OpenAI's Batch API reference, `BatchRequestInput`;
https://docs.mistral.ai/capabilities/batch and
https://docs.together.ai/docs/inference/batch/tutorial (2026-11-29).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Raw, Struct

from ...schema.validation import as_request_error
from ...wire import json

ENDPOINT = "/v1/chat/completions"
URLS = frozenset({ENDPOINT, "/chat/completions"})
"""A line's `url`; Azure's is the one without `/v1`, or `DEPLOYMENT_URL`."""
EMBEDDINGS = "/v1/embeddings"
EMBEDDING_URLS = frozenset({EMBEDDINGS, "/embeddings"})
"""The `url` of a line for embeddings."""
DEPLOYMENT_URL = re.compile(
    r"/openai/deployments/([^/?#]+)/(chat/completions|embeddings)(?:\?[^#]*)?"
)
"""Azure's `url` that names the model, which it takes instead of the body's."""
MAX_LINE = 8 * 1024 * 1024
"""Bytes of one line; an item of a Step Functions Distributed Map has the same limit."""

MAX_CUSTOM_ID = 64
"""Characters of a `custom_id`; OpenAI has the same limit."""


class BadLine(ValueError):
    """An invalid line; `code` is OpenAI's error code, `param` the field to change."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class LineHead(Struct, frozen=True, gc=False):
    """
    What the planner needs of a line, without parsing all of it.

    `escalate` are the models that are asked if no response of `models` fits the line's schema,
    `judge` is the one that chooses or merges their responses.
    `check` is JSON of the fields that say how the response is checked, empty without any.
    `messages` are its messages, not parsed, and `context` what a model reads before them.
    """

    custom_id: str
    models: tuple[str, ...]
    escalate: tuple[str, ...] = ()
    judge: str | None = None
    check: bytes = b""
    messages: list[Raw] | None = None
    context: tuple[Raw, ...] = ()
    is_embedding: bool = False


# These are decoded for every line of a job. `Raw` is checked to be JSON, but not parsed further;
# `gc=False` is safe because none of them can contain itself.


class _FanoutHead(Struct, frozen=True, gc=False):
    models: list[str] | None = None
    lease: object = None
    escalate: list[str] | None = None
    judge: str | None = None
    schema: Raw = Raw()
    check: Raw = Raw()
    attempts: Raw = Raw()


class _BodyHead(Struct, frozen=True, gc=False):
    model: str | list[str] | None = None
    messages: list[Raw] | None = None
    stream: bool | None = None
    fanout: _FanoutHead | None = None
    tools: Raw = Raw()
    response_format: Raw = Raw()
    input: Raw = Raw()

    @property
    def context(self) -> tuple[Raw, ...]:
        return self.tools, self.response_format


class _BatchLine(Struct, frozen=True, gc=False):
    custom_id: str
    body: _BodyHead
    method: str = "POST"
    url: str = ENDPOINT


class _ShortLine(_BodyHead, frozen=True, gc=False):
    custom_id: str | None = None
    prompt: str | None = None


_BATCH_LINE = msgspec.json.Decoder(_BatchLine)


class _Shape(Struct, frozen=True):
    """Enough of a line to see which of the three shapes it has."""

    method: Raw = Raw()
    url: Raw = Raw()
    body: Raw = Raw()


def read_head(data: bytes, number: int, default_model: str | None) -> LineHead:
    """Check one line and return its `custom_id` and models; raises `BadLine`."""
    if len(data) > MAX_LINE:
        raise BadLine("line_too_long", f"The line is over {MAX_LINE} bytes long.")
    if not data.isascii():
        _check_text(data)
    try:
        return _read_head(data, number, default_model)
    except BadLine:
        if (whole := whole_line(data)) == data:
            raise
        return _read_head(whole, number, default_model)


def _read_head(data: bytes, number: int, default_model: str | None) -> LineHead:
    if data.startswith(b"["):
        messages = _decode(data, list[Raw])
        if not messages:
            raise BadLine("missing_required_parameter", "The line has no messages.", "messages")
        models = _models(_BodyHead(), default_model)
        return LineHead(f"line-{number}", models, messages=messages)
    try:
        batch = _BATCH_LINE.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_short(data, number, default_model)
    if is_for_embeddings(batch.url) and batch.method == "POST":
        return _embedding_head(batch, default_model)
    named = None if batch.url in URLS else model_in_url(batch.url)
    if batch.method != "POST" or not (named or batch.url in URLS):
        raise _wrong_endpoint(batch)
    _check_body(batch.body, "body.")
    models = _models(batch.body, default_model, "body.", named)
    return _head(batch.body, _checked_id(batch.custom_id), models)


def is_for_embeddings(url: str) -> bool:
    """Whether a line with this `url` is for embeddings."""
    found = None if url in URLS else DEPLOYMENT_URL.fullmatch(url)
    return url in EMBEDDING_URLS or (found is not None and found[2] == "embeddings")


def _embedding_head(batch: _BatchLine, default_model: str | None) -> LineHead:
    """The head of a line for embeddings, which has an `input` and one model."""
    body = batch.body
    if bytes(body.input) in {b"", b"null", b'""', b"[]"}:
        message = "`body.input` is missing or empty."
        raise BadLine("missing_required_parameter", message, "body.input")
    named = None if batch.url in EMBEDDING_URLS else model_in_url(batch.url)
    models = _models(body, default_model, "body.", named)
    if len(models) > 1 or body.fanout is not None:
        message = "Embeddings have one model: vectors of different models cannot be compared."
        raise BadLine("invalid_value", message, "body.model")
    return LineHead(_checked_id(batch.custom_id), models, is_embedding=True)


def model_in_url(url: str) -> str | None:
    """The deployment that Azure's `url` names."""
    found = DEPLOYMENT_URL.fullmatch(url)
    return unquote(found[1]).strip() or None if found else None


def _check_text(data: bytes) -> None:
    """Raise `BadLine` if it is not UTF-8, also in fields that the decoder skips."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        message = f"This line is not valid UTF-8 (byte {error.start + 1}: {error.reason})."
        raise BadLine("invalid_json_line", message) from None


def _wrong_endpoint(batch: _BatchLine) -> BadLine:
    if batch.method != "POST":
        return BadLine("invalid_method", f"`method` must be POST, not {batch.method}.", "method")
    message = f"`url` must be {ENDPOINT} or {EMBEDDINGS}, not {batch.url[:100]}."
    return BadLine("url_mismatch", message, "url")


def _read_short(data: bytes, number: int, default_model: str | None) -> LineHead:
    """Read `{"messages": […]}`; raises what is wrong with an invalid batch line."""
    shape = _decode(data, _Shape)
    if any(map(bytes, (shape.body, shape.method, shape.url))):
        _decode(data, _BatchLine)  # raises what is wrong with it
        raise BadLine("invalid_json_line", "This line is not a batch request.")
    short = _decode(data, _ShortLine)
    _check_body(short, "", short.prompt)
    custom_id = f"line-{number}" if short.custom_id is None else _checked_id(short.custom_id)
    return _head(short, custom_id, _models(short, default_model))


def _head(body: _BodyHead, custom_id: str, models: tuple[str, ...]) -> LineHead:
    escalate: tuple[str, ...] = ()
    judge = None
    if body.fanout is not None:
        escalate = tuple(name.strip() for name in body.fanout.escalate or ())
        judge = body.fanout.judge and body.fanout.judge.strip()
    return LineHead(custom_id, models, escalate, judge, _check(body), body.messages, body.context)


def _check(body: _BodyHead) -> bytes:
    """The fields of `fanout` for checked responses, and the format; empty without any of them."""
    if (own := body.fanout) is None:
        return b""
    raw = {"schema": own.schema, "check": own.check, "attempts": own.attempts}
    given: dict[str, Any] = {name: value for name, value in raw.items() if bytes(value)}
    if own.escalate is not None:
        given["escalate"] = own.escalate
    if not given:
        return b""
    form = {"response_format": body.response_format} if bytes(body.response_format) else {}
    return json.encode({"fanout": given, **form})


def _decode(data: bytes, kind: Any) -> Any:
    try:
        return json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        found = as_request_error(str(error)).detail
        missing = found.code == "missing_required_parameter"
        code = "missing_required_parameter" if missing else "invalid_type"
        raise BadLine(code, f"{found.message}.", found.param) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        message = "This line is not parseable as valid JSON."
        raise BadLine("invalid_json_line", message) from None


def _checked_id(custom_id: str) -> str:
    if not 1 <= len(custom_id) <= MAX_CUSTOM_ID:
        message = f"`custom_id` must have 1 to {MAX_CUSTOM_ID} characters."
        raise BadLine("invalid_custom_id", message, "custom_id")
    return custom_id


def _check_body(body: _BodyHead, place: str, prompt: str | None = None) -> None:
    if prompt is not None and (body.messages is not None or not prompt.strip()):
        wrong = "is empty" if body.messages is None else "and `messages` exclude each other"
        raise BadLine("invalid_value", f"`prompt` {wrong}.", "prompt")
    if not body.messages and prompt is None:
        message = f"`{place}messages` is missing or empty."
        raise BadLine("missing_required_parameter", message, f"{place}messages")
    if body.stream:
        message = "A batch cannot stream; leave `stream` out."
        raise BadLine("invalid_value", message, f"{place}stream")
    if body.fanout and body.fanout.lease is not None:
        message = "A batch cannot have a lease, which a client renews; leave `fanout.lease` out."
        raise BadLine("invalid_value", message, f"{place}fanout.lease")


def _models(
    body: _BodyHead, default_model: str | None, place: str = "", named: str | None = None
) -> tuple[str, ...]:
    fanned = body.fanout and body.fanout.models
    given: Any = fanned or named or body.model
    given = default_model if given is None else given
    if isinstance(given, str) and "," not in given and (name := given.strip()):
        return (name,)
    names = given.split(",") if isinstance(given, str) else given or ()
    found = tuple(name.strip() for name in names)
    if not found or not all(found):
        message = f"`{place}model` is missing, and the job has no model of its own."
        raise BadLine("missing_required_parameter", message, f"{place}model")
    return found


def whole_line(data: bytes) -> bytes:
    """The line with U+FFFD for each half of a surrogate pair."""
    if b"\\u" not in data:
        return data
    from ...wire.lenient_json import whole_characters  # few lines have one

    return whole_characters(data)

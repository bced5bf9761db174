"""
One line of a job's output, in OpenAI's batch shape: how it is written, and what a whole one is.

Source: OpenAI's Batch API reference, `BatchRequestOutput` (2026-11). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from ...errors import AllFailed, DeadlineExceeded, FanoutError, SchemaMismatch, status_of
from ...schema.error import error_body
from ...wire import json
from ..totals import objects_in

OK = 200
"""The status of each response in the output; errors have another one."""


def response_line(
    custom_id: str, request_id: str, body: object, unlisted: Sequence[Mapping[str, Any]] = ()
) -> bytes:
    """
    The output line of a response, with its line break.

    `unlisted` are the calls that cost something and that the body does not have with a usage.
    """
    response = {"status_code": OK, "body": body}
    return _output_line(custom_id, request_id, response, None, unlisted)


def error_line(
    custom_id: str, request_id: str, error: Exception, calls: Sequence[Mapping[str, Any]] = ()
) -> tuple[bytes, Mapping[str, object]]:
    """
    The error line of a failed request, and the error that it has.

    `calls` are those that cost something and that the error has not; it gets them as `attempts`. A
    missed deadline is the line's own `error`, any other one is in its `response`.
    """
    if isinstance(error, DeadlineExceeded):
        missed: dict[str, Any] = {"code": "request_timeout", "message": str(error)}
        if calls:
            missed["attempts"] = [*calls]
        return _output_line(custom_id, request_id, None, missed), missed
    status = status_of(error)
    body = error_body(error if isinstance(error, FanoutError) else Exception())
    if calls:
        body["error"]["attempts"] = [*body["error"].get("attempts", ()), *calls]
    response = {"status_code": status, "body": body}
    return _output_line(custom_id, request_id, response, None), body["error"]


def lists_calls(error: Exception) -> bool:
    """Whether the error line of this error has the calls that succeeded by itself."""
    causes = [one.error for one in error.failures] if isinstance(error, AllFailed) else [error]
    return any(isinstance(cause, SchemaMismatch) for cause in causes)


def skipped_line(
    custom_id: str,
    request_id: str,
    code: str,
    message: str,
    attempts: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """
    The error line of a request that has no response, such as `batch_expired`.

    If calls were made for it, it has them as `attempts`.
    """
    error: dict[str, Any] = {"code": code, "message": message}
    if attempts:
        error["attempts"] = attempts
    return _output_line(custom_id, request_id, None, error)


def _output_line(
    custom_id: str,
    request_id: str,
    response: dict[str, Any] | None,
    error: Mapping[str, Any] | None,
    unlisted: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    if response is not None:
        response = {**response, "request_id": request_id}
    value: dict[str, Any] = {
        "id": f"batch_{request_id}",
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }
    if unlisted:
        value["fanout"] = {"attempts": unlisted}
    return json.encode(value) + b"\n"


def renamed_line(line: bytes, custom_id: str) -> bytes:
    """A stored line under another `custom_id`."""
    return json.encode({**json.decode(line), "custom_id": custom_id}) + b"\n"


class StoredResult(Struct, frozen=True):
    """
    A stored line: the body of its response, or the `code` and `message` of its error.

    `unlisted` are the calls beside the body that cost something.
    """

    custom_id: str
    body: object
    error: dict[str, Any] | None
    unlisted: Sequence[Mapping[str, Any]] = ()


def read_result(line: bytes, *, failed: bool) -> StoredResult | None:
    """
    A stored line of the responses, or of the failures if `failed`.

    `None` if it is not a whole result, for example because it was cut or damaged on the disk.
    """
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.decode(line)
    except (*json.NOT_JSON, RecursionError):
        return None
    custom_id = value.get("custom_id") if isinstance(value, dict) else None
    if not isinstance(custom_id, str) or not custom_id:
        return None
    response, error = value.get("response"), value.get("error")
    response = response if isinstance(response, dict) else {}
    body = response.get("body")
    if not failed:
        is_whole = response.get("status_code") == OK and isinstance(body, (dict, list))
        if error is not None or not is_whole:
            return None
        own = value.get("fanout")
        unlisted = objects_in(own.get("attempts")) if isinstance(own, dict) else ()
        return StoredResult(custom_id, body, None, unlisted)
    if error is None and isinstance(body, dict):
        error = body.get("error")
    return StoredResult(custom_id, None, error) if isinstance(error, dict) else None


class ResultReader:
    """Reads a shard's stored lines, the responses first; each `custom_id` counts once."""

    def __init__(self) -> None:
        self.custom_ids: set[str] = set()

    def read(self, line: bytes, *, failed: bool) -> StoredResult | None:
        """The line; `None` if it is not a whole result, or another one has its `custom_id`."""
        result = read_result(line, failed=failed)
        if result is None or result.custom_id in self.custom_ids:
            return None
        self.custom_ids.add(result.custom_id)
        return result

"""Finds out whether a file has JSON Lines, and whether they are requests or the rows of a table."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...errors import RequestError
from ...wire import json
from ..input.lines import MAX_LINE
from .input_files import InputFile

OF_REQUESTS = frozenset({"body", "messages", "method", "prompt", "url"})
"""Keys of which each request has one: an object without any is a row."""

ROLE = "role"
"""What each message has, and so each object of a line that is a list of messages."""


def check_is_lines(file: InputFile, encoding: str) -> list[str]:
    """
    The keys of the first line, if it is an object.

    Raises `RequestError` for a file that is one JSON array, or has an object over several lines.
    """
    with file.text(encoding) as text:
        first = ""
        while not first.strip() and (first := text.readline(MAX_LINE)):
            pass
    first = first.strip()
    value = _decoded(first)
    is_open_array = value is None and first.startswith("[") and not first.endswith("]")
    is_rows = isinstance(value, list) and any(
        not isinstance(one, dict) or ROLE not in one for one in value
    )
    if is_open_array or is_rows:
        fix = "write one object on each line, for example with `jq -c '.[]'`"
        raise RequestError(f"{file.shown} is a JSON array: {fix}", "file")
    if first == "{":
        fix = "write each on a line of its own, for example with `jq -c .`"
        raise RequestError(f"{file.shown} has JSON objects over several lines: {fix}", "file")
    return list(value) if isinstance(value, dict) else []


def is_request(keys: Collection[str]) -> bool:
    """Whether an object with these keys is a request, maybe a wrong one."""
    return not OF_REQUESTS.isdisjoint(keys)


def _decoded(text: str) -> Any:
    try:
        return json.decode(text)
    except (*json.NOT_JSON, RecursionError):
        return None

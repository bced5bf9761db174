"""
Checks texts by a JSON schema: the only module that imports `jsonschema_rs`.

A schema may be anyone's. It never causes a request or reads a file, its regular expressions cannot
backtrack, and what would take long is rejected (`schema_work.py`). Decision 0020 says which library
this is, and how it must be called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import jsonschema_rs
from msgspec import MsgspecError, Struct

from ..errors import RequestError
from ..wire import json
from .schema_words import MAX_PROBLEMS, VALUE, cut, fault_of, reason_of
from .schema_work import BadSchema, SchemaWork

MAX_BYTES = 128 * 1024
"""Bytes of a schema's JSON; OpenAI allows 120,000 characters of names and values."""

PATTERN_BYTES = 1 << 20
"""Bytes that one regular expression may take when it is compiled; `^\\w{1,255}$` fits."""

MAX_WORK = 2e7
"""Looks at values for one text: about a quarter of a second, at 12 ns each."""

MAX_SCHEMA_WORK = 1e6
"""Looks at one value, in JSON of five levels, beyond which a schema is rejected."""

LEVELS = 5

MAX_EXPLAINED = 1_000
"""Looks at values up to which all problems of a text are listed; listing takes 20 µs for each."""

MAX_FIRST_EXPLAINED = 250
"""Looks at one value up to which the first problem is explained: its alternatives are many."""

_JSON_BEGINS = re.compile(r"[\[{\"\-0-9]|true|false|null")


class Validator(Struct, frozen=True, eq=False):
    """A compiled schema, which takes about `memory` bytes."""

    compiled: Any
    work: SchemaWork
    memory: int

    def problem(self, text: str) -> str | None:
        """Why the text is not JSON that fits the schema, without quoting it; `None` if it is."""
        try:
            value = json.decode_strict(text.encode())
        except json.BadJSON as error:
            return f"it is not JSON: {_not_json(text, str(error))}"
        except UnicodeEncodeError:
            return f"it is not JSON: {json.HALF_PAIR}"
        values, depth = _size(value)
        work = self.work.at_depth(depth)
        if values * work > MAX_WORK:
            return "it is too large, or nested too deeply, to be checked by this schema"
        try:
            if self.compiled.is_valid(value):
                return None
            return cut("; ".join(self._reasons(value, values, work)))
        except ValueError:  # what JSON allows and the library does not, such as half a surrogate
            return "it has a value that cannot be checked"

    def _reasons(self, value: Any, values: int, work: float) -> Iterator[str]:
        if values * work <= MAX_EXPLAINED:
            for error in islice(self.compiled.iter_errors(value), MAX_PROBLEMS):
                yield reason_of(error)
        elif work <= MAX_FIRST_EXPLAINED:
            try:
                self.compiled.validate(value)
            except jsonschema_rs.ValidationError as error:
                yield reason_of(error)
        else:
            yield "it does not fit the schema"


def _not_json(text: str, reason: str) -> str:
    """Why the text is not JSON: what is around the JSON, or what the parser says."""
    start = text.lstrip()
    if start and not _JSON_BEGINS.match(start):
        has_fence = "```" in start
        return "it has a code fence and other text" if has_fence else "it begins with other text"
    if reason.startswith("trailing characters"):
        return "other text follows it"
    return reason


def _size(value: Any) -> tuple[int, int]:
    """How many values there are, and on how many levels below the top."""
    count, depth, layer = 1, 0, [value]
    while layer:
        below: list[Any] = []
        for node in layer:
            if isinstance(node, dict):
                below += node.values()
            elif isinstance(node, list):
                below += node
        if not below:
            break
        count, depth, layer = count + len(below), depth + 1, below
    return count, depth


def _fetch_nothing(uri: str) -> Any:
    """Raise: a reference to anything outside the schema is an error."""
    raise LookupError(f"`{uri}` is not fetched")


def _compile(schema: Mapping[str, Any], size: int) -> Validator:
    work = SchemaWork(schema)
    if work.at_depth(LEVELS) > MAX_SCHEMA_WORK:
        raise BadSchema(
            "repeats its references too often: a value would be checked a million times"
        )
    try:
        compiled = jsonschema_rs.validator_for(
            {**schema},
            retriever=_fetch_nothing,
            pattern_options=jsonschema_rs.RegexOptions(PATTERN_BYTES, PATTERN_BYTES),
            validate_formats=True,
            mask=VALUE,
        )
    except jsonschema_rs.ValidationError as error:
        raise BadSchema(f"is not a valid JSON schema: {fault_of(error, schema)}") from None
    memory = 20 * size + 500 * work.entries + PATTERN_BYTES * work.patterns
    return Validator(compiled, work, memory)


class _Cache:
    """Compiled schemas by their JSON: the last used ones, in about so many bytes of memory."""

    def __init__(self, memory: int) -> None:
        self._half = memory // 2
        self._used = 0
        self._recent: dict[bytes, Validator] = {}
        self._older: dict[bytes, Validator] = {}

    def get(self, data: bytes, schema: Mapping[str, Any]) -> Validator:
        found = self._recent.get(data)
        if found is None:
            found = self._older.get(data) or _compile(schema, len(data))
            if self._used > self._half:
                self._older, self._recent, self._used = self._recent, {}, 0
            self._recent[data] = found
            self._used += found.memory
        return found


_CACHE = _Cache(64 << 20)


def validator_for(schema: Mapping[str, Any], param: str) -> Validator:
    """
    The compiled schema; the same one for an equal schema.

    Raises `RequestError` about the field `param` for a schema that cannot be used.
    """
    try:
        data = json.encode(schema)
    except (MsgspecError, UnicodeEncodeError, RecursionError, TypeError):
        raise RequestError(f"`{param}` cannot be written as JSON", param) from None
    if len(data) > MAX_BYTES:
        raise RequestError(f"`{param}` has {len(data)} bytes; at most {MAX_BYTES}", param)
    try:
        return _CACHE.get(data, schema)
    except BadSchema as error:
        raise RequestError(f"`{param}` {error}", param) from None

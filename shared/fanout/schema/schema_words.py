"""
What is wrong with a value or a schema, in JSON Schema's words and not in those of the library.

A reason goes to a model and to the user. It does not quote a value, which may have a prompt in it
and may be long. Knows the errors of `jsonschema_rs` by their fields only. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from ..wire import json

MAX_PROBLEMS = 5
"""Problems of one text that are listed, and alternatives of one problem."""

MAX_REASON = 1_000
"""Characters of a reason; a longer one is cut."""

MAX_SHOWN = 200
"""Characters of a part of the schema that is shown."""

VALUE: Final = "the value"
"""Stands in reasons for the value."""

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_BACKREFERENCE = re.compile(r"(?<!\\)(?:\\\\)*\\(?:[1-9]|k<)")


def cut(reason: str) -> str:
    """The reason with at most `MAX_REASON` characters."""
    return _shorter(reason, MAX_REASON)


def _shorter(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _shown(part: object) -> str:
    return _shorter(json.encode(part).decode(), MAX_SHOWN)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in islice(names, MAX_PROBLEMS))


# ---- a value ----


def reason_of(error: Any) -> str:
    """`/b/0: the value is not of type "integer"`; of alternatives, why it is none of them."""
    path = "/".join(("", *map(str, error.instance_path)))
    where = f"`{path}`: " if path else ""
    return cut(where + _problem(error))


def _problem(error: Any) -> str:
    kind = error.kind
    branches: Iterable[Any] = getattr(kind, "context", None) or ()
    inner = [reason_of(branch[0]) for branch in islice(branches, MAX_PROBLEMS) if branch]
    if inner:
        return f"{VALUE} is none of the alternatives ({', or '.join(inner)})"
    words = _WORDS.get(kind.name)
    return error.message if words is None else words(kind)


def _not_allowed(kind: Any) -> str:
    return f"{VALUE} has properties that are not allowed: {_names(kind.unexpected)}"


def _outside(_kind: Any) -> str:
    return f"{VALUE} has more elements than are allowed"


def _of_content(_kind: Any) -> str:
    return f"{VALUE} does not have the content that the schema names"


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "additionalItems": _outside,
    "additionalProperties": _not_allowed,
    "const": lambda kind: f"{VALUE} is not {_shown(kind.expected_value)}",
    "contains": lambda _: f"{VALUE} has too few or too many elements that fit `contains`",
    "contentEncoding": _of_content,
    "contentMediaType": _of_content,
    "enum": lambda kind: f"{VALUE} is not one of {json.encode(kind.options).decode()}",
    "exclusiveMaximum": lambda kind: f"{VALUE} is not less than {_shown(kind.limit)}",
    "exclusiveMinimum": lambda kind: f"{VALUE} is not more than {_shown(kind.limit)}",
    "falseSchema": lambda _: f"{VALUE} is not allowed here",
    "format": lambda kind: f"{VALUE} does not have the format {_shown(kind.format)}",
    "maximum": lambda kind: f"{VALUE} is more than {_shown(kind.limit)}",
    "minimum": lambda kind: f"{VALUE} is less than {_shown(kind.limit)}",
    "not": lambda kind: f"{VALUE} must not fit {_shown(kind.schema)}",
    "oneOf": lambda _: f"{VALUE} fits more than one of the alternatives of `oneOf`",
    "propertyNames": lambda kind: f"the name of a property is not valid: {_problem(kind.error)}",
    "required": lambda kind: f"the property `{kind.property}` is missing",
    "unevaluatedItems": _outside,
    "unevaluatedProperties": _not_allowed,
    "uniqueItems": lambda _: f"{VALUE} has equal elements",
}
"""The words for a kind of problem; the library's own are right for the others."""


# ---- a schema ----


def fault_of(error: Any, schema: Mapping[str, Any]) -> str:
    """What is wrong with the schema that the library does not accept, and where."""
    path = [*map(str, error.instance_path)]
    where = f"at `{'/'.join(path)}`: " if path else ""
    return where + _fault(path, error, schema)


def _fault(path: list[str], error: Any, schema: Mapping[str, Any]) -> str:
    last = path[-1] if path else ""
    if "patternProperties" in path[-2:-1] and error.kind.name != "type":
        return _pattern_fault(last)
    if last == "pattern":
        found = _at(schema, error.instance_path)
        return _pattern_fault(found) if isinstance(found, str) else f"{VALUE} is not a text"
    if last == "type":
        return f"{VALUE} is not one of JSON's types, nor a list of them"
    return _problem(error) if path else _whole_fault(str(error.message))


def _whole_fault(message: str) -> str:
    if "meta-schema" in message:
        return f"`$schema` names a draft that is not known; leave it out, or write {DRAFT}"
    if "URI" in message:
        return "its `$id` is not a URI; leave it out"
    return _shorter(message, MAX_SHOWN)


def _pattern_fault(pattern: str) -> str:
    """Why a pattern is not accepted."""
    shown = _shown(pattern)
    if _LOOKAROUND.search(pattern):
        return f"the pattern {shown} has a lookaround, which may take endless time"
    if _BACKREFERENCE.search(pattern):
        return f"the pattern {shown} has a backreference, which may take endless time"
    return f"the pattern {shown} is too large, or not a regular expression"


def _at(schema: Any, path: Iterable[str | int]) -> Any:
    for part in path:
        try:
            schema = schema[part]
        except (KeyError, IndexError, TypeError):
            return None
    return schema

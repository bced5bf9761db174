"""
OpenAI's `response_format`, and JSON schemas within the limits of the vendor that gets them.

A keyword that a vendor rejects is left out of the schema, and its limit is put into the description
of the value, which the model reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from ..schema.request import ChatRequest, JSONFormat, JSONSchema, SchemaFormat, TextFormat
from ..wire import json
from .fields import UnsupportedFields
from .schema_references import is_recursive


def read_schema(request: ChatRequest, unsupported: UnsupportedFields) -> JSONSchema | None:
    """The schema of `response_format`, for vendors that support no other format than text."""
    match request.response_format:
        case None | TextFormat() | JSONFormat():
            return None
        case SchemaFormat(json_schema=asked) if asked.schema is not None:
            return asked
        case _:
            unsupported.add("response_format", "it needs a `json_schema` with a `schema`")
            return None


def describe_schema(asked: JSONSchema) -> dict[str, Any]:
    """The schema itself, with the format's description unless it has its own."""
    about = {"description": asked.description} if asked.description else {}
    return {**about, **(asked.schema or {})}


def can_take(request: ChatRequest, rules: SchemaRules) -> bool:
    """Whether the `rules` allow the schema of `response_format`, if that has one."""
    match request.response_format:
        case SchemaFormat(json_schema=asked) if asked.schema and not rules.recursive:
            return not is_recursive(asked.schema)
        case _:
            return True


# ---- the limits of a vendor ----


LIMITS = frozenset(
    """
    contains contentEncoding contentMediaType dependentRequired dependentSchemas else
    examples exclusiveMaximum exclusiveMinimum if maxContains maxItems maxLength
    maxProperties maximum minContains minLength minProperties minimum multipleOf not pattern
    patternProperties prefixItems propertyNames then unevaluatedItems unevaluatedProperties
    uniqueItems
    """.split()  # noqa: SIM905
)
"""The keywords that only limit a value, beyond its type, properties and choices."""


class SchemaRules(Struct, frozen=True):
    """
    The schemas that a vendor accepts.

    `moved` are the keywords that it rejects; their limits go into the description. `dropped` are
    those that say nothing to a model. `formats` are the only formats of strings, `min_items` the
    only values of `minItems`. With `closed`, each object must have `additionalProperties: false`.
    `typed`: each value must have a type. `merged`: there is no `allOf`. `not_in_patterns` are what
    a `pattern` cannot have. `some_required`: an object with properties must require one. Without
    `recursive`, no definition may refer to itself: then the format is asked for in words, and a
    tool is not strict.
    """

    moved: frozenset[str]
    dropped: frozenset[str] = frozenset({"$comment", "$id", "$schema"})
    renamed: Mapping[str, str] = field(default_factory=dict)
    formats: frozenset[str] | None = None
    min_items: frozenset[int] | None = None
    closed: bool = False
    typed: bool = False
    merged: bool = False
    not_in_patterns: tuple[str, ...] = ()
    some_required: bool = False
    recursive: bool = True


WITHOUT_LIMITS = SchemaRules(
    moved=LIMITS,
    renamed={"oneOf": "anyOf"},
    formats=frozenset(
        "date date-time duration email hostname ipv4 ipv6 time uri uuid".split()  # noqa: SIM905
    ),
    min_items=frozenset({0, 1}),
    closed=True,
    typed=True,
    recursive=False,
)
"""Closed objects and typed values, without recursion and limits of numbers, texts and lists."""

_TYPES = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "type"})
_ANY = [{"type": name} for name in ("string", "number", "boolean", "null")]


def limit_schema(schema: Mapping[str, Any], rules: SchemaRules) -> dict[str, Any]:
    """`schema` as `rules` allow it."""
    limited: dict[str, Any] = {}
    moved: dict[str, Any] = {}
    if rules.merged and isinstance(schema.get("allOf"), list):
        schema = _merge(schema)
    if rules.not_in_patterns and isinstance(schema.get("pattern"), str):
        schema = {**schema, "pattern": _without_anchors(schema["pattern"])}
    for name, value in schema.items():
        if name in rules.dropped:
            continue
        if name in rules.moved or not _fits(name, value, rules):
            moved[name] = value
        else:
            limited[rules.renamed.get(name, name)] = _limit_inner(name, value, rules)
    if rules.closed:
        limited, moved = _close(limited, moved)
    if rules.some_required and limited.get("properties") and not limited.get("required"):
        limited["required"] = [next(iter(limited["properties"]))]
    if rules.typed and not limited.keys() & _TYPES:
        limited["anyOf"] = _ANY
    if moved and "$ref" not in limited:
        limited["description"] = describe_limits(limited.get("description"), moved)
    return limited


def _fits(name: str, value: Any, rules: SchemaRules) -> bool:
    if name == "format":
        return rules.formats is None or value in rules.formats
    if name == "minItems":
        return rules.min_items is None or value in rules.min_items
    if name == "pattern":
        return not any(part in str(value) for part in rules.not_in_patterns)
    return True


def _merge(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with what its `allOf` has, where the two do not differ."""
    merged = {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema["allOf"]:
        inner = _merge(part) if isinstance(part, dict) and "allOf" in part else part
        for name, value in inner.items() if isinstance(inner, dict) else ():
            known = merged.setdefault(name, value)
            if isinstance(known, dict) and isinstance(value, dict):
                merged[name] = {**value, **known}
            elif name == "required" and isinstance(known, list) and isinstance(value, list):
                merged[name] = list(dict.fromkeys([*known, *value]))
    return merged


def _without_anchors(pattern: str) -> str:
    """A pattern for the whole text, written as vendors read it that have no others."""
    inner = pattern.removeprefix("^").removesuffix("$")
    whole = pattern.startswith("^") and pattern.endswith("$") and not inner.endswith("\\")
    return inner if whole and "|" not in inner else pattern


def _limit_inner(name: str, value: Any, rules: SchemaRules) -> Any:
    """The schemas inside a keyword's value."""
    if name in {"properties", "$defs", "definitions"} and isinstance(value, dict):
        return {key: _limit_value(inner, rules) for key, inner in value.items()}
    if name in {"anyOf", "oneOf", "allOf", "prefixItems"} and isinstance(value, list):
        return [_limit_value(inner, rules) for inner in value]
    return _limit_value(value, rules) if name in {"items", "not"} else value


def _limit_value(value: Any, rules: SchemaRules) -> Any:
    return limit_schema(value, rules) if isinstance(value, dict) else value


def _close(limited: dict[str, Any], moved: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of an object without other properties; of a `$ref` nothing but it and `$defs`."""
    if "$ref" in limited:
        kept = {"$ref", "$defs", "definitions"}
        return {name: value for name, value in limited.items() if name in kept}, {}
    kind = limited.get("type")
    is_object = kind == "object" or (isinstance(kind, list) and "object" in kind)
    if not (is_object or "properties" in limited):
        return limited, moved
    if isinstance(others := limited.get("additionalProperties"), dict):
        moved = {**moved, "additionalProperties": others}
    return {**limited, "additionalProperties": False}, moved


def describe_limits(description: Any, moved: Mapping[str, Any]) -> str:
    """`The year. (minimum: 1900, maximum: 2100)`."""
    limits = ", ".join(f"{name}: {json.encode(value).decode()}" for name, value in moved.items())
    return f"{description} ({limits})" if isinstance(description, str) else f"({limits})"

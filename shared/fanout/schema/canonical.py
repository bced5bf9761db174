"""
Canonical keys of values and texts: two responses agree if their keys are equal. Pure.

Keys are compared, and not pairs of responses, so that agreement is transitive: if a agrees with b
and b with c, a agrees with c. A key is never made from how near two values are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ..wire import json

PROSE = frozenset(
    {
        "analysis",
        "chain_of_thought",
        "comment",
        "comments",
        "description",
        "explanation",
        "justification",
        "notes",
        "rationale",
        "reason",
        "reasoning",
        "summary",
        "thinking",
        "thought",
        "thoughts",
    }
)
"""Names of properties that hold free text, which two models never write alike."""

MAX_SHORT = 64
"""Characters of a string that is compared; a property with a larger `maxLength` is free text."""

MAX_READ = 20_000
"""Characters at the end of a long text in which its answer is looked for."""

MAX_DIGITS = 400
"""Digits of a number that is made canonical; a longer one is compared as it is written."""

ABSENT = None
"""Stands for a property that is not there: where a schema allows null, that is the same."""

_SPACE = re.compile(r"\s+")
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_LABEL = re.compile(r"\banswer[*_]*(?:\s+is\b[*_]*\s*[:=]?|\s*[:=])", re.IGNORECASE)
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)
_OPTION = re.compile(r"(?:option\s+|choice\s+)?[(\[]?([a-z])[)\].:]?", re.IGNORECASE)
_LETTER_FIRST = re.compile(r"[(\[]?([A-Z])[)\]:]\s+\S")
_NUMBER = re.compile(
    r"([$€£¥]?)\s*([-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d{1,4})?)\s*(\S*)",
    re.IGNORECASE,
)
_EDGES = " \t\n*_`'\"\u201c\u201d\u2018\u2019.,;:!?"


def clean(text: str) -> str:
    """The text in Unicode's NFKC form, without space at its ends and with single spaces."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).strip()


def number_key(value: float | Decimal) -> str:
    """One spelling for each number: 1, 1.0 and 1e0 are `1`."""
    try:
        found = Decimal(str(value)).normalize()
    except InvalidOperation:
        return str(value)
    if not found.is_finite() or abs(found.adjusted()) > MAX_DIGITS:
        return str(found)
    return f"{found:f}" if found else "0"


# ---- JSON ----


def json_key(value: Any, schema: Mapping[str, Any] | None = None) -> str:
    """
    The key of a JSON value.

    Numbers count by value, strings without surplus space, objects without order. `schema` adds what
    it says: capital letters of an `enum` do not count, `format: date-time` is one moment, an array
    with `uniqueItems` is a set, a number may be a string, and null is the same as no property.
    """
    return json.encode(canonical(value, schema or {})).decode()


def canonical(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value with one form for all that are equal."""
    if isinstance(value, dict):
        return _object(value, schema)
    if isinstance(value, list):
        items = [canonical(one, _schema_of(schema.get("items"))) for one in value]
        if schema.get("uniqueItems") is True:
            items = sorted(items, key=json.encode)
        return ["array", *items]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return ["number", number_key(value)]
    return _string(str(value), schema)


def _object(value: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Any]:
    properties = _schema_of(schema.get("properties"))
    pairs = []
    for name in sorted(value):
        own = _schema_of(properties.get(name))
        if value[name] is None and _allows_null(own):
            continue
        pairs.append([name, canonical(value[name], own)])
    return ["object", *pairs]


def _string(text: str, schema: Mapping[str, Any]) -> list[str]:
    found = clean(text)
    if _is_of(schema, "integer", "number") and _as_number(found) is not None:
        return ["number", number_key(Decimal(found))]
    if isinstance(schema.get("enum"), list):
        return ["string", found.casefold()]
    match schema.get("format"):
        case "date":
            return ["string", _date(found)]
        case "date-time":
            return ["string", _moment(found)]
        case _:
            return ["string", found]


def _as_number(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return text


def _moment(text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return found.astimezone(UTC).isoformat() if found.tzinfo else found.isoformat()


def _is_of(schema: Mapping[str, Any], *names: str) -> bool:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    return any(name in kinds for name in names) and "string" not in kinds


def _allows_null(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind):
        return True
    alternatives = schema.get("anyOf")
    return isinstance(alternatives, list) and any(
        isinstance(one, dict) and _allows_null(one) for one in alternatives
    )


def _schema_of(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def compared_fields(value: Mapping[str, Any], schema: Mapping[str, Any] | None) -> list[str]:
    """
    The top-level properties of an object that are compared: all but free text.

    By the names in `PROSE`, or a `maxLength` over 64 in the schema. If all are free text, all are
    compared.
    """
    properties = _schema_of(_schema_of(schema).get("properties"))
    found = [name for name in sorted(value) if not _is_prose(name, properties.get(name))]
    return found or sorted(value)


def _is_prose(name: str, schema: object) -> bool:
    own = _schema_of(schema)
    if "enum" in own or "const" in own or "format" in own:
        return False
    longest = own.get("maxLength")
    if isinstance(longest, int):
        return longest > MAX_SHORT
    return name.lower() in PROSE and own.get("type", "string") == "string"


def field_of(value: Any, path: str) -> Any:
    """The value at a dotted path such as `a.b` or `items.0.name`; `ABSENT` if there is none."""
    found = value
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step, ABSENT)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return ABSENT
    return found


def schema_at(schema: Mapping[str, Any] | None, path: str) -> Mapping[str, Any]:
    """The part of a schema that describes the value at a dotted path, as far as it is plain."""
    found: Mapping[str, Any] = schema or {}
    for step in path.split("."):
        if step.isdigit() and "items" in found:
            found = _schema_of(found.get("items"))
        else:
            found = _schema_of(_schema_of(found.get("properties")).get(step))
    return found


# ---- texts ----


def unfenced(text: str) -> str:
    """The text without a code fence around all of it."""
    found = _FENCE.fullmatch(text.strip())
    return text if found is None else found.group(1)


def text_key(text: str) -> str | None:
    r"""
    The key of a text: its last `\boxed{}`, else what follows its last "answer:", else all of it.

    Option letters, numbers and punctuation have one spelling, and capital letters do not count.
    `None` if it is over 64 characters: two models never write a long text alike.
    """
    found = _extracted(text)
    return None if found is None else _short_key(found)


def _extracted(text: str) -> str | None:
    end = text[-MAX_READ:]
    if boxed := _BOXED.findall(end):
        return str(boxed[-1])
    for line in reversed(end.splitlines()):
        if labels := list(_LABEL.finditer(line)):
            said = clean(line[labels[-1].end() :])
            return said if 0 < len(said) <= MAX_SHORT else None
    whole = clean(text) if len(text) <= MAX_READ else ""
    return whole if 0 < len(whole) <= MAX_SHORT else None


def _short_key(text: str) -> str | None:
    found = clean(text).strip(_EDGES)
    if not found:
        return None
    if option := _OPTION.fullmatch(found):
        return option.group(1).lower()
    if option := _LETTER_FIRST.match(found):
        return option.group(1).lower()
    if (number := _NUMBER.fullmatch(found)) is not None:
        sign, digits, unit = number.groups()
        plain = digits.replace(",", "").replace("\u2212", "-")
        key = number_key(Decimal(plain))
        return " ".join(part for part in (sign, key, unit.strip(_EDGES).casefold()) if part)
    return found.casefold()

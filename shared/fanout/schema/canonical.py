"""
Canonical keys of JSON values: two responses agree if their keys are equal. Pure.

Keys are compared, and not pairs of responses, so that agreement is transitive: if a agrees with b
and b with c, a agrees with c. A key is never made from how near two values are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final

from ..wire import json
from .value_kinds import Kinds, is_number, keyword_of, values_of

MAX_DIGITS = 400
"""Digits of a number that is made canonical; a longer one is compared as it is written."""

MISSING: Final = object()
"""Stands for a value at a path where there is none."""

_SPACE = re.compile(r"\s+")
_EXACT = Context(prec=1_000)
_KEPT = ("<super>", "<sub>", "<fraction>")
"""Characters that mean something else in their compatible form: 10\u2075 is not 105."""


def clean(text: str) -> str:
    """The text in Unicode's NFKC form, without space at its ends and with single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", "".join(map(_compatible, text)))
    return _SPACE.sub(" ", text).strip()


def _compatible(character: str) -> str:
    if unicodedata.decomposition(character).startswith(_KEPT):
        return character
    return unicodedata.normalize("NFKC", character)


def number_key(value: float | Decimal) -> str:
    """One spelling for each number: 1, 1.0 and 1e0 are `1`. No digit is lost."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not found.is_finite() or len(found.as_tuple().digits) + abs(found.adjusted()) > MAX_DIGITS:
        return str(found)
    found = found.normalize(_EXACT)
    return f"{found:f}" if found else "0"


# ---- JSON ----


def json_key(value: Any, schema: Mapping[str, Any] | None = None) -> str:
    """
    The key of a JSON value.

    Numbers count by value, strings without surplus space, objects without order. `schema` adds what
    it says: capital letters of an `enum` do not count, `format: date-time` is one moment, an array
    with `uniqueItems` is a set, a number may be a string, and null is the same as no property.
    """
    kinds = Kinds(schema)
    return json.encode(canonical(value, kinds, kinds.root)).decode()


def canonical(value: Any, kinds: Kinds, schema: Mapping[str, Any]) -> Any:
    """The value with one form for all that are equal; `schema` is one of the `kinds`."""
    if isinstance(value, dict):
        return _object(value, kinds, schema)
    if isinstance(value, list):
        schemas = kinds.of(schema, value)
        items = [
            canonical(one, kinds, kinds.item_of(schemas, index)) for index, one in enumerate(value)
        ]
        if keyword_of(schemas, "uniqueItems") is True:
            items = sorted(items, key=json.encode)
        return ["array", *items]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return ["number", number_key(value)]
    return _string(str(value), kinds, schema)


def _object(value: Mapping[str, Any], kinds: Kinds, schema: Mapping[str, Any]) -> list[Any]:
    pairs, schemas = [], kinds.of_object(schema, value)
    for name in sorted(value):
        own = kinds.property_of(schemas, name)
        if value[name] is None and kinds.allows_null(own):
            continue
        pairs.append([name, canonical(value[name], kinds, own)])
    return ["object", *pairs]


def _string(text: str, kinds: Kinds, schema: Mapping[str, Any]) -> list[str]:
    found = clean(text)
    if is_number(kinds.alternatives(schema)) and _as_number(found) is not None:
        return ["number", number_key(Decimal(found))]
    schemas = kinds.of(schema, text)
    if _ignores_case(values_of(schemas)):
        return ["string", found.casefold()]
    match keyword_of(schemas, "format"):
        case "date":
            return ["string", _date(found)]
        case "date-time":
            return ["string", _moment(found)]
        case _:
            return ["string", found]


def _ignores_case(enum: object) -> bool:
    """Whether the values of an enum differ in more than capital letters."""
    if not isinstance(enum, list):
        return False
    texts = {one for one in enum if isinstance(one, str)}
    return bool(texts) and len({one.casefold() for one in texts}) == len(texts)


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
    if _FINE.search(text):
        return text  # more digits than a `datetime` has
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC).isoformat() if found.tzinfo else found.isoformat()
    except (ValueError, OverflowError):
        return text


_FINE = re.compile(r"[.,]\d{7}")


def field_of(value: Any, path: str) -> Any:
    """The value at a dotted path such as `a.b` or `items.0.name`; `MISSING` if there is none."""
    found = value
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step, MISSING)
        elif isinstance(found, list) and _is_index(step) and int(step) < len(found):
            found = found[int(step)]
        else:
            return MISSING
    return found


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) < MAX_INDEX


MAX_INDEX = 10
"""Digits of an index."""


def schema_at(kinds: Kinds, value: Any, path: str) -> Mapping[str, Any]:
    """The part of the schema that describes what the value has at a dotted path."""
    found, inner = kinds.root, value
    for step in path.split("."):
        if isinstance(inner, dict):
            found = kinds.property_of(kinds.of_object(found, inner), step)
            inner = inner.get(step)
        elif isinstance(inner, list) and _is_index(step) and int(step) < len(inner):
            found = kinds.item_of(kinds.of(found, inner), int(step))
            inner = inner[int(step)]
        else:
            return {}
    return found


def shown(value: Any, exact: Any) -> Any:
    """A value for people: a number of which a float does not keep all digits is as in `exact`."""
    if isinstance(value, dict):
        return {name: shown(one, exact[name]) for name, one in value.items()}
    if isinstance(value, list):
        return [shown(one, other) for one, other in zip(value, exact, strict=True)]
    is_cut = (
        isinstance(value, float) and isinstance(exact, Decimal) and Decimal(str(value)) != exact
    )
    return str(exact) if is_cut else value

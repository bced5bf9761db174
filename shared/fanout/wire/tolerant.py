"""
Fits JSON values that are nearly of a type into that type: one odd field costs only that field.

`json.decode_tolerant` comes here if a value does not fit as it is. Then each field is read alone:

* a field that is null, missing or of another type has its default, or nothing (`""`, 0, `[]`);
* a number where a text belongs is its text, and a text where a number belongs is its number;
* an element of a list that does not fit is left out;
* a `json.AllOrNothing` struct (such as a count of tokens) does not fit if any field does
  not: no number is better than a wrong one.

Does not depend on any provider.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import NODEFAULT, Raw

T = TypeVar("T")
N = TypeVar("N", int, float)

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)


class _Unfit(Exception):
    """The value cannot be read as that type."""


def fit(value: Any, kind: type[T]) -> T:
    """A JSON value as `kind`, as far as it can be read; raises `ValidationError` if it cannot."""
    described: Any = kind
    try:
        fitted: T = _fit(value, _describe(described))
    except _Unfit:
        raise msgspec.ValidationError(f"the value is not a `{kind}`") from None
    return fitted


@lru_cache(maxsize=256)
def _describe(kind: Any) -> Any:
    from msgspec import inspect  # only odd responses need it

    return inspect.type_info(kind)


def _fit(value: Any, kind: Any) -> Any:
    from msgspec import inspect

    match kind:
        case inspect.UnionType(types=types):
            return _first_fit(value, types)
        case inspect.StructType():
            return _fit_struct(value, kind)
        case inspect.ListType(item_type=item) if isinstance(value, list):
            return [fitted for each in value for fitted in _fitting(each, item)]
        case inspect.DictType(value_type=item) if isinstance(value, dict):
            return {name: fitted for name, v in value.items() for fitted in _fitting(v, item)}
        case inspect.AnyType():
            return value
        case _:
            return _fit_scalar(value, kind)


def _fit_scalar(value: Any, kind: Any) -> Any:
    from msgspec import inspect

    fitted: Any = None
    match kind:
        case inspect.NoneType() if value is None:
            return None
        case inspect.StrType():
            fitted = as_text(value)
        case inspect.IntType():
            fitted = _within(as_integer(value), kind)
        case inspect.FloatType():
            fitted = _within(_as_real(value), kind)
        case inspect.RawType():
            fitted = Raw(msgspec.json.encode(value))
        case inspect.BoolType():
            fitted = value if isinstance(value, bool) else None
        case _:  # a type of value that no wire format has here
            pass
    if fitted is None:
        raise _Unfit
    return fitted


def _within(number: N | None, kind: Any) -> N | None:
    """The number; `None` if it is not within the limits of its type."""
    if number is None or (kind.ge is not None and number < kind.ge):
        return None
    return None if kind.le is not None and number > kind.le else number


def as_text(value: Any) -> str | None:
    """A text, or the text of a number; else `None`."""
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return msgspec.json.encode(value).decode() if is_number else None


def as_integer(value: Any) -> int | None:
    """A whole number, also one written as `12.0` or `"12"`; else `None`."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _as_real(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    whole = as_integer(value)
    return None if whole is None else float(whole)


def _fitting(value: Any, kind: Any) -> list[Any]:
    """The value as `kind`; nothing if it does not fit."""
    try:
        return [_fit(value, kind)]
    except _Unfit:
        return []


def _first_fit(value: Any, kinds: tuple[Any, ...]) -> Any:
    for kind in kinds:
        if fitted := _fitting(value, kind):
            return fitted[0]
    raise _Unfit


def _fit_struct(value: Any, kind: Any) -> Any:
    if not isinstance(value, dict):
        raise _Unfit
    whole = getattr(kind.cls, "all_or_nothing", False)  # `json.AllOrNothing`
    fields: dict[str, Any] = {}
    for field in kind.fields:
        given = value.get(field.encode_name)
        fitted = [] if given is None else _fitting(given, field.type)
        if fitted:
            fields[field.name] = fitted[0]
        elif given is not None and whole:
            raise _Unfit
        elif field.required:
            fields[field.name] = _nothing(field.type)
        elif field.default is not NODEFAULT and field.default is not None:
            fields[field.name] = field.default
    return kind.cls(**fields)


def _nothing(kind: Any) -> Any:
    """What stands for a required field that is missing."""
    from msgspec import inspect

    if isinstance(kind, inspect.StructType):
        return _fit_struct({}, kind)
    if isinstance(kind, inspect.RawType):
        return Raw(b"{}")
    empty: dict[type, Any] = {
        inspect.ListType: [],
        inspect.DictType: {},
        inspect.StrType: "",
        inspect.IntType: 0,
        inspect.FloatType: 0.0,
        inspect.BoolType: False,
    }
    return empty.get(type(kind))

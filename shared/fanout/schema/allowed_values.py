"""The texts that a field may have, for error messages. Loaded only when a request is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from msgspec import inspect

ANY = "*"
"""The tag of the type that stands for all others."""

_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
"""A step of msgspec's paths: a field, the index `[0]`, or any key, `[...]`."""


def allowed_values(kind: Any, path: str) -> list[str]:
    """
    The texts that the field at `path` of a `kind` may have; empty if they are not listed.

    The `type` of an object that may be one of several is such a field, too.
    """
    *steps, last = _STEP.findall(path) or [""]
    reached = [_inspected(kind)]
    for step in steps:
        reached = [deeper for one in reached for deeper in _inside(one, step)]
    tags = [
        str(option.tag)
        for one in reached
        for option in _options(one)
        if isinstance(option, inspect.StructType) and option.tag_field == last
    ]
    values = [
        value
        for one in reached
        for field in _inside(one, last)
        for option in _options(field)
        if isinstance(option, inspect.LiteralType)
        for value in option.values
        if isinstance(value, str)
    ]
    return [value for value in dict.fromkeys(tags + values) if value != ANY]


@cache
def _inspected(kind: Any) -> inspect.Type:
    """What msgspec knows of a type; it needs milliseconds, and there are few types."""
    return inspect.type_info(kind)


def _options(kind: inspect.Type) -> Iterator[inspect.Type]:
    """The types of a union; of any other type, the type itself."""
    if isinstance(kind, inspect.Metadata):
        yield from _options(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _options(one)
    else:
        yield kind


def _inside(kind: inspect.Type, step: str) -> Iterator[inspect.Type]:
    """The types that a step of a path leads to."""
    for option in _options(kind):
        if isinstance(option, inspect.StructType):
            yield from (field.type for field in option.fields if field.encode_name == step)
        elif isinstance(option, inspect.DictType):
            yield option.value_type
        elif isinstance(option, inspect.ListType | inspect.SetType | inspect.VarTupleType):
            yield option.item_type

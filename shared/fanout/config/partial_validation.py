"""
Finds the valid parts of a value that is not of its type, and reports each invalid one.

Loaded only for configs in which something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields as fields_of

from ..errors import KeyPath

NOTHING = object()
"""What is left of a value if no part of it is right."""

Report: TypeAlias = Callable[[KeyPath, object, Any, KeyPath], None]
"""Gets the path of a wrong part, the part, its type, and the path of what is useless without it."""

_STAND_INS: tuple[Any, ...] = ("", "-", {}, [])


def valid_parts(
    value: object, kind: Any, path: KeyPath, report: Report, useless: KeyPath | None = None
) -> Any:
    """
    The value without its wrong parts, or `NOTHING`; each wrong part is reported.

    In a list, a wrong item is replaced by an empty one, so that the others keep their indexes. Null
    asks for nothing, and is left out: the value of a key that is not required, and an item of a
    list that is no object. If nothing is right, the part at `useless` is of no use, by default the
    value itself.
    """
    if fits(value, kind):
        return value
    count = 0

    def counted(*part: Any) -> None:
        nonlocal count
        count += 1
        report(*part)

    whole = _container(value, kind)
    found: Any = NOTHING
    if isinstance(value, list) and get_origin(whole) is list:
        found = _items(value, get_args(whole)[0], path, counted)
    elif isinstance(value, Mapping) and get_origin(whole) is dict:
        found = dict(_entries(value, get_args(whole), path, counted))
    elif isinstance(value, Mapping) and whole is not None:
        found = dict(_fields(value, whole, path, counted))
    if found is not NOTHING and fits(found, kind):
        return found
    if not count:
        report(path, value, kind, path if useless is None else useless)
    return NOTHING


def fits(value: object, kind: Any) -> bool:
    """Whether a value can be converted to a type."""
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def form_of(value: object, kind: Any) -> Literal["", "text", "list"]:
    """What to write a value as, so that it has the type: a number as text, a text in a list."""
    if isinstance(value, int | float) and not isinstance(value, bool) and fits(str(value), kind):
        return "text"
    return "list" if isinstance(value, str) and value and fits([value], kind) else ""


def choices_of(kind: Any) -> list[str]:
    """The texts that a value of this type can be, if they are listed."""
    listed = (one for one in _alternatives(kind) if get_origin(one) is Literal)
    return [value for one in listed for value in get_args(one)]


def _alternatives(kind: Any) -> Iterator[Any]:
    """The types of a union; of any other type, the type itself."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _alternatives(get_args(kind)[0])
    elif origin in {Union, UnionType}:
        for one in get_args(kind):
            yield from _alternatives(one)
    else:
        yield kind


def _container(value: object, kind: Any) -> Any:
    """The only type of list, mapping or object that the value may be meant as, or `None`."""
    if isinstance(value, list):
        found = [one for one in _alternatives(kind) if get_origin(one) is list]
    else:
        found = [
            one
            for one in _alternatives(kind)
            if get_origin(one) is dict or (isinstance(one, type) and issubclass(one, Struct))
        ]
    return found[0] if len(found) == 1 else None


def _items(value: list[Any], kind: Any, path: KeyPath, report: Report) -> Any:
    """The items, with placeholders for wrong ones; `NOTHING` if all are wrong."""
    is_object = isinstance(kind, type) and issubclass(kind, Struct)
    found = [
        valid_parts(item, kind, (*path, i), report)
        for i, item in enumerate(value)
        if item is not None or is_object or fits(None, kind)
    ]
    if found and all(item is NOTHING for item in found):
        return NOTHING
    kept = (_placeholder(kind) if item is NOTHING else item for item in found)
    return [item for item in kept if item is not NOTHING]


def _entries(
    value: Mapping[Any, Any], kinds: tuple[Any, ...], path: KeyPath, report: Report
) -> Iterator[tuple[Any, Any]]:
    for key, item in value.items():
        if not fits(key, kinds[0]):
            if item is not None:
                report((*path, key), key, kinds[0], (*path, key))
            continue
        if item is None and not fits(None, kinds[1]):
            continue
        found = valid_parts(item, kinds[1], (*path, key), report)
        if found is not NOTHING:
            yield key, found


def _fields(
    value: Mapping[Any, Any], kind: type[Struct], path: KeyPath, report: Report
) -> Iterator[tuple[str, Any]]:
    names: Any = Literal[kind.__struct_fields__]
    for key, item in value.items():
        if key not in kind.__struct_fields__ and item is not None:
            report((*path, key), key, names, (*path, key))
    for one in fields_of(kind):
        is_required = one.default is NODEFAULT and one.default_factory is NODEFAULT
        place = (*path, one.name)
        if one.name in value and (is_required or value[one.name] is not None):
            useless = path if is_required else place
            found = valid_parts(value[one.name], one.type, place, report, useless)
            if found is not NOTHING:
                yield one.name, found
        elif is_required:
            report(place, NOTHING, one.type, path)


def _placeholder(kind: Any) -> Any:
    """An empty value of a type, or one with only what is required; `NOTHING` if there is none."""
    for one in _STAND_INS:
        if fits(one, kind):
            return one
    if not (isinstance(kind, type) and issubclass(kind, Struct)):
        return NOTHING
    needed = [one for one in fields_of(kind) if one.default is one.default_factory is NODEFAULT]
    found = {one.name: _placeholder(one.type) for one in needed}
    return found if fits(found, kind) else NOTHING

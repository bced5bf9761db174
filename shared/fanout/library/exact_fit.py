"""
Builds a public type from JSON that fits it exactly, as pydantic does, without pydantic's validator.

Pydantic makes a validator of a class when it first needs one, and looks for its plugins among all
installed packages then. That is 10 ms of CPU and 4 MB of memory (decision 0002), which the first
response would wait for. Most responses fit exactly: there is nothing to convert. The others are
pydantic's to validate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, Final, Literal, NamedTuple, Never, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .attribute_dict import with_attributes

ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_ITEMS = 20
"""Items of a list that is built here: pydantic builds longer ones faster, in Rust."""

_SCALARS: Final = (str, int, bool, NoneType)


class Misfit(Exception):
    """The value does not fit exactly."""


class _Fit(NamedTuple):
    """The types of values that a field keeps as they are, and what builds other values."""

    kept: frozenset[type]
    build: Callable[[Any], Any]


def exact(kind: type[ModelT], value: Mapping[str, Any]) -> ModelT:
    """The value as a `kind` of this package; raises `Misfit` if it does not fit exactly."""
    made: ModelT = _builder(kind)(value)
    return made


@cache
def _builder(kind: type[BaseModel]) -> Callable[[Any], Any]:
    """What builds a class: `_misfit` if it is a user's, or has fields of other types."""
    if not _is_own(kind):
        return _misfit
    fields = kind.model_fields
    try:
        fits = {name: _fit_of_field(field) for name, field in fields.items()}
    except Misfit:
        return _misfit
    required = frozenset(name for name, field in fields.items() if field.is_required())
    defaults = {name: None if name in required else fields[name].default for name in fields}
    new, assign = object.__new__, object.__setattr__  # the model's own look at each name

    def build(value: Any) -> BaseModel:
        if type(value) is not dict or not required <= value.keys():
            raise Misfit
        own, extra = defaults.copy(), {}
        for name, item in value.items():
            if (fit := fits.get(name)) is None:
                extra[name] = with_attributes(item)
            else:
                own[name] = item if type(item) in fit[0] else fit[1](item)
        made = new(kind)
        assign(made, "__dict__", own)
        assign(made, "__pydantic_fields_set__", set(value))
        assign(made, "__pydantic_extra__", extra)
        assign(made, "__pydantic_private__", None)
        return made

    return build


def _is_own(kind: object) -> bool:
    """Whether a class is this package's: those of users may have validators or another config."""
    return (
        isinstance(kind, type)
        and issubclass(kind, BaseModel)
        and kind.__module__.startswith(f"{__package__}.")
    )


def _fit_of_field(field: FieldInfo) -> _Fit:
    if field.metadata or not (field.is_required() or isinstance(field.default, _SCALARS)):
        raise Misfit
    return _fit(field.annotation)


def _fit(annotation: Any) -> _Fit:
    """How values of a type are built; raises `Misfit` if only pydantic knows."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _Fit(frozenset(), partial(_as_literal, frozenset(arguments)))
    if origin is list:
        return _Fit(frozenset(), partial(_as_list, _fit(arguments[0])))
    if origin in {Union, UnionType}:
        return _fit_of_union([_fit(one) for one in arguments])
    return _fit_of_class(annotation)


def _fit_of_class(annotation: Any) -> _Fit:
    if annotation in _SCALARS:
        return _Fit(frozenset({annotation}), _misfit)
    if annotation is float:
        return _Fit(frozenset({float}), _as_float)
    if annotation is Any:
        return _Fit(frozenset(), lambda item: item)
    if _is_own(annotation) and (build := _builder(annotation)) is not _misfit:
        return _Fit(frozenset(), build)
    raise Misfit


def _fit_of_union(fits: list[_Fit]) -> _Fit:
    kept = frozenset[type]().union(*(fit.kept for fit in fits))
    builds = [fit.build for fit in fits if fit.build is not _misfit]
    if len(builds) > 1:
        return _Fit(kept, partial(_as_one, builds))
    return _Fit(kept, builds[0] if builds else _misfit)


def _misfit(_: object) -> Never:
    raise Misfit


def _as_float(item: object) -> float:
    if type(item) is not int:
        raise Misfit
    try:
        return float(item)
    except OverflowError:
        raise Misfit from None


def _as_literal(allowed: frozenset[str], item: object) -> str:
    if type(item) is str and item in allowed:
        return item
    raise Misfit


def _as_list(fit: _Fit, items: object) -> list[Any]:
    if type(items) is not list or len(items) > MAX_ITEMS:
        raise Misfit
    kept, build = fit
    return [item if type(item) in kept else build(item) for item in items]


def _as_one(builds: list[Callable[[Any], Any]], item: object) -> Any:
    """What the only type of a union makes of the value that it fits."""
    found = []
    for build in builds:
        try:
            found.append(build(item))
        except Misfit:
            continue
    if len(found) != 1:
        raise Misfit
    return found[0]

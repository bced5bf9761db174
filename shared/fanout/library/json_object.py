"""The base of the public types: a pydantic model that also reads like a JSON object."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from .attribute_dict import with_attributes
from .exact_fit import Misfit, exact


class JSONObject(BaseModel):
    """
    A JSON object with typed fields.

    Unknown fields are kept. `model_dump()` returns the fields that were received or set, without
    defaults for the others (`exclude_unset=False` adds them). Validators are built when they are
    first used: most programs need few of the types.
    """

    model_config = ConfigDict(extra="allow", protected_namespaces=(), defer_build=True)

    if not TYPE_CHECKING:  # for a type checker, it would be an argument of the constructor
        __pydantic_extra__: dict[str, Annotated[Any, BeforeValidator(with_attributes)]]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """
        Validate `value`; if it does not fit the types, keep it as it is.

        Only the parts that do not fit stay unvalidated. A missing required field is `None`.
        """
        try:
            return exact(cls, value)
        except Misfit:
            return cls._validated(value)

    @classmethod
    def _validated(cls, value: Mapping[str, Any]) -> Self:
        try:
            made: Self = cls.__pydantic_validator__.validate_python(value)
        except ValidationError:
            made = _unvalidated(cls, value)
        return made

    def __getitem__(self, name: str) -> Any:
        if name in type(self).model_fields or name in (self.model_extra or {}):
            return getattr(self, name)
        raise KeyError(name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __len__(self) -> int:
        return len(self.keys())

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or `default` if it was neither received nor set."""
        return getattr(self, name) if name in self else default

    def keys(self) -> KeysView[str]:
        """The names of the fields that were received or set."""
        return self._received().keys()

    def values(self) -> ValuesView[Any]:
        """Their values."""
        return self._received().values()

    def items(self) -> ItemsView[str, Any]:
        """Their names and values."""
        return self._received().items()

    def _received(self) -> dict[str, Any]:
        own = {
            name: value for name, value in self.__dict__.items() if name in self.model_fields_set
        }
        return {**own, **(self.model_extra or {})}

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return self.model_dump() == other
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr_args__(self) -> Any:
        yield from self._received().items()

    def to_dict(self, **options: Any) -> dict[str, Any]:
        """`model_dump`, under the name that OpenAI's SDK gives it."""
        return self.model_dump(**options)

    def to_json(self, **options: Any) -> str:
        """`model_dump_json`, under the name that OpenAI's SDK gives it."""
        return self.model_dump_json(**options)

    if not TYPE_CHECKING:  # the signatures stay pydantic's; only two defaults differ

        def model_dump(self, *, exclude_unset=True, warnings=False, **options):
            return super().model_dump(exclude_unset=exclude_unset, warnings=warnings, **options)

        def model_dump_json(self, *, exclude_unset=True, warnings=False, **options):
            return super().model_dump_json(
                exclude_unset=exclude_unset, warnings=warnings, **options
            )


if not TYPE_CHECKING:  # pydantic's own are deprecated; inside the class they would hide `dict`
    JSONObject.dict = JSONObject.model_dump
    JSONObject.json = JSONObject.model_dump_json


def _unvalidated(kind: type[JSONObject], value: Mapping[str, Any]) -> Any:
    fields = kind.model_fields
    own = {
        name: _fitted(field.annotation, value[name])
        if name in value
        else (None if field.is_required() else field.get_default(call_default_factory=True))
        for name, field in fields.items()
    }
    made = kind.__new__(kind)
    object.__setattr__(made, "__dict__", own)
    object.__setattr__(made, "__pydantic_fields_set__", fields.keys() & value.keys())
    extra = {name: with_attributes(item) for name, item in value.items() if name not in fields}
    object.__setattr__(made, "__pydantic_extra__", extra)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


def _fitted(annotation: Any, value: Any) -> Any:
    """`value` with its objects as the types that the annotation names."""
    if isinstance(value, list):
        items = [get_args(one)[0] for one in _options(annotation) if get_origin(one) is list]
        return [_fitted(items[0], item) for item in value] if items else with_attributes(value)
    if not isinstance(value, dict):
        return value
    kinds = [one for one in _options(annotation) if _is_object(one)]
    if not kinds:
        return with_attributes(value)
    named = [kind for kind in kinds if value.get("type") in _types_of(kind)]
    return (named or kinds)[0].from_json(value)


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)


def _is_object(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, JSONObject)


@cache
def _types_of(kind: type[JSONObject]) -> frozenset[Any]:
    """The values of a kind's `type` field that distinguish it from others: `function`, `custom`."""
    field = kind.model_fields.get("type")
    return frozenset(get_args(field.annotation) if field else ())

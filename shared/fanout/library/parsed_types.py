"""The public types of a response to `response_format=SomeModel`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, SerializeAsAny, ValidatorFunctionWrapHandler, field_validator

from .attribute_dict import with_attributes
from .json_object import JSONObject
from .types import ChatCompletion, Choice, Message

ParsedT = TypeVar("ParsedT", bound=BaseModel)


class _Pickled(JSONObject):
    """Pickles objects of `Parsed…[SomeModel]`: pickle does not find that class by its name."""

    def __reduce__(self) -> tuple[Any, ...]:
        generic = type(self).__pydantic_generic_metadata__
        return _of_class, (generic["origin"] or type(self), generic["args"]), self.__getstate__()


def _of_class(kind: Any, arguments: tuple[type, ...]) -> Any:
    made = kind[arguments] if arguments else kind
    return made.__new__(made)


class ParsedMessage(Message, _Pickled, Generic[ParsedT]):
    """A message whose content was validated by the model class given as `response_format`."""

    parsed: SerializeAsAny[ParsedT] | None = None

    @field_validator("parsed", mode="wrap")
    @classmethod
    def _object(cls, value: Any, validated: ValidatorFunctionWrapHandler) -> Any:
        """The object; of `ParsedMessage` without a class, a dict with attributes."""
        has_class = cls.__pydantic_generic_metadata__["args"]
        return validated(value) if has_class or value is None else with_attributes(value)


class ParsedChoice(Choice, _Pickled, Generic[ParsedT]):
    """A choice whose message has `.parsed`."""

    message: ParsedMessage[ParsedT]


class ParsedChatCompletion(ChatCompletion, _Pickled, Generic[ParsedT]):
    """The response to a request with `response_format=SomeModel`."""

    choices: list[ParsedChoice[ParsedT]]  # type: ignore[assignment]

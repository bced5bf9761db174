"""
An answer as an object: reads, prints and dumps like OpenAI's SDK's.

It is the JSON object of the wire with attributes, so what a provider adds is there too, and what
it left out of OpenAI's own fields is `None`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..wire import json


class Answer(Mapping[str, Any]):
    """A JSON object with attributes: `r.choices[0].message.content` and `r["choices"]` alike."""

    __slots__ = ("_value",)
    _value: Mapping[str, Any]
    _kinds: ClassVar[Mapping[str, type[Answer]]] = {}
    _optional: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, value: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_value", value)

    def __getattr__(self, name: str) -> Any:
        if name in self._value:
            return self[name]
        if name in self._optional:
            return None
        raise AttributeError(f"`{type(self).__name__}` has no `{name}`")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an answer cannot be changed; `model_dump()` gives a copy that can")

    def __getitem__(self, name: str) -> Any:
        return _wrap(self._value[name], self._kinds.get(name, Answer))

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._value, *self._optional})

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={self[name]!r}" for name in self._value)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[type[Answer], tuple[dict[str, Any]]]:
        return type(self), (self.model_dump(),)

    def model_dump(
        self,
        *,
        mode: str = "json",  # noqa: ARG002
        exclude_none: bool = False,
        exclude_unset: bool = True,  # noqa: ARG002
    ) -> dict[str, Any]:
        """
        The JSON object, as a copy of one's own.

        `mode` and `exclude_unset` are the OpenAI SDK's: here all is JSON, and all was set.
        """
        value = copy.deepcopy(dict(self._value))
        return _without_none(value) if exclude_none else value

    def model_dump_json(self, *, indent: int | None = None, exclude_none: bool = False) -> str:
        """The JSON text."""
        import msgspec

        text = json.encode(self.model_dump(exclude_none=exclude_none))
        return (msgspec.json.format(text, indent=indent) if indent else text).decode()

    dict = model_dump
    json = model_dump_json
    to_dict = model_dump
    to_json = model_dump_json


def _wrap(value: Any, kind: type[Answer]) -> Any:
    if isinstance(value, dict):
        return kind(value)
    if isinstance(value, list):
        return [_wrap(inner, kind) for inner in value]
    return value


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return value


class Usage(Answer):
    __slots__ = ()
    _optional = frozenset({"prompt_tokens_details", "completion_tokens_details"})
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Function(Answer):
    __slots__ = ()
    _optional = frozenset({"name", "arguments"})
    name: str
    arguments: str


class ToolCall(Answer):
    __slots__ = ()
    _kinds: ClassVar[Mapping[str, type[Answer]]] = {"function": Function}
    _optional = frozenset({"id", "type", "index"})
    id: str
    type: str
    function: Function


# What OpenAI may leave out, by where: read, it is `None`.
_MESSAGE = frozenset(
    {"content", "refusal", "tool_calls", "reasoning_content", "audio", "function_call"}
    | {"annotations"}
)
_CHOICE = frozenset({"logprobs", "finish_reason", "model", "usage", "latency_ms", "error"})
_WHOLE = frozenset({"usage", "system_fingerprint", "service_tier", "fanout"})


class Message(Answer):
    __slots__ = ()
    _kinds: ClassVar[Mapping[str, type[Answer]]] = {"tool_calls": ToolCall}
    _optional = _MESSAGE
    role: str
    content: str | None
    refusal: str | None
    reasoning_content: str | None
    tool_calls: list[ToolCall] | None


class Delta(Message):
    __slots__ = ()
    _optional = _MESSAGE | {"role"}


class Choice(Answer):
    __slots__ = ()
    _kinds: ClassVar[Mapping[str, type[Answer]]] = {"message": Message, "usage": Usage}
    _optional = _CHOICE
    index: int
    message: Message
    finish_reason: str | None


class ChunkChoice(Answer):
    __slots__ = ()
    _kinds: ClassVar[Mapping[str, type[Answer]]] = {"delta": Delta, "usage": Usage}
    _optional = _CHOICE
    index: int
    delta: Delta
    finish_reason: str | None


class ChatCompletion(Answer):
    """One whole answer."""

    __slots__ = ()
    _kinds: ClassVar[Mapping[str, type[Answer]]] = {"choices": Choice, "usage": Usage}
    _optional = _WHOLE
    id: str
    created: int
    model: str
    object: str
    choices: list[Choice]
    usage: Usage | None


class ChatCompletionChunk(Answer):
    """One piece of a streamed answer."""

    __slots__ = ()
    _kinds: ClassVar[Mapping[str, type[Answer]]] = {"choices": ChunkChoice, "usage": Usage}
    _optional = _WHOLE
    id: str
    created: int
    model: str
    object: str
    choices: list[ChunkChoice]
    usage: Usage | None

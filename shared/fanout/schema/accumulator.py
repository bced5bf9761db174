"""Collects the chunks of a stream into the whole response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..wire import json
from ..wire.json_size import weight
from .chat import ORIGINAL_EVENT, ORIGINAL_EVENTS, ChatChunk, ChatCompletion, Usage

# Fields of a chunk that are not copied into the response. `choices` and `usage` are collected.
_CHUNK_ONLY = frozenset({"object", "choices", "usage", "obfuscation", ORIGINAL_EVENT})

# What all chunks of a stream have in common.
_HEAD = frozenset({"id", "created", "model"})

# Texts inside a delta that are never sent in pieces; of all others, the pieces are joined.
_WHOLE_TEXTS = frozenset({"format", "id", "index", "object", "role", "type"})

# What a message may have instead of content, which is null then in OpenAI's whole responses.
_INSTEAD_OF_CONTENT = ("refusal", "audio", "function_call")

# Bytes of memory for a text besides its characters: the Python object and its entry in a list.
_OVERHEAD = 64


class ChunkAccumulator:
    """
    Collects the chunks of one stream, in order; `completion` returns the response so far.

    `size` is roughly the number of bytes in memory.
    """

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: Any = None
        self._events: list[Any] = []
        self.size = 0
        self.usage_so_far: Callable[[], Usage | None] = lambda: None

    def add(self, chunk: ChatChunk) -> None:
        """Add the next chunk."""
        whole: Any = chunk
        for name, value in whole.items():
            if name not in _CHUNK_ONLY and value is not None:
                if name in _HEAD and name in self._top:
                    continue  # the first counts
                self._top[name] = value
        if usage := chunk.get("usage"):
            self._usage = usage
        if (event := whole.get(ORIGINAL_EVENT)) is not None:
            self._events.append(event)
            self.size += len(event.data) + _OVERHEAD
        for choice in chunk["choices"]:
            index = choice.get("index", 0)
            if index not in self._choices:
                self._choices[index] = _Choice()
            self._choices[index].add(choice)
            self.size += _memory_size(choice)

    @property
    def usage(self) -> Any:
        """The last usage received, or `None`."""
        return self._usage

    def completion(self) -> ChatCompletion:
        """The response that consists of the chunks so far."""
        response: Any = {
            **self._top,
            "object": "chat.completion",
            "choices": [self._choices[i].choice(i) for i in sorted(self._choices)],
            "usage": self._usage,
        }
        if self._events:
            response[ORIGINAL_EVENTS] = self._events
        completion: ChatCompletion = response
        return completion


def _memory_size(choice: Any) -> int:
    """Roughly a choice's bytes in memory: its texts, and anything else by its weight as JSON."""
    size = 0
    for value in choice["delta"].values():
        if isinstance(value, str):
            size += len(value) + _OVERHEAD
        elif value:
            size += weight(json.encode(value)) + _OVERHEAD
    if logprobs := choice.get("logprobs"):
        size += weight(json.encode(logprobs))
    return size


class _Choice:
    def __init__(self) -> None:
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: dict[str, list[Any] | None] = {}
        self._rest: dict[str, Any] = {}
        self._message: dict[str, Any] = {}

    def add(self, choice: Any) -> None:
        for name, value in choice["delta"].items():
            if name == "tool_calls":
                for part in value or ():
                    self._add_call(part)
            elif value is not None and name != "role":
                self._message[name] = _join_field(name, self._message.get(name), value)
        for name, value in (choice.get("logprobs") or {}).items():
            if value and isinstance(value, list):
                self._logprobs[name] = known = self._logprobs.get(name) or []
                known.extend(value)
            elif value is None:
                self._logprobs.setdefault(name, None)
        for name, value in choice.items():
            if name not in {"delta", "index", "logprobs"} and value is not None:
                self._rest[name] = value

    def _add_call(self, part: dict[str, Any]) -> None:
        call = self._calls.setdefault(part.get("index", 0), {})
        for name, value in part.items():
            if name != "index" and value is not None:
                call[name] = join_values(name, call.get(name), value)

    def choice(self, index: int) -> dict[str, Any]:
        fields = {name: whole_value(value) for name, value in self._message.items()}
        content = fields.pop("content", None) or None
        message = {"role": "assistant", "content": content}
        message |= {name: value for name, value in fields.items() if value != ""}
        if self._calls:
            message["tool_calls"] = [_tool_call(self._calls[i]) for i in sorted(self._calls)]
        elif content is None and not any(message.get(name) for name in _INSTEAD_OF_CONTENT):
            message["content"] = ""
        choice = {"index": index, "message": message, "finish_reason": None, **self._rest}
        if any(self._logprobs.values()):
            choice["logprobs"] = self._logprobs
        return choice


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {"type": "function", **whole_value(call)}
    if whole["type"] == "function":
        whole["function"] = {"name": "", "arguments": "", **whole.get("function", {})}
    return whole


class _Pieces(list[str]):
    """The pieces of a text, joined only at the end: O(n) for long texts."""


def _join_field(name: str, old: Any, new: Any) -> Any:
    """A field of a message in two pieces as one; MiniMax repeats the author's name in each."""
    return new if name == "name" else join_values(name, old, new)


def join_values(name: str, old: Any, new: Any) -> Any:
    """
    The values of a field in two pieces as one, as OpenAI's SDKs do: texts and objects are joined.

    Elements of lists with the same `index` are pieces of one. `old` is ours, and changed.
    """
    if isinstance(new, str) and name not in _WHOLE_TEXTS:
        pieces = old if isinstance(old, _Pieces) else _Pieces()
        pieces.append(new)
        return pieces
    if isinstance(new, dict):
        joined = old if isinstance(old, dict) else {}
        for key, value in new.items():
            if value is not None:
                joined[key] = join_values(key, joined.get(key), value)
        return joined
    if isinstance(new, list):
        found = old if isinstance(old, list) and not isinstance(old, _Pieces) else []
        for element in new:
            _add_element(found, element)
        return found
    return new


def _add_element(found: list[Any], element: Any) -> None:
    index = element.get("index") if isinstance(element, dict) else None
    if isinstance(index, int):
        for known in found:
            if isinstance(known, dict) and known.get("index") == index:
                join_values("", known, element)
                return
    found.append(join_values("", None, element) if isinstance(element, dict | list) else element)


def whole_value(value: Any) -> Any:
    """A joined value with its texts in one."""
    if isinstance(value, _Pieces):
        return "".join(value)
    if isinstance(value, dict):
        return {name: whole_value(each) for name, each in value.items()}
    if isinstance(value, list):
        return [whole_value(each) for each in value]
    return value

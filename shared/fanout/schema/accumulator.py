"""Collects the chunks of a stream into the whole response."""

from __future__ import annotations

from typing import Any

from ..wire import json
from .chat import ChatChunk, ChatCompletion

# Fields of a chunk that are not copied into the response. `choices` and `usage` are collected.
_CHUNK_ONLY = frozenset({"object", "choices", "usage", "obfuscation"})

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
        self.size = 0

    def add(self, chunk: ChatChunk) -> None:
        """Add the next chunk."""
        for name, value in chunk.items():
            if name not in _CHUNK_ONLY and value is not None:
                self._top.setdefault(name, value)
        if usage := chunk.get("usage"):
            self._usage = usage
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
        completion: ChatCompletion = response
        return completion


def _memory_size(choice: Any) -> int:
    """Roughly a choice's bytes in memory: its texts, and anything else by its size as JSON."""
    size = 0
    for value in choice["delta"].values():
        if isinstance(value, str):
            size += len(value) + _OVERHEAD
        elif value:
            size += len(json.encode(value)) + _OVERHEAD
    if logprobs := choice.get("logprobs"):
        size += len(json.encode(logprobs))
    return size


class _Choice:
    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: dict[str, list[Any]] = {}
        self._rest: dict[str, Any] = {}
        self._message: dict[str, Any] = {}

    def add(self, choice: Any) -> None:
        for name, value in choice["delta"].items():
            self._add_delta(name, value)
        for name, value in (choice.get("logprobs") or {}).items():
            if value:
                self._logprobs.setdefault(name, []).extend(value)
        for name, value in choice.items():
            if name not in {"delta", "index", "logprobs"} and value is not None:
                self._rest[name] = value

    def _add_delta(self, name: str, value: Any) -> None:
        if name == "tool_calls":
            for part in value or ():
                self._add_call(part)
        elif isinstance(value, list):
            self._message.setdefault(name, []).extend(value)
        elif isinstance(value, str) and name != "role":
            self._texts.setdefault(name, []).append(value)
        elif value is not None and name != "role":
            self._message.setdefault(name, value)

    def _add_call(self, part: dict[str, Any]) -> None:
        index = part.get("index", 0)
        call = self._calls.setdefault(index, {"function": {"arguments": []}})
        for name, value in part.items():
            if name == "function":
                if value.get("name"):
                    call["function"]["name"] = value["name"]
                if value.get("arguments"):
                    call["function"]["arguments"].append(value["arguments"])
            elif name != "index" and value is not None:
                call[name] = value

    def choice(self, index: int) -> dict[str, Any]:
        texts = {name: "".join(parts) for name, parts in self._texts.items()}
        content = texts.pop("content", "") or None
        message = {"role": "assistant", "content": content, **self._message}
        message |= {name: text for name, text in texts.items() if text}
        if self._calls:
            message["tool_calls"] = [_tool_call(self._calls[i]) for i in sorted(self._calls)]
        elif content is None and not texts.get("refusal"):
            message["content"] = ""
        choice = {"index": index, "message": message, "finish_reason": None, **self._rest}
        if self._logprobs:
            choice["logprobs"] = self._logprobs
        return choice


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    rest = {name: value for name, value in call.items() if name != "function"}
    return {
        "type": "function",
        **rest,
        "function": {**function, "arguments": "".join(function["arguments"])},
    }

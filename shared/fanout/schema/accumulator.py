"""Chunks of a stream put together to the whole answer that they tell."""

from __future__ import annotations

from typing import Any

from ..wire import json
from .chat import ChatChunk, ChatCompletion

# What of a chunk belongs to the answer as a whole; everything else of it is about the piece.
_PIECE_ONLY = frozenset({"object", "choices", "usage", "obfuscation"})


# What Python keeps for a piece of text beside its characters: the object, its place in a list.
_PIECE = 64


class ChunkAccumulator:
    """
    Takes the chunks of one stream in order; `whole` is the answer so far.

    `size` is about how many bytes of memory it takes.
    """

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: Any = None
        self.size = 0

    def add(self, chunk: ChatChunk) -> None:
        """Take the next chunk."""
        for name, value in chunk.items():
            if name not in _PIECE_ONLY and value is not None:
                self._top.setdefault(name, value)
        if usage := chunk.get("usage"):
            self._usage = usage
        for piece in chunk["choices"]:
            index = piece.get("index", 0)
            if index not in self._choices:
                self._choices[index] = _Choice()
            self._choices[index].add(piece)
            self.size += _weight(piece)

    @property
    def usage(self) -> Any:
        """The usage told so far, or `None`."""
        return self._usage

    def whole(self) -> ChatCompletion:
        """The answer that the chunks so far amount to."""
        answer: Any = {
            **self._top,
            "object": "chat.completion",
            "choices": [self._choices[i].whole(i) for i in sorted(self._choices)],
            "usage": self._usage,
        }
        completion: ChatCompletion = answer
        return completion


def _weight(piece: Any) -> int:
    """About what a piece takes: its text, and of the rare rest what it would be as JSON."""
    size = 0
    for value in piece["delta"].values():
        if isinstance(value, str):
            size += len(value) + _PIECE
        elif value:
            size += len(json.encode(value)) + _PIECE
    if logprobs := piece.get("logprobs"):
        size += len(json.encode(logprobs))
    return size


class _Choice:
    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: dict[str, list[Any]] = {}
        self._rest: dict[str, Any] = {}
        self._message: dict[str, Any] = {}

    def add(self, piece: Any) -> None:
        for name, value in piece["delta"].items():
            self._add_delta(name, value)
        for name, value in (piece.get("logprobs") or {}).items():
            if value:
                self._logprobs.setdefault(name, []).extend(value)
        for name, value in piece.items():
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

    def whole(self, index: int) -> dict[str, Any]:
        texts = {name: "".join(parts) for name, parts in self._texts.items()}
        content = texts.pop("content", "") or None
        message = {"role": "assistant", "content": content, **self._message}
        message |= {name: text for name, text in texts.items() if text}
        if self._calls:
            message["tool_calls"] = [_whole_call(self._calls[i]) for i in sorted(self._calls)]
        elif content is None and not texts.get("refusal"):
            message["content"] = ""
        choice = {"index": index, "message": message, "finish_reason": None, **self._rest}
        if self._logprobs:
            choice["logprobs"] = self._logprobs
        return choice


def _whole_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    rest = {name: value for name, value in call.items() if name != "function"}
    return {
        "type": "function",
        **rest,
        "function": {**function, "arguments": "".join(function["arguments"])},
    }

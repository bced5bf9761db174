"""The text that a model has written in one response, also in one that was cut, and its tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .accumulator import join_values, whole_value
from .chat import ChatChunk, Usage
from .prompt_tokens import tokens_in

MAX_CHUNKS = 4_096
"""Chunks whose texts are kept until they are counted, so that the memory for them is bounded."""


def response_tokens(completion: Mapping[str, Any]) -> int:
    """The tokens of the messages that a model wrote, about; their role is not written."""
    messages = [choice.get("message") or {} for choice in completion["choices"]]
    return sum(
        tokens_in(value)
        for message in messages
        for name, value in message.items()
        if name != "role"
    )


class ReceivedText:
    """
    The text of a stream's chunks so far.

    It is counted when `tokens` is read: most streams have a usage at their end, and need no count.
    """

    __slots__ = ("_chunks", "_counted", "_fields", "usage_so_far")

    def __init__(self) -> None:
        self._fields: dict[tuple[int, str], Any] = {}
        self._chunks = self._counted = 0
        self.usage_so_far: Callable[[], Usage | None] = lambda: None

    def add(self, chunk: ChatChunk) -> None:
        """Add a chunk's text."""
        fields = self._fields
        for choice in chunk["choices"]:
            number = choice.get("index", 0)
            delta: Mapping[str, Any] = choice["delta"]
            for name, value in delta.items():
                if value and name != "role":
                    key = number, name
                    fields[key] = join_values(name, fields.get(key), value)
        self._chunks += 1
        if self._chunks >= MAX_CHUNKS:
            self._counted, self._fields, self._chunks = self.tokens, {}, 0

    @property
    def tokens(self) -> int:
        """The tokens of all texts, about."""
        return self._counted + sum(tokens_in(whole_value(one)) for one in self._fields.values())

"""
Makes streams that SDKs accumulate correctly: the role once, and vendors' lists and objects whole.

OpenAI's SDKs join the pieces of OpenAI's own fields. A list that is not OpenAI's raises an error in
its second delta (Python, `accumulate_delta`, 3.57) or is replaced by it (Node,
`ChatCompletionStream`, 7.59), both as of 2026-11. So such a field is sent once, before the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..wire import json

_TEXT = frozenset({"content"})
_COLLECTED = frozenset({list, dict})
# SDKs join the pieces of these; the codecs give each tool call an index.
_JOINED_BY_SDKS = frozenset({"audio", "function_call", "tool_calls"})
MAX_COLLECTED = 64 << 20
"""The most bytes of JSON that one stream's collected fields may have; more is passed on at once."""
_BARE = frozenset({"index", "delta", "finish_reason", "logprobs"})


class ChoiceDeltas:
    """
    The choices of one stream as clients get them; a choice that needs no change is returned itself.

    The first delta of a choice has its role, and no later one has. If the choices `have_begun`,
    none has.
    """

    def __init__(self, *, have_begun: bool = False, limit: int = MAX_COLLECTED) -> None:
        self._have_begun = have_begun
        self._free = limit
        self._begun: set[int] = set()
        self._collected: dict[int, dict[str, Any]] = {}
        self._ends: dict[int, dict[str, Any]] = {}

    def shape(self, choices: list[Any]) -> list[Any]:
        """The choices of the next chunk, without those that have nothing for the client yet."""
        if len(choices) == 1 and not self._collected:  # most chunks are a piece of one text
            choice = choices[0]
            if choice["delta"].keys() == _TEXT and choice.get("index", 0) in self._begun:
                return choices
        return [shaped for choice in choices if (shaped := self._shape(choice)) is not None]

    def rest(self, indexes: Iterable[int] | None = None) -> Iterator[dict[str, Any]]:
        """
        Yield what is left after the last chunk: collected fields, and ends that wait for them.

        `indexes` are those of the choices that have ended; without it, all have.
        """
        for index in sorted(self._collected) if indexes is None else indexes:
            if fields := self._collected.get(index):
                from .accumulator import whole_value

                delta = {name: whole_value(value) for name, value in fields.items()}
                yield {"index": index, "delta": delta, "finish_reason": None}
            if end := self._ends.get(index):
                yield end

    def _shape(self, choice: Any) -> Any:
        index, given = choice.get("index", 0), choice["delta"]
        delta = given
        if "role" in delta or index not in self._begun:
            delta = self._with_role_once(index, delta)
        for name, value in delta.items():
            if value.__class__ in _COLLECTED and value and name not in _JOINED_BY_SDKS:
                if self._free > 0:
                    delta = self._collect(index, delta)
                break
        if index in self._collected and choice.get("finish_reason"):
            self._ends[index] = {**choice, "delta": self._without_collected(index, delta)}
            return None
        if delta is given:
            return choice
        shaped = {**choice, "delta": delta}
        has_more = delta or choice.get("finish_reason") or not is_bare(choice)
        return shaped if has_more else None

    def _with_role_once(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        has_begun = self._have_begun or index in self._begun
        self._begun.add(index)
        if not has_begun:
            return delta if delta.get("role") else {**delta, "role": "assistant"}
        if "role" not in delta:
            return delta
        return {name: value for name, value in delta.items() if name != "role"}

    def _collect(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        """The delta without its lists and objects, which are kept."""
        from .accumulator import join_values  # most streams have none

        collected, rest = self._collected.setdefault(index, {}), {}
        for name, value in delta.items():
            if value.__class__ in _COLLECTED and value and name not in _JOINED_BY_SDKS:
                self._free -= len(json.encode(value))
                collected[name] = join_values(name, collected.get(name), value)
            else:
                rest[name] = value
        return rest

    def _without_collected(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        """The last delta, without nulls that would replace the collected fields."""
        return {name: value for name, value in delta.items() if name not in self._collected[index]}


def is_bare(choice: dict[str, Any]) -> bool:
    """Whether a choice has nothing besides its delta."""
    return choice.keys() <= _BARE and not choice.get("logprobs")

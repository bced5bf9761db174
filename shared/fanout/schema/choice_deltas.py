"""
Makes streams that SDKs accumulate correctly: the role and the name once, and vendors' lists whole.

OpenAI's SDKs join the pieces of OpenAI's own fields. A list that is not OpenAI's raises an error in
its second delta (Python, `accumulate_delta`, 3.57) or is replaced by it (Node,
`ChatCompletionStream`, 7.59), both as of 2026-11. So such a field is sent once, before the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..wire import json
from ..wire.json_size import weight

_COLLECTED = frozenset({list, dict})
# SDKs join the pieces of these; the codecs give each tool call an index.
_JOINED_BY_SDKS = frozenset({"audio", "function_call", "tool_calls"})
MAX_COLLECTED = 64 << 20
"""The largest weight of one stream's collected fields as JSON; more is passed on at once."""
_BARE = frozenset({"index", "delta", "finish_reason", "logprobs"})


class ChoiceDeltas:
    """
    The choices of one stream as clients get them; a choice that needs no change is returned itself.

    The first delta of a choice has its role, and no later one has; its first name (MiniMax sends
    one in each delta) is its only one. The end of a choice comes after the last chunk: some servers
    send more text after it, and clients stop at it. If the choices `have_begun`, no delta has a
    role, and the caller keeps the ends.
    """

    def __init__(self, *, have_begun: bool = False, limit: int = MAX_COLLECTED) -> None:
        self._have_begun = have_begun
        self._free = limit
        self._begun: set[int] = set()
        self._named: set[int] = set()
        self._collected: dict[int, dict[str, Any]] = {}
        self._ends: dict[int, dict[str, Any]] = {}

    def shape(self, choices: list[Any]) -> list[Any]:
        """The choices of the next chunk, without those that have nothing for the client yet."""
        if len(choices) == 1 and not self._collected:  # most are a piece of one text, or of a call
            choice = choices[0]
            delta = choice["delta"]
            is_piece = len(delta) == 1 and ("content" in delta or "tool_calls" in delta)
            is_more = is_piece and choice.get("finish_reason") is None
            if is_more and choice.get("index", 0) in self._begun:
                return choices
        return [shaped for choice in choices if (shaped := self._shape(choice)) is not None]

    def rest(self, indexes: Iterable[int] | None = None) -> Iterator[dict[str, Any]]:
        """
        Yield what is left after the last chunk: collected fields, and ends that wait for them.

        `indexes` are those of the choices that have ended; without it, all have.
        """
        for index in sorted({*self._collected, *self._ends}) if indexes is None else indexes:
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
        if "name" in delta:
            delta = self._with_name_once(index, delta)
        for name, value in delta.items():
            if value.__class__ in _COLLECTED and value and name not in _JOINED_BY_SDKS:
                if self._free > 0:
                    delta = self._collect(index, delta)
                break
        if choice.get("finish_reason") and (index in self._collected or not self._have_begun):
            return self._hold_end(index, choice, delta)
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

    def _with_name_once(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        if index not in self._named:
            self._named.add(index)
            return delta
        return {name: value for name, value in delta.items() if name != "name"}

    def _hold_end(
        self, index: int, choice: dict[str, Any], delta: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The choice without its end, which is kept; `None` if it is nothing else."""
        if index in self._collected:
            delta = self._without_collected(index, delta)
        choice = {**choice, "delta": delta}
        if self._have_begun or not (delta or choice.get("logprobs")):
            self._ends[index] = choice
            return None
        reason = choice["finish_reason"]
        self._ends[index] = {"index": index, "delta": {}, "finish_reason": reason}
        return {**choice, "finish_reason": None}

    def _collect(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        """The delta without its lists and objects, which are kept."""
        from .accumulator import join_values  # most streams have none

        collected, rest = self._collected.setdefault(index, {}), {}
        for name, value in delta.items():
            if value.__class__ in _COLLECTED and value and name not in _JOINED_BY_SDKS:
                self._free -= weight(json.encode(value))
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

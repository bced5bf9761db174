"""Gives each tool call of a streamed choice an index of its own, as OpenAI's streams have."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class _Call(Struct):
    index: int
    id: str
    name: str


class CallIndexer:
    """
    Tells the tool calls of one choice apart, whatever indexes the vendor sends.

    A part belongs to the call with its index, or with its id, or else to the last call. It begins
    a new call if its index or its id is new. Some servers send a new id with each part of one call
    (older vLLM), so at an index in use, a new id counts only together with a function's name.
    """

    def __init__(self) -> None:
        self._at: dict[int, _Call] = {}  # by the vendor's index; the latest call there
        self._ids: dict[str, _Call] = {}
        self._taken: set[int] = set()
        self._last: _Call | None = None
        self.last_index: int | None = None
        """The index of the last call, if the vendor has the same; else `None`."""

    def place(self, part: dict[str, Any], response_id: str | None) -> dict[str, Any]:
        """The part with its call's index; without an id or name that the client already has."""
        index, name = part.get("index"), _name_of(part)
        call = self._find(index, part.get("id"), name)
        if call is None:
            return self._begin(part, response_id, name)
        self._remember(call, index)
        repeats = bool(name) and name == call.name
        call.name = call.name or name
        if index == call.index and not part.get("id") and not repeats:
            return part
        placed = {"index": call.index, **part}
        placed["index"] = call.index
        placed.pop("id", None)
        if repeats and "function" in part:
            rest = {key: value for key, value in part["function"].items() if key != "name"}
            placed["function"] = rest
        return placed

    def _find(self, index: int | None, call_id: str | None, name: str) -> _Call | None:
        if index is None:
            if call_id:
                return self._ids.get(call_id)
            return None if name and self._last and self._last.name else self._last
        known = self._at.get(index)
        if known and call_id and name and known.name and call_id != known.id:
            return self._ids.get(call_id)
        return known

    def _begin(self, part: dict[str, Any], response_id: str | None, name: str) -> dict[str, Any]:
        index = part.get("index")
        own = index if index is not None and index not in self._taken else self._next()
        call = _Call(own, part.get("id") or make_call_id(response_id, own), name)
        self._taken.add(own)
        self._ids[call.id] = call
        self._at[own if index is None else index] = call
        self._remember(call, index)
        if index == own and part.get("id") and part.get("type"):
            return part
        kind = part.get("type") or "function"
        return {**part, "index": own, "id": call.id, "type": kind}

    def _remember(self, call: _Call, index: int | None) -> None:
        self._last = call
        self.last_index = index if index == call.index and self._at[index] is call else None

    def _next(self) -> int:
        return max(self._taken, default=-1) + 1


def _name_of(part: dict[str, Any]) -> str:
    function = part.get("function") or part.get("custom")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def make_call_id(response_id: str | None, number: int) -> str:
    """An id for a call without one. The same response always gives the same id."""
    return f"call_{response_id}_{number}" if response_id else f"call_{number}"

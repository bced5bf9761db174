"""Gives each tool call of a streamed choice an index of its own, as OpenAI's streams have."""

from __future__ import annotations

from typing import Any

from msgspec import MsgspecError, Raw, Struct

from ...schema.chat import make_call_id
from ...wire import json

NO_ID = "null"
"""Mistral's id for none: github.com/langchain-ai/langchainjs/issues/11505, 2026-11."""


class _Call(Struct):
    index: int
    id: str
    name: str
    pieces: int
    """The number of parts with arguments."""
    began_whole: bool
    """Whether the first part had a whole JSON object as its arguments."""
    is_function: bool = True

    @property
    def is_whole(self) -> bool:
        return self.began_whole and self.pieces == 1


class CallIndexer:
    """
    Tells the tool calls of one choice apart, whatever indexes the vendor sends.

    Clients get the indexes 0, 1, 2 and so on. A part belongs to the call with its index, or with
    its id, or else to the last call. It begins a new call if its index or its id is new. Some
    servers send a new id with each part of one call (older vLLM), so at an index in use, a new id
    counts only together with a function's name. Others send all calls at the index 0 without ids
    (Google's OpenAI endpoint): there, a name after the arguments of a call begins the next one.
    """

    def __init__(self) -> None:
        self._at: dict[int, _Call] = {}  # by the vendor's index; the latest call there
        self._ids: dict[str, _Call] = {}
        self._count = 0
        self.last: _Call | None = None
        self.last_index: int | None = None
        """The index of the last call, if the vendor has the same; else `None`."""

    def place(self, part: dict[str, Any], response_id: str | None) -> dict[str, Any] | None:
        """
        The part with its call's index; without an id or name that the client already has.

        `None` for one that has nothing, or would begin a call of no function (`function: null`).
        """
        index, (name, arguments) = part.get("index"), _function_of(part)
        call = self._find(index, id_of(part), name, arguments)
        if call is None:
            if "function" in part and calls_nothing(part):
                return None
            return self._begin(part, response_id, name, arguments)
        self._remember(call, index)
        if not isinstance(part.get("function", part.get("custom")), dict):
            # OpenAI's SDK for Python fails at a part of a call without a function.
            part = {key: value for key, value in part.items() if key != "function"}
            if part.keys() <= {"id", "index", "type"}:
                return None
        call.pieces += bool(arguments)
        repeats = bool(name) and name == call.name
        if not repeats:
            call.name += name
        if index == call.index and not part.get("id") and not repeats:
            return part
        placed = {"index": call.index, **part}
        placed["index"] = call.index
        placed.pop("id", None)
        if repeats and "function" in part:
            rest = {key: value for key, value in part["function"].items() if key != "name"}
            placed["function"] = rest
        return placed

    def begin_next(self, index: int, call_id: str, name: str, arguments: str | None) -> bool:
        """Note a call that begins at the next index; `False` if that is another one."""
        if index != self._count or index in self._at or call_id in self._ids:
            return False
        if call_id == NO_ID:
            return False
        is_whole = arguments is not None and _is_object(arguments)
        call = _Call(index, call_id, name, 1 if arguments else 0, is_whole)
        self._ids[call_id] = self._at[index] = self.last = call
        self._count, self.last_index = index + 1, index
        return True

    @property
    def lacks_arguments(self) -> bool:
        """Whether a function's call has had no arguments so far."""
        return any(one.is_function and not one.pieces for one in self._ids.values())

    def complete(self) -> list[dict[str, Any]]:
        """
        At the end of the choice, an empty object for each call of a function without arguments.

        Clients parse them: github.com/vercel/ai/issues/6687, openai/openai-agents-js/issues/664,
        2026-11.
        """
        rest = [one for one in self._ids.values() if one.is_function and not one.pieces]
        for one in rest:
            one.pieces = 1
        return [{"index": one.index, "function": {"arguments": "{}"}} for one in rest]

    def has(self, call: dict[str, Any], place: int) -> bool:
        """Whether a call of a whole message is one of these: by its id, or else by its place."""
        return place < self._count if (call_id := id_of(call)) is None else call_id in self._ids

    def _find(self, index: int | None, call_id: str | None, name: str, args: str) -> _Call | None:
        if index is None:
            if call_id:
                return self._ids.get(call_id)
            return None if name and self.last and self.last.name else self.last
        known = self._at.get(index)
        if known is None or not name or not known.name:
            return known
        if call_id:
            return known if call_id == known.id else self._ids.get(call_id)
        begins = known.is_whole and bool(args) if name == known.name else known.pieces > 0
        return None if begins else known

    def _begin(
        self, part: dict[str, Any], response_id: str | None, name: str, arguments: str
    ) -> dict[str, Any]:
        index, own = part.get("index"), self._count
        call_id = id_of(part)
        if call_id is None or call_id in self._ids:
            call_id = make_call_id(response_id, own)
        kind = part.get("type") or "function"
        if kind == "function" and "function" not in part:  # it is in the next part
            part = {**part, "function": {"name": "", "arguments": ""}}
        is_function = kind == "function"
        call = _Call(own, call_id, name, int(bool(arguments)), _is_object(arguments), is_function)
        self._ids[call_id] = call
        self._count += 1
        self._at[own if index is None else index] = call
        self._remember(call, index)
        if index == own and part.get("id") == call_id and part.get("type"):
            return part
        return {**part, "index": own, "id": call_id, "type": kind}

    def _remember(self, call: _Call, index: int | None) -> None:
        self.last = call
        self.last_index = index if index == call.index and self._at[index] is call else None


def calls_nothing(call: dict[str, Any]) -> bool:
    """Whether this is a function's call without the function: no client can run it."""
    if (call.get("type") or "function") != "function":
        return False
    return not isinstance(call.get("function") or call.get("custom"), dict)


def id_of(part: dict[str, Any]) -> str | None:
    """The id in a call or a part of one; `None` if it has none."""
    call_id = part.get("id")
    return call_id if call_id and call_id != NO_ID else None


def _function_of(part: dict[str, Any]) -> tuple[str, str]:
    """The name and the arguments (or a custom tool's input) in a part; empty if it has none."""
    function = part.get("function") or part.get("custom")
    if not isinstance(function, dict):
        return "", ""
    name, arguments = function.get("name"), function.get("arguments", function.get("input"))
    return (
        name if isinstance(name, str) else "",
        arguments if isinstance(arguments, str) else "",
    )


def _is_object(text: str) -> bool:
    """Whether a text is a whole JSON object."""
    if not text or not text.rstrip().endswith("}"):
        return False
    try:
        json.decode(text.encode(), type=dict[str, Raw])
    except (MsgspecError, UnicodeError, RecursionError):
        return False
    return True

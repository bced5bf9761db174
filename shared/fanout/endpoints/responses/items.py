"""
The items of a request's `input` as messages of a chat completion.

Consecutive items of the model (reasoning, a message, calls) are one message of the assistant. The
results of calls follow the message with their calls. Source of the format: openai-python 3.54.0,
`ResponseInputItemParam`, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Struct, field

from ...errors import RequestError
from ...schema.pass_through import LEFT_OUT_REASONING
from ...wire import json
from ..sealed import is_sealed
from .content import kept_numbers, message_content, result_content
from .custom_tools import custom_arguments
from .errors import NoCounterpart
from .function_names import FunctionNames
from .images import CALL, made_image
from .reasoning import is_reference, join_reasoning, kept_reasoning

Item: TypeAlias = Mapping[str, Any]
Message: TypeAlias = dict[str, Any]

_PART = re.compile(r"\.content\[(\d+)\]")

ROLES = ("assistant", "developer", "system", "user")

_COMPACTED = frozenset({"compaction", "compaction_summary"})
"""Items that stand for earlier ones, which only their maker can read."""

_ENDS = ("_call", "_call_output", "_output")
_OTHERS = frozenset({"additional_tools", "mcp_approval_request", "mcp_approval_response"})
_OTHERS |= {"mcp_list_tools", "ghost_snapshot", "compaction_trigger"}


class _Turn(Struct):
    """
    A message, its path in the request, and the results of its calls.

    `numbers` are the client's of the parts of its content, if some are not there.
    """

    message: Message
    path: str
    results: list[_Turn] = field(default_factory=list)
    is_open: bool = False
    numbers: tuple[int, ...] = ()


class Messages(Struct, frozen=True):
    """
    The messages, and the path of each in the request; `numbers` are as a turn's.

    `dropped` names the types of the items that a chat completion has no place for.
    """

    messages: list[Message]
    paths: tuple[str, ...]
    numbers: tuple[tuple[int, ...], ...] = ()
    dropped: tuple[str, ...] = ()


def read_input(given: object, instructions: str | None, flat: FunctionNames) -> Messages:
    """
    The messages of `instructions` and `input`; a text is one message of the user.

    Calls have the `flat` names of their functions.

    Raises `RequestError` with the path of an item that is not in the API's form, or that needs
    stored responses, and `NoCounterpart` for one that only a vendor with this API may know.
    """
    reader = _Reader(flat)
    if instructions:
        message = {"role": "system", "content": instructions}
        reader.turns.append(_Turn(message, "instructions"))
    if isinstance(given, str):
        reader.turns.append(_Turn({"role": "user", "content": given}, "input"))
    elif isinstance(given, list):
        for index, item in enumerate(given):
            reader.add(item, f"input[{index}]")
    elif given is not None:
        raise RequestError("`input` must be a string or a list of items", "input")
    elif not instructions:
        raise RequestError("`input` is missing", "input", "missing_required_parameter")
    if not reader.turns:
        raise RequestError("`input` must have at least one message", "input")
    return reader.messages()


class _Reader:
    """Reads items in their order."""

    def __init__(self, flat: FunctionNames) -> None:
        self._flat = flat
        self.turns: list[_Turn] = []
        self._calls: dict[str, _Turn] = {}
        self._thoughts: dict[str, Any] = {}
        self._dropped: dict[str, None] = {}

    def add(self, item: object, path: str) -> None:
        """Add the next item."""
        if not isinstance(item, dict):
            raise RequestError(f"`{path}` must be an object", path)
        kind = str(item.get("type") or "message")
        if kind == "message":
            self._message(item, path)
        elif kind == "reasoning":
            self._reasoning(item)
        elif kind == "function_call":
            self._call(_function_call(item, path, self._flat), path)
        elif kind == "custom_tool_call":
            self._call(_custom_call(item, path), path)
        elif kind in {"function_call_output", "custom_tool_call_output"}:
            self._result(item, path)
        elif kind == CALL and (image := made_image(item)) is not None:
            self._assistant(path).message.setdefault("images", []).append(image)
        elif kind.endswith(_ENDS) or kind in _OTHERS or is_reference(item):
            self._dropped[kind] = None
        else:
            raise _unknown(kind, path)

    def _reasoning(self, item: Item) -> None:
        """Keep Fanout's own reasoning; another maker's is left out, and named."""
        if not is_sealed(item.get("encrypted_content")):
            self._dropped[LEFT_OUT_REASONING] = None
        self._thoughts = join_reasoning(self._thoughts, kept_reasoning(item))

    def messages(self) -> Messages:
        """All messages so far."""
        turns = [one for turn in self.turns for one in (turn, *turn.results)]
        return Messages(
            [turn.message for turn in turns],
            tuple(turn.path for turn in turns),
            tuple(turn.numbers for turn in turns),
            tuple(self._dropped),
        )

    def _message(self, item: Item, path: str) -> None:
        role = item.get("role")
        if role not in ROLES:
            allowed = ", ".join(f"`{one}`" for one in ROLES)
            kind = NoCounterpart if isinstance(role, str) and role else RequestError
            raise kind(f"`{path}.role` must be one of {allowed}", f"{path}.role")
        fields = message_content(item, role, path)
        if role != "assistant":
            self._settle()
            self.turns.append(_Turn({"role": role, **fields}, path))
            return
        turn = self._assistant(path, is_text=True)
        turn.message |= fields
        turn.numbers = kept_numbers(item)

    def _assistant(self, path: str, *, is_text: bool = False) -> _Turn:
        """The open turn of the assistant, or a new one; a turn has one text."""
        last = self.turns[-1] if self.turns else None
        if last is None or not last.is_open or last.results or (is_text and _has_text(last)):
            last = _Turn({"role": "assistant", "content": None}, path, is_open=True)
            self.turns.append(last)
        last.message |= join_reasoning(last.message, self._thoughts)
        self._thoughts = {}
        return last

    def _call(self, call: Message, path: str) -> None:
        turn = self._assistant(path)
        turn.message.setdefault("tool_calls", []).append(call)
        self._calls[call["id"]] = turn

    def _settle(self) -> None:
        """Give reasoning that came after its message to it."""
        last = self.turns[-1] if self.turns else None
        if last is not None and last.is_open and not last.results:
            last.message |= join_reasoning(last.message, self._thoughts)
        self._thoughts = {}

    def _result(self, item: Item, path: str) -> None:
        self._settle()
        call_id = _text(item, "call_id", path)
        content = result_content(item.get("output"), f"{path}.output")
        message = {"role": "tool", "tool_call_id": call_id, "content": content}
        if turn := self._calls.get(call_id):
            turn.results.append(_Turn(message, path))
        else:
            self.turns.append(_Turn(message, path))


def _unknown(kind: str, path: str) -> RequestError:
    """The error of an item that cannot be translated."""
    param = f"{path}.type"
    if kind == "item_reference":
        return RequestError(
            f"`{path}` is a `{kind}`, and no responses are stored here: send the items"
            " themselves. Clients do so with `store: false`",
            param,
            "unsupported_parameter",
        )
    if kind in _COMPACTED:
        return NoCounterpart(
            f"`{path}` is a `{kind}`, which only its maker can read: send the items themselves",
            param,
            "unsupported_parameter",
        )
    return NoCounterpart(
        f"`{param}` cannot be `{kind[:64]}` for a model without the Responses API",
        param,
        "invalid_value",
    )


def _has_text(turn: _Turn) -> bool:
    return bool(turn.message["content"] or turn.message.get("refusal"))


def _function_call(item: Item, path: str, flat: FunctionNames) -> Message:
    name = item.get("name")
    if name != "":  # what a model has called without a name is sent back so
        name = flat.of(_text(item, "name", path), item.get("namespace"))
    arguments = item.get("arguments")
    if isinstance(arguments, dict):
        arguments = json.encode(arguments).decode()
    if not isinstance(arguments, str):
        raise RequestError(f"`{path}.arguments` must be a string", f"{path}.arguments")
    call: Message = {
        "id": _text(item, "call_id", path),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    if isinstance(extra := item.get("extra_content"), dict):
        call["extra_content"] = extra
    return call


def _custom_call(item: Item, path: str) -> Message:
    given = item.get("input")
    if not isinstance(given, str):
        raise RequestError(f"`{path}.input` must be a string", f"{path}.input")
    call: Message = {
        "id": _text(item, "call_id", path),
        "type": "function",
        "function": {"name": _text(item, "name", path), "arguments": custom_arguments(given)},
    }
    if isinstance(extra := item.get("extra_content"), dict):
        call["extra_content"] = extra
    return call


def _text(item: Item, name: str, path: str) -> str:
    if not isinstance(value := item.get(name), str) or not value:
        code = "missing_required_parameter" if value is None else None
        raise RequestError(f"`{path}.{name}` must be a string", f"{path}.{name}", code)
    return value


def client_path(param: str, read: Messages) -> str:
    """The path in the request of a `messages[…]` in our chat completion's `messages`."""
    paths = read.paths
    number, _, rest = param.removeprefix("messages[").partition("]")
    if not number.isdecimal() or int(number) >= len(paths):
        return "input"
    if (found := _PART.match(rest)) and (known := read.numbers[int(number)]):
        rest = f".content[{known[int(found[1])]}]{rest[found.end() :]}"
    if read.messages[int(number)]["role"] == "tool":  # of an item with an `output`
        rest = rest.replace(".content", ".output", 1)
    return paths[int(number)] + rest

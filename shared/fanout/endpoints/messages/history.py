"""
The system prompt and the messages of a Messages request as those of a chat request.

Blocks that the chat request reads itself (`tool_use`, `tool_result`, `image`, `document`,
`thinking`; see `schema/foreign_parts.py`) stay as they are. `cache_control` is kept at its block.
Blocks that change the tools are read in `tool_changes.py`.
Source: https://platform.claude.com/docs/en/api/messages/create, 2026-11.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from ...errors import RequestError
from . import compaction
from .dropped_fields import DroppedFields
from .thoughts import held_by, is_ours
from .tool_changes import KINDS as TOOL_CHANGES

Block: TypeAlias = dict[str, Any]

ROLES = ("user", "assistant", "system")

TO_CLEAR = "next_user_message"
"""The `clear_at` of a system message that the model does not see after the user's next message."""

_RESULT_BLOCKS = frozenset({"text", "image", "document", "search_result", "tool_reference"})

_SIGNED = frozenset({"thinking", "redacted_thinking"})


class History(NamedTuple):
    """
    The messages of the chat request, and the path of each in the client's request.

    `numbers` are the client's of each message's parts, `results` those of the parts of results of
    tools, by the path of the result in the client's request.
    """

    messages: list[Any]
    paths: list[str]
    numbers: list[tuple[int, ...]]
    results: dict[str, tuple[int, ...]]


class _Made(NamedTuple):
    """A message, and the client's numbers as `History` has them."""

    message: Block
    numbers: tuple[int, ...] = ()
    results: Mapping[str, tuple[int, ...]] = MappingProxyType({})


def chat_messages(body: Mapping[str, Any], dropped: DroppedFields) -> History:
    """
    The messages of the chat request; the first is of `system`, if there is one.

    After that, they begin with the last summary of a compaction.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        why = "must be a list" if "messages" in body else "is missing"
        raise RequestError(f"`messages` {why}", "messages")
    system = _system(body.get("system"), "system", dropped)
    made = [] if system is None else [(_Made({"role": "system", "content": system}), "system")]
    last = max((i for i, one in enumerate(messages) if _role(one) == "user"), default=-1)
    start = compaction.start_of(messages)
    for index, message in enumerate(messages[start.message :], start.message):
        path, first = f"messages[{index}]", start.block if index == start.message else 0
        found = _messages(message, path, dropped, first, is_past=index < last)
        made += [(one, path) for one in found]
    messages, numbers = [one.message for one, _ in made], [one.numbers for one, _ in made]
    results = {path: found for one, _ in made for path, found in one.results.items()}
    return History(messages, [path for _, path in made], numbers, results)


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _system(
    given: Any, path: str, dropped: DroppedFields, skipped: Collection[str] = ()
) -> str | list[Block] | None:
    """A system prompt: a text, or its blocks of text but the `skipped` ones; `None` if empty."""
    if given is None or isinstance(given, str):
        return given or None
    if not isinstance(given, list):
        raise RequestError(f"`{path}` must be a string or a list of text blocks", path)
    texts = []
    for index, block in enumerate(given):
        kind = block.get("type") if isinstance(block, dict) else None
        if isinstance(kind, str) and kind in skipped:
            continue
        if kind != "text":
            place = f"{path}[{index}]"
            raise RequestError(f"`{place}` must be a text block", place)
        texts.append(_text(block, f"{path}[{index}]", dropped))
    return texts or None


def _messages(
    message: Any, path: str, dropped: DroppedFields, first: int, *, is_past: bool
) -> list[_Made]:
    """
    What a message becomes, from its block `first` on.

    `is_past`: there is a message of the user after it.
    """
    if not isinstance(message, dict):
        raise RequestError(f"`{path}` must be an object with `role` and `content`", path)
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        place, names = f"{path}.role", ", ".join(f"`{name}`" for name in ROLES)
        raise RequestError(f"`{place}` must be one of {names}", place)
    known = {"role", "content", "id", "type", "model"}
    clear_at = message.get("clear_at") if role == "system" else None
    if clear_at in ("never", TO_CLEAR):
        known.add("clear_at")
    for name in message.keys() - known:
        dropped.add(f"messages[].{name}")
    if role == "system":
        text = _system(content, f"{path}.content", dropped, TOOL_CHANGES)
        is_seen = text is not None and not (is_past and clear_at == TO_CLEAR)
        return [_Made({"role": role, "content": text})] if is_seen else []
    if isinstance(content, str):
        return [_Made({"role": role, "content": content})]
    if not isinstance(content, list):
        place = f"{path}.content"
        raise RequestError(f"`{place}` must be a string or a list of blocks", place)
    if role == "user":
        return [_user(content, f"{path}.content", dropped, first)]
    return _assistant(content, f"{path}.content", dropped, first)


def _user(content: list[Any], path: str, dropped: DroppedFields, first: int) -> _Made:
    blocks, numbers = [], []
    results: dict[str, tuple[int, ...]] = {}
    for index, block in enumerate(content[first:], first):
        place = f"{path}[{index}]"
        if _kind(block, place) == "tool_result":
            result, results[place] = _result(block, place, dropped)
            blocks.append(result)
            numbers.append(index)
        elif (found := _part(block, place, dropped)) is not None:
            blocks.append(found)
            numbers.append(index)
    return _Made({"role": "user", "content": _joined(blocks)}, tuple(numbers), results)


def _assistant(content: list[Any], path: str, dropped: DroppedFields, first: int) -> list[_Made]:
    """
    The message of an earlier response; before it, as the user's, the summary that it may have.

    The text of all thinking is `reasoning_content`: vendors that do not know another's signatures
    may read it. Signed thinking is also there as it is.
    """
    blocks, numbers, thoughts, thinking = [], [], [], []
    summaries: list[Block] = []
    for index, block in enumerate(content[first:], first):
        place = f"{path}[{index}]"
        kind = _kind(block, place)
        if kind == compaction.KIND:
            found = compaction.summary_of(block, place)
            summaries += [] if found is None else [found]
            continue
        if kind == "thinking":
            thoughts.append(str(block.get("thinking") or ""))
            thinking.append(block)
        if kind == "thinking" and is_ours(block):
            continue
        made = block if kind in _SIGNED or kind == "tool_use" else _part(block, place, dropped)
        if made is not None:
            blocks.append(made)
            numbers.append(index)
    more: Block = (
        {"reasoning_content": "\n\n".join(filter(None, thoughts))} if any(thoughts) else {}
    )
    summary = [_Made({"role": "user", "content": _joined(summaries)})] if summaries else []
    if content and all(block["type"] == compaction.KIND for block in content[first:]):
        return summary
    held = held_by(thinking)
    message = {"role": "assistant", "content": _joined(blocks), **more, **held}
    return [*summary, _Made(message, tuple(numbers))]


def _joined(blocks: list[Block]) -> str | list[Block]:
    """One text as a string: every vendor takes one."""
    match blocks:
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text
        case _:
            return blocks or ""


def _kind(block: Any, path: str) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        raise RequestError(f"`{path}` must be a block with a `type`", path)
    return kind


def _part(block: Block, path: str, dropped: DroppedFields) -> Block | None:
    """A block that is not of a tool; `None` for one that a chat request has no place for."""
    kind = _kind(block, path)
    match kind:
        case "text":
            return _text(block, path, dropped)
        case "image" | "document":
            return _file(block, path, dropped)
        case "search_result":
            return _search_result(block, dropped)
        case "tool_reference":
            return {"type": "text", "text": str(block.get("tool_name", ""))}
        case compaction.KIND:
            return compaction.summary_of(block, path)
        case "container_upload":
            dropped.add_needed(f"messages[].content[].{kind}", path)
        case _:
            if kind not in TOOL_CHANGES:
                dropped.add(f"messages[].content[].{kind}")
    return None


def _file(block: Block, path: str, dropped: DroppedFields) -> Block:
    if not isinstance(block.get("source"), dict):
        place = f"{path}.source"
        raise RequestError(f"`{place}` must be an object with a `type`", place)
    for name in block.keys() & {"citations", "context"}:
        if block[name]:
            dropped.add(f"messages[].content[].{name}")
    return block


def _text(block: Block, path: str, dropped: DroppedFields) -> Block:
    text = block.get("text")
    if not isinstance(text, str):
        raise RequestError(f"`{path}.text` must be a string", f"{path}.text")
    if block.get("citations"):
        dropped.add("messages[].content[].citations")
    return {"type": "text", "text": text, **_mark(block)}


def _search_result(block: Block, dropped: DroppedFields) -> Block:
    """A result of the client's own search, as a text with its title and its source."""
    parts = block.get("content")
    blocks = parts if isinstance(parts, list) else []
    texts = [one.get("text") for one in blocks if isinstance(one, dict)]
    head = [block.get("title"), block.get("source")]
    if block.get("citations"):
        dropped.add("messages[].content[].citations")
    text = "\n\n".join(str(one) for one in (*head, *texts) if one)
    return {"type": "text", "text": text, **_mark(block)}


def _result(block: Block, path: str, dropped: DroppedFields) -> tuple[Block, tuple[int, ...]]:
    """
    A tool's result, and the client's numbers of its parts.

    That it is an error is the beginning of its text.
    """
    content = block.get("content")
    numbers: list[int] = []
    if isinstance(content, list):
        parts = []
        for index, part in enumerate(content):
            place = f"{path}.content[{index}]"
            if _kind(part, place) not in _RESULT_BLOCKS:
                dropped.add(f"messages[].content[].content[].{part['type']}")
            elif (found := _part(part, place, dropped)) is not None:
                parts.append(found)
                numbers.append(index)
        content = parts or ""
    if block.get("is_error") is True:
        numbers = [0, *numbers] if isinstance(content, list) else numbers
        content = _as_error(content)
    return {**block, "content": content}, tuple(numbers)


def _as_error(content: Any) -> Any:
    if isinstance(content, list):  # some vendors join the texts without a space
        return [{"type": "text", "text": "Error: "}, *content]
    text = content or ""
    is_marked = isinstance(text, str) and "error" in text[:32].lower()
    return text if is_marked else f"Error: {text}"


def _mark(block: Block) -> Block:
    mark = block.get("cache_control")
    return {} if mark is None else {"cache_control": mark}

"""
The beginning that a line shares with others, and that providers cache.

A request is a list of blocks: its tools and format, then each message or each of its parts. Lines
whose first blocks are the same, byte by byte, and long enough to be cached are a group. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from .lines import LineHead

LEAST = 3_072
"""
Bytes of the shortest beginning that is a group: providers cache from 1,024 tokens.

Three bytes are a token in digits and Chinese; in other text a token has more.
"""

MARK = "cache_control"
"""The field after which a beginning is cached."""


class Part(NamedTuple):
    """
    A beginning: the hash of its first `blocks` blocks, and their bytes.

    It has no `blocks` if it ends inside one.
    """

    hash: bytes
    size: int
    blocks: int


class Prefix(NamedTuple):
    """
    A line's beginning: the first blocks that are long enough, and all blocks but the last.

    If only one block is long, both are its first `LEAST` bytes.
    """

    short: Part
    long: Part


class _Message(Struct, frozen=True, gc=False):
    role: str = ""
    content: Raw = Raw()


_MESSAGE = msgspec.json.Decoder(_Message)
_PARTS = msgspec.json.Decoder(list[Raw])


def prefix_of(head: LineHead, size: int) -> Prefix | None:
    """
    The beginning of a line of so many bytes; `None` if it is too short to be cached.

    Only lines with one model and one conversation have one.
    """
    if size < LEAST or len(head.models) != 1 or head.messages is None:
        return None
    try:
        blocks = [block for raw in head.messages for block in _blocks(raw)]
    except msgspec.MsgspecError:
        return None
    digest, total = blake2b(digest_size=8), 0
    short: Part | None = None
    for part in head.context:
        digest.update(part)
        total += len(bytes(part))
    for count, block in enumerate(blocks[:-1], 1):
        digest.update(b"%d:" % len(block))
        digest.update(block)
        total += len(block)
        if short is None and total >= LEAST:
            short = Part(digest.digest(), total, count)
    if short is not None:
        return Prefix(short, Part(digest.digest(), total, len(blocks) - 1))
    last = blocks[-1][:LEAST]
    if total + len(last) < LEAST:
        return None
    digest.update(last)
    one = Part(digest.digest(), total + len(last), 0)
    return Prefix(one, one)


def _blocks(raw: Raw) -> Iterator[bytes]:
    """A message's blocks: itself, or its parts; raises `MsgspecError` for anything else."""
    data = bytes(raw)
    message = _MESSAGE.decode(data)
    content = bytes(message.content)
    if not content.lstrip().startswith(b"["):
        yield data
        return
    role = message.role.encode()
    for part in _PARTS.decode(content):
        yield role + b"\n" + bytes(part)


def with_mark(body: Mapping[str, Any], blocks: int) -> dict[str, Any] | None:
    """
    The body with a `cache_control` after so many blocks.

    `None` if nothing can be marked there: it is no text, or the beginning ends inside a block.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not blocks:
        return None
    places = list(_places(messages))
    message, part = places[blocks - 1]
    marked = _marked(messages[message], part)
    if marked is None:
        return None
    return {**body, "messages": [*messages[:message], marked, *messages[message + 1 :]]}


def without_marks(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without any `cache_control` of its messages; a single text is a string in both."""
    return {**body, "messages": [_unmarked(message) for message in body["messages"]]}


def _unmarked(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return message
    parts = [{key: one for key, one in part.items() if key != MARK} for part in content]
    is_text = len(parts) == 1 and parts[0].keys() == {"type", "text"}
    return {**message, "content": parts[0]["text"] if is_text else parts}


def _places(messages: list[Any]) -> Iterator[tuple[int, int | None]]:
    """Each block: the index of its message, and that of its part if the message has parts."""
    for index, message in enumerate(messages):
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            yield from ((index, part) for part in range(len(content)))
        else:
            yield index, None


def _marked(message: object, part: int | None) -> dict[str, Any] | None:
    if not isinstance(message, dict):
        return None
    content = message.get("content")
    mark = {MARK: {"type": "ephemeral"}}
    if part is None:
        if not isinstance(content, str) or not content or message.get("role") == "assistant":
            return None
        return {**message, "content": [{"type": "text", "text": content, **mark}]}
    parts = list(content or ())
    if not isinstance(parts[part], dict) or parts[part].get("type") != "text":
        return None
    parts[part] = {**parts[part], **mark}
    return {**message, "content": parts}

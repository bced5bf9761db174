"""
A summary that stands for earlier messages, as a text that any vendor's model can read.

Anthropic's API drops every block before the last one of a compaction:
https://platform.claude.com/docs/en/build-with-claude/compaction. So do the translations. Source of
the format: anthropic-sdk-python 2.12, `BetaCompactionBlockParam`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...errors import RequestError

KIND = "compaction"
HEAD = "Summary of the conversation so far:\n\n"


class Start(NamedTuple):
    """The first block that counts: the number of its message, and its own in that one."""

    message: int = 0
    block: int = 0


def start_of(messages: Sequence[Any]) -> Start:
    """The last summary's block; one of a compaction that failed has none."""
    for number in range(len(messages) - 1, -1, -1):
        message = messages[number]
        content = message.get("content") if isinstance(message, dict) else None
        blocks = content if isinstance(content, list) else []
        for index in range(len(blocks) - 1, -1, -1):
            if _is_summary(blocks[index]):
                return Start(number, index)
    return Start()


def since_summary(messages: Sequence[Any]) -> Sequence[Any]:
    """The messages from the last summary on, which begins the first of them."""
    start = start_of(messages)
    if start == Start():
        return messages
    first, *others = messages[start.message :]
    return [{**first, "content": first["content"][start.block :]}, *others]


def _is_summary(block: Any) -> bool:
    if not isinstance(block, dict) or block.get("type") != KIND:
        return False
    return bool(block.get("content") or block.get("encrypted_content"))


def summary_of(block: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """
    The summary as a block of text; `None` for that of a compaction that failed.

    Raises `RequestError` for one that only its maker can read, and for one that is malformed.
    """
    for name in ("content", "encrypted_content"):
        if not isinstance(block.get(name), str | None):
            raise RequestError(f"`{path}.{name}` must be a string or null", f"{path}.{name}")
    if text := block.get("content"):
        mark = block.get("cache_control")
        more = {} if mark is None else {"cache_control": mark}
        return {"type": "text", "text": HEAD + text, **more}
    if block.get("encrypted_content"):
        raise RequestError(
            f"`{path}` is a `{KIND}` without a text, which only its maker can read: send the"
            " messages themselves",
            path,
            "unsupported_parameter",
        )
    return None

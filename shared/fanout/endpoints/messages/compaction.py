"""
A summary that stands for earlier messages, as a text that any vendor's model can read.

Source: anthropic-sdk-python 2.12, `BetaCompactionBlockParam`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RequestError

KIND = "compaction"
HEAD = "Summary of the conversation so far:\n\n"


def summary_of(block: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """
    The summary as a block of text; `None` for that of a compaction that failed.

    Raises `RequestError` for one that only its maker can read.
    """
    text = block.get("content")
    if isinstance(text, str) and text:
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

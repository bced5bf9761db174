"""
What is new in a whole message that comes after deltas of the same choice.

MiniMax ends a stream with the sum of its deltas: github.com/ENTERPILOT/GoModel/pull/1068, 2026-11.
Another server may send only a part of the message in deltas.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from .tool_calls import CallIndexer

REASONING = frozenset({"reasoning", "reasoning_content"})
"""Names of one field."""


def unheard(
    message: Mapping[str, Any], heard: Mapping[str, tuple[str, int]], calls: CallIndexer | None
) -> dict[str, Any]:
    """
    The fields that no delta had, the calls that are new, and what goes beyond the texts so far.

    `heard` has the fields of the deltas, with the first piece and the length of a text. A text that
    does not begin with that piece is another form of what was sent (trimmed, for one).
    """
    if not heard.keys().isdisjoint(REASONING):
        heard = {**dict.fromkeys(REASONING, ("", sys.maxsize)), **heard}
    found: dict[str, Any] = {}
    for name, value in message.items():
        if name == "tool_calls":
            if new := _new_calls(value or (), calls):
                found[name] = new
        elif name not in heard:
            found[name] = value
        elif name != "name" and (rest := _rest(value, *heard[name])):
            found[name] = rest
    return found


def _rest(value: Any, start: str, length: int) -> str:
    """The part of a text after the pieces, of which one was `start`."""
    return value[length:] if isinstance(value, str) and value.startswith(start) else ""


def _new_calls(given: Any, known: CallIndexer | None) -> list[dict[str, Any]]:
    """The calls without their places, which deltas of others may have had."""
    return [
        {name: value for name, value in call.items() if name != "index"}
        for place, call in enumerate(given)
        if known is None or not known.has(call, place)
    ]

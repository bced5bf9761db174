"""
The content blocks of a streamed message: pieces of a chat completion become events, in order.

A block ends before the next one starts, as in Anthropic's own streams. So only the first call of a
tool is streamed as it arrives; further calls, and text after a call, are sent at the end: vendors
with OpenAI's API may send pieces of several calls in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...schema.accumulator import join_values, whole_value
from .response import tool_use
from .thoughts import HELD, SIGNATURE, signature_of, thinking_block


class BlockWriter:
    """Makes the events of one message's blocks; `count` is how many have started."""

    def __init__(self, *, thinks: bool) -> None:
        self.count = 0
        self.has_calls = False
        self._thinks = thinks
        self._open = ""  # the type of the block that has not ended
        self._field = ""  # the field of the delta whose text is in the last block of text
        self._first_call: int | None = None
        self._calls: dict[int, dict[str, Any]] = {}  # all calls but the first
        self._late_text: list[str] = []
        self._has_input = False
        self._thought = False
        self._held: dict[str, Any] = {}  # of the open or next block of thinking, for its signature

    def feed(self, delta: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the events of a choice's delta."""
        if self._thinks:
            text = delta.get("reasoning_content") or delta.get("reasoning")
            held = {name: delta[name] for name in HELD if delta.get(name)}
            is_late = self._open == "text" and held.keys() == {"extra_content"}
            if (isinstance(text, str) and text) or (held and not is_late):
                yield from self._thinking(text if isinstance(text, str) else "")
            if held and not self.has_calls:
                self._held = join_values("", self._held, held)
            for block in delta.get("thinking_blocks") or ():
                if isinstance(block, dict):
                    yield from self._signed(block)
        for name in ("content", "refusal"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                yield from self._text(text, name)
        for call in delta.get("tool_calls") or ():
            yield from self._call(call)

    def end(self) -> Iterator[dict[str, Any]]:
        """Yield the events of what is left."""
        yield from self._close()
        for _, call in sorted(self._calls.items()):
            use = tool_use(call)
            text = call["function"]["arguments"]
            yield self._start({**use, "input": {}})
            yield self._delta({"type": "input_json_delta", "partial_json": text or "{}"})
            yield from self._close()
        if self._late_text:
            yield self._start({"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": "".join(self._late_text)})
            yield from self._close()

    def _thinking(self, text: str) -> Iterator[dict[str, Any]]:
        if self.has_calls:
            return
        if self._open != "thinking":
            yield from self._close()
            self._thought = True
            yield self._start(thinking_block("", ""))
        if text:
            yield self._delta({"type": "thinking_delta", "thinking": text})

    def _signed(self, block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """A whole block of signed thinking, whose text may have been streamed before."""
        if self._open == "thinking" and block.get("type") == "thinking":
            yield from self._close(block.get("signature") or SIGNATURE)
        elif block.get("type") != "thinking":
            yield from self._close()
            yield self._start({**block})
            yield from self._close()
        elif not (self._thought or self.has_calls):  # the vendor does not show the text
            yield from self._thinking(block.get("thinking") or "")
            yield from self._close(block.get("signature") or SIGNATURE)

    def _text(self, text: str, field: str) -> Iterator[dict[str, Any]]:
        if self.has_calls:
            self._late_text.append(text)
            return
        if self._open != "text" or self._field != field:
            self._field = field
            yield from self._close()
            yield self._start({"type": "text", "text": ""})
        yield self._delta({"type": "text_delta", "text": text})

    def _call(self, piece: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        index, function = piece.get("index", 0), piece.get("function") or {}
        arguments = function.get("arguments") or ""
        if not self.has_calls:
            if self._held and self._open != "thinking":  # what came after a text is for the calls
                yield from self._thinking("")
            yield from self._close()
            self.has_calls, self._first_call = True, index
            use = tool_use({**piece, "function": {"name": function.get("name")}})
            yield self._start({**use, "input": {}})
        if index == self._first_call:
            if arguments:
                self._has_input = True
                yield self._delta({"type": "input_json_delta", "partial_json": arguments})
            return
        known = self._calls.setdefault(index, {"function": {"name": None, "arguments": ""}})
        known["id"] = piece.get("id") or known.get("id")
        known["extra_content"] = piece.get("extra_content") or known.get("extra_content")
        known["function"]["name"] = function.get("name") or known["function"]["name"]
        known["function"]["arguments"] += arguments

    def _start(self, block: dict[str, Any]) -> dict[str, Any]:
        self._open = block["type"]
        self.count += 1
        return {
            "type": "content_block_start",
            "index": self.count - 1,
            "content_block": block,
        }

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self.count - 1, "delta": delta}

    def _close(self, signature: str = "") -> Iterator[dict[str, Any]]:
        if not self._open:
            return
        if self._open == "thinking":
            signature = signature or signature_of(whole_value(self._held))
            self._held = {}
            yield self._delta({"type": "signature_delta", "signature": signature})
        self._open = ""
        yield {"type": "content_block_stop", "index": self.count - 1}

"""The formats of a scripted provider's responses: OpenAI's, and a part of Anthropic's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
"""The usage in every response."""


class WireFormat(Protocol):
    """One provider's format: the parts of a stream, a plain response, an error."""

    def opening(self, model: str) -> bytes: ...

    def delta(self, model: str, delta: Mapping[str, Any]) -> bytes: ...

    def closing(self, model: str) -> bytes: ...

    def whole(self, model: str, text: str) -> bytes: ...

    def error(self, fields: Mapping[str, Any]) -> bytes: ...


class OpenAI:
    """OpenAI's chat completions; a stream has a role, content, a finish reason, usage, `[DONE]`."""

    def opening(self, model: str) -> bytes:
        return self.delta(model, {"role": "assistant", "content": "", "refusal": None})

    def delta(self, model: str, delta: Mapping[str, Any]) -> bytes:
        return self._chunk(model, [{"index": 0, "delta": delta, "finish_reason": None}])

    def closing(self, model: str) -> bytes:
        last = self._chunk(model, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        return last + self._chunk(model, [], usage=USAGE) + b"data: [DONE]\n\n"

    def whole(self, model: str, text: str) -> bytes:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        head = {"id": f"chatcmpl-{model}", "object": "chat.completion", "created": 1_700_000_000}
        return json.dumps({**head, "model": model, "choices": [choice], "usage": USAGE}).encode()

    def error(self, fields: Mapping[str, Any]) -> bytes:
        shape = {"message": "", "type": "server_error", "param": None, "code": None}
        return json.dumps({"error": {**shape, **fields}}).encode()

    def _chunk(self, model: str, choices: list[Any], **more: Any) -> bytes:
        head = {"id": f"chatcmpl-{model}", "object": "chat.completion.chunk", "created": 1}
        chunk = {**head, "model": model, "choices": choices, **more}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class Anthropic:
    """Anthropic's Messages API with one text block."""

    def opening(self, model: str) -> bytes:
        usage = {"input_tokens": USAGE["prompt_tokens"], "output_tokens": 1}
        message = {"id": f"msg_{model}", "type": "message", "role": "assistant", "content": []}
        started = {**message, "model": model, "stop_reason": None, "usage": usage}
        block = {"index": 0, "content_block": {"type": "text", "text": ""}}
        opened = self._event("message_start", message=started)
        return opened + self._event("content_block_start", **block)

    def delta(self, model: str, delta: Mapping[str, Any]) -> bytes:
        text = {"type": "text_delta", "text": delta["content"]}
        return self._event("content_block_delta", index=0, delta=text)

    def closing(self, model: str) -> bytes:
        usage = {"output_tokens": USAGE["completion_tokens"]}
        why = {"stop_reason": "end_turn", "stop_sequence": None}
        closed = self._event("content_block_stop", index=0)
        return (
            closed
            + self._event("message_delta", delta=why, usage=usage)
            + self._event("message_stop")
        )

    def whole(self, model: str, text: str) -> bytes:
        usage = {
            "input_tokens": USAGE["prompt_tokens"],
            "output_tokens": USAGE["completion_tokens"],
        }
        message = {"id": f"msg_{model}", "type": "message", "role": "assistant", "model": model}
        content = [{"type": "text", "text": text}]
        why = {"stop_reason": "end_turn", "stop_sequence": None}
        return json.dumps({**message, "content": content, **why, "usage": usage}).encode()

    def error(self, fields: Mapping[str, Any]) -> bytes:
        shape = {"type": "api_error", "message": ""}
        return json.dumps({"type": "error", "error": {**shape, **fields}}).encode()

    def _event(self, name: str, **fields: Any) -> bytes:
        data = json.dumps({"type": name, **fields}).encode()
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


WIRE_FORMATS: Mapping[str, WireFormat] = {"openai": OpenAI(), "anthropic": Anthropic()}

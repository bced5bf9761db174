"""The formats of a scripted provider's responses: OpenAI's, a part of Anthropic's and Gemini's."""

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


class Gemini:
    """Gemini's `generateContent` with text; each event of a stream has the usage so far."""

    def opening(self, model: str) -> bytes:
        return self._event("", model, {"promptTokenCount": USAGE["prompt_tokens"]})

    def delta(self, model: str, delta: Mapping[str, Any]) -> bytes:
        usage = {"promptTokenCount": USAGE["prompt_tokens"], "candidatesTokenCount": 1}
        return self._event(delta["content"], model, usage)

    def closing(self, model: str) -> bytes:
        return self._event("", model, self._usage, finishReason="STOP")

    def whole(self, model: str, text: str) -> bytes:
        return json.dumps(self._body(text, model, self._usage, finishReason="STOP")).encode()

    def error(self, fields: Mapping[str, Any]) -> bytes:
        return json.dumps({"error": {"code": 500, "message": "", **fields}}).encode()

    @property
    def _usage(self) -> dict[str, int]:
        sent, received = USAGE["prompt_tokens"], USAGE["completion_tokens"]
        return {"promptTokenCount": sent, "candidatesTokenCount": received}

    def _body(self, text: str, model: str, usage: Mapping[str, int], **more: Any) -> Any:
        content = {"role": "model", "parts": [{"text": text}]}
        found = {"candidates": [{"index": 0, "content": content, **more}], "modelVersion": model}
        return {**found, "usageMetadata": usage}

    def _event(self, text: str, model: str, usage: Mapping[str, int], **more: Any) -> bytes:
        return b"data: " + json.dumps(self._body(text, model, usage, **more)).encode() + b"\r\n\r\n"


WIRE_FORMATS: Mapping[str, WireFormat] = {
    "openai": OpenAI(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
}


def format_of(path: str) -> str:
    """The format of a request's path."""
    if "enerateContent" in path:
        return "gemini"
    return "anthropic" if path.partition("?")[0].endswith("/messages") else "openai"

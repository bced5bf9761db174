"""A reply in OpenAI's words, whole or streamed: Google's whole reply is a stream of one event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ...errors import ErrorDetail
from ...schema.accumulator import ChunkAccumulator
from ...schema.chat import (
    ChatChunk,
    ChatCompletion,
    Delta,
    FinishReason,
    ToolCallDelta,
    Usage,
    make_chunk,
    make_usage,
)
from ...wire import json
from ...wire.http import WireEvent, WireResponse
from ..base import BadWire, Target, WireError
from . import wire
from .calls import carry, make_id
from .errors import explain_fault

# https://ai.google.dev/api/generate-content#FinishReason; any other is a stop.
FINISH_REASONS: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
# There is no answer then, and asking again may well bring one.
FAILURES: Mapping[str, int] = {
    "MALFORMED_FUNCTION_CALL": 502,
    "MALFORMED_RESPONSE": 502,
    "UNEXPECTED_TOOL_CALL": 502,
    "MISSING_THOUGHT_SIGNATURE": 400,
}


def decode(reply: WireResponse, target: Target) -> ChatCompletion:
    """The chunks of the only event, put together."""
    decoder, assembly = ChatDecoder(target), ChunkAccumulator()
    for chunk in decoder.feed(WireEvent(reply.body)):
        assembly.add(chunk)
    answer = assembly.whole()
    if not answer["choices"]:
        raise BadWire("the reply has no candidates")
    return answer


class _Progress(Struct):
    calls: int = 0
    finished: bool = False


class ChatDecoder:
    """Turns a stream's events to chunks; the end is every candidate's finish reason."""

    def __init__(self, target: Target) -> None:
        self._model = target.model
        self._response_id: str | None = None
        self._usage: Usage | None = None
        self._candidates: dict[int, _Progress] = {}

    @property
    def ended(self) -> bool:
        """Whether every candidate that began has finished."""
        return bool(self._candidates) and all(one.finished for one in self._candidates.values())

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the chunks that one event tells."""
        said = json.decode(event.data, type=wire.Reply)
        if said.error:
            raise WireError(said.error.code, explain_fault(said.error))
        self._model = said.model_version or self._model
        self._response_id = said.response_id or self._response_id
        for candidate in said.candidates or _stand_in(said.prompt_feedback):
            yield from self._candidate(candidate)
        # Every event may count what has been used so far; only the last word is passed on.
        self._usage = decode_usage(said.usage_metadata) or self._usage
        if self.ended and self._usage:
            yield {**self._chunk(0, {}), "choices": [], "usage": self._usage}

    def _candidate(self, candidate: wire.Candidate) -> Iterator[ChatChunk]:
        index, reason = candidate.index, candidate.finish_reason
        if index not in self._candidates:
            self._candidates[index] = _Progress()
            yield self._chunk(index, {"role": "assistant", "content": ""})
        progress = self._candidates[index]
        parts = (candidate.content and candidate.content.parts) or []
        chunks = [self._chunk(index, delta) for delta in self._deltas(parts, progress) if delta]
        if reason:
            _raise_failure(reason, candidate.finish_message)
            progress.finished = True
            chunks.append(self._chunk(index, {}, decode_reason(reason, progress.calls)))
        if chunks and (logprobs := decode_logprobs(candidate.logprobs_result)):
            chunks[0]["choices"][0]["logprobs"] = logprobs
        yield from chunks

    def _deltas(self, parts: list[wire.Part], progress: _Progress) -> Iterator[Delta]:
        for part in parts:
            if part.function_call:
                call = self._call(part.function_call, part.thought_signature, progress.calls)
                progress.calls += 1
                yield {"tool_calls": [call]}
                continue
            # What has neither text nor call is of Google's own tools, which we never offer.
            delta = Delta()
            if part.text:
                delta["reasoning_content" if part.thought else "content"] = part.text
            if part.thought_signature:
                delta["extra_content"] = carry(part.thought_signature)
            yield delta

    def _call(self, call: wire.FunctionCall, signature: str | None, number: int) -> ToolCallDelta:
        # Google sends objects; the caller gets the same JSON without its line breaks.
        arguments = msgspec.json.format(bytes(call.args), indent=-1).decode()
        told = ToolCallDelta(
            index=number,
            id=call.id or make_id(self._response_id, number),
            type="function",
            function={"name": call.name, "arguments": arguments},
        )
        if signature:
            told["extra_content"] = carry(signature)
        return told

    def _chunk(self, index: int, delta: Delta, reason: FinishReason | None = None) -> ChatChunk:
        more = {"id": self._response_id} if self._response_id else {}
        chunk = make_chunk(self._model, delta, reason, **more)
        chunk["choices"][0]["index"] = index
        return chunk


def _stand_in(feedback: wire.PromptFeedback | None) -> list[wire.Candidate]:
    """A prompt that was blocked has no candidates; to the caller it is an answer held back."""
    blocked = feedback and feedback.block_reason
    return [wire.Candidate(finish_reason="SAFETY")] if blocked else []


def _raise_failure(reason: str, message: str | None) -> None:
    if status := FAILURES.get(reason):
        raise WireError(status, ErrorDetail(message or f"the answer failed: {reason}"))


def decode_reason(reason: str, calls: int) -> FinishReason:
    """Google says `STOP` after calls, too."""
    told = FINISH_REASONS.get(reason, "stop")
    return "tool_calls" if calls and told == "stop" else told


def decode_usage(usage: wire.Usage | None) -> Usage | None:
    """Thoughts are a part of the completion, results of Google's own tools one of the prompt."""
    if usage is None:
        return None
    return make_usage(
        usage.prompt_token_count + usage.tool_use_prompt_token_count,
        usage.candidates_token_count + usage.thoughts_token_count,
        cached=usage.cached_content_token_count,
        reasoning=usage.thoughts_token_count,
    )


def decode_logprobs(result: wire.Logprobs | None) -> dict[str, Any] | None:
    """The chosen tokens, each with the likeliest at its place."""
    if not result or not result.chosen_candidates:
        return None
    tops = result.top_candidates or []
    content = []
    for index, token in enumerate(result.chosen_candidates):
        top = (tops[index].candidates or []) if index < len(tops) else []
        content.append({**_token(token), "top_logprobs": [_token(one) for one in top]})
    return {"content": content}


def _token(token: wire.Token) -> dict[str, Any]:
    return {
        "token": token.token,
        "logprob": token.log_probability,
        "bytes": list(token.token.encode()),
    }

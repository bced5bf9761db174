"""
A response as a chat completion or as chunks.

Both are here because a whole response of Google's is a stream of one event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count

import msgspec
from msgspec import Struct, field

from ...errors import ErrorDetail
from ...schema.accumulator import ChunkAccumulator
from ...schema.chat import ChatChunk, ChatCompletion, Delta, FinishReason, ToolCallDelta, Usage
from ...schema.chat_builders import (
    make_call_start,
    make_chunk,
    make_completion,
    make_message,
    make_usage,
    make_usage_chunk,
)
from ...wire import json
from ...wire.http import WireEvent, WireResponse
from ..base import BadWire, Target, WireError
from ..signatures import make_extra_content
from . import wire
from .errors import explain_fault
from .grounding import Sources
from .logprobs import decode_logprobs
from .media import decode_audio, decode_image
from .signatures import make_id

# https://ai.google.dev/api/generate-content#FinishReason; any other is `stop`.
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
# The HTTP status of a response that has failed; another attempt may succeed.
FAILURES: Mapping[str, int] = {
    "MALFORMED_FUNCTION_CALL": 502,
    "MALFORMED_RESPONSE": 502,
    "UNEXPECTED_TOOL_CALL": 502,
    "MISSING_THOUGHT_SIGNATURE": 400,
}

TIER_HEADER = "x-gemini-service-tier"
"""
The tier of a response of Google AI Studio, which may be another than the request's:
https://ai.google.dev/gemini-api/docs/priority-inference, 2026-11.
"""

# OpenAI's names of tiers, by Google AI Studio's and by those of Vertex AI (google-genai 3.4,
# `types.TrafficType`).
TIERS: Mapping[str, str] = {
    "standard": "default",
    "flex": "flex",
    "priority": "priority",
    "on_demand": "default",
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
}


def decode(response: WireResponse, target: Target) -> ChatCompletion:
    """A response as a chat completion: the chunks of its only event, joined."""
    decoder, accumulator = ChatDecoder(target), ChunkAccumulator()
    for chunk in decoder.feed(WireEvent(response.body)):
        accumulator.add(chunk)
    completion = accumulator.completion()
    if not completion["choices"]:
        # Google may respond so at random, and the next attempt has a text.
        if not (usage := decoder.usage) or not usage["completion_tokens"]:
            raise BadWire("the response has no candidates")
        return make_completion(target.model, make_message(""), "stop", usage)
    if tier := _tier(response.headers.get(TIER_HEADER)):
        completion["service_tier"] = tier
    for choice in completion["choices"]:  # ours: just made
        calls = choice["message"].get("tool_calls")
        choice["finish_reason"] = choice["finish_reason"] or finish_reason("", len(calls or ()))
    return completion


class _Progress(Struct):
    calls: int = 0
    finished: bool = False
    spoke: bool = False
    sources: Sources = field(default_factory=Sources)


class ChatDecoder:
    """Translates the events of one stream. The end is every candidate's finish reason."""

    def __init__(self, target: Target) -> None:
        self._model = target.model
        self._response_id: str | None = None
        self._more: dict[str, str] = {}
        self._usage: Usage | None = None
        self._candidates: dict[int, _Progress] = {}
        self._places: dict[int, int] = {}  # the choice of each of the vendor's indexes
        self._has_one = target.one_choice

    @property
    def usage(self) -> Usage | None:
        """The latest usage."""
        return self._usage

    @property
    def ended(self) -> bool:
        """Whether every candidate that began has finished."""
        return bool(self._candidates) and all(one.finished for one in self._candidates.values())

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunks."""
        response = json.decode_tolerant(event.data, wire.Response)
        if response.error and response.error != wire.NO_FAULT:
            raise WireError(response.error.http_status, explain_fault(response.error))
        self._model = response.model_version or self._model
        if response.response_id:
            self._response_id = response.response_id
            self._more = {"id": response.response_id}
        candidates = response.candidates or _blocked(response.prompt_feedback)
        for candidate, index in zip(candidates, self._choices_of(candidates), strict=True):
            yield from self._candidate(candidate, index)
        if tier := tier_of(response.usage_metadata):
            self._more = {**self._more, "service_tier": tier}
        # Every event may have the usage so far; only the last is sent to the client.
        usage = decode_usage(response.usage_metadata)
        if not (usage or candidates):  # the event says nothing
            return
        self._usage = usage
        if self.ended and usage:
            yield make_usage_chunk(self._model, usage, **self._more)

    def complete(self) -> Iterator[ChatChunk]:
        """
        The finish reasons that the last event left out, as proxies and previews do.

        Whether such a response is whole is unknown: the finish reason of a text is `length`,
        so no client takes it for one that is. The latest usage has the tokens of the response,
        unless the stream broke off at its start; an event that says nothing leaves it as it was.
        """
        if not self._usage or not self._usage["completion_tokens"]:
            return
        for index, progress in self._candidates.items():
            if not progress.finished:
                progress.finished = True
                yield self._chunk(
                    index, {}, finish_reason("" if progress.calls else "MAX_TOKENS", progress.calls)
                )
        yield make_usage_chunk(self._model, self._usage, **self._more)

    def _choices_of(self, candidates: list[wire.Candidate]) -> list[int]:
        """
        The choice that each candidate of an event is of.

        The candidates of one event are different ones, also if a server (a proxy, for one) writes
        no index or the same. Choices are numbered without gaps, as clients require it. A candidate
        alone is of the first choice, if one was asked for, unless it has another index and content.
        """
        if self._has_one and self._candidates and len(candidates) == 1:
            (one,) = candidates
            is_other = one.index is not None and one.content is not None and one.content.parts
            if one.index not in self._places and not is_other:
                return [0]
        indexes: list[int] = []
        for place, candidate in enumerate(candidates):
            index = place if candidate.index is None else candidate.index
            if index in indexes:
                index = next(free for free in count() if free not in indexes)
            indexes.append(index)
        return [self._places.setdefault(index, len(self._places)) for index in indexes]

    def _candidate(self, candidate: wire.Candidate, index: int) -> Iterator[ChatChunk]:
        reason = candidate.finish_reason
        if index not in self._candidates:
            self._candidates[index] = _Progress()
            yield self._chunk(index, {"role": "assistant", "content": ""})
        progress = self._candidates[index]
        parts = (candidate.content and candidate.content.parts) or []
        chunks = [self._chunk(index, delta) for delta in self._deltas(parts, progress) if delta]
        progress.sources.add(candidate)
        if reason:
            _raise_failure(reason, candidate.finish_message)
            progress.finished = True
            if annotations := progress.sources.annotations():
                chunks.append(self._chunk(index, {"annotations": annotations}))
            chunks.append(self._chunk(index, {}, finish_reason(reason, progress.calls)))
        if chunks and (logprobs := decode_logprobs(candidate.logprobs_result)):
            chunks[0]["choices"][0]["logprobs"] = logprobs
        yield from chunks

    def _deltas(self, parts: list[wire.Part], progress: _Progress) -> Iterator[Delta]:
        for part in parts:
            if part.function_call and part.function_call.name:
                call = self._call(part.function_call, part.thought_signature, progress.calls)
                progress.calls += 1
                yield {"tool_calls": [call]}
                continue
            if part.inline_data and not part.thought:
                yield self._blob(part.inline_data, part.thought_signature, progress)
                continue
            # A part with neither is of Google's own tools, which no request of ours offers, or an
            # image that the model made while it was thinking.
            delta = Delta()
            if part.text:
                delta["reasoning_content" if part.thought else "content"] = part.text
            if part.text and not part.thought:
                progress.sources.texts.append(part.text)
            if part.thought_signature:
                delta["extra_content"] = make_extra_content(part.thought_signature)
            yield delta

    def _blob(self, blob: wire.Blob, signature: str | None, progress: _Progress) -> Delta:
        if not blob.mime_type.startswith("audio/"):
            return decode_image(blob, signature)
        is_first, progress.spoke = not progress.spoke, True
        return decode_audio(blob, self._response_id, is_first=is_first)

    def _call(self, call: wire.FunctionCall, signature: str | None, number: int) -> ToolCallDelta:
        # Google sends an object; the client gets the same JSON without its line breaks.
        is_object = bytes(call.args).startswith(b"{")
        compact = msgspec.json.format(bytes(call.args), indent=-1) if is_object else b"{}"
        arguments = compact.decode(errors="replace")
        call_id = call.id or make_id(self._response_id, number)
        start = make_call_start(number, call_id, call.name, arguments)
        if signature:
            start["extra_content"] = make_extra_content(signature)
        return start

    def _chunk(self, index: int, delta: Delta, reason: FinishReason | None = None) -> ChatChunk:
        chunk = make_chunk(self._model, delta, reason, **self._more)
        chunk["choices"][0]["index"] = index
        return chunk


def _blocked(feedback: wire.PromptFeedback | None) -> list[wire.Candidate]:
    """The candidate for a blocked prompt, which has none: a response held back for safety."""
    is_blocked = feedback and feedback.block_reason
    return [wire.Candidate(finish_reason="SAFETY")] if is_blocked else []


def _raise_failure(reason: str, message: str | None) -> None:
    if status := FAILURES.get(reason):
        raise WireError(status, ErrorDetail(message or f"the generation failed: {reason}"))


def finish_reason(reason: str, calls: int) -> FinishReason:
    """OpenAI's finish reason. Google has `STOP` after calls, too."""
    decoded = FINISH_REASONS.get(reason, "stop")
    return "tool_calls" if calls and decoded == "stop" else decoded


def tier_of(usage: wire.Usage | None) -> str | None:
    """OpenAI's name of the tier that served the response; `None` if the usage does not name it."""
    return _tier(usage.service_tier) or _tier(usage.traffic_type) if usage else None


def _tier(name: object) -> str | None:
    return TIERS.get(name.lower()) if isinstance(name, str) else None


def decode_usage(usage: wire.Usage | None) -> Usage | None:
    """
    Usage. Thoughts count as completion, results of Google's own tools as prompt.

    A prompt is never without tokens: without their number, the usage is unknown.
    """
    if usage is None or usage.prompt_token_count is None:
        return None
    sent = usage.prompt_token_count + usage.tool_use_prompt_token_count
    if (written := usage.candidates_token_count) is None:
        written = max(usage.total_token_count - sent - usage.thoughts_token_count, 0)
    return make_usage(
        sent,
        written + usage.thoughts_token_count,
        cached=usage.cached_content_token_count,
        reasoning=usage.thoughts_token_count,
    )

"""
Bedrock's OpenAI-compatible chat completions, on the `bedrock-runtime` endpoint.

Its path is `/openai/v1`: docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html
says so for all of OpenAI's APIs, and OpenAI's own SDK has no other (`/v1` stood in docs of 2025).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from ...errors import ErrorDetail
from ...schema.chat import ChatChunk, ChatCompletion
from ...schema.request import ChatRequest
from ...wire.http import WireEvent, WireRequest, WireResponse
from ...wire.sse import SSEFramer
from ..base import Codec, Target, WireError
from ..openai.chat import ChatDecoder, Quirks, check_whole, encode, read
from ..openai.normalize import tidy
from .errors import explain_aws, status_of
from .models import find_model
from .reasoning_tags import TagSplitter

# Nothing is stored (only "create" is there), nothing is searched, and all answers are text.
QUIRKS = Quirks(
    "bedrock",
    drop=frozenset({"audio", "modalities", "store", "web_search_options"}),
    path="/openai/v1/chat/completions",
)


def encode_bedrock(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The caller's body, for the model's id or inference profile."""
    return encode(QUIRKS, request, replace(target, model=find_model(target).id), stream)


def _tags_reasoning(target: Target) -> bool:
    """
    Whether this model puts `<reasoning>` into its text, for which other models may have reasons.

    OpenAI's open models do so on this endpoint, and in a stream in every chunk anew:
    github.com/CherryHQ/cherry-studio/issues/10225 has the bytes.
    """
    return "gpt-oss" in find_model(target).kind


def decode(reply: WireResponse, target: Target) -> ChatCompletion:
    """The answer, with its reasoning beside its text."""
    value = read(reply.body)
    _raise_aws_error(value)
    check_whole(value)
    value = tidy(value, "message")
    if _tags_reasoning(target):
        choices = [_split(choice, "message", TagSplitter()) for choice in value["choices"]]
        value = {**value, "choices": choices}
    return check_whole(value)


class BedrockDecoder:
    """Chunks as they are, with the reasoning beside the text."""

    def __init__(self, target: Target) -> None:
        self._plain = ChatDecoder(target)
        self._splitters: dict[int, TagSplitter] | None = {} if _tags_reasoning(target) else None

    @property
    def ended(self) -> bool:
        return self._plain.ended

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunk, if it is one."""
        if not event.data or event.data.startswith(b"[DONE]"):
            yield from self._plain.feed(event)
            return
        value = read(event.data)
        _raise_aws_error(value)
        if "choices" in value:
            self._plain.take(value)
            tidied: Any = self._split(tidy(value, "delta"))
            chunk: ChatChunk = tidied
            yield chunk

    def _split(self, value: dict[str, Any]) -> dict[str, Any]:
        if self._splitters is None:
            return value
        choices = [
            _split(
                choice, "delta", self._splitters.setdefault(choice.get("index", 0), TagSplitter())
            )
            for choice in value["choices"]
        ]
        return {**value, "choices": choices}


def _split(choice: dict[str, Any], part: str, splitter: TagSplitter) -> dict[str, Any]:
    """Move what is between tags out of the choice's `content`."""
    said = choice[part]
    content = said.get("content")
    thought, text = splitter.feed(content) if content else ("", "")
    if choice["finish_reason"]:
        late_thought, late_text = splitter.end()
        thought, text = thought + late_thought, text + late_text
    if (thought, text) == ("", content or ""):
        return choice
    rest = {**said, "reasoning_content": thought} if thought else {**said}
    if text or part == "message":
        rest["content"] = text or (None if said.get("tool_calls") else "")
    else:
        rest.pop("content", None)
    return {**choice, part: rest}


def _raise_aws_error(value: dict[str, Any]) -> None:
    """AWS's own words for a failure, in a reply that began as a success."""
    if "choices" not in value and ("__type" in value or isinstance(value.get("message"), str)):
        detail: ErrorDetail = explain_aws(value, 502)
        raise WireError(status_of(value), detail)


CODEC = Codec(encode_bedrock, decode, SSEFramer, BedrockDecoder)

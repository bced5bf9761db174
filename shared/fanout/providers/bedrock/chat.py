"""
Bedrock's OpenAI-compatible chat completions, on the `bedrock-runtime` endpoint.

Its path is `/openai/v1` for all of OpenAI's APIs:
docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html. OpenAI's own SDK has no
other; AWS's docs of 2025 had `/v1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from ...schema.chat import ChatChunk, ChatCompletion
from ...schema.request import ChatRequest
from ...wire.http import WireEvent, WireRequest, WireResponse
from ...wire.sse import SSEFramer
from ..base import Codec, Target
from ..fields import VENDORS_FIELDS
from ..openai.chat import encode
from ..openai.message_rules import MESSAGES
from ..openai.normal_stream import take_normalized
from ..openai.normalize import normalize
from ..openai.quirks import Quirks
from ..openai.response import check_whole, is_chunk, read
from ..openai.stream import ChatDecoder
from .errors import raise_aws_error
from .models import find_model
from .reasoning_tags import TagSplitter

# The endpoint has no storage (only "create"), no web search, and no responses but text. Its models
# are newer than OpenAI's old form of calls.
QUIRKS = Quirks(
    "bedrock",
    drop=frozenset({"audio", "modalities", "store", "web_search_options"}) | VENDORS_FIELDS,
    path="/openai/v1/chat/completions",
    messages=replace(MESSAGES, legacy=False, audio_store=False),
)


def encode_bedrock(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The client's body, for the model's id or inference profile."""
    return encode(QUIRKS, request, replace(target, model=find_model(target).id), stream)


def _tags_reasoning(target: Target) -> bool:
    """
    Whether this model puts its reasoning into the text, between tags.

    OpenAI's open models do so on this endpoint, and in a stream, every chunk has its own tags:
    github.com/CherryHQ/cherry-studio/issues/10225 has the bytes. In other models' text, such a tag
    is text.
    """
    return "gpt-oss" in find_model(target).kind


def decode(response: WireResponse, target: Target) -> ChatCompletion:
    """The response, with its reasoning moved out of its text."""
    value = read(response.body)
    _raise_aws_error(value, response)
    whole: Any = check_whole(value)
    value = normalize(whole, "message")
    if _tags_reasoning(target):
        choices = [_split(choice, "message", TagSplitter()) for choice in value["choices"]]
        value = {**value, "choices": choices}
    completed: Any = value
    completion: ChatCompletion = completed
    return completion


class BedrockDecoder:
    """Returns the chunks normalized, with the reasoning moved out of the text."""

    def __init__(self, target: Target) -> None:
        self._plain = ChatDecoder(target)
        self._splitters: dict[int, TagSplitter] | None = {} if _tags_reasoning(target) else None

    @property
    def ended(self) -> bool:
        return self._plain.ended

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunks, if it has any."""
        for value in self._plain.values(event):
            _raise_aws_error(value, _EVENT)
            if is_chunk(value):
                yield self._take(value)

    @property
    def holds(self) -> bool:
        """Whether a chunk waits for the next one."""
        return self._plain.holds

    def rest(self) -> Iterator[ChatChunk]:
        """Yield the chunks that wait, if nothing follows, or not soon."""
        for value in self._plain.held():
            yield self._take(value)

    def _take(self, value: dict[str, Any]) -> ChatChunk:
        normal: Any = self._split(take_normalized(self._plain, value))
        return normal  # type: ignore[no-any-return]

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
    """Move the text between tags out of the choice's `content`."""
    message = choice[part]
    content = message.get("content")
    thought, text = splitter.feed(content) if content else ("", "")
    if choice["finish_reason"]:
        late_thought, late_text = splitter.end()
        thought, text = thought + late_thought, text + late_text
    if (thought, text) == ("", content or ""):
        return choice
    rest = {**message, "reasoning_content": thought} if thought else {**message}
    if text or part == "message":
        rest["content"] = text or (None if message.get("tool_calls") else "")
    else:
        rest.pop("content", None)
    return {**choice, part: rest}


def _raise_aws_error(value: dict[str, Any], response: WireResponse) -> None:
    """Raise AWS's own error, inside a response that began as a success."""
    if "choices" not in value:
        raise_aws_error(value, response)


_EVENT = WireResponse(200, {}, b"")
"""An event of a stream has no headers of its own."""

CODEC = Codec(encode_bedrock, decode, SSEFramer, BedrockDecoder)

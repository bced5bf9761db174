"""
Azure OpenAI's chat completions: OpenAI's, with deployments in the path and filter notes in between.

`api_version` decides the address. A date means the classic one, with the deployment in the path;
nothing, `v1`, `latest` or `preview` mean the one without dates
(https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from ...schema.chat import ChatChunk, ChatCompletion
from ...schema.request import ChatRequest
from ...wire.http import WireEvent, WireRequest, WireResponse
from ...wire.sse import SSEFramer
from ..base import Codec, Target
from ..openai.chat import ChatDecoder, Quirks, check_whole, encode, read
from ..openai.provider import is_reasoning

V1_PATH = "/openai/v1"
CLASSIC = Quirks("azure")
REASONING = Quirks("azure", rename={"max_tokens": "max_completion_tokens"})
# These fields came with 2024-09-01-preview; before, they are "Unrecognized request argument".
OLD = Quirks(
    "azure",
    drop=frozenset({"parallel_tool_calls", "stream_options"}),
    rename={"max_completion_tokens": "max_tokens"},
)
_OLD_BEFORE = "2024-09-01"

# What all chunks of a stream have in common, and may be blank in a note.
_HEAD = ("id", "object", "created", "model")
_NOT_NOTES = frozenset({*_HEAD, "choices", "usage"})

# LiteLLM's marks for a deployment whose own name does not say that its model reasons.
_REASONING_MARKS = ("o_series/", "gpt5_series/")


def encode_azure(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The caller's body, addressed to a deployment."""
    version = target.options.get("api_version", "")
    named = _unmarked(target)
    wire = encode(_quirks(version, target, named), request, named, stream)
    return replace(wire, path=_path(version, named))


def _unmarked(target: Target) -> Target:
    for mark in _REASONING_MARKS:
        if target.model.startswith(mark):
            return replace(target, model=target.model.removeprefix(mark))
    return target


def _quirks(version: str, target: Target, named: Target) -> Quirks:
    """A deployment may be called anything, so `base_model` may say what it is."""
    if target is not named or is_reasoning(target.options.get("base_model", target.model)):
        return REASONING
    return OLD if _is_dated(version) and version < _OLD_BEFORE else CLASSIC


def _is_dated(version: str) -> bool:
    return version[:1].isdecimal()


def _path(version: str, target: Target) -> str:
    if _is_dated(version):
        deployment = quote(target.model, safe="")
        version = quote(version, safe="")
        return f"/openai/deployments/{deployment}/chat/completions?api-version={version}"
    # The v1 base URL is documented with its path, so that it may be in the config already.
    has_path = target.options.get("api_base", "").rstrip("/").endswith(V1_PATH)
    path = "/chat/completions" if has_path else f"{V1_PATH}/chat/completions"
    return f"{path}?api-version=preview" if version == "preview" else path


def decode(reply: WireResponse, _target: Target) -> ChatCompletion:
    """The answer as it is; a message that the filter emptied gets its `content` back, as null."""
    value = read(reply.body)
    check_whole(value)
    choices = [
        {**choice, "message": {"content": None, **choice["message"]}} for choice in value["choices"]
    ]
    return check_whole({**value, "choices": choices})


class Noted(msgspec.Struct, frozen=True):
    """A chunk whose choices may have no delta."""

    choices: list[dict[str, Any]] = []


class AzureDecoder:
    """
    Chunks as they are, but for the content filter's notes.

    What it says of the prompt comes in a chunk without choices, and is added to the next that has
    one; what an asynchronous filter says later comes without a delta, an id or a model, and gets
    them (https://learn.microsoft.com/azure/foundry/openai/concepts/content-streaming).
    """

    def __init__(self, target: Target) -> None:
        self._plain = ChatDecoder(target)
        self._head: dict[str, Any] = {}
        self._notes: dict[str, Any] = {}

    @property
    def ended(self) -> bool:
        return self._plain.ended

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunk, if it is one."""
        if not event.data or event.data.startswith(b"[DONE]"):
            yield from self._plain.feed(event)
            return
        value = read(event.data)
        msgspec.convert(value, Noted)
        said = {name: item for name, item in value.items() if item or name not in _HEAD}
        if not value.get("choices") and not value.get("usage"):
            self._notes |= {name: item for name, item in said.items() if name not in _NOT_NOTES}
            return
        if not self._head and value.get("id"):
            self._head = {name: said[name] for name in _HEAD if name in said}
        yield self._plain.take(self._whole(said))

    def _whole(self, said: dict[str, Any]) -> dict[str, Any]:
        notes, self._notes = self._notes, {}
        choices = [{"delta": {}, **choice} for choice in said.get("choices", ())]
        return {**self._head, **notes, **said, "choices": choices}


CODEC = Codec(encode_azure, decode, SSEFramer, AzureDecoder)

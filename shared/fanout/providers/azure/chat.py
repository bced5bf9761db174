"""
Azure OpenAI's chat completions: OpenAI's, with deployments in the path and content filter results.

`api_version` selects the endpoint. With a date, it is the classic one, with the deployment in the
path; with none, `v1`, `latest` or `preview`, it is the one without dates
(https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from ...schema.chat import ChatChunk, ChatCompletion
from ...schema.request import ChatRequest
from ...wire.http import WireEvent, WireRequest, WireResponse
from ...wire.sse import SSEFramer
from ..base import Codec, StreamDecoder, Target
from ..openai.chat import encode
from ..openai.message_rules import MESSAGES
from ..openai.provider import kind_of
from ..openai.quirks import Quirks
from ..openai.response import check_whole, read
from ..openai.responses.models import PREFIX, has_only_responses
from ..openai.rules import (
    FAMILIES,
    FORMATS,
    NEW_LIMIT,
    NOT_OPENAI,
    OLD_LIMIT,
    TOOL_EFFORTS,
    is_reasoning,
)
from ..openai.stream import ChatDecoder

V1_PATH = "/openai/v1"
CLASSIC = Quirks(
    "azure",
    drop=NOT_OPENAI,
    messages=replace(MESSAGES, audio_store=False),
    families=FAMILIES,
    tool_efforts=TOOL_EFFORTS,
    formats=FORMATS,
    schemas="flat",
    stored_metadata=True,
)
REASONING = replace(CLASSIC, rename=NEW_LIMIT)
# These fields came with 2024-09-01-preview; older versions reject them.
OLD = replace(
    CLASSIC,
    drop=NOT_OPENAI | {"parallel_tool_calls", "stream_options"},
    rename=OLD_LIMIT,
)
_OLD_BEFORE = "2024-09-01"

# What all chunks of a stream have in common; it may be blank in a content filter's chunk.
_HEAD = ("id", "object", "created", "model")
_NOT_RESULTS = frozenset({*_HEAD, "choices", "type", "usage"})  # `type`: of a ping

# LiteLLM's prefixes for a deployment of a reasoning model whose own name does not show it, and a
# model of that series.
_SERIES = {"o_series/": "o1", "gpt5_series/": "gpt-5"}


def encode_azure(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The client's body, for a deployment."""
    version = target.options.get("api_version", "")
    if calls_responses(target):
        from ..openai.responses.request import encode_responses  # few models need it

        kind = kind_of(target)
        quirks, path = _quirks("", kind), v1_path("/responses", target)
        return encode_responses(quirks, request, target, stream, kind=kind, path=path)
    named, kind = _without_prefix(target)
    wire = encode(_quirks(version, kind), request, named, stream, kind=kind)
    return replace(wire, path=find_path(version, named))


def _without_prefix(target: Target) -> tuple[Target, str]:
    """The deployment, and the model that it is, by `base_model`: it may have any name."""
    for prefix, kind in _SERIES.items():
        if target.model.startswith(prefix):
            name = target.model.removeprefix(prefix)
            return replace(target, model=name), name if is_reasoning(name) else kind
    return target, kind_of(target)


def prefix_of(model: str) -> str:
    """The prefix of a deployment's name that says how its model is called, or nothing."""
    return next((one for one in (*_SERIES, PREFIX) if model.startswith(one)), "")


def _quirks(version: str, kind: str) -> Quirks:
    if is_reasoning(kind):
        return REASONING
    return OLD if _is_dated(version) and version < _OLD_BEFORE else CLASSIC


def _is_dated(version: str) -> bool:
    return version[:1].isdecimal()


def find_path(version: str, target: Target, method: str = "chat/completions") -> str:
    """The path of a method of the deployment."""
    if _is_dated(version):
        deployment = quote(target.model, safe="")
        version = quote(version, safe="")
        return f"/openai/deployments/{deployment}/{method}?api-version={version}"
    path = v1_path(f"/{method}", target)
    return f"{path}?api-version=preview" if version == "preview" else path


def v1_path(path: str, target: Target) -> str:
    """A path of the endpoint without dates, which a base URL in the config may have already."""
    has_path = target.options.get("api_base", "").rstrip("/").endswith(V1_PATH)
    return path if has_path else f"{V1_PATH}{path}"


def pass_through(api: str, target: Target) -> Codec | None:
    """
    The codec of requests of the Responses API.

    A deployment whose `api_version` is a date may be where there is none, so it needs the mark.
    """
    if api != "responses":
        return None
    from ..openai.responses.pass_through import has_responses, responses_codec

    has_date = _is_dated(target.options.get("api_version", ""))
    if calls_responses(target) or (not has_date and has_responses(kind_of(target))):
        return responses_codec(lambda at: v1_path("/responses", at))
    return None


def calls_responses(target: Target) -> bool:
    """Whether the model is called with the Responses API, which has no dates in its path."""
    return target.model.startswith(PREFIX) or has_only_responses(kind_of(target))


def decode(response: WireResponse, target: Target) -> ChatCompletion:
    """The response; a message that the filter emptied gets a `content` of null."""
    if calls_responses(target):
        from ..openai.responses.response import decode_response

        return decode_response(response, target)
    value: Any = check_whole(read(response.body))
    choices = [
        {**choice, "message": {"content": None, **choice["message"]}} for choice in value["choices"]
    ]
    completed: Any = {**value, "choices": choices}
    completion: ChatCompletion = completed
    return completion


class AzureDecoder:
    """
    Returns the chunks unchanged, except those of the content filter.

    Its results for the prompt come in a chunk without choices, and are added to the next chunk. An
    asynchronous filter's results come without a delta, an id or a model, and get them
    (https://learn.microsoft.com/azure/foundry/openai/concepts/content-streaming).
    """

    def __init__(self, target: Target) -> None:
        self._plain = ChatDecoder(target)
        self._head: dict[str, Any] = {}
        self._filter_results: dict[str, Any] = {}

    @property
    def ended(self) -> bool:
        return self._plain.ended

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunks, if it has any."""
        for value in self._plain.values(event):
            yield from self._take(value)

    @property
    def holds(self) -> bool:
        """Whether a chunk waits for the next one."""
        return self._plain.holds

    def rest(self) -> Iterator[ChatChunk]:
        """Yield the chunks that wait, if nothing follows, or not soon."""
        for value in self._plain.held():
            yield from self._take(value)

    def _take(self, value: dict[str, Any]) -> Iterator[ChatChunk]:
        chunk = {name: item for name, item in value.items() if item or name not in _HEAD}
        if not value.get("choices") and not value.get("usage"):
            self._filter_results |= {
                name: item for name, item in chunk.items() if name not in _NOT_RESULTS
            }
            return
        if not self._head and value.get("id"):
            self._head = {name: chunk[name] for name in _HEAD if name in chunk}
        yield self._plain.take(self._complete(chunk))

    def _complete(self, chunk: dict[str, Any]) -> dict[str, Any]:
        results, self._filter_results = self._filter_results, {}
        return {**self._head, **results, **chunk}


def azure_decoder(target: Target) -> StreamDecoder:
    """The decoder of a stream of either API."""
    if calls_responses(target):
        from ..openai.responses.stream import ResponsesDecoder

        return ResponsesDecoder(target)
    return AzureDecoder(target)


CODEC = Codec(encode_azure, decode, SSEFramer, azure_decoder)

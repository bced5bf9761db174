"""
Requests of Anthropic's own API for Claude on Bedrock, by InvokeModel.

The model is in the URL; the version and the betas are fields of the body. Each event of a stream is
in base64 inside one of AWS's:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
and …/APIReference/API_runtime_InvokeModelWithResponseStream.html, 2026-11.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from urllib.parse import quote

from msgspec import Struct

from ...schema.chat import ChatChunk, ChatCompletion
from ...schema.pass_through import OriginalRequest
from ...wire import json
from ...wire.eventstream import ERROR, EXCEPTION
from ...wire.http import WireEvent, WireRequest, WireResponse
from ...wire.json_members import find_members
from ..anthropic.pass_through import API, BETAS, CLOUDS_LACK, COUNT_API
from ..anthropic.response import decode
from ..anthropic.stream import ChatDecoder
from ..base import BadWire, Codec, Target
from ..pass_through import counted_prompt, pass_through_codec
from .errors import make_error
from .framer import BedrockFramer
from .models import find_model, invokes_claude

_PROFILES = ("apac.", "au.", "ca.", "eu.", "global.", "jp.", "us.", "us-gov.")
"""The regions of inference profiles."""

VERSION = "bedrock-2023-05-31"


def encode(original: OriginalRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The client's request, for `target`'s model."""
    changes = {"model": None, "stream": None, "anthropic_version": json.encode(VERSION)}
    if betas := original.headers.get(BETAS):
        listed = [name.strip() for name in betas.split(",")]
        changes["anthropic_beta"] = json.encode([name for name in listed if name])
    method = "invoke-with-response-stream" if stream else "invoke"
    path = f"/model/{quote(find_model(target).id, safe='')}/{method}"
    return WireRequest(path, original.body(changes))


class _Chunk(Struct, frozen=True):
    bytes: str


class _Kind(Struct, frozen=True):
    type: str = ""


def unpacked(event: WireEvent) -> WireEvent:
    """Anthropic's event inside AWS's; an error of AWS is the same."""
    if event.type.startswith((EXCEPTION, ERROR)):
        return event
    try:
        data = b64decode(json.decode(event.data, type=_Chunk).bytes, validate=True)
    except ValueError as error:
        raise BadWire("an event without base64") from error
    return WireEvent(data, json.decode_tolerant(data, _Kind).type)


class InvokeDecoder(ChatDecoder):
    """Translates the events of one stream, in which AWS's own errors may be."""

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Return the event's chunks."""
        if event.type.startswith((EXCEPTION, ERROR)):
            raise make_error(event.type.partition("/")[2], event.data)
        return super().feed(event)


class _Count(Struct, frozen=True, rename="camel"):
    input_tokens: int


def encode_count(original: OriginalRequest, target: Target, _: bool) -> WireRequest:  # noqa: FBT001
    """
    The request for the number of a prompt's tokens, which holds that of InvokeModel in base64.

    It takes a model's own id, not that of an inference profile (`us.anthropic.…`):
    https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html, 2026-11.
    """
    wire = encode(original, target, stream=False)
    body = wire.body
    if original.members.value("max_tokens") is None:  # InvokeModel requires it
        body = find_members(body).changed({"max_tokens": b"1"})
    model = find_model(target).id
    place = model.find("anthropic.")
    own = model[place:] if place > 0 and model.startswith(_PROFILES) else model
    prompt = {"input": {"invokeModel": {"body": b64encode(body).decode()}}}
    return WireRequest(f"/model/{quote(own, safe='')}/count-tokens", json.encode(prompt))


def decode_count(response: WireResponse, _: Target) -> ChatCompletion:
    """A completion that has only the number, in its usage; raises any msgspec error."""
    return counted_prompt(json.decode(response.body, type=_Count).input_tokens)


CODECS = {
    API: pass_through_codec(
        encode,
        decode,
        BedrockFramer,
        InvokeDecoder,
        unpacked,
        list_headers=(BETAS,),
        lacks=CLOUDS_LACK,
    ),
    COUNT_API: pass_through_codec(
        encode_count,
        decode_count,
        BedrockFramer,
        InvokeDecoder,
        unpacked,
        list_headers=(BETAS,),
    ),
}


def find_codec(api: str, target: Target) -> Codec | None:
    """The codec of Anthropic's API, for its models."""
    return CODECS.get(api) if invokes_claude(target) else None

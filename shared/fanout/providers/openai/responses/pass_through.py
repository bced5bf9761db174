"""
Requests of the Responses API, which reach a vendor that has it as they are, but for the model.

OpenAI has it for each model that writes text, except these with chat completions alone: platform.
openai.com/docs/models, 2026-11. Another server has it if the config says so, with LiteLLM's mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ....schema.pass_through import LEFT_OUT_REASONING, OriginalRequest
from ....wire import json
from ....wire.http import WireRequest
from ....wire.sse import SSEFramer
from ...base import Codec, Target
from ...pass_through import pass_through_codec
from .models import without_mark
from .response import decode_response
from .stateless_input import stateless_input
from .stream import ResponsesDecoder

_ONLY_CHAT = re.compile(r"gpt-(?:audio|4o(?:-mini)?-(?:audio|search))")


def has_responses(model: str) -> bool:
    """Whether this model of OpenAI's has the Responses API."""
    return _ONLY_CHAT.match(model) is None


def responses_codec(
    path: Callable[[Target], str], *, counts: bool = False, is_openai: bool = True
) -> Codec:
    """
    The codec of a vendor with the API at this path; one that `counts` gets no `stream`.

    `is_openai`: it rejects plain reasoning that it has not stored. Other servers read its text.
    """

    def encode(original: OriginalRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
        changes: dict[str, bytes | None] = {"model": json.encode(without_mark(target.model))}
        if counts:
            changes |= dict.fromkeys(("store", "stream", "stream_options"))
        elif original.asks("stream") != stream:
            changes["stream"] = b"true" if stream else b"false"
        dropped: tuple[str, ...] = ()
        if is_openai and (items := stateless_input(original)) is not None:
            changes["input"] = items
            dropped = (LEFT_OUT_REASONING,)
        body = original.body(changes)
        return WireRequest(path(target), body, headers=original.headers, dropped=dropped)

    return pass_through_codec(encode, decode_response, SSEFramer, ResponsesDecoder)


def _codecs(*, is_openai: bool) -> dict[str, Codec]:
    count = "responses/input_tokens"
    return {
        "responses": responses_codec(lambda _: "/responses", is_openai=is_openai),
        count: responses_codec(lambda _: f"/{count}", counts=True, is_openai=is_openai),
    }


CODECS = _codecs(is_openai=True)
"""Those of OpenAI, by the API's name."""

SERVERS = _codecs(is_openai=False)
"""Those of servers that the config marks, by the API's name."""

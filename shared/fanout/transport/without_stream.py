"""
A deployment that may not stream: its whole response is the stream.

OpenAI streams some models only for verified organizations. The others get a 400 with the parameter
`stream` (https://help.openai.com/en/articles/10910291-api-organization-verification; as reported in
continuedev/continue issue 7129). A race receives its models as streams, also if the client did not
ask for one, so such a model is called again without a stream. Servers reject it with a 4xx or a
5xx, as the first event of a stream, or as JSON with the status 200.
Imported with the first rejected request.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.response_chunks import chunks_of

_NO = r"\b(does not|doesn't|do not|cannot|can't|is not|are not|isn't|aren't|not|un)\s?"
_SUPPORTED = r"(support|allow|available|permit)\w*"

_OF_MODEL = re.compile(
    r"verified to stream"
    rf"|\bmodel\b[^.]{{0,60}}{_NO}{_SUPPORTED}\s+(\w+\s+)?stream(ing|ed)?\b"
    rf"|\bstream(ing)?\b[^.]{{0,20}}{_NO}{_SUPPORTED}\s+(for|by|with)\s+(this|the)\s+model\b",
    re.IGNORECASE,
)
_OF_REQUEST = re.compile(
    rf"{_NO}{_SUPPORTED}\b[^.]{{0,60}}\bstream(ing|ed)?\b"
    rf"|\bstream(ing)?\b[^.]{{0,40}}{_NO}{_SUPPORTED}",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"stream_options|octet-stream|non-?\s?stream|stream\W{1,3}false|://\S*stream", re.IGNORECASE
)
MAX_TEXT = 1_000


def stream_rejection(
    texts: Sequence[str], param: str | None, *, is_fault: bool = False
) -> Literal["model", "request"] | None:
    """
    Whether a provider rejected a request only because it asks for a stream, by its error's texts.

    `model`: the model, or the account, may not stream. `request`: what else the request has does
    not go with a stream. An error of the provider's own (`is_fault`) must name the model.
    """
    for text in (text[:MAX_TEXT] for text in texts):
        if _OTHER.search(text):
            continue
        if _OF_MODEL.search(text):
            return "model"
        if param is None and not is_fault and _OF_REQUEST.search(text):
            return "request"
    return "model" if param == "stream" else None


async def chunks_of_whole(completion: ChatCompletion) -> AsyncIterator[ChatChunk]:
    """The pieces of a whole response, as a stream has them."""
    for chunk in chunks_of(completion):
        yield chunk

"""
A deployment that may not stream: its whole response is the stream.

OpenAI streams some models only for verified organizations. The others get a 400 with the parameter
`stream` (https://help.openai.com/en/articles/10910291-api-organization-verification; as reported in
continuedev/continue issue 7129). A race receives its models as streams, also if the client did not
ask for one, so such a model is called again without a stream.
Imported with the first rejected request.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from ..errors import ProviderError, Rejected
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.response_chunks import chunks_of

_WORDS = re.compile(
    r"verified to stream"
    r"|(does not|doesn't|do not|cannot|can't|not) (support|allow|permit)\w*\b.*\bstream"
    r"|\bstream\w*\b.*\b(is|are) (not|un)\W?(supported|allowed|available|permitted)",
    re.IGNORECASE | re.DOTALL,
)


def rejects_stream(error: ProviderError) -> bool:
    """Whether the provider rejected the request only because it asks for a stream."""
    if not isinstance(error, Rejected):
        return False
    detail = error.detail
    return detail.param == "stream" or bool(_WORDS.search(detail.message[:1000]))


async def chunks_of_whole(completion: ChatCompletion) -> AsyncIterator[ChatChunk]:
    """The pieces of a whole response, as a stream has them."""
    for chunk in chunks_of(completion):
        yield chunk

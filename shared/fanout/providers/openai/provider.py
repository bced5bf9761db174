"""OpenAI itself, and any server with its API (`openai/NAME` with `api_base`)."""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec.structs import replace

from ...schema.chat import ChatCompletion
from ...schema.request import ChatRequest
from ...wire.http import WireRequest, WireResponse
from ...wire.sse import SSEFramer
from ..base import TEMPLATE_SETTINGS, Codec, PromptCache, Provider, StreamDecoder, Target
from .chat import encode, plain_decoder
from .errors import explain
from .message_rules import (
    MESSAGES,
    OTHER_SERVERS,
)
from .quirks import Quirks
from .response import decode
from .responses.models import has_only_responses
from .rules import (
    FAMILIES,
    FORMATS,
    NEW_LIMIT,
    NOT_OPENAI,
    TOOL_EFFORTS,
    is_reasoning,
)

# "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top
# level", of a function's parameters: the API's own error. 2026-11
CLASSIC = Quirks(
    "openai",
    drop=NOT_OPENAI,
    families=FAMILIES,
    tool_efforts=TOOL_EFFORTS,
    formats=FORMATS,
    schemas="flat",
    stored_metadata=True,
)
# Reasoning models reject `max_tokens`: "Use 'max_completion_tokens' instead." Only OpenAI's own
# models count: other servers have `gpt-oss`, too, and may support only the old name.
REASONING = replace(CLASSIC, rename=NEW_LIMIT)
# Elsewhere, `developer` may be unknown; OpenAI's own models read `system` in the same way.
ELSEWHERE = replace(MESSAGES, developer=False, audio_store=False)
# The server may be another gateway, which knows which of its models made encrypted reasoning.
ANY_MODEL = replace(OTHER_SERVERS, developer=False, sealed=True)

_OWN_MODEL = re.compile(r"(?:ft:)?(?:o[1-9]|gpt-(?!oss)|chatgpt-|codex-)")
_HOST = re.compile(r"https://(?:[\w-]+\.)*openai\.com(?:[:/]|$)")


def encode_openai(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The client's body, with what OpenAI's model or the server at `api_base` accepts."""
    kind = kind_of(target)
    quirks = _quirks_of(kind, target.options.get("api_base", ""))
    if has_only_responses(target.model):
        from .responses.request import encode_responses  # few models need it

        return encode_responses(quirks, request, target, stream, kind=kind)
    return encode(quirks, request, target, stream, kind=kind)


def decode_openai(response: WireResponse, target: Target) -> ChatCompletion:
    """The response of either API, as a chat completion."""
    if has_only_responses(target.model):
        from .responses.response import decode_response

        return decode_response(response, target)
    return decode(response, target)


def openai_decoder(target: Target) -> StreamDecoder:
    """The decoder of a stream of either API."""
    if has_only_responses(target.model):
        from .responses.stream import ResponsesDecoder

        return ResponsesDecoder(target)
    return plain_decoder(target)


@lru_cache(maxsize=256)
def _quirks_of(kind: str, base: str) -> Quirks:
    """The quirks of a model at an address; they are the same for each of its requests."""
    quirks = REASONING if is_reasoning(kind) else CLASSIC
    if not base or _HOST.match(base):
        return quirks
    if _OWN_MODEL.match(kind):
        return replace(quirks, messages=ELSEWHERE)
    return replace(
        quirks,
        messages=ANY_MODEL,
        drop=frozenset(),
        budgets=False,  # Anthropic's: a server with OpenAI's API may reject `thinking`
        formats=None,
        schemas="any",
        stored_metadata=False,
    )


# From 1,024 tokens, for five to ten minutes: platform.openai.com/docs/guides/prompt-caching,
# 2026-11
CACHE = PromptCache(has_key=True)


def prompt_cache(target: Target) -> PromptCache | None:
    """The cache of OpenAI's own models; another server at `api_base` may have none."""
    base = target.options.get("api_base", "")
    return CACHE if not base or _HOST.match(base) else None


def pass_through(api: str, target: Target) -> Codec | None:
    """The codec of requests of the Responses API, for OpenAI's models and marked ones."""
    if not api.startswith("responses"):
        return None
    from .responses.models import PREFIX  # imported with the first request
    from .responses.pass_through import CODECS, SERVERS, has_responses

    base = target.options.get("api_base", "")
    is_own = not base or _HOST.match(base) is not None
    if has_only_responses(target.model) or (is_own and has_responses(kind_of(target))):
        is_openai = is_own or not target.model.startswith(PREFIX)
        return (CODECS if is_openai else SERVERS).get(api)
    return None


def kind_of(target: Target) -> str:
    """The model, by the deployment's `base_model` if it has one, without a provider's prefix."""
    return target.options.get("base_model", target.model).rpartition("/")[2]


PROVIDER = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    keys=("OPENAI_API_KEY",),
    chat=Codec(encode_openai, decode_openai, SSEFramer, openai_decoder),
    explain=explain,
    billing="stops",
    organization_header="openai-organization",
    settings=frozenset({"organization"}) | TEMPLATE_SETTINGS,
    endpoint=r"/(?:chat/completions|completions|responses|embeddings|models)",
    path="/v1",
    prompt_cache=prompt_cache,
    has_responses=True,
    pass_through=pass_through,
)

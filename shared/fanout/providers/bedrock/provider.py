"""
Amazon Bedrock, with the AWS credentials of the role or the environment, or a Bedrock API key.

If there is a key, it is sent as a bearer token and nothing is signed. The model's name selects
Converse or OpenAI's API.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..base import Codec, PromptCache, Provider, SigV4, Target, codec_by_model
from . import chat
from .converse.cache_points import cache_rules
from .converse.request import encode as encode_converse
from .converse.response import decode as decode_converse
from .converse.stream import ConverseDecoder
from .errors import explain
from .framer import BedrockFramer
from .models import Api, complete_options, find_model, is_unknown, without_family

_CODECS: Mapping[Api, Codec] = {
    "converse": Codec(encode_converse, decode_converse, BedrockFramer, ConverseDecoder),
    "openai": chat.CODEC,
}


def _codec(target: Target) -> Codec:
    return _CODECS[find_model(target).api]


CACHE = PromptCache(marks=True)


def prompt_cache(target: Target) -> PromptCache | None:
    """The cache of a model that accepts cache points; one known only by an ARN may not."""
    model = find_model(target)
    has_points = model.api == "converse" and not is_unknown(model.kind) and cache_rules(model.kind)
    return CACHE if has_points else None


def pass_through(api: str, target: Target) -> Codec | None:
    """The codec of requests of Anthropic's own API, for its models."""
    from .pass_through import find_codec  # imported with the first such request

    return find_codec(api, target)


PROVIDER = Provider(
    name="bedrock",
    trace_name="aws.bedrock",
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    keys=("AWS_BEARER_TOKEN_BEDROCK",),
    chat=codec_by_model(_codec, BedrockFramer),
    explain=explain,
    auth=SigV4("bedrock", others=frozenset({"bedrock", "s3"})),
    key_optional=True,
    billing="continues",
    endpoint=r"/model(?:/.*)?",
    complete=complete_options,
    rename=without_family,
    prompt_cache=prompt_cache,
    pass_through=pass_through,
    settings=frozenset(
        {
            "region",
            "model_id",
            "aws_region_name",
            "aws_access_key_id",
            "aws_secret_access_key",
            "aws_session_token",
            "aws_role_name",
            "aws_session_name",
            "aws_external_id",
            "aws_profile_name",
            "aws_batch_role_arn",
            "s3_bucket_name",
        }
    ),
)

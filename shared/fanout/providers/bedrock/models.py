"""
Which of Bedrock's two APIs serves a model, and what models differ in, by their names.

Converse serves every chat model
(https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html). OpenAI's own
models are called with OpenAI's API, so that nothing is lost in translation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from ..anthropic.models import find_traits
from ..base import Target
from .rules import NO_STOP, NO_STREAMED_TOOLS, NO_SYSTEM, NO_TOOLS, TOOL_CHOICES, TOP_KEYS

Api: TypeAlias = Literal["converse", "openai"]

# LiteLLM's prefixes: `bedrock/converse/us.anthropic.claude-…`. Its `invoke` uses the model's own
# API; the response is the same with either of ours.
_ROUTES: Mapping[str, Api | None] = {
    "converse": "converse",
    "converse_like": "converse",
    "invoke": None,
    "openai": "openai",
}

# LiteLLM's region and commitment before a model, in either order:
# `bedrock/us-east-1/1-month-commitment/anthropic.claude-v2`. docs.litellm.ai/docs/providers/bedrock
# and LiteLLM's list of models, 2026-11
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_COMMITMENT = re.compile(r"\d-month-commitment")

_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:([a-z0-9-]+):")

# `openai.gpt-oss-20b-1:0`, `us.openai.gpt-…`, and either at the end of an ARN.
_OPENAI = re.compile(r"(?:^|/)(?:[a-z-]+\.)?openai\.")


class Model(Struct, frozen=True):
    """
    A model as a request to AWS names it.

    `id` may be an ARN that does not show which model it is; then `kind` is the deployment's
    `base_model`, if it has one.
    """

    api: Api
    id: str
    kind: str


def find_model(target: Target) -> Model:
    """The model of `target`, without LiteLLM's prefix."""
    name, api, _ = _parts(target.model)
    kind = target.options.get("base_model") or name
    return Model(api or ("openai" if _OPENAI.search(kind) else "converse"), name, kind)


def invokes_claude(target: Target) -> bool:
    """
    Whether it is a Claude, which is invoked with Anthropic's API if the client uses that.

    LiteLLM's prefix `converse/` selects Converse for these requests, too.
    """
    _, api, _ = _parts(target.model)
    return api is None and is_claude(find_model(target).kind)


def complete_options(model: str, options: Mapping[str, str]) -> Mapping[str, str]:
    """Add the region that the model's name has, or its ARN; the config's own counts before it."""
    name, _, region = _parts(model)
    arn = _ARN.match(name)
    region = region or (arn[1] if arn else "")
    return {"region": region, **options} if region else options


def without_family(model: str, _: bool) -> str:  # noqa: FBT001
    """
    The model without what LiteLLM writes before the ARN of an imported model: `llama/arn:…`.

    docs.litellm.ai/docs/providers/bedrock_imported, 2026-11. Prefixes with a meaning here stay.
    """
    before, arn, rest = model.partition("arn:")
    kept = [part for part in before.split("/") if part in _ROUTES or _REGION.fullmatch(part)]
    return "/".join([*kept, f"{arn}{rest}"]) if arn else model


@lru_cache(maxsize=256)
def _parts(model: str) -> tuple[str, Api | None, str]:
    """A model's name without LiteLLM's prefixes, the API that they select, and the region."""
    name, api, region = model.removeprefix("bedrock/"), None, ""
    while True:
        part, slash, rest = name.partition("/")
        if not slash:
            return name, api, region
        if part in _ROUTES:
            api = _ROUTES[part]
        elif _REGION.fullmatch(part):
            region = part
        elif not _COMMITMENT.fullmatch(part):
            return name, api, region
        name = rest


# ---- what Converse leaves to each model ----


def is_claude(kind: str) -> bool:
    return "claude" in kind


def is_unknown(kind: str) -> bool:
    """Whether the model is known only by an ARN that does not show which it is."""
    return kind.startswith("arn:") and "foundation-model" not in kind and "claude" not in kind


# docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html lists the models that have
# structured outputs; these, of the others, are known not to. 2026-11
_NO_SCHEMAS = re.compile(
    r"amazon\.(?:nova|titan)|meta\.llama|cohere\.|ai21\.|deepseek\.r1|writer\."
    r"|mistral\.(?:mistral-7b|mixtral|mistral-small|mistral-large-24|pixtral)"
)


def has_media_results(kind: str) -> bool:
    """
    Whether the results of tools may have more than texts.

    Bedrock's API reference, `ToolResultContentBlock`: images and documents are "only supported by
    Amazon Nova and Anthropic Claude 3 and 4 models". 2026-11
    """
    return is_claude(kind) or "nova" in kind or is_unknown(kind)


def has_schemas(kind: str) -> bool:
    """Whether the model has formats with a schema, and strict tools."""
    return find_traits(kind).structured and _NO_SCHEMAS.search(kind) is None


def top_keys(kind: str) -> frozenset[str] | None:
    """The only keywords at the top of a function's schema; `None` if the model accepts all."""
    return next((keys for name, keys in TOP_KEYS.items() if name in kind), None)


def has_system(kind: str) -> bool:
    """Whether a conversation may have a system prompt."""
    return re.search(NO_SYSTEM, kind) is None


def has_stop(kind: str) -> bool:
    """Whether the model takes stop sequences."""
    return re.search(NO_STOP, kind) is None


def has_tools(kind: str) -> bool:
    """Whether the model calls tools."""
    return re.search(NO_TOOLS, kind) is None


def streams_tools(kind: str) -> bool:
    """Whether a request with tools may ask for a stream."""
    return re.search(NO_STREAMED_TOOLS, kind) is None


def tool_choices(kind: str) -> frozenset[str]:
    """The choices of tools that the model accepts, by Converse's names."""
    known = (rule.choices for rule in TOOL_CHOICES if re.search(rule.models, kind))
    return next(known, frozenset({"auto", "any", "tool"}))


def encode_top_k(kind: str, top_k: int) -> dict[str, Any] | None:
    """
    The model's field for `top_k`; `None` for models that are not known to have one.

    Nova: https://docs.aws.amazon.com/nova/latest/userguide/using-converse-api.html.
    """
    return {"inferenceConfig": {"topK": top_k}} if "amazon.nova" in kind else None


class Efforts(Struct, frozen=True):
    """A model's levels of reasoning; `off` turns it off, if the model can."""

    levels: frozenset[str]
    field: Literal["reasoning_effort", "reasoningConfig"] = "reasoning_effort"
    off: dict[str, Any] | None = None

    def encode(self, level: str) -> dict[str, Any]:
        if self.field == "reasoning_effort":
            return {self.field: level}
        return {self.field: {"type": "enabled", "maxReasoningEffort": level}}


# Nova 2: https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html. The other
# three take OpenAI's field; AWS does not document it, langchain-aws (#1188, #1261) tried it.
_EFFORTS: tuple[tuple[str, Efforts], ...] = (
    (
        "amazon.nova-2",
        Efforts(
            frozenset({"low", "medium", "high"}),
            "reasoningConfig",
            {"reasoningConfig": {"type": "disabled"}},
        ),
    ),
    ("openai.gpt-oss", Efforts(frozenset({"low", "medium", "high"}))),
    ("moonshot", Efforts(frozenset({"low", "high", "max"}))),
    ("deepseek.v3", Efforts(frozenset({"high"}), off={})),
)


def find_efforts(kind: str) -> Efforts | None:
    """The model's levels of reasoning; `None` if they are unknown."""
    return next((efforts for name, efforts in _EFFORTS if name in kind), None)

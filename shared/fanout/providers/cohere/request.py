"""`/v2/chat`: what we send beside what it means back, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from ...schema.chat import (
    AnswerMessage,
    ChatCompletion,
    FinishReason,
    Object,
    Usage,
    make_completion,
    make_usage,
)
from ...schema.request import (
    ChatRequest,
    GrammarFormat,
    JSONFormat,
    PythonFormat,
    SchemaFormat,
    TextFormat,
)
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import Losses, Target, refuse_unknown
from . import wire
from .errors import raise_failure
from .messages import MESSAGE_FIELDS, encode_messages
from .tools import encode_tools

FINISH_REASONS: Mapping[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}

TRANSLATED = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "stop",
        "frequency_penalty",
        "presence_penalty",
        "logprobs",
        "response_format",
        "reasoning_effort",
        "tools",
        "tool_choice",
    }
)
# Who asks and what for, and hints to a cache: no answer depends on them.
MEANINGLESS = frozenset({"user", "metadata", "safety_identifier", "prompt_cache_key"})
# Fields whose only value that Cohere can serve is what it does anyway.
HARMLESS: Mapping[str, tuple[object, ...]] = {
    "function_call": ("auto", "none"),
    "functions": ([],),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
}
# Cohere's own, for callers who send them in `extra_body`: they go out as they are.
NATIVE = ("citation_options", "documents", "priority", "safety_mode", "strict_tools", "thinking")

# Cohere publishes no scale of efforts, only a budget of tokens, and recommends to set none
# (https://docs.cohere.com/docs/reasoning): so it is from "high" on.
BUDGETS: Mapping[str, int | None] = {
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": None,
    "xhigh": None,
    "max": None,
}
LOWEST_P, HIGHEST_P = 0.01, 0.99


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request in Cohere's words; what these lack is lost as `drop_params` says."""
    losses = Losses(target, "cohere")
    refuse_unknown(request, losses, _known(request.body), MESSAGE_FIELDS)
    body = {
        "model": target.model,
        "messages": encode_messages(request, losses),
        "stream": stream,
        "max_tokens": request.limit,
        "temperature": request.temperature,
        "p": encode_top_p(request.top_p),
        "k": request.top_k,
        "seed": request.seed,
        "stop_sequences": request.stops or None,
        "frequency_penalty": encode_penalty(request, "frequency_penalty", losses),
        "presence_penalty": encode_penalty(request, "presence_penalty", losses),
        "logprobs": request.logprobs or None,
        "response_format": encode_format(request, losses),
        "thinking": encode_effort(request.reasoning_effort),
        **encode_tools(request, losses),
    }
    body |= {name: request.body[name] for name in NATIVE if name in request.body}
    present = {name: value for name, value in body.items() if value is not None}
    return WireRequest("/v2/chat", json.encode(present), dropped=losses.dropped)


def _known(body: Object) -> frozenset[str]:
    harmless = {name for name, values in HARMLESS.items() if body.get(name) in values}
    return TRANSLATED | MEANINGLESS | harmless | {*NATIVE}


def encode_top_p(top_p: float | None) -> float | None:
    """`p` runs from 0.01 to 0.99 and is 0.75 if left out, so OpenAI's 1 is sent as nearly 1."""
    return None if top_p is None else min(max(top_p, LOWEST_P), HIGHEST_P)


def encode_penalty(request: ChatRequest, name: str, losses: Losses) -> float | None:
    """Cohere's penalties run from 0 to 1; its default is 0, and some models take only one."""
    penalty: float = getattr(request, name) or 0.0
    if not 0 <= penalty <= 1:
        losses.lose(name, "it must be from 0 to 1")
        return None
    return penalty or None


def encode_format(request: ChatRequest, losses: Losses) -> dict[str, Any] | None:
    """A schema is part of `json_object`, and is always followed: `strict` has nothing to add."""
    match request.response_format:
        case None | TextFormat():
            return None
        case JSONFormat():
            return {"type": "json_object"}
        case SchemaFormat(json_schema=asked):
            if asked.schema is None:
                return {"type": "json_object"}
            described = {"description": asked.description} if asked.description else {}
            return {"type": "json_object", "json_schema": {**described, **asked.schema}}
        case GrammarFormat() | PythonFormat():
            losses.lose("response_format")
            return None
        case _:
            assert_never(request.response_format)


def encode_effort(effort: str | None) -> dict[str, Any] | None:
    """Reasoning is on by default where a model has it."""
    if effort is None:
        return None
    if effort == "none":
        return {"type": "disabled"}
    budget = BUDGETS[effort]
    return {"type": "enabled"} | ({} if budget is None else {"token_budget": budget})


def decode(reply: WireResponse, target: Target) -> ChatCompletion:
    """Cohere's reply in OpenAI's words."""
    said = json.decode(reply.body, type=wire.Reply)
    raise_failure(said.finish_reason, None)
    answer = make_completion(
        target.model,
        decode_message(said.message),
        decode_reason(said.finish_reason),
        decode_usage(said.usage),
        id=said.id,
    )
    if logprobs := decode_logprobs(said.logprobs):
        answer["choices"][0]["logprobs"] = logprobs
    return answer


def decode_message(said: wire.Message) -> AnswerMessage:
    """Thinking and the plan of a tool's use are both reasoning."""
    blocks = said.content or []
    text = "".join(block.text or "" for block in blocks)
    thought = "".join(block.thinking or "" for block in blocks) + (said.tool_plan or "")
    message = AnswerMessage(role="assistant", content=text)
    if thought:
        message["reasoning_content"] = thought
    if said.tool_calls:
        message["content"] = text or None
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in said.tool_calls
        ]
    if said.citations:
        message["citations"] = list(said.citations)
    return message


def decode_reason(reason: str | None) -> FinishReason:
    return FINISH_REASONS.get(reason or "", "stop")


def decode_usage(usage: wire.Usage | None) -> Usage | None:
    """What the model read and wrote, template and all; billed units are fewer."""
    counted = usage and (usage.tokens or usage.billed_units)
    if not usage or not counted:
        return None
    sent, got = int(counted.input_tokens or 0), int(counted.output_tokens or 0)
    return make_usage(sent, got, cached=int(usage.cached_tokens or 0))


def decode_logprobs(items: list[wire.Logprob] | None) -> dict[str, Any] | None:
    """One entry for each piece of text; a piece of several tokens is as likely as all of them."""
    content = [
        {
            "token": item.text or "",
            "logprob": sum(item.logprobs or ()),
            "bytes": list((item.text or "").encode()),
            "top_logprobs": [],
        }
        for item in items or ()
    ]
    return {"content": content} if content else None

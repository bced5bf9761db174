"""
What depends on the model: the limit of tokens, thinking and sampling.

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking and …/extended-thinking.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile, takewhile
from typing import Any

from ...schema.chat import Object
from ...schema.messages import AllowedTools
from ...schema.request import ChatRequest
from ..fields import UnsupportedFields
from .models import Traits
from .rules import is_blank, is_signed

# The budget of each effort, in tokens. The first three are LiteLLM's published numbers; 1024 is
# the least that Anthropic accepts.
LEAST_BUDGET = 1024
BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}

_SYSTEM = frozenset({"system", "developer"})

LEAST_TOP_P = 0.95  # the least that is accepted with thinking


def encode_settings(
    request: ChatRequest, traits: Traits, unsupported: UnsupportedFields
) -> dict[str, Any]:
    """`max_tokens`, which is required, `thinking`, `output_config.effort` and sampling."""
    limit = request.limit or traits.max_tokens
    settings = {"max_tokens": limit, **_encode_thinking(request, traits, limit, unsupported)}
    thinks = settings.get("thinking", {}).get("type") in {"adaptive", "enabled"}
    return settings | _encode_sampling(request, traits, unsupported, thinks=thinks)


def _encode_thinking(
    request: ChatRequest, traits: Traits, limit: int, unsupported: UnsupportedFields
) -> dict[str, Any]:
    """`thinking` as the client gives it, as LiteLLM has it, or from `reasoning_effort`."""
    effort, given = request.reasoning_effort, request.body.get("thinking")
    if given is not None:
        found = _fit_thinking(given, effort, traits, request, unsupported)
    elif effort is None:
        return {}
    elif effort == "none":
        return _encode_no_thinking(traits, unsupported)
    elif traits.thinking == "adaptive":
        found = _encode_effort(effort, traits, unsupported)
    else:
        found = _encode_budget(effort, traits, limit, unsupported)
    asked = "reasoning_effort" if given is None else "thinking"
    return _check_thinking(found, asked, request, unsupported)


def _check_thinking(
    found: dict[str, Any], asked: str, request: ChatRequest, unsupported: UnsupportedFields
) -> dict[str, Any]:
    """`found` without thinking, if the conversation or the choice of a tool rules it out."""
    kind = found.get("thinking", {}).get("type")
    if kind not in {"adaptive", "enabled"}:
        return found
    if kind == "enabled" and lacks_thinking(request.body["messages"]):
        unsupported.note(asked)
        return {}
    # "Options that force tool use return an error with manual extended thinking"; "adaptive
    # thinking supports forced tool use":
    # platform.claude.com/docs/build-with-claude/thinking-tool-workflows, 2026-11
    if kind == "enabled" and is_forced(request):
        why = "a call of a tool cannot be required together with a budget of thinking"
        unsupported.add(asked, why)
        return {}
    return found


def is_forced(request: ChatRequest) -> bool:
    """Whether the model must call a tool."""
    choice = request.tool_choice
    if isinstance(choice, AllowedTools):
        return choice.required
    return not isinstance(choice, str | None) or choice == "required"


def lacks_thinking(messages: Sequence[Object]) -> bool:
    """
    Whether the last turn of the assistant must begin with thinking and does not.

    With a budget, "a final `assistant` message must start with a thinking block (preceding the
    lastmost set of `tool_use` and `tool_result` blocks)". Other vendors' models sign no thinking,
    and most frameworks do not keep it. Source: …/build-with-claude/extended-thinking, "Common error
    scenarios", in copies of that page, 2026-11.
    """
    turns = reversed([message for message in messages if not _is_left_out(message)])
    since = dropwhile(lambda message: message["role"] == "user", turns)
    loop = list(takewhile(lambda message: message["role"] != "user", since))
    responses = [message for message in loop if message["role"] == "assistant"]
    if not responses:
        return False
    if _is_signed(responses[-1]):
        return False
    return bool(responses[0].get("tool_calls")) or responses[0] is messages[-1]


def _is_signed(message: Object) -> bool:
    """Whether a message has thinking that the model can go on from."""
    thoughts = message.get("thinking_blocks")
    return isinstance(thoughts, list) and any(is_signed(block) for block in thoughts)


def _is_left_out(message: Object) -> bool:
    """Whether a message is no turn: a system prompt, or the assistant's without a word."""
    if message["role"] != "assistant":
        return message["role"] in _SYSTEM
    if _is_signed(message) or any(message.get(one) for one in ("audio", "refusal", "tool_calls")):
        return False
    content = message.get("content")
    texts = [content] if isinstance(content, str) else [part.get("text") for part in content or ()]
    return all(isinstance(text, str) and is_blank(text) for text in texts)


def _fit_thinking(
    given: Any,
    effort: str | None,
    traits: Traits,
    request: ChatRequest,
    unsupported: UnsupportedFields,
) -> dict[str, Any]:
    """`thinking` as it is given, or in the form that the model takes."""
    from ..thinking import read_thinking  # few requests need it

    thinking = _with_least_budget(dict(read_thinking(given)), unsupported)
    kind, limit = thinking.get("type"), request.limit or traits.max_tokens
    if kind == "disabled":
        return _turn_off(thinking, traits, unsupported)
    if kind in {"adaptive", "enabled"} and traits.thinking == "never":
        unsupported.add("thinking", "this model does not think")
        return {}
    if kind == "enabled" and not traits.budgets:
        return _as_adaptive(thinking, effort, traits, unsupported)
    if kind == "adaptive" and traits.thinking == "budget" and traits.sampling != "free":
        unsupported.note("thinking")
        return _encode_budget(effort or "medium", traits, limit, unsupported)
    budget = thinking.get("budget_tokens")
    if kind == "enabled" and isinstance(budget, int) and budget >= limit:
        why = f"`budget_tokens` is {budget}, and must be less than `max_tokens`, which is {limit}"
        unsupported.add("thinking.budget_tokens", why)
        return {}
    return {"thinking": thinking} | _output_config(effort, traits, unsupported)


LEAST_BUDGET = 1024
"""The least budget of thinking, in tokens: platform.claude.com/docs, "Extended thinking"."""


def _with_least_budget(thinking: dict[str, Any], unsupported: UnsupportedFields) -> dict[str, Any]:
    """`thinking` with a budget that the model takes; a budget of 0 turns it off, as in LiteLLM."""
    budget = thinking.get("budget_tokens")
    is_small = isinstance(budget, int) and 0 <= budget < LEAST_BUDGET
    if thinking.get("type") != "enabled" or not is_small:
        return thinking
    unsupported.note("thinking")
    return {**thinking, "budget_tokens": LEAST_BUDGET} if budget else {"type": "disabled"}


def _turn_off(
    thinking: dict[str, Any], traits: Traits, unsupported: UnsupportedFields
) -> dict[str, Any]:
    if traits.off is None:
        unsupported.add("thinking", "this model always thinks")
    elif traits.thinking != "never":
        return {"thinking": thinking | {"type": traits.off}}
    return {}


def _as_adaptive(
    thinking: dict[str, Any],
    effort: str | None,
    traits: Traits,
    unsupported: UnsupportedFields,
) -> dict[str, Any]:
    """
    Replace a budget by an effort.

    "`thinking.type.enabled` is not supported for this model. Use `thinking.type.adaptive` and
    `output_config.effort`": github.com/docker/docker-agent/issues/3093, QuantumNous/new-api/issues/
    4293, 2026-11
    """
    from ..thinking import effort_of  # few requests need it

    unsupported.note("thinking")
    found = _encode_effort(effort or effort_of(thinking) or "medium", traits, unsupported)
    if found and "display" in thinking:
        found["thinking"]["display"] = thinking["display"]
    return found


def _output_config(
    effort: str | None, traits: Traits, unsupported: UnsupportedFields
) -> dict[str, Any]:
    if effort is None:
        return {}
    if level := _level(effort, traits):
        return {"output_config": {"effort": level}}
    unsupported.add("reasoning_effort", "`thinking` is given as well")
    return {}


def reject_prefill(request: ChatRequest, unsupported: UnsupportedFields) -> None:
    """Reject the last message, which the client wants to be continued."""
    messages = request.body["messages"]
    place = f"{unsupported.path(messages[-1], len(messages) - 1)}.role"
    why = "this model does not continue a message of the assistant; end with the user's"
    unsupported.add(place, why, kept=True)


def _level(effort: str, traits: Traits) -> str | None:
    """Anthropic's name of OpenAI's level; the least is `low`."""
    level = "low" if effort == "minimal" else effort
    return level if level in traits.efforts else None


def _encode_no_thinking(traits: Traits, unsupported: UnsupportedFields) -> dict[str, Any]:
    if traits.thinking == "never":
        return {}
    if traits.off is None:
        unsupported.add("reasoning_effort", "this model always thinks")
        return {}
    return {"thinking": {"type": traits.off}}


def _encode_effort(effort: str, traits: Traits, unsupported: UnsupportedFields) -> dict[str, Any]:
    level = _level(effort, traits)
    if level is None:
        levels = ", ".join(sorted(traits.efforts))
        unsupported.add("reasoning_effort", f"this model has the levels {levels}")
        return {}
    # From version 4.7 on, a response has no text of the thoughts unless `display` asks for it.
    thinking = {"type": "adaptive", "display": "summarized"}
    return {"thinking": thinking, "output_config": {"effort": level}}


def _encode_budget(
    effort: str, traits: Traits, limit: int, unsupported: UnsupportedFields
) -> dict[str, Any]:
    """The budget is a part of `max_tokens`; at least half of that is left for the text."""
    if traits.thinking == "never":
        unsupported.add("reasoning_effort", "this model does not think")
        return {}
    if limit <= LEAST_BUDGET:
        unsupported.add("reasoning_effort", f"thinking needs `max_tokens` over {LEAST_BUDGET}")
        return {}
    budget = min(BUDGETS[effort], max(LEAST_BUDGET, limit // 2))
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _encode_sampling(
    request: ChatRequest, traits: Traits, unsupported: UnsupportedFields, *, thinks: bool
) -> dict[str, Any]:
    """
    `temperature`, `top_p` and `top_k`, if the model accepts them.

    If it does not, a value that is the default is left out, because it asks for nothing.
    """
    chosen: dict[str, float] = {}
    for name in ("temperature", "top_p", "top_k"):
        value: float | None = getattr(request, name)
        if value is None:
            continue
        why = _why_not(name, value, traits, thinks=thinks)
        if why is None:
            chosen[name] = value
        elif value != 1 or name == "top_k":
            unsupported.add(name, why)
    if traits.sampling == "either" and {"temperature", "top_p"} <= chosen.keys():
        return _choose_one(chosen, unsupported)
    return chosen


def _why_not(name: str, value: float, traits: Traits, *, thinks: bool) -> str | None:
    if traits.sampling == "fixed":
        return "this model sets it itself"
    if name == "temperature" and value > 1:
        return "its range is 0 to 1"
    if thinks and traits.sampling != "free" and (name != "top_p" or value < LEAST_TOP_P):
        return "it is not supported together with thinking"
    return None


def _choose_one(chosen: dict[str, float], unsupported: UnsupportedFields) -> dict[str, float]:
    """Models from version 4 on accept one of the two; one that is the default is left out."""
    loser = "temperature" if chosen["temperature"] == 1 else "top_p"
    if chosen[loser] != 1:
        unsupported.add(loser, "this model takes either it or `temperature`")
    return {name: value for name, value in chosen.items() if name != loser}

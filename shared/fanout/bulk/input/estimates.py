"""Estimates of a line's tokens and cost before it is sent. Pure."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ...errors import FanoutError
from ...schema.agreement import DEFAULT_K
from ...schema.fallbacks import read_fallbacks
from ...schema.gateway_fields import GATEWAY_FIELDS
from ...schema.prompt_tokens import body_tokens
from ...schema.request import Check
from ...schema.tokens import BYTES_PER_TOKEN
from ...telemetry.prices import FLEX, nanodollars_of
from ...wire import json
from ..costs import Costs
from .line_parser import Line

DEFAULT_OUTPUT_TOKENS = 500
"""Assumed of a response whose request does not limit them."""

KEY_OUTPUT_TOKENS = 4_096
"""Reserved of a virtual key's budget for such a response."""


def models_of(line: Line) -> list[str]:
    """The model names that a line is sent to."""
    fanout = line.body.get("fanout") or {}
    given = fanout.get("models") or line.body.get("model") or []
    names = given.split(",") if isinstance(given, str) else given
    return [name.strip() for name in names]


def certain_calls(line: Line) -> int | None:
    """
    How many of a line's models are called in any case; `None` for all.

    Models that are to agree are called until they do.
    """
    fanout = line.body.get("fanout")
    if not isinstance(fanout, dict) or fanout.get("mode") != "agree":
        return None
    needed, start = fanout.get("k") or DEFAULT_K, fanout.get("start") or 0
    return max(needed, start) if isinstance(needed, int) and isinstance(start, int) else None


def max_tokens(line: Line) -> int | None:
    """The most output tokens of a line's response, for all `n` choices; `None` if unlimited."""
    limit = line.body.get("max_completion_tokens") or line.body.get("max_tokens")
    count = line.body.get("n") or 1
    return limit * count if isinstance(limit, int) and isinstance(count, int) else None


CHECKS = frozenset({"attempts", "check", "escalate", "schema"})
"""The fields of `fanout` that ask for a checked response."""

CORRECTION_TOKENS = 300
"""The most tokens of the message that says what is wrong with a response."""


def check_of(line: Line) -> Check | None:
    """How the line's response is checked; `None` if it is not."""
    fanout = line.body.get("fanout")
    if not isinstance(fanout, dict) or fanout.get("check") is False:
        return None
    if not any(fanout.get(name) is not None for name in CHECKS):
        return None
    attempts, escalate = fanout.get("attempts"), fanout.get("escalate")
    return Check(
        attempts if isinstance(attempts, int) else Check().attempts,
        tuple(map(str, escalate)) if isinstance(escalate, list) else (),
    )


def tier_of(line: Line) -> str | None:
    """The service tier that a line asks for, by OpenAI's name."""
    tier = line.body.get("service_tier")
    return tier if isinstance(tier, str) else None


def conversations_of(line: Line) -> list[list[Any]]:
    """The conversations of a line, usually one: each model gets a call for each."""
    messages = line.body.get("messages") or []
    return [one for one in messages if isinstance(one, list)] or [messages]


def output_tokens(line: Line, assumed: int = DEFAULT_OUTPUT_TOKENS) -> int:
    """The tokens that a line's response is expected to have, for one conversation."""
    return 0 if line.is_embedding else max_tokens(line) or assumed


def estimate_cost(costs: Costs, line: Line, size: int) -> int:
    """
    The nanodollars that a line of `size` bytes may cost.

    Each response is expected to use all of its max tokens. A line on the flex tier counts with the
    standard price, because it is sent in real time if the tier has no room.
    """
    return _cost(costs, line, -(-size // BYTES_PER_TOKEN), DEFAULT_OUTPUT_TOKENS)


def estimate_for_key(costs: Costs, line: Line, size: int) -> int:
    """
    The nanodollars that a virtual key reserves for a line of `size` bytes.

    The tokens of the prompt are those that a request with this body reserves.
    """
    return _cost(costs, line, _tokens_sent(line, size), KEY_OUTPUT_TOKENS)


def _tokens_sent(line: Line, size: int) -> int:
    """The tokens of all conversations of a line, or of the inputs of one for embeddings."""
    if line.is_embedding:
        return -(-len(json.encode(line.body)) // BYTES_PER_TOKEN)
    body = {name: value for name, value in line.body.items() if name not in GATEWAY_FIELDS}
    try:
        return sum(body_tokens({**body, "messages": one}) for one in conversations_of(line))
    except RecursionError:
        return -(-size // BYTES_PER_TOKEN)


def _cost(costs: Costs, line: Line, sent: int, assumed: int) -> int:
    """
    What all calls of a line may cost, as for a request: see `keys/metering.py`.

    `assumed` are the output tokens of a response whose request does not limit them.
    """
    models = models_of(line)
    several = costs.catalog.routes.sets.get(models[0]) if len(models) == 1 else None
    is_one = _is_one_by_one(line) or (several is not None and several.mode == "fallback")
    if several is not None and is_one:
        models = list(several.models)
    received = output_tokens(line, assumed) * len(conversations_of(line))
    parts = [_dearest(costs, line, name, sent, received) for name in models]
    return nanodollars_of(max(parts, default=0) if is_one else sum(parts))


def _is_one_by_one(line: Line) -> bool:
    """Whether a line's models are called one after the other, until one responds."""
    fanout = line.body.get("fanout")
    if not isinstance(fanout, dict):
        return False
    mode = fanout.get("mode")
    is_cascade = mode is None and fanout.get("start") == 1
    return mode == "fallback" or is_cascade or fanout.get("once") is True


def _dearest(costs: Costs, line: Line, model: str, sent: int, received: int) -> int:
    """The most picodollars that a call to a model, or to one of its fallbacks, may cost."""
    found, tier = 0, tier_of(line)
    own: tuple[str, ...] = ()
    if given := line.body.get("fallbacks"):
        with suppress(FanoutError):  # which the line's own call reports
            own = read_fallbacks(given, tuple(models_of(line))).get(model, ())
    for name in costs.catalog.routes.may_respond(model, own):
        if prices := costs.prices(name, has_output=not line.is_embedding):
            if tier != FLEX:
                prices = prices.of(tier)
            cost = prices.per_request + prices.input * sent + prices.output * received
            found = max(found, cost)
    return found

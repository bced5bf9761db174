"""A double of three providers' flex tiers, which keeps its own bill, and a config for it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from fanout.routing.billing import ASSUMED_OUTPUT_TOKENS
from fanout.schema.prompt_tokens import body_tokens
from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.local_jobs import EchoProvider

Outcome: TypeAlias = Literal["ok", "full", "hang", "unsupported", "limited", "broken", "downgrade"]
"""
What a call on the flex tier comes to.

`full`: the provider has no room and says so as it does; `hang`: no response in the flex timeout;
`unsupported`: a 400 about the tier; `limited`: a 429 of the account's rate limit; `broken`: a 500;
`downgrade`: the response is of the standard tier.
"""

SENT, GOT = 5, 7
NANODOLLARS = {"default": (1_000_000, 2_000_000), "flex": (500_000, 1_000_000)}
"""What a token costs by tier: one that is sent, and one that is received."""

PRICES: dict[str, Any] = {
    "input_cost_per_token": 0.001,
    "output_cost_per_token": 0.002,
    "input_cost_per_token_flex": 0.0005,
    "output_cost_per_token_flex": 0.001,
}
STANDARD, FLEX = (SENT * sent + GOT * got for sent, got in NANODOLLARS.values())
"""Nanodollars of a response."""

MODELS = {
    "openai": {"model": "openai/a", "api_base": "http://provider.test/v1"},
    "gemini": {"model": "gemini/gemini-2.5-flash"},
    "bedrock": {"model": "bedrock/us.amazon.nova-2-lite-v1:0", "aws_region_name": "us-east-1"},
}


def flex_config(*, has_flex: bool = True, **more: Any) -> dict[str, Any]:
    """A config with a model of each provider by its name, and `plain`, which has no flex price."""
    plain = {name: price for name, price in PRICES.items() if not name.endswith("_flex")}
    prices = PRICES if has_flex else plain
    models = [
        {"model_name": name, "litellm_params": {**params, "api_key": "k", **prices, **more}}
        for name, params in MODELS.items()
    ]
    models.append(
        {"model_name": "plain", "litellm_params": {**MODELS["openai"], "api_key": "k", **plain}}
    )
    return {"model_list": models, "router_settings": {"num_retries": 0}}


class FlexProvider(EchoProvider):
    """
    Responds with each prompt. A call on the flex tier has the outcome that `script` returns.

    `script` gets the prompt and how many flex calls of it there were before. `bill` has the text
    and the tier of each response that is paid for, `refused` counts the flex calls that had none,
    and `estimated` is what the calls may be billed that were given up, in nanodollars.
    `seconds` is how long a response takes, by tier.
    """

    def __init__(self, script: Callable[[str, int], Outcome] = lambda _text, _before: "ok") -> None:
        super().__init__()
        self.script = script
        self.bill: list[tuple[str, str]] = []
        self.asked: list[tuple[str, str | None]] = []
        self.refused: Counter[str] = Counter()
        self.estimated = 0
        self.seconds: Mapping[str, float] = {"default": 0.0, "flex": 0.0}
        self._tries: Counter[str] = Counter()

    @property
    def nanodollars(self) -> int:
        """What the provider bills."""
        tiers = (NANODOLLARS[tier] for _, tier in self.bill)
        return sum(SENT * sent + GOT * got for sent, got in tiers)

    @property
    def billed(self) -> Counter[str]:
        """How many responses were paid for, by tier."""
        return Counter(tier for _, tier in self.bill)

    async def send(self, request: Outgoing) -> WireResponse:
        body = json.loads(request.body)
        kind = _kind(request.url)
        text, asked = _read(kind, body)
        self.asked.append((text, asked))
        tier = "flex" if asked == "flex" else "default"
        outcome: Outcome = "ok"
        if tier == "flex":
            outcome = self.script(text, self._tries[text])
            self._tries[text] += 1
        if outcome == "hang":
            self.refused[outcome] += 1
            self.estimated += _given_up(kind, text)
            await asyncio.sleep(100_000)
        await asyncio.sleep(self.seconds[tier])
        if outcome not in {"ok", "downgrade"}:
            self.refused[outcome] += 1
            return _error(kind, outcome)
        tier = "default" if outcome == "downgrade" else tier
        self.bill.append((text, tier))
        return WireResponse(200, {}, json.dumps(_success(kind, text, tier)).encode())


def _given_up(kind: str, text: str) -> int:
    """What a call on the flex tier may be billed: two of the providers go on to write."""
    sent, received = NANODOLLARS["flex"]
    tokens = body_tokens({"messages": [{"role": "user", "content": text}]})
    return sent * tokens + received * (0 if kind == "openai" else ASSUMED_OUTPUT_TOKENS)


def _kind(url: str) -> str:
    if "googleapis" in url:
        return "gemini"
    return "bedrock" if "amazonaws" in url else "openai"


def _read(kind: str, body: dict[str, Any]) -> tuple[str, str | None]:
    """The prompt and the tier that is asked for."""
    if kind == "gemini":
        return body["contents"][-1]["parts"][0]["text"], body.get("serviceTier")
    if kind == "bedrock":
        return body["messages"][-1]["content"][0]["text"], (body.get("serviceTier") or {}).get(
            "type"
        )
    return body["messages"][-1]["content"], body.get("service_tier")


def _success(kind: str, text: str, tier: str) -> dict[str, Any]:
    if kind == "gemini":
        usage = {"promptTokenCount": SENT, "candidatesTokenCount": GOT, "totalTokenCount": 12}
        named = {**usage, "serviceTier": "standard" if tier == "default" else tier}
        content = {"parts": [{"text": text}], "role": "model"}
        return {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
            "usageMetadata": named,
        }
    if kind == "bedrock":
        return {
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": SENT, "outputTokens": GOT, "totalTokens": SENT + GOT},
            "serviceTier": {"type": tier},
        }
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "a",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": SENT, "completion_tokens": GOT, "total_tokens": SENT + GOT},
        "service_tier": tier,
    }


def _error(kind: str, outcome: Outcome) -> WireResponse:
    """The error with which this provider says so."""
    status = {"unsupported": 400, "limited": 429, "broken": 500, "full": 503}[outcome]
    if outcome == "full" and kind == "openai":
        status = 429
    if kind == "gemini":
        names = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}
        error = {"code": status, "message": outcome, "status": names.get(status, "UNAVAILABLE")}
        return WireResponse(status, {}, json.dumps({"error": error}).encode())
    if kind == "bedrock":
        names = {400: "ValidationException", 429: "ThrottlingException"}
        headers = {"x-amzn-errortype": names.get(status, "ServiceUnavailableException")}
        return WireResponse(status, headers, json.dumps({"message": outcome}).encode())
    code = {"full": "resource_unavailable", "unsupported": "unsupported_value"}.get(outcome)
    param = "service_tier" if outcome == "unsupported" else None
    own = {"message": f"Not now: {outcome}", "type": "t", "param": param, "code": code}
    return WireResponse(status, {}, json.dumps({"error": own}).encode())

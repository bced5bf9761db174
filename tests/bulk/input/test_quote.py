"""A quote: the range of costs, and the duration at a job's share of the limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from fanout.bulk.input.quote import Quote, quote
from fanout.bulk.lanes import CacheChoice, LaneChoice
from fanout.bulk.pacing.prompt_caches import expects_cache
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.schema.token_estimate import estimate_tokens
from tests.bulk.flex_provider import flex_config
from tests.bulk.local_jobs import CONFIG, jsonl, line

SENT = estimate_tokens("t" * 400) + 4
"""The estimated tokens of each line's prompt."""


def quoted(data: bytes, *, share: float = 1.0, **limits: int) -> Quote:
    a, b = CONFIG["model_list"]
    limited = {**a, "litellm_params": {**a["litellm_params"], **limits}}
    unpriced = {"model": "openai/c", "api_base": "http://provider.test"}
    models = [limited, b, {"model_name": "c", "litellm_params": unpriced}]
    config: Any = {"model_list": models, "general_settings": {"batch_share": share}}

    async def read() -> AsyncIterator[bytes]:
        yield data

    catalog = resolve(check(config, {}), {})
    return asyncio.run(quote(read, default_model=None, catalog=catalog, check=lambda _: None))


def lines(count: int, model: str = "a") -> bytes:
    return jsonl(line(f"n{i}", model, text="t" * 400, max_tokens=100) for i in range(count))


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize(
    ("limits", "minutes"),
    [
        ({"rpm": 60}, 30 / 60),
        ({"tpm": 1_000}, 30 * (SENT + 55) / 1_000),
        ({"rpm": 60, "tpm": 1_000_000}, 30 / 60),
    ],
)
def test_the_duration_uses_the_jobs_share_of_the_limits(
    limits: dict[str, int], minutes: float, share: float
) -> None:
    result = quoted(lines(30), share=share, **limits)
    assert result.minutes == pytest.approx(minutes / share)


def test_models_that_are_to_agree_cost_from_the_fewest_that_can_to_all() -> None:
    def agree(**more: Any) -> Quote:
        fanout = {"mode": "agree", "models": ["a", "b", "a"], **more}
        return quoted(jsonl([line("n", "a", text="t" * 400, max_tokens=100, fanout=fanout)]))

    for more, calls in (({}, (1, 1)), ({"k": 3}, (2, 1)), ({"start": "all"}, (2, 1))):
        found = agree(**more).models
        assert (found["a"].calls, found["b"].calls) == calls, more
        assert (found["a"].calls_high, found["b"].calls_high) == (2, 1)
        assert found["a"].tokens_in * 2 == found["a"].tokens_in_high * calls[0]


def test_a_checked_line_costs_from_one_call_to_every_attempt_of_every_model() -> None:
    schema = {"type": "object"}
    ladders: list[dict[str, Any]] = [
        {"schema": schema},
        {"schema": schema, "attempts": 3, "escalate": ["b", "b"]},
        {"schema": schema, "check": False},
    ]
    sent, out, further = SENT, 100, SENT + 100 + 300
    for fanout, on_a, on_b in zip(ladders, (2, 3, 1), (0, 6, 0), strict=True):
        result = quoted(jsonl([line("n", "a", text="t" * 400, max_tokens=out, fanout=fanout)]))
        a = result.models["a"]
        assert (a.lines, a.calls, a.calls_high) == (1, 1, on_a)
        assert (a.tokens_in, a.tokens_in_high) == (sent, sent + (on_a - 1) * further)
        assert (a.tokens_out_low, a.tokens_out_high) == (10, on_a * out)
        assert result.cost_low == pytest.approx(0.4 * sent * 0.001 + 10 * 0.002)
        if on_b:
            b = result.models["b"]
            assert (b.lines, b.calls, b.calls_high, b.tokens_in) == (0, 0, on_b, 0)
            assert b.tokens_in_high == 2 * sent + (on_b - 2) * further
            assert result.cost_high == pytest.approx((a.cost_high or 0) + (b.cost_high or 0))
        else:
            assert set(result.models) == {"a"}


def test_the_cost_is_a_range_if_all_prices_are_known() -> None:
    result = quoted(lines(10))
    sent = 10 * SENT
    assert result.cost_low == pytest.approx(0.4 * sent * 0.001 + 100 * 0.002)
    assert result.cost_high == pytest.approx(1.6 * sent * 0.001 + 1_000 * 0.002)
    assert result.minutes is None
    assert "usually within 25 %" in result.to_dict()["note"]
    unknown = quoted(lines(10) + lines(1, "c").replace(b"n0", b"x"))
    assert (unknown.cost_low, unknown.cost_high) == (None, None)
    assert unknown.models["a"].cost_low == result.cost_low


def test_a_line_is_quoted_at_the_price_of_the_tier_that_it_asks_for() -> None:
    a, b = CONFIG["model_list"]
    flex = {"input_cost_per_token_flex": 0.0005, "output_cost_per_token_flex": 0.001}
    models = [{**a, "litellm_params": {**a["litellm_params"], **flex}}, b]
    catalog = resolve(check({"model_list": models}, {}), {})

    def cost(model: str, tier: str | None) -> float | None:
        more = {} if tier is None else {"service_tier": tier}
        data = jsonl([line("n", model, text="t" * 400, max_tokens=100, **more)])

        async def read() -> AsyncIterator[bytes]:
            yield data

        found = quote(read, default_model=None, catalog=catalog, check=lambda _: None)
        return asyncio.run(found).cost_high

    standard = cost("a", None)
    assert standard is not None
    assert cost("a", "auto") == standard
    assert cost("a", "flex") == pytest.approx(standard / 2)
    assert cost("b", "flex") == standard  # no price of its own: at most the standard one
    assert cost("a", "priority") is None


def test_a_quote_has_the_cost_of_the_file_on_each_lane() -> None:
    data = jsonl(
        [
            line("f", "openai", text="t" * 400, max_tokens=100),
            line("g", "gemini", text="t" * 400, max_tokens=100),
            line("p", "plain", text="t" * 400, max_tokens=100),
            line("d", "openai", text="t" * 400, max_tokens=100, service_tier="default"),
            line("r", "openai", text="t" * 400, max_tokens=100, fastest_response=True),
        ]
    )
    catalog = resolve(check(flex_config(), {}), {})

    async def read() -> AsyncIterator[bytes]:
        yield data

    def on(lane: LaneChoice) -> Quote:
        found = quote(read, default_model=None, catalog=catalog, check=lambda _: None, lane=lane)
        return asyncio.run(found)

    one = 1.6 * SENT * 0.001 + 100 * 0.002
    realtime, flex = on("realtime"), on("auto")
    assert realtime.lanes == flex.lanes == on("flex").lanes
    assert (realtime.lane, flex.lane) == ("realtime", "auto")
    assert realtime.cost_high == realtime.lanes["realtime"].cost_high == pytest.approx(5 * one)
    assert flex.cost_high == flex.lanes["flex"].cost_high == pytest.approx(4 * one)
    assert (realtime.lanes["realtime"].lines, realtime.lanes["flex"].lines) == (5, 2)
    assert (realtime.lanes["realtime"].latency, flex.lanes["flex"].latency) == (
        "seconds",
        "minutes",
    )
    assert flex.models["gemini"].cost_high == pytest.approx(one / 2)
    assert flex.to_dict()["lanes"]["flex"]["cost_high"] == pytest.approx(4 * one)


def test_a_quote_counts_the_tokens_that_are_read_from_a_cache() -> None:
    prices = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}
    system = {"role": "system", "content": "Classify each review by its mood. " * 150}
    data = jsonl(
        json.dumps(
            {
                "custom_id": f"n{n}",
                "model": model,
                "messages": [system, {"role": "user", "content": f"Review {n}"}],
            }
        ).encode()
        for n, model in enumerate(["known"] * 10 + ["other"] * 10)
    )
    known = {"model": "openai/gpt-4.1", "api_key": "k"}
    other = {"model": "openai/x", "api_base": "http://provider.test/v1", **prices}
    models = [
        {"model_name": "known", "litellm_params": known},
        {"model_name": "other", "litellm_params": other},
    ]
    catalog = resolve(check({"model_list": models}, {}), {})

    async def read() -> AsyncIterator[bytes]:
        yield data

    def cost(choice: CacheChoice) -> Quote:
        has_cache = partial(expects_cache, catalog, choice)
        found = quote(
            read, default_model=None, catalog=catalog, check=lambda _: None, has_cache=has_cache
        )
        return asyncio.run(found)

    off, order = cost("off"), cost("order")
    assert off.models["known"].tokens_cached == order.models["other"].tokens_cached == 0
    part = order.models["known"]
    assert 0.8 < part.tokens_cached / part.tokens_in < 0.9
    low, usual = part.cost_low, off.models["known"].cost_low
    assert low is not None
    assert usual is not None
    assert low < 0.6 * usual
    assert part.cost_high == off.models["known"].cost_high

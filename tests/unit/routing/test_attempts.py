from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from fanout.config.catalog import Catalog
from fanout.errors import Broken, RequestError, UnknownModel, Unsupported
from fanout.gateway.factory import make_transport
from fanout.routing.leg import Leg
from fanout.routing.logged_fields import MOST_LOGGED, logged_path, logged_paths
from fanout.routing.router import Router
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from fanout.telemetry.observers import NullObserver
from tests.support.scripted_engine import USAGE, ScriptedEngine, answers, breaks, refuses
from tests.support.virtual_clock import run
from tests.unit.routing.router_harness import HELLO, Harness

PRICED: Mapping[str, Any] = {
    "a": {"input_cost_per_token": 0.001, "output_cost_per_token": 0.01},
}
COST = 0.075  # of 5 prompt tokens and 7 completion tokens


@pytest.mark.parametrize("ask", [Harness.ask, Harness.ask_by_stream, Harness.read])
def test_an_attempts_record_has_its_usage_and_its_cost(ask: Any) -> None:
    async def main() -> None:
        harness = Harness(a=answers("Hi"), params=PRICED)
        leg = Leg("m", "req_7")
        await ask(harness, leg)
        (record,) = harness.observer.attempts
        assert (record.request_id, record.model, record.deployment) == ("req_7", "m", "m#0")
        assert (record.provider, record.outcome, record.status) == ("openai", "ok", 200)
        assert (record.usage, record.cost_usd) == (USAGE, COST)
        assert leg.usage == USAGE

    run(main())


def test_the_first_token_of_a_stream_is_timed() -> None:
    async def main() -> None:
        harness = Harness(a=answers("Hi"))
        await harness.ask()
        await harness.ask_by_stream()
        await harness.read()
        plain, *streamed = [record.first_token_ms for record in harness.observer.attempts]
        assert plain is None
        assert all(first is not None and first >= 0 for first in streamed)

    run(main())


def test_each_attempt_has_its_own_record_and_the_leg_has_the_usage_of_the_last() -> None:
    async def main() -> None:
        harness = Harness(a=breaks("Half"), b=answers("Hi"), params=PRICED)
        leg = Leg("m", "r")
        await harness.ask_by_stream(leg)
        first, second = harness.observer.attempts
        assert (first.deployment, first.usage, first.error) == ("m#0", None, "Broken")
        assert (second.deployment, second.usage, second.cost_usd) == ("m#1", USAGE, None)
        assert leg.usage == USAGE

    run(main())


def test_an_empty_stream_is_a_response_and_not_a_failure() -> None:
    async def main() -> None:
        harness = Harness(a=answers(""), b=answers("never"))
        assert await harness.read() == ""
        assert harness.outcomes == [("ok", None, 200)]

    run(main())


def test_a_reader_that_stops_early_is_no_failure_of_the_deployment() -> None:
    async def main() -> None:
        harness = Harness(a=answers("Hi", "you", between=9.0))
        async with harness.router.stream(Leg("m", "r"), HELLO) as chunks:
            await anext(chunks)
        (record,) = harness.observer.attempts
        assert record.outcome == "ok"

    run(main())


# ---- defaults and dropped parameters ----


def test_a_deployments_defaults_are_used_for_parameters_that_the_request_does_not_set() -> None:
    async def main() -> None:
        harness = Harness(a=answers("Hi"), params={"a": {"temperature": 0.2, "seed": 7}})
        await harness.ask(request=parse_chat({**HELLO.body, "temperature": 1.0}))
        (sent,) = harness.engine.bodies
        assert (sent["temperature"], sent["seed"]) == (1.0, 7)

    run(main())


def test_a_default_of_one_deployment_is_not_sent_to_another() -> None:
    async def main() -> None:
        params: dict[str, Any] = {"a": {"temperature": 0.2, "user": "one"}, "b": {"seed": 7}}
        harness = Harness(a=refuses(500), b=answers("Hi"), params=params)
        await harness.ask()
        first, second = harness.engine.bodies
        assert (first["temperature"], first["user"]) == (0.2, "one")
        assert second.keys() & {"temperature", "user"} == set()
        assert second["seed"] == 7

    run(main())


def test_the_request_is_never_changed() -> None:
    async def main() -> None:
        body = {"messages": [{"role": "user", "content": "Hi"}], "stop": ["x"]}
        request = parse_chat(body)
        before = repr(request)
        harness = Harness(a=refuses(500), b=answers("Hi"), params={"a": {"temperature": 0.2}})
        await harness.ask(request=request)
        await harness.read(request=request)
        assert repr(request) == before
        assert body == {"messages": [{"role": "user", "content": "Hi"}], "stop": ["x"]}

    run(main())


def test_the_log_has_documented_names_of_fields_and_counts_the_others() -> None:
    found = {
        "seed": "seed",
        "repetition_penalty": "repetition_penalty",
        "a client's text": "*",
        "seed\nseed": "*",
        "response_format.json_schema.strict": "response_format.json_schema.strict",
        "response_format.json_schema.schema.properties.ssn": (
            "response_format.json_schema.schema.properties.*"
        ),
        "messages[3].tool_calls[0].function.secret": "messages[3].tool_calls[0].function.*",
        "metadata.secret[0]": "metadata.*",
        "messages[secret]": "messages.*",
        "[secret": "*",
        "x" * 100_000: "*",
    }
    assert {path: logged_path(path) for path in found} == found
    several = ["messages[].images (2)", "messages[0].a (3)", "messages[7].b", "seed", "seed (x)"]
    assert logged_paths(several) == ("messages[].images (2)", "messages[].* (4)", "seed", "*")
    assert len(logged_paths(f"{'input.' * number}seed" for number in range(99))) == MOST_LOGGED


@pytest.mark.parametrize("field", ["a client's text", "metadata"])
def test_a_rejected_field_is_logged_by_its_documented_name(field: str) -> None:
    async def main() -> None:
        harness = Harness(a=answers("Hi"), params={"a": {"model": "anthropic/claude-x"}})
        with suppress(RequestError):
            await harness.ask(request=parse_chat({**HELLO.body, field: {"a": 1}, "top_a": 1}))
        (record,) = harness.observer.attempts
        assert record.rejected == ("*" if field != "metadata" else "top_a")

    run(main())


@pytest.mark.parametrize("ask", [Harness.ask, Harness.ask_by_stream, Harness.read])
def test_what_drop_params_leaves_out_is_recorded(ask: Any) -> None:
    async def main() -> None:
        params = {"a": {"model": "groq/x", "drop_params": True}}
        harness = Harness(a=answers("Hi"), params=params)
        leg = Leg("m", "r")
        await ask(harness, leg, parse_chat({**HELLO.body, "logit_bias": {"5": 1}}))
        assert leg.dropped == ("logit_bias",)
        assert harness.observer.attempts[0].dropped == ("logit_bias",)
        assert "logit_bias" not in harness.engine.bodies[0]

    run(main())


@pytest.mark.parametrize("ask", [Harness.ask, Harness.ask_by_stream, Harness.read])
def test_without_drop_params_an_unsupported_parameter_is_an_error_without_a_call(ask: Any) -> None:
    async def main() -> None:
        harness = Harness(a=answers("Hi"), params={"a": {"model": "groq/x"}})
        with pytest.raises(Unsupported, match="`logit_bias`") as raised:
            await ask(harness, Leg("m", "r"), parse_chat({**HELLO.body, "logit_bias": {"5": 1}}))
        assert raised.value.param == "logit_bias"
        assert harness.engine.calls == []

    run(main())


# ---- names ----


def test_an_unknown_name_is_rejected() -> None:
    async def main() -> None:
        harness = Harness(a=answers("Hi"))
        with pytest.raises(UnknownModel, match="there is no model `x`; there are `m`"):
            await harness.ask(Leg("x", "r"))

    run(main())


def test_a_stream_without_its_end_marker_is_broken_even_if_the_connection_closes_cleanly() -> None:
    async def main() -> None:
        harness = Harness(a=breaks("Hi"), params={"a": {"num_retries": 0}})
        with pytest.raises(Broken, match="ended before the response was complete"):
            await harness.ask_by_stream()

    run(main())


def test_names_that_are_not_in_the_config_are_not_stored() -> None:
    async def main() -> None:
        engine = ScriptedEngine(api=answers("Hi"))
        catalog = Catalog(groups={}, env={"OPENAI_API_KEY": "k"}, is_open=True)
        router = Router(catalog, make_transport(Settings(), engine), observer=NullObserver())
        for number in range(5):
            await router.chat(Leg(f"openai/{number}", "r"), HELLO)
        assert engine.asked == ["api"] * 5
        assert len(router._groups) == 0

    run(main())

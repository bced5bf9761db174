from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fanout.config.resolve import Catalog
from fanout.errors import Broken, UnknownModel, Unsupported
from fanout.gateway.factory import make_transport
from fanout.routing.leg import Leg
from fanout.routing.router import Router
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from fanout.telemetry.observers import NullObserver
from tests.support.scripted_engine import USAGE, ScriptedEngine, answers, breaks, refuses
from tests.support.virtual_clock import run
from tests.unit.routing.bench import HELLO, Bench

PRICED: Mapping[str, Any] = {
    "a": {"input_cost_per_token": 0.001, "output_cost_per_token": 0.01},
}
COST = 5 * 0.001 + 7 * 0.01


@pytest.mark.parametrize("ask", [Bench.ask, Bench.ask_by_stream, Bench.read])
def test_an_attempt_tells_its_usage_and_its_cost(ask: Any) -> None:
    async def main() -> None:
        bench = Bench(a=answers("Hi"), params=PRICED)
        leg = Leg("m", "req_7")
        await ask(bench, leg)
        (note,) = bench.notes.attempts
        assert (note.request_id, note.model, note.deployment) == ("req_7", "m", "m#0")
        assert (note.provider, note.outcome, note.status) == ("openai", "ok", 200)
        assert (note.usage, note.cost_usd) == (USAGE, COST)
        assert leg.usage == USAGE

    run(main())


def test_the_first_token_is_timed_where_there_is_one() -> None:
    async def main() -> None:
        bench = Bench(a=answers("Hi"))
        await bench.ask()
        await bench.ask_by_stream()
        await bench.read()
        plain, *streamed = [note.first_token_ms for note in bench.notes.attempts]
        assert plain is None
        assert all(first is not None and first >= 0 for first in streamed)

    run(main())


def test_each_attempt_has_its_own_record_and_only_the_last_ones_usage_is_the_legs() -> None:
    async def main() -> None:
        bench = Bench(a=breaks("Half"), b=answers("Hi"), params=PRICED)
        leg = Leg("m", "r")
        await bench.ask_by_stream(leg)
        first, second = bench.notes.attempts
        assert (first.deployment, first.usage, first.error) == ("m#0", None, "Broken")
        assert (second.deployment, second.usage, second.cost_usd) == ("m#1", USAGE, None)
        assert leg.usage == USAGE

    run(main())


def test_an_empty_stream_is_an_answer_and_not_a_fault() -> None:
    async def main() -> None:
        bench = Bench(a=answers(""), b=answers("never"))
        assert await bench.read() == ""
        assert bench.outcomes == [("ok", None, 200)]

    run(main())


def test_a_reader_that_stops_early_is_no_fault_of_the_deployment() -> None:
    async def main() -> None:
        bench = Bench(a=answers("Hi", "you", between=9.0))
        async with bench.router.stream(Leg("m", "r"), HELLO) as chunks:
            await anext(chunks)
        (note,) = bench.notes.attempts
        assert note.outcome == "ok"

    run(main())


# ---- defaults and dropped parameters ----


def test_a_deployments_default_parameters_fill_what_the_caller_left_out() -> None:
    async def main() -> None:
        bench = Bench(a=answers("Hi"), params={"a": {"temperature": 0.2, "seed": 7}})
        await bench.ask(request=parse_chat({**HELLO.body, "temperature": 1.0}))
        (sent,) = bench.engine.bodies
        assert (sent["temperature"], sent["seed"]) == (1.0, 7)

    run(main())


def test_a_default_of_one_deployment_is_not_sent_to_another() -> None:
    async def main() -> None:
        params: dict[str, Any] = {"a": {"temperature": 0.2, "user": "one"}, "b": {"seed": 7}}
        bench = Bench(a=refuses(500), b=answers("Hi"), params=params)
        await bench.ask()
        first, second = bench.engine.bodies
        assert (first["temperature"], first["user"]) == (0.2, "one")
        assert second.keys() & {"temperature", "user"} == set()
        assert second["seed"] == 7

    run(main())


def test_the_request_is_never_changed() -> None:
    async def main() -> None:
        body = {"messages": [{"role": "user", "content": "Hi"}], "stop": ["x"]}
        request = parse_chat(body)
        before = repr(request)
        bench = Bench(a=refuses(500), b=answers("Hi"), params={"a": {"temperature": 0.2}})
        await bench.ask(request=request)
        await bench.read(request=request)
        assert repr(request) == before
        assert body == {"messages": [{"role": "user", "content": "Hi"}], "stop": ["x"]}

    run(main())


@pytest.mark.parametrize("ask", [Bench.ask, Bench.ask_by_stream, Bench.read])
def test_what_drop_params_leaves_out_is_noted(ask: Any) -> None:
    async def main() -> None:
        params = {"a": {"model": "groq/x", "drop_params": True}}
        bench = Bench(a=answers("Hi"), params=params)
        leg = Leg("m", "r")
        await ask(bench, leg, parse_chat({**HELLO.body, "logit_bias": {"5": 1}}))
        assert leg.dropped == ("logit_bias",)
        assert bench.notes.attempts[0].dropped == ("logit_bias",)
        assert "logit_bias" not in bench.engine.bodies[0]

    run(main())


@pytest.mark.parametrize("ask", [Bench.ask, Bench.ask_by_stream, Bench.read])
def test_without_drop_params_it_is_refused_by_name_and_nobody_is_called(ask: Any) -> None:
    async def main() -> None:
        bench = Bench(a=answers("Hi"), params={"a": {"model": "groq/x"}})
        with pytest.raises(Unsupported, match="`logit_bias`") as raised:
            await ask(bench, Leg("m", "r"), parse_chat({**HELLO.body, "logit_bias": {"5": 1}}))
        assert raised.value.param == "logit_bias"
        assert bench.engine.calls == []

    run(main())


# ---- names ----


def test_a_name_that_is_nobodys_is_refused() -> None:
    async def main() -> None:
        bench = Bench(a=answers("Hi"))
        with pytest.raises(UnknownModel, match="there is no model `x`; there are `m`"):
            await bench.ask(Leg("x", "r"))

    run(main())


def test_a_stream_cut_by_the_provider_is_broken_however_politely_it_ends() -> None:
    async def main() -> None:
        bench = Bench(a=breaks("Hi"), params={"a": {"num_retries": 0}})
        with pytest.raises(Broken, match="ended before the response was complete"):
            await bench.ask_by_stream()

    run(main())


def test_names_made_up_by_callers_are_not_kept() -> None:
    async def main() -> None:
        engine = ScriptedEngine(api=answers("Hi"))
        catalog = Catalog(groups={}, env={"OPENAI_API_KEY": "k"}, is_open=True)
        router = Router(catalog, make_transport(Settings(), engine), observer=NullObserver())
        for number in range(5):
            await router.chat(Leg(f"openai/{number}", "r"), HELLO)
        assert engine.asked == ["api"] * 5
        assert router._groups == {}

    run(main())

"""
What a virtual key pays for each way in which a call can end, in requests and in jobs alike.

The costs are computed from the scripts of the provider: its usage, or else the prompt and the text.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from fanout.bulk.work.call_watcher import CallWatcher
from fanout.keys.job_rows import NOTHING_USED, Used
from fanout.keys.metering import Meter
from fanout.keys.uncharged_lines import UnchargedLines
from fanout.routing.leg import Leg
from fanout.routing.retry_policy import RetryPolicy
from fanout.schema.prompt_tokens import body_tokens
from fanout.schema.token_estimate import estimate_tokens
from tests.keys.local_gateway import serving
from tests.keys.test_jobs_of_keys import PART, Client
from tests.support.gateway_server import RunningGateway, entry
from tests.support.provider_steps import (
    answers,
    called,
    cut,
    piece,
    raw,
    refuse,
    reply,
    role,
    say,
    stalls,
    stop,
    until,
)
from tests.support.scripted_provider import Call, Script, Step, Upstream
from tests.support.wire_formats import USAGE

SENT, RECEIVED = 0.001, 0.01  # dollars for a token
HI = [{"role": "user", "content": "What is the name of the third planet?"}]
TEXT = "The third planet from the sun is the Earth"
LOST = "It has a moon, and so have several others"
BODY = {"messages": HI, "max_tokens": 50}
PROMPT = (body_tokens(BODY), 0)
OF_USAGE = (USAGE["prompt_tokens"], USAGE["completion_tokens"])

ALIASES = {"other": "b", "safe": {"models": ["a", "b"], "mode": "fallback"}}

Tokens = tuple[int, int]


def priced(provider: Upstream, home: Path) -> AbstractContextManager[RunningGateway]:
    prices: dict[str, Any] = {"input_cost_per_token": SENT, "output_cost_per_token": RECEIVED}
    models = [
        *(entry(provider, name, **prices) for name in ("a", "b")),
        entry(provider, "slow", timeout=0.2, **prices),
        entry(provider, "claude", "anthropic/claude", **prices),
        entry(provider, "gemini", "gemini/gemini", api_base=provider.url, **prices),
        entry(provider, "vllm", "hosted_vllm/vllm", **prices),
    ]
    return serving(home, models, router={"model_group_alias": ALIASES})


@pytest.fixture(scope="module")
def gateway(
    provider: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    home: Path = tmp_path_factory.mktemp("home")
    with priced(provider, home) as served:
        yield served


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    Client.close_all()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The models whose text the gateway has begun to receive."""
    found: set[str] = set()
    for watcher in (Meter, CallWatcher):

        def first_token(
            self: Any, leg: Leg, own: Callable[[Any, Leg], None] = watcher.first_token
        ) -> None:
            own(self, leg)
            found.add(leg.model)

        monkeypatch.setattr(watcher, "first_token", first_token)
    return found


async def stop_without_usage(call: Call) -> None:
    """End a stream completely, or send the whole plain response."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    head = {"id": "1", "created": 1, "model": call.model}
    if call.streams:
        chunk = {**head, "object": "chat.completion.chunk", "choices": [{**choice, "delta": {}}]}
        call.piece(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())
        call.end()
        return
    message = {"role": "assistant", "content": "".join(call.words)}
    whole = {**head, "object": "chat.completion", "choices": [{**choice, "message": message}]}
    call.whole(200, json.dumps(whole).encode(), {"content-type": "application/json"})


def early_usage() -> Step:
    """Send a usage before the text, as some servers do with each chunk."""
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "a"}
    chunk = {**head, "choices": [], "usage": USAGE}
    return piece(f"data: {json.dumps(chunk)}\n\n".encode())


class Case(Struct, frozen=True):
    """A request, its models' scripts, and the tokens of each call that costs something."""

    body: dict[str, Any]
    scripts: dict[str, list[Script]]
    calls: list[Tokens]


def cases_of(upstream: Upstream, begun: set[str], *, usage: bool) -> dict[str, Case]:
    """Each way in which calls end; `usage`: the provider says what it has counted."""
    whole: list[Step] = [role, say(TEXT), stop if usage else stop_without_usage]
    won = OF_USAGE if usage else (PROMPT[0], estimate_tokens(TEXT))
    part: list[Step] = [role, *([early_usage()] if usage else []), say(LOST)]
    lost = OF_USAGE if usage else (PROMPT[0], estimate_tokens(LOST))
    late = [until(lambda: "a" in begun), *whole]
    both = {"models": ["a", "b"]}
    race = {**BODY, "fanout": {**both, "mode": "race"}}
    hedge = {**BODY, "fanout": {**both, "mode": "hedge", "stagger": 0.05}}
    of_a, of_slow = {**BODY, "model": "a"}, {**BODY, "model": "slow", "num_retries": 1}
    broken: Script = [raw(PART), cut]
    return {
        "whole": Case(of_a, {"a": [whole]}, [won]),
        "loser of a race": Case(race, {"a": [stalls(*part)], "b": [late]}, [lost, won]),
        "loser of a hedge": Case(hedge, {"a": [stalls(*part)], "b": [late]}, [lost, won]),
        "loser without a text": Case(
            race, {"a": [stalls(role)], "b": [[called(upstream, "a"), *whole]]}, [PROMPT, won]
        ),
        "cut in its text, then again": Case(
            {**race, "num_retries": 1},
            {"a": [[*part, cut], [called(upstream, "b"), *whole]], "b": [stalls()]},
            [lost, won, PROMPT],
        ),
        "cut, then again": Case({**of_a, "num_retries": 1}, {"a": [broken, whole]}, [PROMPT, won]),
        "cut, then a fallback": Case(
            {**of_a, "fallbacks": ["b"]}, {"a": [broken], "b": [whole]}, [PROMPT, won]
        ),
        "rejected, then a fallback": Case(
            {**of_a, "fallbacks": ["b"]}, {"a": [[refuse(500)]], "b": [whole]}, [won]
        ),
        "late, then again": Case(of_slow, {"slow": [stalls(), whole]}, [PROMPT, won]),
        "not readable": Case(of_a, {"a": [[reply(200, b"<p>")]]}, [PROMPT]),
        "rejected": Case(of_a, {"a": [[refuse(400)]]}, []),
    }


def cost_of(calls: list[Tokens]) -> float:
    return round(sum(SENT * sent + RECEIVED * received for sent, received in calls), 9)


def start(upstream: Upstream, begun: set[str], case: Case) -> None:
    upstream.reset()
    begun.clear()
    for model, scripts in case.scripts.items():
        upstream.script(model, *scripts)


def check_rows(client: Client, cost: float) -> None:
    """Each row's tokens cost what it says, and all rows together what the key has spent."""
    rows = client.rows()
    of_tokens = [cost_of([(row["prompt_tokens"], row["completion_tokens"])]) for row in rows]
    assert of_tokens == [round(row["spend"], 9) for row in rows]
    assert round(sum(of_tokens), 9) == cost
    assert client.spent == (cost, 0.0)


@pytest.mark.parametrize("usage", [True, False])
def test_a_request_pays_for_each_call_by_its_usage_or_its_texts(
    gateway: RunningGateway, upstream: Upstream, begun: set[str], *, usage: bool
) -> None:
    cases = cases_of(upstream, begun, usage=usage)
    whole = cases["whole"]
    cases["whole, streamed"] = Case({**whole.body, "stream": True}, whole.scripts, whole.calls)
    found: dict[str, float] = {}
    for name, case in cases.items():
        start(upstream, begun, case)
        client = Client(gateway)
        bearer = {"authorization": f"Bearer {client.key}"}
        with gateway.ask(case.body, headers=bearer) as response:
            response.read()
        found[name] = client.spent[0]
        check_rows(client, found[name])
    assert found == {name: cost_of(case.calls) for name, case in cases.items()}


@pytest.mark.parametrize("usage", [True, False])
def test_a_stream_that_its_client_leaves_pays_for_what_was_received(
    gateway: RunningGateway, upstream: Upstream, *, usage: bool
) -> None:
    upstream.script("a", stalls(role, *([early_usage()] if usage else []), say(LOST)))
    client = Client(gateway)
    gateway.observer.clear()
    body = {**BODY, "model": "a", "stream": True}
    bearer = {"authorization": f"Bearer {client.key}"}
    with gateway.ask(body, headers=bearer) as response:
        while LOST.encode() not in response.readline():
            pass
    gateway.observer.wait_for_status(499)
    expected = OF_USAGE if usage else (PROMPT[0], estimate_tokens(LOST))
    assert client.spent == (cost_of([expected]), 0.0)


def start_job(client: Client, *bodies: dict[str, Any]) -> str:
    rows = [
        {"custom_id": f"n{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for number, body in enumerate(bodies)
    ]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = client.sdk.files.create(file=("in.jsonl", data), purpose="batch")
    batch = client.sdk.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    return batch.id


@pytest.mark.parametrize("usage", [True, False])
def test_a_line_pays_what_a_request_pays_and_its_job_reports_it(
    gateway: RunningGateway, upstream: Upstream, begun: set[str], *, usage: bool
) -> None:
    cases = cases_of(upstream, begun, usage=usage)
    found: dict[str, tuple[float, float]] = {}
    for name, case in cases.items():
        start(upstream, begun, case)
        client = Client(gateway)
        job: Any = client.ended(start_job(client, case.body)).to_dict()
        found[name] = job["fanout"]["known_cost_usd"], client.spent[0]
        check_rows(client, found[name][1])
        tokens = job["usage"]
        assert cost_of([(tokens["input_tokens"], tokens["output_tokens"])]) == found[name][0]
        is_known = not any(way in name for way in ("cut", "late", "not readable"))
        assert job["cost_usd"] == (found[name][0] if is_known else None), name
    assert found == {name: (cost_of(case.calls),) * 2 for name, case in cases.items()}


def by_model(client: Client) -> dict[str, float]:
    """What the rows of a key say that each model has cost."""
    found = Counter[str]()
    for row in client.rows():
        found.update(row["metadata"]["spend_by_model"])
    return {name: round(cost, 9) for name, cost in found.items() if cost}


@pytest.mark.parametrize("usage", [True, False])
def test_a_line_counts_for_the_models_that_a_request_counts_for(
    gateway: RunningGateway, upstream: Upstream, begun: set[str], *, usage: bool
) -> None:
    whole: list[Step] = [role, say(TEXT), stop if usage else stop_without_usage]
    both: dict[str, list[Script]] = {"a": [whole], "b": [whole]}
    models = {"models": ["a", "b"]}
    more = {
        "an alias": Case({**BODY, "model": "other"}, both, []),
        "a name for several": Case({**BODY, "model": "safe"}, both, []),
        "of which one fails": Case({**BODY, "model": "safe"}, {**both, "a": [[refuse(500)]]}, []),
        "all": Case({**BODY, "fanout": models}, both, []),
        "all, and one fails": Case({**BODY, "fanout": models}, {**both, "a": [[refuse(500)]]}, []),
        "agree": Case({**BODY, "fanout": {**models, "mode": "agree", "k": 2}}, both, []),
        "a judge": Case({**BODY, "fanout": {**models, "mode": "best", "judge": "other"}}, both, []),
        "choices": Case({**BODY, "model": "a", "n": 2}, both, []),
        "a list": Case({**BODY, "model": "a,other"}, both, []),
    }
    found: dict[str, list[dict[str, float]]] = {}
    for name, case in {**cases_of(upstream, begun, usage=usage), **more}.items():
        start(upstream, begun, case)
        client, other = Client(gateway), Client(gateway)
        with gateway.ask(case.body, headers={"authorization": f"Bearer {client.key}"}) as response:
            response.read()
        start(upstream, begun, case)
        other.ended(start_job(other, case.body))
        found[name] = [by_model(client), by_model(other)]
        assert round(sum(found[name][1].values()), 9) == other.spent[0]
    assert {name: job for name, (_, job) in found.items()} == {
        name: request for name, (request, _) in found.items()
    }
    assert found["an alias"][1].keys() == {"other"}
    assert found["all"][1].keys() == {"a", "b"}


@pytest.mark.parametrize("usage", [True, False])
def test_a_cancelled_jobs_calls_cost_what_was_received(
    gateway: RunningGateway, upstream: Upstream, begun: set[str], *, usage: bool
) -> None:
    part: list[Step] = [role, *([early_usage()] if usage else []), say(LOST)]
    upstream.script("a", stalls(*part))
    upstream.script("b", stalls())
    client = Client(gateway)
    body = {**BODY, "fanout": {"models": ["a", "b"], "mode": "race"}}
    job = start_job(client, body)
    client.wait_for(job, lambda _: "a" in begun and bool(upstream.calls_to("b")))
    client.sdk.batches.cancel(job)
    batch: Any = client.ended(job).to_dict()
    lost = OF_USAGE if usage else (PROMPT[0], estimate_tokens(LOST))
    cost = cost_of([lost, PROMPT])
    assert (batch["status"], batch["fanout"]["known_cost_usd"]) == ("cancelled", cost)
    check_rows(client, cost)


@pytest.mark.parametrize("usage", [True, False])
def test_a_resumed_job_has_the_cost_of_the_calls_before(
    upstream: Upstream, tmp_path: Path, *, usage: bool
) -> None:
    """Of a line that has a result, and of one that was in flight when the server stopped."""
    whole: list[Step] = [role, say(TEXT), stop if usage else stop_without_usage]
    won = OF_USAGE if usage else (PROMPT[0], estimate_tokens(TEXT))
    upstream.script("a", [raw(PART), cut], whole)
    upstream.script("b", stalls())
    with priced(upstream, tmp_path) as first:
        client = Client(first)
        retried = {**BODY, "model": "a", "num_retries": 1}
        job = start_job(client, retried, {**BODY, "model": "b"})
        client.wait_for(job, lambda batch: batch.request_counts.completed == 1)
        upstream.wait_called("b")
    upstream.script("b", whole)
    with priced(upstream, tmp_path) as second:
        client.move_to(second)
        batch: Any = client.ended(job).to_dict()
        cost = cost_of([PROMPT, won, PROMPT, won])
        assert batch["fanout"]["known_cost_usd"] == cost
        check_rows(client, cost)
        lines = client.sdk.files.content(batch["output_file_id"]).content.splitlines()
        assert len(lines) == 2


def checked() -> dict[str, Any]:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    return {**BODY, "response_format": form, "fanout": {"check": True, "attempts": 2}}


@pytest.mark.parametrize(
    ("more", "first", "paid"),
    [
        ({}, [raw(PART), cut], PROMPT),
        ({"num_retries": 1}, [raw(PART), cut], PROMPT),
        (checked(), answers("no"), OF_USAGE),
    ],
    ids=["the line is sent again", "the call is made again", "the response does not fit"],
)
def test_a_kill_between_two_calls_of_a_line_keeps_what_the_first_has_cost(
    upstream: Upstream,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
    first: Script,
    paid: Tokens,
) -> None:
    """A copy of the files while the second call is in flight is what a kill leaves."""
    monkeypatch.setattr(RetryPolicy, "delay", lambda *_: 0.02)
    upstream.script("a", first, stalls())
    with priced(upstream, tmp_path / "first") as served:
        client = Client(served)
        job = start_job(client, {**BODY, **more, "model": "a"})
        client.wait_for(job, lambda _: len(upstream.calls_to("a")) == 2)
        shutil.copytree(tmp_path / "first", tmp_path / "copy")
        upstream.script("a", answers('{"n": 1}'))
    with priced(upstream, tmp_path / "copy") as second:
        client.move_to(second)
        batch: Any = client.ended(job).to_dict()
        cost = cost_of([paid, OF_USAGE])
        assert (batch["fanout"]["known_cost_usd"], client.spent) == (cost, (cost, 0.0))


def test_the_cost_cap_of_a_job_counts_responses_without_a_usage(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", [role, say(TEXT), stop_without_usage])
    client = Client(gateway)
    each = cost_of([(PROMPT[0], estimate_tokens(TEXT))])
    rows = [{"custom_id": f"n{n}", "body": {**BODY, "model": "a"}} for n in range(40)]
    line = {"method": "POST", "url": "/v1/chat/completions"}
    data = "".join(json.dumps({**row, **line}) + "\n" for row in rows).encode()
    file = client.sdk.files.create(file=("in.jsonl", data), purpose="batch")
    batch: Any = client.sdk.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        extra_body={"max_cost_usd": 10 * each},
    )
    job: Any = client.ended(batch.id).to_dict()
    done = job["request_counts"]["completed"]
    assert 0 < done < 40
    assert client.spent == (round(done * each, 9), 0.0)


def test_rows_have_whole_lines_whatever_they_may_cost() -> None:
    lines = UnchargedLines()
    for cost in (3, 4, 5, 50):
        lines.add(Used(cost, 2 * cost, 3 * cost, 1))
    assert lines.take() == NOTHING_USED  # none of them is stored
    lines.count(Used(62, 124, 186, 4))
    taken = lines.take(8)
    assert taken == Used(7, 14, 21, 2)
    lines.give_back(taken)
    found: list[Used] = []
    while lines.due:
        found.append(lines.take(8))
        lines.charge(found[-1], found[-1])
    assert found == [Used(7, 14, 21, 2), Used(5, 10, 15, 1), Used(50, 100, 150, 1)]
    assert (lines.owed, lines.charged) == (0, lines.counted)


def test_results_that_were_lost_are_charged_once() -> None:
    lines = UnchargedLines(Used(30, 30, 30, 3))
    lines.count(Used(10, 10, 10, 1))  # two of three are sent again
    assert (lines.take(), lines.due) == (NOTHING_USED, -20)
    lines.add(Used(15, 15, 15, 1))
    lines.add(Used(25, 25, 25, 1))
    lines.count(Used(50, 50, 50, 3))
    assert lines.take(5) == Used(20, 20, 20, 0)


@pytest.mark.parametrize(
    ("more", "models"),
    [
        ({"model": "a"}, "a"),
        ({"fanout": {"models": ["a", "b"], "mode": "race"}}, "ab"),
        ({"fanout": {"models": ["a", "b"]}}, "a"),
        ({"fanout": {"models": ["a", "b"]}}, "ab"),
        ({"fanout": {"models": ["a", "b"], "mode": "agree", "k": 2}}, "a"),
    ],
)
@pytest.mark.parametrize("part", [[], [role, say(LOST)]])
def test_the_cost_of_a_line_whose_own_time_is_over_is_not_all_known(
    gateway: RunningGateway,
    upstream: Upstream,
    more: dict[str, Any],
    models: str,
    part: list[Step],
) -> None:
    for name in "ab":
        upstream.script(name, stalls(*part) if name in models else [role, say(TEXT), stop])
    client = Client(gateway)
    job: Any = client.ended(start_job(client, {**BODY, **more, "timeout": 0.3})).to_dict()
    assert (job["fanout"]["unpriced_lines"], job["cost_usd"]) == (1, None)
    assert job["fanout"]["known_cost_usd"] == client.spent[0] > 0

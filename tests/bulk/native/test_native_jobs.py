"""Jobs whose lines go by their providers' own batches: one result for each line, paid for once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fanout.bulk.input.planner import ShardSize
from fanout.bulk.native.eligibility import Routes, account_of
from fanout.bulk.service.new_job import BatchOptions
from fanout.bulk.service.records import Job
from fanout.cli.batch_progress import Progress
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireRequest, WireResponse
from tests.bulk.local_jobs import LocalJobs, jsonl, line, open_jobs
from tests.bulk.native.native_jobs import (
    KINDS,
    LEAST,
    MODELS,
    PRICES,
    Ended,
    Providers,
    config,
    ended,
    lines_of,
    lines_of_all,
    now,
    run_job,
)
from tests.support.native_doubles.bill import Lane
from tests.support.native_doubles.double import Double
from tests.support.native_doubles.mounted import DoubleEngine
from tests.support.native_doubles.openai_likes import AzureDouble
from tests.support.native_doubles.script import Script, in_turn
from tests.support.virtual_clock import run_threads_at_once

COUNT = 40
ALL = COUNT + LEAST
HOUR = 3600.0


def check_costs(found: Ended, providers: Providers) -> None:
    """What the job reports is the bill, but for what its buyer cannot know of."""
    totals = found.job.totals
    assert totals is not None
    known = sum(one.nanodollars for one in providers.bill.entries if not one.lost)
    assert totals.cost == known
    assert sum(lane.cost for lane in totals.by_lane.values()) + totals.hedged.cost == known


def test_each_vendors_lines_go_by_batches_at_half_the_price(tmp_path: Path) -> None:
    providers = Providers()
    found = run_job(tmp_path, providers, lines_of_all(COUNT))
    assert (found.job.status, found.errors) == ("completed", {})
    assert found.lanes == {"native": ALL}
    assert providers.bill.lines() == {"native": ALL}
    assert providers.batches == len(MODELS)
    check_costs(found, providers)
    assert found.job.totals is not None
    assert found.job.totals.by_lane["native"].saved == providers.bill.nanodollars
    bodies = [response["body"] for response in found.responses.values()]
    assert {body["service_tier"] for body in bodies} == {"batch"}
    assert {body["model"] for body in bodies} == MODELS.keys()
    assert found.seconds < HOUR


class TwoDeployments(AzureDouble):
    """A resource with a deployment for batches, and one for real time, which it notes calls of."""

    models = frozenset({"our-batch"})
    called: ClassVar[list[str]] = []

    def realtime(self, request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        self.called.append(json.loads(request.body)["model"])
        return super().realtime(request, names)


def test_azures_lines_go_to_the_deployment_for_batches_and_in_real_time_to_the_other(
    tmp_path: Path,
) -> None:
    providers, host = Providers(), "r.openai.azure.com"
    double = TwoDeployments(clock=now, bill=providers.bill, script=Script(stuck=0.5))
    providers.doubles["azure"], providers.engine = double, DoubleEngine({host: double})
    entry: dict[str, Any] = {"model": "azure/gpt-4o", "api_base": f"https://{host}", "api_key": "k"}
    entry |= {"batch_deployment": "our-batch", **PRICES}
    settings = {"model_list": [{"model_name": "azure", "litellm_params": entry}]}
    data = lines_of(["azure"], COUNT)
    found = run_job(tmp_path, providers, data, settings=settings, completion_window="6h")
    assert (found.job.status, found.errors) == ("completed", {})
    assert found.lanes == {"native": COUNT // 2, "realtime": COUNT // 2}
    assert double.called == ["gpt-4o"] * (COUNT // 2)
    check_costs(found, providers)


HARMLESS = {
    "lost": Script(reply="lost"),
    "failed": Script(reply="failed"),
    "lost, listed late": Script(reply="lost", late_lists=1),
    "late reads": Script(late_reads=5),
    "errors and garbage": Script(polls=(500, 429, "garbage", "unknown", 404)),
    "wrong counts": Script(counts="wrong"),
    "zero counts": Script(counts="zero"),
    "shuffled": Script(shuffled=True, duplicated=3, foreign=2),
    "cut": Script(cut_downloads=2),
    "slow": Script(queue=5 * HOUR, run=HOUR),
}


def test_faults_of_the_apis_change_no_result(tmp_path: Path) -> None:
    wrong = []
    for name, script in HARMLESS.items():
        providers = Providers(dict.fromkeys(KINDS, script))
        found = run_job(tmp_path / name, providers, lines_of_all(COUNT))
        state = (found.job.status, found.errors, found.lanes, dict(providers.bill.lines()))
        if state != ("completed", {}, {"native": ALL}, {"native": ALL}):
            wrong.append((name, state))
        else:
            check_costs(found, providers)
    assert wrong == []


LOSSES: dict[str, tuple[Script, dict[Lane, int]]] = {
    "no room, then room": (Script(over_limit=True), {"native": COUNT}),
    "a bad line": (Script(bad_line=7), {"native": COUNT - 1, "realtime": 1}),
    "a batch that fails once": (Script(bad_line=COUNT + 9), {"native": COUNT}),
    "never starts": (Script(queue=1000 * HOUR), {"realtime": COUNT}),
    "half done": (Script(stuck=0.5), {"native": COUNT // 2, "realtime": COUNT // 2}),
    "finishes when cancelled": (Script(queue=5 * HOUR, cancel="too late"), {"native": COUNT}),
    "loses a line": (
        Script(stuck=0.5, cancel="loses"),
        {"native": COUNT // 2, "realtime": COUNT // 2 + 1},
    ),
}


def test_what_a_batch_does_not_answer_is_sent_in_real_time_if_few_hours_are_left(
    tmp_path: Path,
) -> None:
    wrong: list[Any] = []
    for name, (script, expected) in LOSSES.items():
        providers = Providers({"openai": in_turn(script, Script())})
        data = lines_of(["openai"], COUNT)
        found = run_job(tmp_path / name, providers, data, completion_window="6h")
        state = (found.job.status, found.errors, dict(providers.bill.lines()))
        assert found.job.totals is not None
        hedged = found.job.totals.hedged.lines  # a lost line may have been billed
        is_late = found.seconds > 6 * HOUR or hedged != (script.cancel == "loses")
        if state != ("completed", {}, expected) or is_late or providers.bill.twice():
            wrong.append((name, state, found.seconds / HOUR))
        else:
            check_costs(found, providers)
    assert wrong == []


def test_what_a_batch_does_not_answer_goes_by_another_one_if_there_is_time(tmp_path: Path) -> None:
    """Lines that may be billed already are reported."""
    cases: dict[str, tuple[Script, int, int]] = {
        "half done": (Script(stuck=0.5), COUNT, 0),
    }
    wrong: list[Any] = []
    for name, (script, lines, hedged) in cases.items():
        providers = Providers({"openai": in_turn(script, Script())})
        found = run_job(tmp_path / name, providers, lines_of(["openai"], COUNT))
        assert found.job.totals is not None
        state = (found.lanes, dict(providers.bill.lines()), found.job.totals.hedged.lines)
        if state != ({"native": COUNT}, {"native": lines}, hedged):
            wrong.append((name, state))
    assert wrong == []


def test_a_rest_that_would_save_little_is_sent_in_real_time_at_once(tmp_path: Path) -> None:
    """Each line may cost a tenth of a cent, so forty save less than five cents."""
    providers = Providers({"openai": in_turn(Script(queue=60.0, missing=9), Script())})
    prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
    data = lines_of(["openai"], COUNT)
    found = run_job(tmp_path, providers, data, settings=config(**prices))
    assert found.lanes == {"native": COUNT - 9, "realtime": 9}
    assert found.seconds < HOUR


def test_fewer_lines_than_a_batch_needs_are_sent_in_real_time_or_are_an_error(
    tmp_path: Path,
) -> None:
    providers, data = Providers(), lines_of(["bedrock"], LEAST - 1)
    found = run_job(tmp_path / "auto", providers, data)
    assert (found.lanes, providers.batches) == ({"realtime": LEAST - 1}, 0)
    found = run_job(tmp_path / "require", providers, data, native="require")
    (error,) = found.job.errors
    assert (found.job.status, error.code) == ("failed", "native_not_possible")
    assert f"{LEAST - 1} lines: a batch of its model has {LEAST} lines or more" in error.message


def test_a_batch_that_never_ends_is_hedged_and_reported(tmp_path: Path) -> None:
    script = Script(queue=5 * HOUR, run=3 * HOUR, cancel="never ends")
    providers = Providers({"openai": script})
    found = run_job(tmp_path, providers, lines_of(["openai"], COUNT), completion_window="6h")
    assert (found.job.status, found.errors) == ("completed", {})
    assert found.seconds < 6 * HOUR
    assert found.job.totals is not None
    assert found.job.totals.hedged.lines == COUNT
    assert found.job.to_dict(found.job.totals)["fanout"]["hedged"]["lines"] == COUNT
    progress = Progress(found.job, found.job.totals, None, 0.0)
    assert progress.to_dict()["hedged"]["lines"] == COUNT
    assert f"{COUNT} lines sent twice" in progress.line
    assert providers.bill.lines() == {"native": COUNT, "realtime": COUNT}


def test_a_line_without_a_row_in_a_complete_batch_may_be_paid_twice_and_is_reported(
    tmp_path: Path,
) -> None:
    providers = Providers({"openai": Script(missing=2)})
    found = run_job(tmp_path, providers, lines_of(["openai"], COUNT))
    assert (found.job.status, found.errors) == ("completed", {})
    assert found.lanes == {"native": COUNT - 2, "realtime": 2}
    assert found.job.totals is not None
    assert found.job.totals.hedged.lines == len(providers.bill.twice()) == 2


def test_a_batch_without_a_label_is_known_by_the_ids_of_its_rows(tmp_path: Path) -> None:
    """
    A workspace's other batches are neither adopted nor cancelled.

    The batch is found also if it is in no list before the other one has ended.
    """
    wrong = []
    for late, queue in ((0, HOUR), (1, 60.0)):
        own = Script(reply="lost", queue=queue, late_lists=late)
        providers = Providers({"anthropic": in_turn(Script(), own)})
        double = providers.doubles["anthropic"]

        async def open_another(_jobs: LocalJobs, _job: Job, double: Double = double) -> None:
            message = {"role": "user", "content": "Hi"}
            params = {"model": "m", "max_tokens": 5, "messages": [message]}
            body = {"requests": [{"custom_id": "theirs", "params": params}]}
            data = json.dumps(body).encode()
            await double(WireRequest("/v1/messages/batches", data, headers={"x-api-key": "k"}))

        data = lines_of(["anthropic"], COUNT)
        found = run_job(tmp_path / str(late), providers, data, meanwhile=open_another)
        (stranger,) = (one for one in double.batches.values() if len(one.lines) == 1)
        state = (found.job.status, found.lanes, len(double.batches), stranger.cancelled_at)
        if state != ("completed", {"native": COUNT}, 2, None) or providers.bill.twice():
            wrong.append((late, state))
    assert wrong == []


def test_cancelled_jobs_keep_what_their_batches_have_done(tmp_path: Path) -> None:
    async def cancel(jobs: LocalJobs, job: Job) -> None:
        await asyncio.sleep(600.0 + 300.0)
        await jobs.service.jobs.cancel(job.id, None)

    providers = Providers({"openai": Script(queue=600.0, run=600.0)})
    found = run_job(tmp_path, providers, lines_of(["openai"], COUNT), meanwhile=cancel)
    done = len(found.responses)
    assert found.job.status == "cancelled"
    assert 0 < done < COUNT
    assert set(found.errors.values()) == {"batch_cancelled"}
    assert providers.bill.lines() == {"native": done}
    check_costs(found, providers)
    assert found.seconds < HOUR


def test_lines_that_are_not_sent_in_real_time_are_not_counted_as_hedged(tmp_path: Path) -> None:
    """One job is cancelled, and no process runs the other one until its window is over."""

    async def main(home: Path, providers: Providers, *, is_cancelled: bool) -> Ended:
        began, data = now(), lines_of(["openai"], COUNT)
        async with open_jobs(home, providers, now=now, config=config()) as jobs:
            job = await jobs.create(data, fanout=BatchOptions(lane="native"))
            await asyncio.sleep(HOUR)
            if is_cancelled:
                await jobs.service.jobs.cancel(job.id, None)
                return await ended(jobs, job, began)
        await asyncio.sleep(24 * HOUR)
        async with open_jobs(home, providers, now=now, config=config()) as jobs:
            return await ended(jobs, job, began)

    wrong = []
    scripts = {"cancelled": Script(stuck=0.5, cancel="loses"), "late": Script(queue=2 * HOUR)}
    for name, script in scripts.items():
        providers = Providers({"openai": script})
        is_cancelled = name == "cancelled"
        found = run_threads_at_once(
            main(tmp_path / name, providers, is_cancelled=is_cancelled), 0.0
        )
        totals = found.job.totals
        assert totals is not None
        state = (totals.hedged.lines, found.lanes.get("realtime"))
        if state != (0, None) or "native" not in found.lanes:
            wrong.append((name, found.lanes, totals.hedged))
    assert wrong == []


@pytest.mark.parametrize("after", [0.0, 45.0, 1300.0])
def test_a_stopped_process_is_continued_by_the_next(tmp_path: Path, after: float) -> None:
    providers = Providers({"openai": Script(reply="lost"), "anthropic": Script(queue=60.0)})
    data = lines_of(["openai", "anthropic"], COUNT)

    async def main() -> Ended:
        began = now()
        fanout = BatchOptions(lane="native")
        async with open_jobs(tmp_path, providers, now=now, config=config()) as jobs:
            job = await jobs.create(data, fanout=fanout)
            await asyncio.sleep(after)
        await asyncio.sleep(100.0)
        async with open_jobs(tmp_path, providers, now=now, config=config()) as jobs:
            return await ended(jobs, job, began)

    found = run_threads_at_once(main(), 0.0)
    providers.settle()
    assert (found.job.status, found.lanes) == ("completed", {"native": COUNT})
    assert providers.bill.lines() == {"native": COUNT}
    check_costs(found, providers)


def test_a_cost_cap_counts_what_batches_may_cost_in_real_time(tmp_path: Path) -> None:
    """Each line may cost 1.05 dollars: of two batches, only one is below the cap."""
    providers = Providers()
    data = lines_of(["openai", "anthropic"], COUNT)
    found = run_job(tmp_path, providers, data, max_cost_usd=25.0)
    assert found.job.totals is not None
    assert found.job.totals.cost_usd is not None
    assert found.job.totals.cost_usd <= 25.0
    assert providers.batches == 1
    check_costs(found, providers)


def test_a_creation_that_is_repeated_counts_once_under_the_cap(tmp_path: Path) -> None:
    """A batch of twenty lines may cost 21 dollars; no batch comes of its first creation."""
    providers = Providers()
    providers.doubles["openai"].refuse_creates.append(503)
    found = run_job(tmp_path, providers, lines_of(["openai"], 20), max_cost_usd=25.0)
    assert (found.lanes, providers.bill.lines()) == ({"native": 20}, {"native": 20})


def test_a_batch_that_does_not_fit_under_the_cap_is_not_created(tmp_path: Path) -> None:
    providers = Providers()
    found = run_job(tmp_path, providers, lines_of(["openai"], COUNT), max_cost_usd=5.0)
    assert found.job.totals is not None
    assert found.job.totals.cost_usd is not None
    assert found.job.totals.cost_usd <= 6.05  # the last line may exceed it
    assert providers.batches == 0


def test_lines_that_must_go_by_batches_and_cannot_are_an_error_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    providers = Providers()
    data = lines_of(["openai"], 3) + lines_of(["openai"], 1, service_tier="priority").replace(
        b'"n0"', b'"fast"'
    )
    found = run_job(tmp_path, providers, data, native="require")
    assert (found.job.status, providers.batches, providers.bill.entries) == ("failed", 0, [])
    (error,) = found.job.errors
    assert (error.code, error.param) == ("native_not_possible", "fanout.native")
    assert "(1 line: " in error.message


def test_batches_that_must_be_and_do_not_fit_under_the_cap_are_an_error_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    providers = Providers()
    data = lines_of(["openai"], COUNT)
    found = run_job(tmp_path, providers, data, native="require", max_cost_usd=5.0)
    assert (found.job.status, providers.batches, providers.bill.entries) == ("failed", 0, [])
    (error,) = found.job.errors
    assert (error.code, error.param) == ("native_not_possible", "max_cost_usd")
    assert "Raise the cap" in error.message


def test_what_no_batch_takes_is_sent_in_real_time_at_once(tmp_path: Path) -> None:
    own = config(api_base="http://provider.test/v1")["model_list"][0]
    own = {**own, "model_name": "elsewhere"}
    settings = {**config(), "model_list": [*config()["model_list"], own]}
    providers = Providers({"openai": Script(queue=4 * HOUR)})
    providers.engine.hosts = {
        **providers.engine.hosts,
        "provider.test": providers.doubles["openai"],
    }
    seen: list[int] = []

    async def look(jobs: LocalJobs, job: Job) -> None:
        await asyncio.sleep(300.0)
        job = await jobs.job(job)
        totals = await jobs.service.jobs.totals(job)
        seen.append(totals.done)
        (wait,) = job.to_dict(totals)["fanout"]["waits"]
        assert (wait["reason"], wait["lines"]) == ("native_batch", COUNT // 2)

    data = lines_of(["openai", "elsewhere"], COUNT)
    found = run_job(tmp_path, providers, data, settings=settings, meanwhile=look)
    assert found.lanes == {"native": COUNT // 2, "realtime": COUNT // 2}
    assert seen == [COUNT // 2]
    check_costs(found, providers)


class StreamingProviders(Providers):
    """Doubles that stream; `keys` are the `prompt_cache_key` of each call in real time."""

    keys: list[str | None]
    streamed = 0

    async def send(self, request: Outgoing) -> WireResponse:
        if request.url.endswith("/chat/completions"):
            self.keys.append(json.loads(request.body).get("prompt_cache_key"))
        return await super().send(request)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        if not request.url.endswith("/chat/completions"):
            async with super().stream(request) as incoming:
                yield incoming
            return
        self.streamed += 1
        whole = json.loads((await self.send(request)).body)
        (choice,) = whole["choices"]
        choice["delta"] = choice.pop("message")
        chunk = json.dumps({**whole, "object": "chat.completion.chunk"})

        async def body() -> AsyncIterator[bytes]:
            yield f"data: {chunk}\n\ndata: [DONE]\n\n".encode()

        yield StreamedResponse(200, {"content-type": "text/event-stream"}, body())


@pytest.mark.parametrize("size", [7, 1_000])
def test_lines_that_begin_alike_are_warmed_only_if_they_are_sent_in_real_time(
    tmp_path: Path, size: int
) -> None:
    """Some lines are no batch's, and the batch answers half of the others."""
    providers = StreamingProviders({"openai": in_turn(Script(stuck=0.5), Script())})
    providers.keys = []
    lines = [
        line(
            f"n{n}", "openai", "AB"[n % 2] * 4_000 + str(n), **({"store": False} if n < 10 else {})
        )
        for n in range(COUNT)
    ]
    found = run_job(
        tmp_path,
        providers,
        jsonl(lines),
        cache="auto",
        shard_size=ShardSize(size, 1 << 30),
        completion_window="6h",
    )
    assert (found.job.status, found.errors) == ("completed", {})
    assert providers.bill.lines() == {"native": 15, "realtime": 25}
    assert not providers.bill.twice()
    check_costs(found, providers)
    assert len(providers.keys) == 25
    assert len(set(providers.keys) - {None}) == 2
    assert None not in providers.keys
    assert providers.streamed >= 4
    assert not any(
        b"prompt_cache_key" in data for data in providers.doubles["openai"].files.values()
    )


def test_a_batch_is_fetched_after_an_edit_of_the_config_and_without_its_deployment_the_wait_says_so(
    tmp_path: Path,
) -> None:
    """Another model comes first then; or the model is another one for a while."""
    models = config()["model_list"]
    other = {"model_name": "other", "litellm_params": {"model": "openai/gpt-4o", "api_key": "k"}}
    edits: dict[str, list[Any]] = {
        "reordered": [other, *reversed(models)],
        "gone": [{**other, "model_name": "openai"}, *models[1:]],
    }

    async def main(home: Path, providers: Providers, edited: Any, waits: list[str]) -> Ended:
        began, data = now(), lines_of(["openai"], COUNT)
        async with open_jobs(home, providers, now=now, config=config()) as jobs:
            job = await jobs.create(data, fanout=BatchOptions(lane="native"))
            await asyncio.sleep(300.0)
        settings = {**config(), "model_list": edited}
        async with open_jobs(home, providers, now=now, config=settings) as jobs:
            await asyncio.sleep(1000.0)
            job = await jobs.job(job)
            found = job.to_dict(await jobs.service.jobs.totals(job))["fanout"]
            waits += [one["message"] for one in found["waits"]]
            if other in edited:
                return await ended(jobs, job, began)
        async with open_jobs(home, providers, now=now, config=config()) as jobs:
            return await ended(jobs, job, began)

    wrong = []
    for name, edited in edits.items():
        providers, waits = Providers({"openai": Script(queue=HOUR)}), list[str]()
        found = run_threads_at_once(main(tmp_path / name, providers, edited, waits), 0.0)
        providers.settle()
        is_told = any("does not have the deployment" in one for one in waits)
        state = (found.job.status, found.lanes, dict(providers.bill.lines()), is_told)
        if state != ("completed", {"native": COUNT}, {"native": COUNT}, name == "gone"):
            wrong.append((name, state, waits))
    assert wrong == []


def test_rows_of_an_earlier_version_are_of_their_models_deployment() -> None:
    routes = Routes(resolve(check(config(), {}), {}))
    route = routes.of("openai")
    assert route is not None
    accounts = (account_of(route.deployment), "openai#0", "openai#7", "0" * 24)
    assert [routes.at("openai", one) is route for one in accounts] == [True, True, True, False]
    assert routes.at("renamed", accounts[0]) is not None

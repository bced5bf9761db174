"""Calls of a line that may not start now: its result is that of all its calls, or it has none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from msgspec import Struct

from fanout.bulk.activity import ActivityTracker
from fanout.bulk.service.records import Job
from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.answering_provider import BAD, GOOD, SCHEMA
from tests.bulk.local_jobs import CONFIG, COST, USAGE, EchoProvider, LocalJobs, jsonl, open_jobs
from tests.bulk.test_judged_lines import _pieces
from tests.support.scripted_engine import Incoming
from tests.support.virtual_clock import now, run_threads_at_once

HI = [{"role": "user", "content": "Hi"}]
HOLD = 30.0
"""Seconds for which no call may start."""

MOST = 50
"""Tokens of a response."""

PARAMS = {**CONFIG["model_list"][0]["litellm_params"], "rpm": 60_000, "timeout": 1}
MODELS = [
    {"model_name": name, "litellm_params": {**PARAMS, "model": f"openai/{name}"}} for name in "abc"
]

Response: TypeAlias = str | int
"""The text of a response, or the status of an error."""

LATE = 0
"""No response in time, which may be billed."""


class Kind(Struct, frozen=True):
    """A line's body, and the responses to its first calls; all others are valid JSON."""

    body: Mapping[str, Any]
    responses: tuple[Response, ...]


def several(mode: str, *models: str, **more: Any) -> dict[str, Any]:
    return {"fanout": {"mode": mode, "models": list(models), **more}}


def checked(**more: Any) -> dict[str, Any]:
    return {"model": "a", "fanout": {"schema": SCHEMA, **more}}


KINDS = {
    "plain": Kind({"model": "a"}, (500,)),
    "a retry": Kind({"model": "a", "num_retries": 2}, (500,)),
    "a fallback": Kind({"model": "a", "fallbacks": ["b"]}, (400,)),
    "hedge": Kind(several("hedge", "a", "b", stagger=60), (400,)),
    "race": Kind(several("race", "a", "b"), (400,)),
    "all": Kind(several("all", "a", "b"), (GOOD,)),
    "best": Kind(several("best", "a", "b", judge="c"), (GOOD, GOOD)),
    "merge": Kind(several("merge", "a", "b", judge="c"), (GOOD, GOOD)),
    "agree": Kind(several("agree", "a", "b", k=2, start=1), (GOOD,)),
    "agree, after a vote": Kind(several("agree", "a", "b", "c", k=2, start=1), (GOOD, "no")),
    "agree, after a failure": Kind(several("agree", "a", "b", "c", k=2, start=1), (400, GOOD)),
    "a schema": Kind(checked(attempts=4), (BAD,)),
    "a schema, the third call": Kind(checked(attempts=4), (BAD, BAD)),
    "a schema, escalated": Kind(checked(attempts=1, escalate=["b"]), (BAD,)),
    "a schema and agree": Kind(several("agree", "a", "b", k=2, start=1, schema=SCHEMA), (GOOD,)),
}

AFTER_LATE_CALLS = {
    "a retry": Kind({"model": "a", "num_retries": 2}, (LATE, LATE)),
    "a fallback": Kind({"model": "a", "fallbacks": ["b"]}, (LATE,)),
    "hedge": Kind(several("hedge", "a", "b", stagger=60), (LATE,)),
    "agree": Kind(several("agree", "a", "b", k=2), (GOOD, LATE)),
    "agree, the third model": Kind(several("agree", "a", "b", "c", k=2, start=1), (GOOD, LATE)),
    "agree, repeated": Kind(several("agree", "a", "b", k=2, start=1), (LATE, LATE)),
    "a schema": Kind({**checked(attempts=3), "num_retries": 2}, (BAD, LATE, LATE)),
    "a schema, escalated": Kind(checked(attempts=1, escalate=["b"]), (BAD, LATE)),
}
"""Lines whose further calls need more than was reserved."""

ALL_KINDS = {
    **KINDS,
    **{f"{name}, after a late call": AFTER_LATE_CALLS[name] for name in AFTER_LATE_CALLS},
}


class Provider(EchoProvider):
    """Gives the responses, and calls `interrupt` before the one with this number, from 1."""

    def __init__(self, kind: Kind, at: int, interrupt: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.responses, self.at, self.interrupt = list(kind.responses), at, interrupt
        self.times: list[float] = []

    async def _next(self) -> Response:
        number = len(self.times)
        self.times.append(now())
        if number + 1 == self.at:
            await self.interrupt()
        if number < len(self.responses) and self.responses[number] == LATE:
            await asyncio.Event().wait()
        return self.responses[number] if number < len(self.responses) else GOOD

    async def send(self, request: Outgoing) -> WireResponse:
        text = await self._next()
        if isinstance(text, int):
            return WireResponse(text, {}, _error())
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        body = {**head, "choices": [choice], "usage": USAGE}
        return WireResponse(200, {}, json.dumps(body).encode())

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Any]:
        text = await self._next()
        if isinstance(text, int):
            yield Incoming(text, {}, _bytes(_error()))
        else:
            yield Incoming(200, {}, _pieces(text))


def _error() -> bytes:
    return json.dumps({"error": {"message": "no", "type": "t", "code": None}}).encode()


async def _bytes(data: bytes) -> AsyncIterator[bytes]:
    yield data


class Held:
    """While it is on, no call may start, as while a response waits for room on a disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.until = 0.0
        known = ActivityTracker.is_held.fget  # type: ignore[attr-defined]
        held = property(lambda tracker: now() < self.until or known(tracker))
        monkeypatch.setattr(ActivityTracker, "is_held", held)

    async def begin(self) -> None:
        self.until = now() + HOLD


async def nothing() -> None:
    """Interrupts nothing."""


def data_of(kind: Kind) -> bytes:
    body = {"messages": HI, "max_tokens": MOST, **kind.body}
    return jsonl(
        [
            json.dumps(
                {"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": body}
            ).encode()
        ]
    )


def jobs_of(folder: Path, provider: Provider, **options: Any) -> Any:
    config = {**CONFIG, "model_list": MODELS}
    return open_jobs(folder, provider, now=now, config=config, **options)


async def over(jobs: LocalJobs, job: Job) -> Job:
    async with asyncio.timeout(3_600):
        while not (job := await jobs.job(job)).is_over:  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # of virtual time
    return job


async def result_of(jobs: LocalJobs, job: Job) -> dict[str, Any] | None:
    """What is the same of each result of the line; `None` if it has none."""
    output = await jobs.content(job.output_file_id)
    if not output:
        return None
    body = output[0]["response"]["body"]
    choices = [(one["message"]["content"], one.get("error")) for one in body["choices"]]
    judge = body.get("fanout", {}).get("judge", {}).get("outcome")
    return {"choices": choices, "judge": judge}


async def undisturbed(folder: Path, kind: Kind) -> dict[str, Any]:
    async with jobs_of(folder, Provider(kind, 0, nothing)) as jobs:
        job = await over(jobs, await jobs.create(data_of(kind)))
        found = await result_of(jobs, job)
    assert found is not None
    return found


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "next"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_line_goes_on_when_its_calls_may_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, *, is_first: bool
) -> None:
    async def main() -> None:
        expected = await undisturbed(tmp_path / "alone", KINDS[kind])
        held, at = Held(monkeypatch), 0 if is_first else len(KINDS[kind].responses)
        provider = Provider(KINDS[kind], at, held.begin)
        async with jobs_of(tmp_path, provider) as jobs:
            if is_first:
                await held.begin()
            job = await over(jobs, await jobs.create(data_of(KINDS[kind])))
            assert (job.status, await result_of(jobs, job)) == ("completed", expected)
        if is_first:
            assert provider.times[0] >= held.until

    run_threads_at_once(main(), 0.0)


RETRIED = Kind({**several("agree", "a", "b", k=2), "num_retries": 1}, (GOOD, LATE))


@pytest.mark.parametrize("kind", [*ALL_KINDS, "agree, with a retry"])
def test_a_line_of_a_cancelled_job_has_its_whole_result_or_none(tmp_path: Path, kind: str) -> None:
    of_kind = ALL_KINDS.get(kind, RETRIED)

    async def main() -> None:
        expected = await undisturbed(tmp_path / "alone", of_kind)

        async def cancel() -> None:
            await jobs.service.jobs.cancel(job.id, None)
            await asyncio.sleep(0.2)  # its worker notices

        provider = Provider(of_kind, len(of_kind.responses), cancel)
        async with jobs_of(tmp_path, provider, grace=10.0) as jobs:
            job = await jobs.create(data_of(of_kind))
            job = await over(jobs, job)
            found = await result_of(jobs, job)
            assert (job.status == "cancelled" and found is None) or found == expected
            assert set((await jobs.error_codes(job)).values()) <= {"batch_cancelled"}

    run_threads_at_once(main(), 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_worker_sends_a_line_whose_worker_has_ended(tmp_path: Path, kind: str) -> None:
    async def main() -> None:
        expected = await undisturbed(tmp_path / "alone", KINDS[kind])
        reached = asyncio.Event()

        async def end() -> None:
            reached.set()
            await asyncio.sleep(0.2)

        provider = Provider(KINDS[kind], len(KINDS[kind].responses), end)
        async with jobs_of(tmp_path, provider) as jobs:
            job = await jobs.create(data_of(KINDS[kind]))
            await reached.wait()
        provider.responses = [GOOD] * len(provider.times)
        async with jobs_of(tmp_path, provider) as jobs:
            job = await over(jobs, job)
            assert (job.status, await result_of(jobs, job)) == ("completed", expected)

    run_threads_at_once(main(), 0.0)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_line_at_a_cost_cap_has_its_whole_result_or_none(tmp_path: Path, kind: str) -> None:
    async def main(cap: float) -> tuple[Any, set[Any]]:
        folder = tmp_path / str(cap)
        async with jobs_of(folder, Provider(ALL_KINDS[kind], 0, nothing)) as jobs:
            job = await over(jobs, await jobs.create(data_of(ALL_KINDS[kind]), max_cost_usd=cap))
            found = await result_of(jobs, job)
            assert (job.status == "completed") is (found is not None)
            return found, set((await jobs.error_codes(job)).values())

    expected = run_threads_at_once(undisturbed(tmp_path / "alone", ALL_KINDS[kind]), 0.0)
    for number in range(1, 30, 2):
        assert run_threads_at_once(main(number * COST), 0.0) in [
            (expected, set()),
            (None, {"batch_cancelled"}),
            (None, set()),
        ]

"""Clocks that jump stop nothing, and nothing that is stored in the far future is believed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.local.steady_clock import BELIEVED_AFTER, SteadyClock
from fanout.bulk.pacing.rate_limit_state import MAX_AHEAD, advance, believable
from fanout.bulk.service.new_job import NewJob
from fanout.google.credentials import Token, _Entry
from fanout.transport.error_mapping import MAX_RETRY_AFTER
from tests.bulk.local_jobs import CONFIG, EchoProvider, jsonl, line, open_jobs, run
from tests.support.virtual_clock import now, run_threads_at_once

MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86400.0, 365 * 86400.0
LINES = 12
JUMPS = {
    "a minute": MINUTE,
    "20 minutes": 20 * MINUTE,
    "an hour": HOUR,
    "a day": DAY,
    "a year": YEAR,
}


def limited(rpm: int | None) -> dict[str, Any]:
    """The config whose model `a` has a rate limit."""
    first, *others = CONFIG["model_list"]
    params = {**first["litellm_params"], **({"rpm": rpm} if rpm else {})}
    return {**CONFIG, "model_list": [{**first, "litellm_params": params}, *others]}


class Clock:
    """A system clock that is set."""

    def __init__(self, time: Callable[[], float] = time.time) -> None:
        self.ahead = 0.0
        self._time = time

    def __call__(self) -> float:
        return self._time() + self.ahead


HEADERS = {"x-ratelimit-limit-requests": "60000", "x-ratelimit-limit-tokens": "9000000"}


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("limits", ["configured", "learned", "429"])
def test_a_clock_that_went_back_between_two_jobs_stops_none(
    tmp_path: Path, jump: str, limits: str
) -> None:
    clock, provider = Clock(lambda: 1e9 + now()), EchoProvider()
    provider.headers = HEADERS if limits == "learned" else {}

    async def reject_once(_model: str, _text: str) -> tuple[int, Mapping[str, str]] | None:
        is_first = sum(provider.calls.values()) == 1
        return (429, {"retry-after": "1"}) if limits == "429" and is_first else None

    provider.before = reject_once

    async def job() -> None:
        config = limited(60_000 if limits == "configured" else None)
        async with open_jobs(tmp_path, provider, now=clock, config=config) as jobs:
            data = jsonl(line(f"n{number}") for number in range(LINES))
            done = await jobs.wait(await jobs.create(data))
            assert (done.status, len(await jobs.responses(done))) == ("completed", LINES)

    async def main() -> None:
        clock.ahead = JUMPS[jump]
        await job()
        clock.ahead = 0.0
        await job()

    run_threads_at_once(main(), 0.0)


@pytest.mark.parametrize("jump", [-YEAR, -DAY, -HOUR, -20 * MINUTE, HOUR, DAY])
@pytest.mark.parametrize("rpm", [None, 60_000])
def test_a_clock_that_jumps_while_a_job_runs_stops_nothing(
    tmp_path: Path, jump: float, rpm: int | None
) -> None:
    wall, provider = Clock(), EchoProvider()

    async def move(_model: str, _text: str) -> None:
        wall.ahead = {3: jump, 8: 0.0}.get(sum(provider.calls.values()), wall.ahead)

    provider.before = move

    async def main() -> None:
        clock, config = SteadyClock(wall), limited(rpm)
        async with open_jobs(tmp_path, provider, now=clock, config=config) as jobs:
            data = jsonl(line(f"n{number}") for number in range(LINES))
            done = await jobs.wait(await jobs.create(data))
            assert (done.status, len(await jobs.responses(done))) == ("completed", LINES)

    run(main())


def test_the_clock_of_a_process_goes_on_when_the_systems_jumps() -> None:
    wall, elapsed = 1e9, 100.0
    clock = SteadyClock(lambda: wall, lambda: elapsed)

    def wait(seconds: float) -> float:
        nonlocal wall, elapsed
        wall, elapsed = wall + seconds, elapsed + seconds
        return clock()

    assert wait(10) == 1e9 + 10
    wall += 5  # the network's time
    assert wait(10) == 1e9 + 25
    for jump in (DAY, -HOUR, YEAR):
        wall += jump
        assert wait(100) == pytest.approx(wall - jump)
        wall -= jump
        assert wait(100) == wall
    wall += HOUR
    assert wait(1) == wall - HOUR
    assert wait(BELIEVED_AFTER) == wall
    wall -= HOUR
    assert wait(1) == wall + HOUR
    assert wait(BELIEVED_AFTER) == wall


NOW = 1_000_000.0
KINDS = ("requests", "tokens", "pause", "learned 1", "written")


@pytest.mark.parametrize("ahead", [4 * MINUTE, HOUR, DAY, YEAR, 1e300, float("inf"), float("nan")])
@pytest.mark.parametrize("kinds", [[kind] for kind in KINDS] + [list(KINDS)], ids=str)
def test_no_time_of_a_rate_limit_is_believed_that_is_too_far_ahead(
    kinds: list[str], ahead: float
) -> None:
    """Of all that a state has: what was written by a clock that was ahead, or is damaged."""
    state = dict.fromkeys(KINDS, NOW - 1) | {"rpm 1": 60.0} | dict.fromkeys(kinds, NOW + ahead)
    found = believable(state, NOW)
    _, start = advance(found, [], NOW)
    longest = MAX_RETRY_AFTER if kinds == ["pause"] else 10 * MINUTE  # it may be a provider's
    assert start <= NOW + longest + 10
    assert all(at <= NOW + MAX_AHEAD + 10 for kind, at in found.items() if kind != "pause")
    if kinds == list(KINDS) and ahead < 1e300:
        assert found == dict.fromkeys(KINDS, NOW) | {"rpm 1": 60.0}


def test_a_state_of_this_clock_is_believed() -> None:
    state = {"requests": NOW + 90, "tokens": NOW + 600, "pause": NOW + 599, "written": NOW - 1}
    assert believable(state, NOW) == state


def test_what_was_created_in_the_future_has_its_lifetime_from_now(tmp_path: Path) -> None:
    start = time.time()

    async def parts() -> object:
        yield b"part"

    async def main() -> None:
        async with open_jobs(tmp_path, now=lambda: start + YEAR) as jobs:
            files = jobs.service.files
            key = files.new_key()
            await files.blobs.write(key, parts())  # type: ignore[arg-type]
            file = await files.register(key, "in.jsonl", "batch", "master", int(2 * HOUR))
            upload = await files.begin_upload("in.jsonl", "batch", 9, "master", None)
            source = await files.find(await jobs.upload(jsonl([line("x")])), None)
            new = NewJob(input_file_id=source.id, endpoint="/v1/chat/completions")
            job = jobs.service.jobs.draft(new, source, "master")
            await jobs.service.jobs.registry.create(job.id, job)
        draft = tmp_path / "files" / ".draft-old"
        draft.write_bytes(b"half")
        os.utime(draft, (start + YEAR,) * 2)
        async with open_jobs(tmp_path, now=lambda: start) as jobs:
            done = await jobs.wait(job)
            assert done.status == "completed"
            assert done.expires_at <= start + DAY

            async def is_swept() -> bool:
                return not draft.exists()

            await jobs.wait_until(is_swept)
            assert (await jobs.service.files.find(file.id, None)).expires_at == int(
                start + 2 * HOUR
            )
        async with open_jobs(tmp_path, now=lambda: start + 3 * HOUR) as jobs:

            async def is_deleted() -> bool:
                database = jobs.service.database
                record = await database.get("upload", upload.id)
                is_expired = record is not None and b'"expired"' in record
                return is_expired and await database.get("file", file.id) is None

            await jobs.wait_until(is_deleted)

    run(main())


@pytest.mark.parametrize("jump", JUMPS)
def test_a_token_is_fetched_again_when_the_clock_went_back(jump: str) -> None:
    made_at = NOW + JUMPS[jump]
    entry = _Entry(token=Token({}, made_at + HOUR, made_at), paused_until=made_at + 10)
    assert entry.valid_headers(made_at) == {}
    assert entry.valid_headers(NOW) is None


def test_the_clock_of_a_process_reads_the_systems_ten_times_a_second() -> None:
    elapsed, reads = 100.0, 0

    def wall() -> float:
        nonlocal reads
        reads += 1
        return 1e9 + elapsed

    clock = SteadyClock(wall, lambda: elapsed)
    for _ in range(1_000):
        assert clock() == 1e9 + elapsed
        elapsed += 0.001
    assert reads <= 12

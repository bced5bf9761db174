"""A job from its file to its results, in one process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.input.planner import ShardSize
from fanout.bulk.runner import SKIP_REASONS
from fanout.bulk.totals import Example
from fanout.errors import NotFound, RequestError
from tests.bulk.local_jobs import CONFIG, COST, EchoProvider, jsonl, line, open_jobs, run


def test_every_line_is_answered_once_whatever_models_it_names(tmp_path: Path) -> None:
    async def main() -> None:
        names = [f"n{i}" for i in range(50)]
        data = jsonl(line(name, "ab"[i % 2]) for i, name in enumerate(names))
        async with open_jobs(tmp_path, shard_size=ShardSize(7, 1 << 20)) as at:
            created = await at.create(data, metadata={"team": "x"})
            assert (created.status, created.total) == ("validating", 0)
            job = await at.ended(created)
            assert await at.texts(job) == {
                name: f"{'ab'[i % 2]}: {name}" for i, name in enumerate(names)
            }
            assert set(at.provider.calls.values()) == {1}
            assert (job.status, job.total, job.error_file_id) == ("completed", 50, None)
            shown = job.to_dict(await at.bulk.jobs.totals(job))
            assert shown["request_counts"] == {"total": 50, "completed": 50, "failed": 0}
            assert shown["usage"]["input_tokens"] == 250
            assert shown["usage"]["total_tokens"] == 600
            assert shown["cost_usd"] == round(50 * COST, 6)
            assert shown["metadata"] == {"team": "x"}
            assert job.created_at <= (job.in_progress_at or 0) <= (job.finalizing_at or 0)
            assert (job.finalizing_at or 0) <= (job.completed_at or 0)

            async def swept() -> bool:
                return not (tmp_path / "jobs" / job.id).exists()

            await at.until(swept)

    run(main())


def test_lines_of_every_shape_take_the_jobs_model(tmp_path: Path) -> None:
    async def main() -> None:
        chat = [{"role": "user", "content": "Hi"}]
        data = b"\xef\xbb\xbf" + b"\r\n".join(
            [
                json.dumps(chat).encode(),
                json.dumps({"messages": chat}).encode(),
                b"",
                json.dumps({"messages": chat, "model": "b", "custom_id": "x"}).encode(),
                line("y", None),
            ]
        )
        async with open_jobs(tmp_path) as at:
            job = await at.ended(await at.create(data, model="a"))
            assert await at.texts(job) == {
                "line-1": "a: Hi",
                "line-2": "a: Hi",
                "x": "b: Hi",
                "y": "a: y",
            }

    run(main())


def test_a_line_may_fan_out(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path) as at:
            job = await at.ended(await at.create(jsonl([line("both", "a, b")])))
            said = (await at.content(job.output_file_id))[0]["response"]["body"]
            assert [c["message"]["content"] for c in said["choices"]] == ["a: both", "b: both"]
            assert (job.totals and job.totals.tokens_in, job.models) == (10, {"a": 1, "b": 1})
            assert job.totals is not None
            assert job.totals.cost == pytest.approx(2 * COST)

    run(main())


def test_a_refused_line_is_in_the_error_file_and_the_job_is_completed(tmp_path: Path) -> None:
    provider = EchoProvider()

    async def refuse(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        return (400, {}) if text == "bad" else None

    provider.before = refuse

    async def main() -> None:
        data = jsonl([line("good"), line("bad"), line("odd", temperature=9)])
        async with open_jobs(tmp_path, provider) as at:
            job = await at.ended(await at.create(data))
            assert job.status == "completed"
            assert await at.texts(job) == {"good": "a: good"}
            assert await at.faults(job) == {"bad": None, "odd": "invalid_value"}
            errors = await at.content(job.error_file_id)
            assert [one["response"]["status_code"] for one in errors] == [400, 400]
            assert job.totals is not None
            assert (job.totals.done, job.totals.failed) == (1, 2)
            assert sum(job.totals.causes.values()) == 2

    run(main())


@pytest.mark.parametrize(
    ("data", "more", "errors"),
    [
        (b"", {}, [("empty_file", None)]),
        (
            jsonl([line("x"), b"{", line("x")]),
            {},
            [("invalid_json_line", 2), ("duplicate_custom_id", 3)],
        ),
        (jsonl([line("x", "c")]), {}, [("model_not_found", 1)]),
        (jsonl([line("x", "b"), line("y")]), {"allowed": ["a"]}, [("model_not_allowed", 1)]),
        (jsonl([line("x", None)]), {}, [("missing_required_parameter", 1)]),
    ],
)
def test_what_is_wrong_in_the_file_fails_the_job_after_its_creation(
    tmp_path: Path, data: bytes, more: dict[str, Any], errors: list[tuple[str, int | None]]
) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path) as at:
            created = await at.create(data, **more)
            assert created.status == "validating"
            job = await at.ended(created)
            assert job.status == "failed"
            assert [(error.code, error.line) for error in job.errors] == errors
            assert job.failed_at is not None
            assert not at.provider.calls

    run(main())


def test_a_fallback_that_the_key_may_not_use_is_refused_line_by_line(tmp_path: Path) -> None:
    async def main() -> None:
        data = jsonl([line("x", fallbacks=["b"]), line("y")])
        async with open_jobs(tmp_path) as at:
            job = await at.ended(await at.create(data, allowed=["a"]))
            assert await at.faults(job) == {"x": "model_not_allowed"}
            assert await at.texts(job) == {"y": "a: y"}

    run(main())


@pytest.mark.parametrize(
    "more",
    [
        {"completion_window": "59m"},
        {"completion_window": "15d"},
        {"completion_window": "0h"},
        {"metadata": {"x" * 65: "y"}},
        {"metadata": {"x": "y" * 513}},
        {"metadata": {str(i): "" for i in range(17)}},
        {"max_cost_usd": 0},
        {"output_expires_after": {"anchor": "created_at", "seconds": 5}},
    ],
)
def test_a_request_that_is_wrong_itself_is_refused_at_once(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path) as at:
            with pytest.raises(RequestError) as raised:
                await at.create(jsonl([line("x")]), **more)
            assert raised.value.param == next(iter(more))

    run(main())


def test_a_line_with_a_number_that_no_machine_has_fails_alone_and_again(tmp_path: Path) -> None:
    async def main() -> None:
        bad = line("x", seed=0).replace(b'"seed": 0', b'"seed":1e999')
        async with open_jobs(tmp_path) as at:
            job = await at.ended(await at.create(jsonl([bad, line("y")])))
            assert await at.texts(job) == {"y": "a: y"}
            (said,) = await at.content(job.error_file_id)
            assert (said["custom_id"], said["response"]["status_code"]) == ("x", 400)
            assert "too large" in said["response"]["body"]["error"]["message"]
            again = await at.ended(await at.bulk.jobs.retry(job.id, "master"))
            assert (again.status, list(await at.faults(again))) == ("completed", ["x"])

    run(main())


def test_a_cancelled_job_keeps_what_is_done_and_names_what_never_ran(tmp_path: Path) -> None:
    provider = EchoProvider()
    hang = asyncio.Event()

    async def wait(_model: str, text: str) -> None:
        if text != "first":
            await hang.wait()

    provider.before = wait

    async def main() -> None:
        data = jsonl([line("first"), line("second"), line("third")])
        async with open_jobs(tmp_path, provider, max_concurrency=2, initial_concurrency=2) as at:
            created = await at.create(data)

            async def answered() -> bool:
                return (await at.bulk.jobs.totals(created)).done == 1

            await at.until(answered)
            asked = await at.bulk.jobs.cancel(created.id, "master")
            assert (asked.status, asked.cancelling_at is not None) == ("cancelling", True)
            job = await at.ended(created)
            assert (job.status, job.reason) == ("cancelled", "cancelled")
            assert await at.texts(job) == {"first": "a: first"}
            never = dict.fromkeys(["second", "third"], "batch_cancelled")
            assert await at.faults(job) == never
            with pytest.raises(RequestError, match="Cannot cancel a batch with status 'cancelled'"):
                await at.bulk.jobs.cancel(created.id, "master")

    run(main())


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_an_input_that_goes_while_its_job_runs_is_read_to_the_end(tmp_path: Path, how: str) -> None:
    provider, go = EchoProvider(), asyncio.Event()

    async def wait(_model: str, _text: str) -> None:
        await go.wait()

    provider.before = wait

    async def main() -> None:
        clock = [time.time()]
        data = jsonl(line(f"n{i}") for i in range(40))
        size = ShardSize(7, 1 << 20)
        async with open_jobs(
            tmp_path,
            provider,
            now=lambda: clock[0],
            max_concurrency=2,
            initial_concurrency=2,
            shard_size=size,
        ) as at:
            created = await at.create(data)

            async def asked() -> bool:
                return bool(provider.calls)

            await at.until(asked)
            files = at.bulk.files
            if how == "deleted":
                await files.delete(created.input_file_id, "master")
            else:
                registry = files._files
                await registry.change(
                    created.input_file_id, lambda r: replace(r, expires_at=int(clock[0]))
                )
            with pytest.raises(NotFound):
                await files.find(created.input_file_id, "master")
            go.set()
            job = await at.ended(created)
            assert (job.status, len(await at.texts(job))) == ("completed", 40)

            async def swept() -> bool:
                return await files.blobs.size(created.input_key) is None

            await at.until(swept)

    run(main())


def test_a_line_of_several_conversations_is_paced_as_so_many_requests(tmp_path: Path) -> None:
    a = CONFIG["model_list"][0]
    paced = {**a, "litellm_params": {**a["litellm_params"], "rpm": 600}}
    config = {"model_list": [paced]}
    provider, times = EchoProvider(), list[float]()

    async def note(_model: str, _text: str) -> None:
        times.append(asyncio.get_running_loop().time())

    provider.before = note

    async def main() -> None:
        chats = [[{"role": "user", "content": f"c{i}"}] for i in range(5)]
        data = jsonl(line(f"n{i}", messages=chats) for i in range(8))
        async with open_jobs(tmp_path, provider, config=config) as at:
            job = await at.ended(await at.create(data))
            assert (job.totals and job.totals.done) == 8

    run(main())
    assert len(times) == 40
    assert times[-1] - times[0] >= (40 - 600 * 0.04 - 6) / (600 * 0.96 / 60) - 0.1


def test_a_job_past_its_window_expires_with_what_is_done(tmp_path: Path) -> None:
    provider, clock = EchoProvider(), [1_700_000_000.0]

    async def jump(_model: str, text: str) -> None:
        clock[0] += 1_000.0

    provider.before = jump

    async def main() -> None:
        data = jsonl(line(f"n{i}") for i in range(6))
        async with open_jobs(
            tmp_path, provider, now=lambda: clock[0], max_concurrency=1, initial_concurrency=1
        ) as at:
            job = await at.ended(await at.create(data, completion_window="1h"))
            assert (job.status, job.expired_at is not None) == ("expired", True)
            assert sorted(await at.texts(job)) == ["n0", "n1", "n2", "n3"]
            assert await at.faults(job) == dict.fromkeys(["n4", "n5"], "batch_expired")
            assert job.totals is not None
            assert (job.totals.done, job.totals.causes) == (4, {"batch_expired": 2})
            said = SKIP_REASONS["expired"].message
            examples = [Example("n4", 5, said), Example("n5", 6, said)]
            assert job.totals.examples == {"batch_expired": examples}

    run(main())


def test_a_cap_on_cost_holds_within_the_line_under_way(tmp_path: Path) -> None:
    async def main() -> None:
        data = jsonl(line(f"n{i}", max_tokens=1_000) for i in range(40))
        async with open_jobs(tmp_path) as at:
            job = await at.ended(await at.create(data, max_cost_usd=10 * COST))
            assert (job.status, job.reason) == ("cancelled", "capped")
            assert job.errors[0].code == "max_cost_reached"
            assert job.totals is not None
            assert 10 * COST <= job.totals.cost < 11.01 * COST
            assert set((await at.faults(job)).values()) == {"batch_cancelled"}
            assert job.totals.done + job.totals.failed == 40

    run(main())


def test_a_cap_on_cost_needs_a_price(tmp_path: Path) -> None:
    entry = {
        "model_name": "c",
        "litellm_params": {"model": "openai/c", "api_base": "http://x.test"},
    }
    config = {**CONFIG, "model_list": [*CONFIG["model_list"], entry]}

    async def main() -> None:
        async with open_jobs(tmp_path, config=config) as at:
            job = await at.ended(await at.create(jsonl([line("x", "c")]), max_cost_usd=1))
            assert [error.code for error in job.errors] == ["price_not_found"]

    run(main())


def test_a_retry_asks_the_failed_lines_only_and_merges_their_answers(tmp_path: Path) -> None:
    provider = EchoProvider()
    bad = {"y", "line-3"}

    async def refuse(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        return (400, {}) if text in bad else None

    provider.before = refuse

    async def main() -> None:
        chat = json.dumps([{"role": "user", "content": "line-3"}]).encode()
        async with open_jobs(tmp_path, provider) as at:
            first = await at.ended(await at.create(jsonl([line("x"), line("y"), chat]), model="a"))
            assert sorted(await at.faults(first)) == ["line-3", "y"]
            bad.discard("y")
            again = await at.ended(await at.bulk.jobs.retry(first.id, "master"))
            assert await at.texts(again) == {"x": "a: x", "y": "a: y"}
            assert await at.faults(again) == {"line-3": None}
            assert (again.retry_of, again.total) == (first.id, 2)
            assert provider.calls["a", "x"] == 1

    run(main())


def test_jobs_and_files_are_their_owners_and_listed_newest_first(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path) as at:
            jobs = [await at.ended(await at.create(jsonl([line(f"x{i}")]))) for i in range(5)]
            listed = await at.bulk.jobs.page("master", after=None, limit=2)
            assert [j.id for j in listed.records] == [jobs[4].id, jobs[3].id]
            rest = await at.bulk.jobs.page("master", after=jobs[3].id, limit=3)
            assert ([j.id for j in rest.records], rest.has_more) == (
                [jobs[2].id, jobs[1].id, jobs[0].id],
                False,
            )
            other = await at.bulk.jobs.page("somebody", after=None, limit=10)
            assert other.records == []
            with pytest.raises(RequestError, match="no such batch"):
                await at.bulk.jobs.find(jobs[0].id, "somebody")

    run(main())


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_job_keeps_to_its_share_of_the_requests_a_minute_that_the_config_allows(
    tmp_path: Path, share: float
) -> None:
    provider, times = EchoProvider(), list[float]()

    async def note(_model: str, _text: str) -> None:
        times.append(asyncio.get_running_loop().time())

    provider.before = note
    a = CONFIG["model_list"][0]
    paced = {**a, "litellm_params": {**a["litellm_params"], "rpm": 600}}
    config = {"model_list": [paced], "general_settings": {"batch_share": share}}

    async def main() -> None:
        async with open_jobs(tmp_path, provider, config=config) as at:
            job = await at.ended(await at.create(jsonl(line(f"n{i}") for i in range(40))))
            assert len(await at.texts(job)) == 40

    run(main())
    at_once, rate = 600 * share * 0.04, 600 * share * 0.96 / 60
    assert times[-1] - times[0] >= (40 - at_once - 1) / rate - 0.1
    for number, moment in enumerate(times):
        assert number + 1 <= at_once + (moment - times[0] + 0.1) * rate + 1


def test_limits_are_learned_from_answers(tmp_path: Path) -> None:
    provider, times = EchoProvider(), list[float]()
    provider.headers = {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "599",
        "x-ratelimit-reset-requests": "100ms",
    }

    async def note(_model: str, _text: str) -> None:
        times.append(asyncio.get_running_loop().time())

    provider.before = note

    async def main() -> None:
        async with open_jobs(tmp_path, provider, max_concurrency=1, initial_concurrency=1) as at:
            await at.ended(await at.create(jsonl(line(f"n{i}") for i in range(40))))

    run(main())
    assert times[-1] - times[0] >= (40 - 600 * 0.04 - 2) / (600 * 0.96 / 60) - 0.1

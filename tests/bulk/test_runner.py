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
from fanout.bulk.steps.transitions import SKIP_REASONS
from fanout.bulk.totals import Example
from fanout.errors import NotFound, RequestError
from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.local_jobs import CONFIG, COST, EchoProvider, jsonl, line, open_jobs, run, with_key


def test_each_line_gets_one_response_from_the_model_it_names(tmp_path: Path) -> None:
    async def main() -> None:
        names = [f"n{i}" for i in range(50)]
        data = jsonl(line(name, "ab"[i % 2]) for i, name in enumerate(names))
        async with open_jobs(tmp_path, shard_size=ShardSize(7, 1 << 20)) as jobs:
            created = await jobs.create(data, metadata={"team": "x"})
            assert (created.status, created.total) == ("validating", 0)
            job = await jobs.wait(created)
            assert await jobs.responses(job) == {
                name: f"{'ab'[i % 2]}: {name}" for i, name in enumerate(names)
            }
            assert set(jobs.provider.calls.values()) == {1}
            assert (job.status, job.total, job.error_file_id) == ("completed", 50, None)
            shown = job.to_dict(await jobs.service.jobs.totals(job))
            assert shown["request_counts"] == {"total": 50, "completed": 50, "failed": 0}
            assert shown["usage"]["input_tokens"] == 250
            assert shown["usage"]["total_tokens"] == 600
            assert shown["cost_usd"] == round(50 * COST, 6)
            assert shown["metadata"] == {"team": "x"}
            assert job.created_at <= (job.in_progress_at or 0) <= (job.finalizing_at or 0)
            assert (job.finalizing_at or 0) <= (job.completed_at or 0)

            async def is_deleted() -> bool:
                return not (tmp_path / "jobs" / job.id).exists()

            await jobs.wait_until(is_deleted)

    run(main())


def test_lines_of_every_shape_use_the_jobs_model(tmp_path: Path) -> None:
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
        async with open_jobs(tmp_path) as jobs:
            job = await jobs.wait(await jobs.create(data, model="a"))
            assert await jobs.responses(job) == {
                "line-1": "a: Hi",
                "line-2": "a: Hi",
                "x": "b: Hi",
                "y": "a: y",
            }

    run(main())


def test_a_line_can_name_several_models(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path) as jobs:
            job = await jobs.wait(await jobs.create(jsonl([line("both", "a, b")])))
            body = (await jobs.content(job.output_file_id))[0]["response"]["body"]
            assert [c["message"]["content"] for c in body["choices"]] == ["a: both", "b: both"]
            assert (job.totals and job.totals.tokens_in, job.models) == (10, {"a": 1, "b": 1})
            assert job.totals is not None
            assert job.totals.cost_usd == pytest.approx(2 * COST)

    run(main())


def test_a_line_can_name_several_models_by_one_name_of_the_config(tmp_path: Path) -> None:
    aliases = {"both": {"models": ["a", "b"], "mode": "all"}}
    config = {**CONFIG, "router_settings": {"num_retries": 0, "model_group_alias": aliases}}

    async def main() -> None:
        async with open_jobs(tmp_path, config=config) as jobs:
            data = jsonl([line("x", "both"), line("y", "both, a")])
            job = await jobs.wait(await jobs.create(data, max_cost_usd=10.0))
            (output,) = await jobs.content(job.output_file_id)
            choices = output["response"]["body"]["choices"]
            assert [choice["message"]["content"] for choice in choices] == ["a: x", "b: x"]
            (failed,) = await jobs.content(job.error_file_id)
            error = failed["response"]["body"]["error"]
            assert (error["param"], error["message"]) == (
                "model",
                "`both` stands for several models: send it alone, or name its models: a, b",
            )
            shown = job.to_dict(await jobs.service.jobs.totals(job))
            assert shown["cost_usd"] == round(2 * COST, 6)

    run(main())


def test_names_of_the_config_that_are_no_deployments_work_in_a_job(tmp_path: Path) -> None:
    """Aliases, wildcards, names for several models, fallbacks by error and default ones."""
    params = CONFIG["model_list"][0]["litellm_params"]
    listed = [
        *CONFIG["model_list"],
        {"model_name": "any/*", "litellm_params": {**params, "model": "openai/*"}},
    ]
    router = {
        "num_retries": 0,
        "model_group_alias": {
            "other": "a",
            "hidden": {"model": "b", "hidden": True},
            "safe": {"models": ["b", "a"], "mode": "fallback"},
        },
        "fallbacks": [{"any/down": ["b"]}],
        "default_fallbacks": ["a"],
    }
    config = {"model_list": listed, "router_settings": router}

    class Failing(EchoProvider):
        async def send(self, request: Outgoing) -> WireResponse:
            if json.loads(request.body)["model"] in {"down", "gone"}:
                return WireResponse(400, {}, b'{"error": {"message": "no", "type": "x"}}')
            return await super().send(request)

    names = ["other", "hidden", "safe", "any/x", "any/down", "any/gone"]

    async def main() -> None:
        limited = with_key([*names[:3], "any/*", "a", "b"], config)
        async with open_jobs(tmp_path, Failing(), config=limited) as jobs:
            data = jsonl(line(name, name) for name in names)
            job = await jobs.wait(await jobs.create(data, "team"))
            assert await jobs.responses(job) == {
                "other": "a: other",
                "hidden": "b: hidden",
                "safe": "b: safe",
                "any/x": "x: any/x",
                "any/down": "b: any/down",
                "any/gone": "a: any/gone",
            }

    run(main())


def test_a_rejected_line_is_in_the_error_file_and_the_job_completes(tmp_path: Path) -> None:
    provider = EchoProvider()

    async def reject(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        return (400, {}) if text == "bad" else None

    provider.before = reject

    async def main() -> None:
        data = jsonl([line("good"), line("bad"), line("odd", temperature=9)])
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.wait(await jobs.create(data))
            assert job.status == "completed"
            assert await jobs.responses(job) == {"good": "a: good"}
            assert await jobs.error_codes(job) == {"bad": None, "odd": "invalid_value"}
            errors = await jobs.content(job.error_file_id)
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
        (jsonl([line("x", "b"), line("y")]), {"owner": "team"}, [("model_not_allowed", 1)]),
        (jsonl([line("x")]), {"owner": "deleted"}, [("model_not_allowed", 1)]),
        (jsonl([line("x", None)]), {}, [("missing_required_parameter", 1)]),
    ],
)
def test_errors_in_the_file_fail_the_job_after_it_is_created(
    tmp_path: Path, data: bytes, more: dict[str, Any], errors: list[tuple[str, int | None]]
) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path, config=with_key(["a"])) as jobs:
            created = await jobs.create(data, **more)
            assert created.status == "validating"
            job = await jobs.wait(created)
            assert job.status == "failed"
            assert [(error.code, error.line) for error in job.errors] == errors
            assert job.failed_at is not None
            assert not jobs.provider.calls

    run(main())


def test_a_line_whose_fallback_the_key_may_not_use_fails(tmp_path: Path) -> None:
    async def main() -> None:
        data = jsonl([line("x", fallbacks=["b"]), line("y")])
        async with open_jobs(tmp_path, config=with_key(["a"])) as jobs:
            job = await jobs.wait(await jobs.create(data, owner="team"))
            assert await jobs.error_codes(job) == {"x": "model_not_allowed"}
            assert await jobs.responses(job) == {"y": "a: y"}

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
def test_an_invalid_option_is_rejected_when_the_job_is_created(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path) as jobs:
            with pytest.raises(RequestError) as raised:
                await jobs.create(jsonl([line("x")]), **more)
            assert raised.value.param == next(iter(more))

    run(main())


def test_a_line_with_a_number_that_is_too_large_fails_alone_and_fails_again_on_retry(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        bad = line("x", seed=0).replace(b'"seed": 0', b'"seed":1e999')
        async with open_jobs(tmp_path) as jobs:
            job = await jobs.wait(await jobs.create(jsonl([bad, line("y")])))
            assert await jobs.responses(job) == {"y": "a: y"}
            (error,) = await jobs.content(job.error_file_id)
            assert (error["custom_id"], error["response"]["status_code"]) == ("x", 400)
            assert "too large" in error["response"]["body"]["error"]["message"]
            again = await jobs.wait(await jobs.service.jobs.retry(job.id, "master"))
            assert (again.status, list(await jobs.error_codes(again))) == ("completed", ["x"])

    run(main())


def test_a_cancelled_job_keeps_finished_lines_and_lists_those_that_never_ran(
    tmp_path: Path,
) -> None:
    provider = EchoProvider()
    never = asyncio.Event()

    async def wait(_model: str, text: str) -> None:
        if text != "first":
            await never.wait()

    provider.before = wait

    async def main() -> None:
        data = jsonl([line("first"), line("second"), line("third")])
        async with open_jobs(tmp_path, provider, max_concurrency=2, initial_concurrency=2) as jobs:
            created = await jobs.create(data)

            async def has_response() -> bool:
                return (await jobs.service.jobs.totals(created)).done == 1

            await jobs.wait_until(has_response)
            cancelled = await jobs.service.jobs.cancel(created.id, "master")
            assert (cancelled.status, cancelled.cancelling_at is not None) == ("cancelling", True)
            job = await jobs.wait(created)
            assert (job.status, job.reason) == ("cancelled", "cancelled")
            assert await jobs.responses(job) == {"first": "a: first"}
            skipped = dict.fromkeys(["second", "third"], "batch_cancelled")
            assert await jobs.error_codes(job) == skipped
            with pytest.raises(RequestError, match="Cannot cancel a batch with status 'cancelled'"):
                await jobs.service.jobs.cancel(created.id, "master")

    run(main())


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_an_input_that_is_deleted_or_expires_during_its_job_is_read_to_the_end(
    tmp_path: Path, how: str
) -> None:
    provider, may_respond = EchoProvider(), asyncio.Event()

    async def wait(_model: str, _text: str) -> None:
        await may_respond.wait()

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
        ) as jobs:
            created = await jobs.create(data)

            async def has_started() -> bool:
                return bool(provider.calls)

            await jobs.wait_until(has_started)
            files = jobs.service.files
            if how == "deleted":
                await files.delete(created.input_file_id, "master")
            else:
                registry = files._files
                await registry.change(
                    created.input_file_id, lambda r: replace(r, expires_at=int(clock[0]))
                )
            with pytest.raises(NotFound):
                await files.find(created.input_file_id, "master")
            may_respond.set()
            job = await jobs.wait(created)
            assert (job.status, len(await jobs.responses(job))) == ("completed", 40)

            async def is_deleted() -> bool:
                return await files.blobs.size(created.input_key) is None

            await jobs.wait_until(is_deleted)

    run(main())


def test_a_job_past_its_window_expires_and_keeps_finished_lines(tmp_path: Path) -> None:
    provider, clock = EchoProvider(), [1_700_000_000.0]

    async def advance_clock(_model: str, text: str) -> None:
        clock[0] += 1_000.0

    provider.before = advance_clock

    async def main() -> None:
        data = jsonl(line(f"n{i}") for i in range(6))
        async with open_jobs(
            tmp_path, provider, now=lambda: clock[0], max_concurrency=1, initial_concurrency=1
        ) as jobs:
            job = await jobs.wait(await jobs.create(data, completion_window="1h"))
            assert (job.status, job.expired_at is not None) == ("expired", True)
            assert sorted(await jobs.responses(job)) == ["n0", "n1", "n2", "n3"]
            assert await jobs.error_codes(job) == dict.fromkeys(["n4", "n5"], "batch_expired")
            assert job.totals is not None
            assert (job.totals.done, job.totals.causes) == (4, {"batch_expired": 2})
            message = SKIP_REASONS["expired"].message
            examples = [Example("n4", 5, message), Example("n5", 6, message)]
            assert job.totals.examples == {"batch_expired": examples}

    run(main())


def test_a_cost_cap_is_exceeded_by_one_line_in_flight_at_most(tmp_path: Path) -> None:
    async def main() -> None:
        data = jsonl(line(f"n{i}", max_tokens=1_000) for i in range(40))
        async with open_jobs(tmp_path) as jobs:
            job = await jobs.wait(await jobs.create(data, max_cost_usd=10 * COST))
            assert (job.status, job.reason) == ("cancelled", "capped")
            assert job.errors[0].code == "max_cost_reached"
            assert job.totals is not None
            assert 10 * COST <= job.totals.known_cost_usd < 11.01 * COST
            assert set((await jobs.error_codes(job)).values()) == {"batch_cancelled"}
            assert job.totals.done + job.totals.failed == 40

    run(main())


def test_a_cost_cap_needs_a_price_for_each_model(tmp_path: Path) -> None:
    entry = {
        "model_name": "c",
        "litellm_params": {"model": "openai/c", "api_base": "http://x.test"},
    }
    config = {**CONFIG, "model_list": [*CONFIG["model_list"], entry]}

    async def main() -> None:
        async with open_jobs(tmp_path, config=config) as jobs:
            job = await jobs.wait(await jobs.create(jsonl([line("x", "c")]), max_cost_usd=1))
            assert [error.code for error in job.errors] == ["price_not_found"]

    run(main())


@pytest.mark.parametrize("kind", ["fallbacks", "context_window_fallbacks", "default_fallbacks"])
def test_a_cost_cap_needs_a_price_for_each_fallback(tmp_path: Path, kind: str) -> None:
    entry = {
        "model_name": "c",
        "litellm_params": {"model": "openai/c", "api_base": "http://x.test"},
    }
    fallback = ["c"] if kind == "default_fallbacks" else [{"a": ["c"]}]
    router = {"num_retries": 0, kind: fallback}
    config = {**CONFIG, "model_list": [*CONFIG["model_list"], entry], "router_settings": router}

    async def main() -> None:
        async with open_jobs(tmp_path, config=config) as jobs:
            job = await jobs.wait(await jobs.create(jsonl([line("x", "a")]), max_cost_usd=1))
            assert [error.code for error in job.errors] == ["price_not_found"]
            assert "`c`" in job.errors[0].message
            assert jobs.provider.calls == {}

    run(main())


def test_a_retry_sends_only_the_failed_lines_and_merges_the_responses(tmp_path: Path) -> None:
    provider = EchoProvider()
    bad = {"y", "line-3"}

    async def reject(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        return (400, {}) if text in bad else None

    provider.before = reject

    async def main() -> None:
        chat = json.dumps([{"role": "user", "content": "line-3"}]).encode()
        async with open_jobs(tmp_path, provider) as jobs:
            first = await jobs.wait(
                await jobs.create(jsonl([line("x"), line("y"), chat]), model="a")
            )
            assert sorted(await jobs.error_codes(first)) == ["line-3", "y"]
            bad.discard("y")
            again = await jobs.wait(await jobs.service.jobs.retry(first.id, "master"))
            assert await jobs.responses(again) == {"x": "a: x", "y": "a: y"}
            assert await jobs.error_codes(again) == {"line-3": None}
            assert (again.retry_of, again.total) == (first.id, 2)
            assert provider.calls["a", "x"] == 1

    run(main())


def test_jobs_are_listed_newest_first_and_only_to_their_owner(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path) as jobs:
            made = [await jobs.wait(await jobs.create(jsonl([line(f"x{i}")]))) for i in range(5)]
            listed = await jobs.service.jobs.page("master", after=None, limit=2)
            assert [j.id for j in listed.records] == [made[4].id, made[3].id]
            rest = await jobs.service.jobs.page("master", after=made[3].id, limit=3)
            assert ([j.id for j in rest.records], rest.has_more) == (
                [made[2].id, made[1].id, made[0].id],
                False,
            )
            other = await jobs.service.jobs.page("other", after=None, limit=10)
            assert other.records == []
            with pytest.raises(RequestError, match="no such batch"):
                await jobs.service.jobs.find(made[0].id, "other")

    run(main())

"""Jobs whose lines are checked: no row of the output is invalid, and every call is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.costs import Costs
from fanout.bulk.paid_calls import PaidCall, PaidCalls
from fanout.bulk.totals import LineCost
from fanout.bulk.work.stored_results import count_error
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.schema.prompt_tokens import body_tokens
from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.answering_provider import BAD, GOOD, SCHEMA, AnsweringProvider
from tests.bulk.local_jobs import (
    CONFIG,
    COST,
    USAGE,
    LocalJobs,
    jsonl,
    line,
    open_jobs,
    open_view,
    run,
    with_key,
)
from tests.support.virtual_clock import now, run_threads_at_once

RPM = 600
PROMPT_PRICE = 0.001  # dollars for a token of a prompt
REASON = '`/n`: the value is not of type "integer"'


def checked(name: str, model: str = "a", **fanout: Any) -> bytes:
    return line(name, model, fanout={"schema": SCHEMA, **fanout})


async def costs_of(jobs: LocalJobs, job: Any) -> tuple[float, int]:
    """The dollars and the input tokens that the job has counted."""
    totals = (await jobs.job(job)).totals
    assert totals is not None
    return round(totals.cost_usd or 0, 9), totals.tokens_in


def test_each_row_is_valid_or_in_the_error_file_with_its_text_and_the_reason(
    tmp_path: Path,
) -> None:
    provider = AnsweringProvider(
        {
            ("a", "once"): [BAD, GOOD],
            ("a", "escalated"): [BAD, "no"],
            ("a", "never"): [BAD],
            ("b", "never"): ["no", BAD],
        }
    )

    async def main() -> None:
        names = ["fine", "once", "escalated", "never"]
        data = jsonl(checked(name, escalate=["b"]) for name in names)
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.wait(await jobs.create(data))
            assert job.status == "completed"
            texts = await jobs.responses(job)
            assert texts == dict.fromkeys(["fine", "once", "escalated"], GOOD)
            output = {one["custom_id"]: one for one in await jobs.content(job.output_file_id)}
            body = output["escalated"]["response"]["body"]
            assert body["model"] == "b"
            report = [(one["model"], one["outcome"]) for one in body["fanout"]["attempts"]]
            assert report == [("a", "invalid"), ("a", "invalid"), ("b", "won")]
            (failed,) = await jobs.content(job.error_file_id)
            error = failed["response"]["body"]["error"]
            assert failed["response"]["status_code"] == 502
            assert (error["code"], error["text"]) == ("schema_mismatch", BAD)
            assert "`/n`: the value is not of type" in error["reason"]
            assert len(error["attempts"]) == 4
            assert provider.asked.total() == 1 + 2 + 3 + 4
            assert await costs_of(jobs, job) == (round(10 * COST, 9), 10 * 5)

    run(main())


def test_lines_with_several_conversations_or_models_are_checked_each(tmp_path: Path) -> None:
    provider = AnsweringProvider({("a", "two"): [BAD, GOOD], ("b", "race"): [BAD]})

    async def main() -> None:
        conversations = [[{"role": "user", "content": name}] for name in ("one", "two")]
        fanout = {"schema": SCHEMA}
        data = jsonl(
            [
                line("list", "a", messages=conversations, fanout=fanout),
                line("all", "a,b", text="x", fanout=fanout),
                line("race", "b,a", text="race", fanout={**fanout, "mode": "fallback"}),
            ]
        )
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.wait(await jobs.create(data))
            assert (job.status, job.error_file_id) == ("completed", None)
            for one in await jobs.content(job.output_file_id):
                for choice in one["response"]["body"]["choices"]:
                    assert choice["message"]["content"] == GOOD
            assert provider.asked.total() == 3 + 2 + 3
            assert (await costs_of(jobs, job))[0] == round(8 * COST, 9)

    run(main())


def test_the_calls_of_a_choice_that_never_fits_are_in_the_cost_and_the_cap(tmp_path: Path) -> None:
    provider = AnsweringProvider({("a", "x"): [BAD], ("a", "never"): [BAD]})

    async def main() -> None:
        conversations = [[{"role": "user", "content": name}] for name in ("never", "fine")]
        fanout = {"schema": SCHEMA}
        data = jsonl(
            [
                line("all", "a,b", text="x", fanout=fanout),
                line("list", "a", messages=conversations, fanout=fanout),
            ]
        )
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.wait(await jobs.create(data, max_cost_usd=1))
            assert job.status == "completed"
            assert provider.asked.total() == (2 + 1) + (2 + 1)
            assert await costs_of(jobs, job) == (round(6 * COST, 9), 6 * 5)
            for one in await jobs.content(job.output_file_id):
                (error,) = [c["error"] for c in one["response"]["body"]["choices"] if "error" in c]
                assert (error["code"], error["text"]) == ("schema_mismatch", BAD)
                assert (error["reason"], len(error["attempts"])) == (REASON, 2)

    run(main())


def test_a_call_for_several_choices_counts_once(tmp_path: Path) -> None:
    """In mode all, each choice of a model is one of the response."""

    class Several(AnsweringProvider):
        async def send(self, request: Outgoing) -> WireResponse:
            found = json.loads((await super().send(request)).body)
            found["choices"] = [{**found["choices"][0], "index": i} for i in range(3)]
            return WireResponse(200, {}, json.dumps(found).encode())

    provider = Several({("a", "checked"): [BAD, GOOD]})

    async def main() -> None:
        data = jsonl(
            [line("n", "a,b", n=3), line("checked", "a,b", n=3, fanout={"schema": SCHEMA})]
        )
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.wait(await jobs.create(data))
            assert provider.asked.total() == 2 + 3
            assert await costs_of(jobs, job) == (round(5 * COST, 9), 5 * 5)

    run(main())


def test_further_calls_keep_the_rate_limit_and_wait_for_a_429(tmp_path: Path) -> None:
    provider = AnsweringProvider({("a", f"n{i}"): [BAD, GOOD] for i in range(40)})
    rejected: set[str] = set()

    async def reject_some(_model: str, call: str) -> tuple[int, Mapping[str, str]] | None:
        if call.endswith("1") and len(rejected) < 3 and call not in rejected:
            rejected.add(call)
            return 429, {"retry-after": "1"}
        return None

    provider.before = reject_some
    a = CONFIG["model_list"][0]
    limited = {**a, "litellm_params": {**a["litellm_params"], "rpm": RPM}}
    config = {**CONFIG, "model_list": [limited]}

    async def main() -> None:
        data = jsonl(checked(f"n{i}") for i in range(40))
        async with open_jobs(tmp_path, provider, now=now, config=config) as jobs:
            job = await jobs.wait(await jobs.create(data))
            assert (job.status, job.error_file_id) == ("completed", None)
            assert len(await jobs.responses(job)) == 40

    run_threads_at_once(main(), 0.0)
    assert rejected
    times = provider.times
    assert len(times) == 80 + len(rejected)
    burst, rate = RPM * 0.04, RPM * 0.96 / 60
    for number, moment in enumerate(times):
        assert number + 1 <= burst + (moment - times[0]) * rate + 1


def test_a_cost_cap_counts_every_call_and_the_job_ends(tmp_path: Path) -> None:
    lines, in_flight = 40, 8
    provider = AnsweringProvider({("a", f"n{i}"): [BAD, BAD, GOOD] for i in range(lines)})

    async def main() -> None:
        data = jsonl(checked(f"n{i}", attempts=3) for i in range(lines))
        options: dict[str, Any] = {"max_concurrency": in_flight, "initial_concurrency": in_flight}
        async with open_jobs(tmp_path, provider, **options) as jobs:
            cap = 37 * COST  # a line has had one call
            job = await jobs.wait(await jobs.create(data, max_cost_usd=cap))
            assert (job.status, job.reason) == ("cancelled", "capped")
            calls = provider.asked.total()
            assert cap <= calls * COST <= cap + in_flight * COST
            assert job.totals is not None
            assert job.totals.lines == lines
            assert await costs_of(jobs, job) == (round(calls * COST, 9), calls * 5)
            assert len(await jobs.responses(job)) == job.totals.done
            assert set((await jobs.error_codes(job)).values()) == {"batch_cancelled"}
            errors = [one["error"] for one in await jobs.content(job.error_file_id)]
            made = [call for one in errors for call in one.get("attempts", ())]
            assert len(made) == calls - 3 * job.totals.done
            assert {call["text"] for call in made} == {BAD}

    run(main())


def test_a_cap_that_ends_the_last_line_is_named_as_the_reason(tmp_path: Path) -> None:
    """No further line is there that could meet the cap; the input is not damaged."""

    async def main() -> None:
        found = set()
        for caps in range(8, 24):
            provider = AnsweringProvider({("a", "n"): [BAD] * 9 + [GOOD]})
            data = jsonl(
                [line("n", "a", max_tokens=100, fanout={"schema": SCHEMA, "attempts": 10})]
            )
            async with open_jobs(tmp_path / str(caps), provider) as jobs:
                job = await jobs.wait(await jobs.create(data, max_cost_usd=caps * COST))
                found.add((job.status, job.reason))
                assert provider.asked.total() * COST <= caps * COST
        assert found <= {("cancelled", "capped"), ("completed", None)}
        assert ("cancelled", "capped") in found

    run(main())


def test_lines_that_wait_for_each_others_reservations_go_on(tmp_path: Path) -> None:
    """Each line reserves most of the cap; together they would wait forever."""
    provider = AnsweringProvider({("a", f"n{i}"): [BAD, GOOD] for i in range(8)})

    async def main() -> None:
        data = jsonl(
            line(f"n{i}", "a", max_tokens=100, fanout={"schema": SCHEMA}) for i in range(8)
        )
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.wait(await jobs.create(data, max_cost_usd=17 * COST))
            assert (job.status, len(await jobs.responses(job))) == ("completed", 8)

    run(main())


def test_a_job_with_an_unknown_or_forbidden_model_in_escalate_is_rejected(tmp_path: Path) -> None:
    async def main() -> None:
        data = jsonl([checked("n", escalate=["c"])])
        async with open_jobs(tmp_path) as jobs:
            job = await jobs.wait(await jobs.create(data))
            assert job.status == "failed"
            assert [(e.code, e.param) for e in job.errors] == [
                ("model_not_found", "body.fanout.escalate")
            ]
        async with open_jobs(tmp_path, config=with_key(["a"])) as jobs:
            data = jsonl([checked("n", escalate=["b"])])
            job = await jobs.wait(await jobs.create(data, "team"))
            assert [(e.code, e.param) for e in job.errors] == [
                ("model_not_allowed", "body.fanout.escalate")
            ]
        async with open_jobs(tmp_path) as jobs:
            best = {"mode": "best", "models": ["a", "b"], "judge": "c"}
            job = await jobs.wait(await jobs.create(jsonl([line("n", fanout=best)])))
            assert [(e.code, e.param) for e in job.errors] == [
                ("model_not_found", "body.fanout.judge")
            ]

    run(main())


FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"fanout": {"schema": {"$ref": "http://127.0.0.1/s"}}}, "fanout.schema", "nothing is fetched"),
    ({"fanout": {"schema": []}}, "fanout.schema", "must be an object"),
    ({"fanout": {"schema": SCHEMA, "attempts": 0}}, "fanout.attempts", "at least 1"),
    ({"fanout": {"schema": SCHEMA, "check": "yes"}}, "fanout.check", "must be a boolean"),
    ({"fanout": {"check": True}}, "fanout.check", "needs a schema"),
    (
        {"fanout": {"check": True}, "response_format": {"type": "json_object"}},
        "fanout.check",
        "needs a schema",
    ),
    (
        {"fanout": {"schema": SCHEMA}, "response_format": FORMAT},
        "fanout.schema",
        "exclude each other",
    ),
]


def test_a_line_that_cannot_be_checked_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        fine = [
            checked("fine"),
            line("sent", "a", fanout={"schema": {"type": "nope"}, "check": False}),
            line("form", "a", fanout={"check": True}, response_format=FORMAT),
            line("null", "a", fanout={"schema": None, "attempts": None, "check": None}),
        ]
        wrong = [line(f"n{i}", "a", **more) for i, (more, _, _) in enumerate(WRONG)]
        short = b'{"prompt": "x", "model": "a", "fanout": {"schema": {"type": "nope"}}}'
        provider = AnsweringProvider()
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.wait(await jobs.create(jsonl([*fine, *wrong, *wrong, short])))
            assert (job.status, provider.asked.total()) == ("failed", 0)
            found = [(one.line, one.param, one.message) for one in job.errors]
            first = len(fine) + 1
            assert [one[0] for one in found] == [*range(first, first + 2 * len(WRONG) + 1)]
            for (_, param, words), (_, named, message) in zip(
                [*WRONG, *WRONG], found, strict=False
            ):
                assert (f"body.{param}", words in message) == (named, True), message
            assert found[-1][1] == "body.fanout.schema"
            job = await jobs.wait(await jobs.create(jsonl(fine)))
            assert job.status == "completed"

    run(main())


def test_the_calls_of_a_line_without_a_result_are_counted_and_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop, as by Ctrl-C, comes while the lines wait for their second calls."""
    hung: list[str] = []
    paid = prompts = 0

    class Hanging(AnsweringProvider):
        async def send(self, request: Outgoing) -> WireResponse:
            nonlocal paid, prompts
            try:
                response = await super().send(request)
            except asyncio.CancelledError:
                body = json.loads(request.body)
                prompts += body_tokens({**body, "model": None})
                raise
            paid += 1
            return response

    async def hang(_model: str, call: str) -> None:
        if call.endswith(" 1") and len(hung) < 3:
            hung.append(call)
            await asyncio.Event().wait()

    noted: list[PaidCall] = []
    add = PaidCalls.add

    def note(calls: PaidCalls, call: PaidCall) -> None:
        add(calls, call)
        noted.append(call)

    async def wait_for_second_calls() -> bool:
        return (len(hung), len(noted)) == (3, 4)  # "two" has a valid response

    monkeypatch.setattr(PaidCalls, "add", note)

    provider = Hanging({("a", name): [BAD, "no", GOOD] for name in ("x", "one")})
    provider.answers["b", "x"] = ["no", GOOD]
    provider.before = hang
    conversations = [[{"role": "user", "content": name}] for name in ("one", "two")]
    data = jsonl(
        [
            checked("x", attempts=3),
            line("race", "b,a", "x", fanout={"schema": SCHEMA, "mode": "fallback"}),
            line("list", "a", messages=conversations, fanout={"schema": SCHEMA, "attempts": 3}),
        ]
    )

    def cost() -> float:
        """Of the responses, and of the prompts of the calls that were stopped."""
        return round(paid * COST + prompts * PROMPT_PRICE, 9)

    async def main() -> None:
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.create(data)
            await jobs.wait_until(wait_for_second_calls)
        assert provider.asked.total() == paid + len(hung)
        async with open_view(tmp_path) as view:
            stopped = await view.service.jobs.totals(await view.job(job))
            assert round(stopped.known_cost_usd, 9) == cost()
        async with open_jobs(tmp_path, provider) as jobs:
            job = await jobs.wait(job)
            texts = [
                choice["message"]["content"]
                for one in await jobs.content(job.output_file_id)
                for choice in one["response"]["body"]["choices"]
            ]
            assert (job.status, job.error_file_id, texts) == ("completed", None, [GOOD] * 4)
            assert await costs_of(jobs, job) == (cost(), paid * 5 + prompts)
            output = {one["custom_id"]: one for one in await jobs.content(job.output_file_id)}
            report = output["x"]["response"]["body"]["fanout"]
            assert [one["outcome"] for one in report["attempts"]] == ["invalid", "won"]
            assert round(report["cost_usd"], 9) == round(2 * COST, 9)

    run(main())


def test_the_cost_of_a_stored_failure_is_counted_when_a_job_is_resumed() -> None:
    costs = Costs(resolve(check(CONFIG, {}), {}))
    attempts = [{"model": "a", "outcome": "invalid", "usage": USAGE}] * 2
    error = {"code": "schema_mismatch", "message": "no", "attempts": attempts}
    totals = count_error(error, "n", 1, costs.cost_of)
    assert (totals.failed, totals.cost, totals.tokens_out) == (1, round(2 * COST * 1e9), 14)
    several = {"code": "all_failed", "causes": [error, {"code": "x"}]}
    assert count_error(several, "n", 1, costs.cost_of).cost == totals.cost
    assert count_error({"code": "x"}, "n", 1, lambda _: LineCost(9)).cost == 0

"""Each model of a job counts under its own name in spend, exactly, also after crashes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fanout.bulk.costs import Costs
from fanout.bulk.model_totals import MAX_MODELS, OTHER, ModelTotals, named_models
from fanout.bulk.paid_calls import PaidCalls
from fanout.bulk.service.records import Job
from fanout.bulk.totals import Totals, without_paid
from fanout.bulk.work.spec import line_cost
from fanout.bulk.work.stored_results import count_error, count_paid, count_success
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.keys.charged_job import ChargedJob
from fanout.keys.items import Item, ItemKey
from fanout.keys.job_rows import JobRows, partition_of
from fanout.keys.ledger import KeyLedger
from fanout.keys.management import KeyManager
from fanout.keys.spend import Sums, add_up
from fanout.keys.spend_rows import only_model
from fanout.wire import json
from tests.keys.test_jobs_of_keys import JOB, Counts
from tests.support.memory_store import MemoryStore, rows_of

NAMES = ("a", "b", "c")
MIXED = replace(JOB, models={"a": 10, "b": 10}, account="k" * 64)
JOINED = "a,b"
LEASE = 600.0
ESTIMATE = 100_000

CONFIG: Any = {
    "model_list": [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{name}",
                "api_key": "k",
                "input_cost_per_token": price * 1e-9,
                "output_cost_per_token": price * 3e-9,
            },
        }
        for name, price in zip(NAMES, (7, 11, 13), strict=True)
    ]
}
COSTS = Costs(resolve(check(CONFIG, {}), {}))
cost_of = line_cost(MIXED, COSTS)


# ---- lines as they are stored ----


def call(model: str, sent: int, received: int) -> dict[str, Any]:
    return {"model": model, "usage": {"prompt_tokens": sent, "completion_tokens": received}}


calls = st.builds(call, st.sampled_from(NAMES), st.integers(0, 99), st.integers(1, 99))
several = st.lists(calls, min_size=1, max_size=4)


def failed(attempts: Sequence[Mapping[str, Any]]) -> Totals:
    return count_error({"code": "no", "message": "", "attempts": attempts}, "n", 1, cost_of)


def fan_out(attempts: Sequence[Mapping[str, Any]], unlisted: Sequence[Mapping[str, Any]]) -> Totals:
    return count_success({"model": "a", "fanout": {"attempts": attempts}}, unlisted, cost_of)


lines = st.one_of(
    calls.map(lambda one: count_success(one, (), cost_of)),
    st.builds(fan_out, several, several | st.just([])),
    (several | st.just([])).map(failed),
)


@given(lines, several)
def test_the_models_of_a_line_have_all_its_cost_and_tokens(line: Totals, before: list[Any]) -> None:
    """Also of one whose first calls were counted before."""
    paid = count_paid(PaidCalls(unlisted=before), cost_of)
    for one in (line, paid, without_paid(fan_out(before, ()), paid)):
        models = one.models.values()
        assert sum(model.cost for model in models) == one.cost
        assert sum(model.sent for model in models) == one.tokens_in
        assert sum(model.received for model in models) == one.tokens_out
    total = Totals()
    for one in (paid, without_paid(fan_out(before, ()), paid)):
        total.add(one)
    assert total == replace(fan_out(before, ()), models=total.models)
    assert json.decode(json.encode(total), type=Totals) == total
    assert {model.lines for model in total.models.values()} == {1}


# ---- runs of a job ----


class Run:
    """A run of a job: its lines are those of the runs before and its own."""

    def __init__(self, ledger: KeyLedger, inner: Counts, item: Item) -> None:
        self.inner = inner
        rows = JobRows(ledger, replace(MIXED, account=item["id"]), item["id"])
        self.job = ChargedJob(inner, rows, item)

    async def send(self, own: Iterable[Totals]) -> None:
        for one in own:
            for _ in range(1_000):
                if (stop := self.job.reserve(ESTIMATE)) is None:
                    break
                assert stop == "wait"
                await asyncio.sleep(0)
            self.job.settle(0, ESTIMATE, one)
            await self.job.sync()


async def run_all(
    store: MemoryStore, runs: Sequence[tuple[list[Totals], bool]]
) -> tuple[Totals, list[Item]]:
    """The job's totals and closed rows; each run may be killed, and swept after its lease."""
    now = [time.time()]
    ledger, inner = KeyLedger(store, lease=LEASE, now=lambda: now[0]), Counts()
    _, key = await KeyManager(ledger, "master").create({})
    for own, is_swept in runs:
        item = await ledger.find(key["id"])
        assert item is not None
        run = Run(ledger, inner, item)
        await run.job.open()
        await run.send(own)  # and it is killed
        if is_swept:
            now[0] += 2 * LEASE
            await ledger.sweep(item)
    last = await ledger.find(key["id"])
    assert last is not None
    run = Run(ledger, inner, last)
    await run.job.open()
    await run.job.close()
    account = await ledger.find(key["id"])
    rows = rows_of(store, lambda row: row["status"] != "open" and "by_model" in row)
    assert account is not None
    assert account["spent"] == sum(row["cost"] for row in rows)
    return inner.totals, rows


def sums_of(totals: ModelTotals) -> Sums:
    return Sums(totals.cost, totals.lines, totals.sent, totals.received)


plans = st.lists(st.tuples(st.lists(lines, max_size=12), st.booleans()), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(plans)
def test_the_rows_of_a_job_have_each_models_spend_after_any_crashes(
    plan: list[tuple[list[Totals], bool]],
) -> None:
    totals, rows = asyncio.run(run_all(MemoryStore(), plan))
    for row in rows:
        parts = row["by_model"].values()
        kinds = ("cost", "prompt_tokens", "completion_tokens")
        assert [sum(part[at] for part in parts) for at in range(3)] == [row[one] for one in kinds]
    spent = sum(row["cost"] for row in rows)
    found = add_up(rows, "model")
    assert sum(one.cost for one in found.values()) == spent
    assert sum(one.cost for one in add_up(rows, "token").values()) == spent
    if not any(is_swept for _, is_swept in plan):
        assert spent == totals.cost
        found.pop(JOINED, None)  # of lines that have called no model
        assert found == {name: sums_of(one) for name, one in totals.models.items()}


def test_a_row_whose_cost_was_a_guess_is_corrected_model_by_model() -> None:
    """A sweep closes the row of a killed run with what it had reserved, and the job goes on."""
    line = count_success(call("a", 100, 100), (), cost_of)
    other = count_success(call("b", 100, 100), (), cost_of)
    many = ESTIMATE * 10 // line.cost + 1
    plan = [([line, other] * 3, True), ([line] * many, False)]
    totals, rows = asyncio.run(run_all(MemoryStore(), plan))
    assert [row["status"] for row in rows].count("lost") > 0
    found = add_up(rows, "model")
    assert found.pop(JOINED).cost == 0
    assert {name: one.cost for name, one in found.items()} == {
        name: one.cost for name, one in totals.models.items()
    }


def test_lines_that_have_called_no_model_count_under_the_jobs_models() -> None:
    line = count_success(call("a", 1, 1), (), cost_of)
    _, rows = asyncio.run(run_all(MemoryStore(), [([failed(()), failed(()), line], False)]))
    found = add_up(rows, "model")
    assert (found["a"].requests, found[JOINED].requests, found[JOINED].cost) == (1, 2, 0)


# ---- what older versions have stored ----


def test_a_jobs_totals_and_rows_of_an_older_version_are_read() -> None:
    old = json.decode(
        b'{"done": 3, "tokens_in": 5, "tokens_out": 7, "nanodollars": 90}', type=Totals
    )

    async def run() -> list[Item]:
        store = MemoryStore()
        ledger, inner = KeyLedger(store, lease=LEASE), Counts()
        _, item = await KeyManager(ledger, "master").create({})
        first = {"run": "r", "charged": 40, "sent": 2, "received": 3, "lines": 1, "rows": []}
        await store.create(ItemKey(partition_of(MIXED), f"{item['id']}#"), {**first, "ttl": 1})
        inner.totals.add(old)
        inner.totals.add(count_success(call("b", 1, 1), (), cost_of))
        last = Run(ledger, inner, item)
        await last.job.open()
        await last.job.close()
        return rows_of(store, lambda row: row["status"] == "settled")

    rows = asyncio.run(run())
    assert [(row["cost"], row["lines"]) for row in rows] == [(50 + 44, 3)]
    assert add_up(rows, "model") == {JOINED: Sums(50, 2, 3, 4), "b": Sums(44, 1, 1, 1)}


def test_a_row_of_an_older_version_counts_under_one_name() -> None:
    row = {"model": JOINED, "cost": 9, "lines": 4, "by_model": {JOINED: [9, 1, 2]}}
    assert add_up([row], "model") == {JOINED: Sums(9, 4, 1, 2)}
    assert (only_model(row, JOINED), only_model(row, "a")) == (row, None)


# ---- the bound ----


def test_models_beyond_the_limit_count_together() -> None:
    lines_of = {f"m{number:03d}": 1 + number % 7 for number in range(3 * MAX_MODELS)}
    named = named_models(lines_of)
    assert named is not None
    assert (len(named), named_models({"a": 1})) == (MAX_MODELS, None)
    assert min(lines_of[name] for name in named) >= max(
        count for name, count in lines_of.items() if name not in named
    )
    cost, total = partial(COSTS.cost_by_model, named), Totals()
    for name in lines_of:
        total.add(count_success(call(name, 1, 2), (), cost))
    assert total.models.keys() == {*named, OTHER}
    lines = Counter({name: one.lines for name, one in total.models.items()})
    assert (lines[OTHER], lines.total()) == (2 * MAX_MODELS, 3 * MAX_MODELS)


def test_the_totals_of_other_jobs_have_no_models() -> None:
    plain: Job = replace(MIXED, account=None)
    totals = count_success(call("a", 1, 1), (), line_cost(plain, COSTS))
    assert (totals.models, b"models" in json.encode(totals)) == ({}, False)

"""Jobs of virtual keys: charged exactly, ended when the budget is spent, and resumed after that."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import openai
import pytest
from msgspec.structs import replace

from fanout.bulk.service.records import Job
from fanout.bulk.totals import Totals
from fanout.keys import charged_job
from fanout.keys.charged_job import ChargedJob
from fanout.keys.job_rows import JobRows
from fanout.keys.ledger import KeyLedger
from fanout.keys.management import KeyManager
from fanout.keys.spend_rows import row_partition
from fanout.keys.sqlite_store import SQLiteStore
from tests.keys.local_gateway import ADMIN, serving
from tests.support.gateway_server import RunningGateway, entry
from tests.support.memory_store import MemoryStore
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, cut, raw, reply, stalls
from tests.support.scripted_provider import Upstream

PRICE = 0.001  # dollars for a token
LINE = 12 * PRICE  # what a response of the scripted provider costs
PART = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-type: application/json\r\n\r\n{"
ENDED = {"completed", "failed", "expired", "cancelled"}


@pytest.fixture(scope="module")
def gateway(
    provider: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    home: Path = tmp_path_factory.mktemp("home")
    prices: dict[str, Any] = {"input_cost_per_token": PRICE, "output_cost_per_token": PRICE}
    models = [entry(provider, name, **prices) for name in ("a", "b")]
    with serving(home, [*models, entry(provider, "unpriced")]) as served:
        yield served


@pytest.fixture(autouse=True)
def willing(upstream: Upstream) -> Iterator[None]:
    for name in ("a", "b", "unpriced"):
        upstream.script(name, answers("one two three"))
    yield
    Client.close_all()


def manage(gateway: RunningGateway, path: str, body: object = None) -> Any:
    status, _, answer = gateway.json(body, path, "GET" if body is None else "POST", ADMIN)
    assert status == 200, answer
    return answer


class Client:
    """A new virtual key, and the SDK with it; `opened` are those that are not closed."""

    opened: ClassVar[list[openai.OpenAI]] = []

    def __init__(self, gateway: RunningGateway, **fields: object) -> None:
        made = manage(gateway, "/key/generate", fields)
        self.key, self.token = made["key"], made["token"]
        self.move_to(gateway)

    def move_to(self, gateway: RunningGateway) -> None:
        """Use a gateway that has the same store of keys."""
        self._gateway = gateway
        self.sdk = openai.OpenAI(api_key=self.key, base_url=f"{gateway.url}/v1", max_retries=0)
        self.opened.append(self.sdk)

    @classmethod
    def close_all(cls) -> None:
        """Close the SDKs of all clients."""
        while cls.opened:
            cls.opened.pop().close()

    def start(self, lines: int, *models: str) -> str:
        rows = [
            {
                "custom_id": f"line-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {
                    "model": models[number % len(models)],
                    "messages": [{"role": "user", "content": f"prompt {number}"}],
                    "max_tokens": 20,
                },
            }
            for number in range(lines)
        ]
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        file = self.sdk.files.create(file=("in.jsonl", data), purpose="batch")
        batch = self.sdk.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        return batch.id

    def chat(self, max_tokens: int) -> int:
        """The status of a request that is like a line."""
        try:
            self.sdk.chat.completions.create(
                model="a",
                messages=[{"role": "user", "content": "prompt 0"}],
                max_tokens=max_tokens,
            )
        except openai.APIStatusError as error:
            return error.status_code
        return 200

    def wait_for(self, job: str, fact: Callable[[Any], bool]) -> Any:
        """The job when this is true of it."""
        end = time.monotonic() + PATIENCE
        while not fact(batch := self.sdk.batches.retrieve(job)):
            assert time.monotonic() < end, batch
            time.sleep(0.02)
        return batch

    def ended(self, job: str) -> Any:
        """The job after its end."""
        return self.wait_for(job, lambda batch: batch.status in ENDED)

    @property
    def spent(self) -> tuple[float, float]:
        info = manage(self._gateway, f"/key/info?key={self.token}")["info"]
        return round(info["spend"], 9), info["reserved"]

    def rows(self) -> list[Any]:
        found: list[Any] = manage(self._gateway, f"/spend/logs?api_key={self.token}")
        return found


def test_a_job_is_charged_exactly(gateway: RunningGateway, upstream: Upstream) -> None:
    client = Client(gateway, max_budget=5, rpm_limit=20, max_parallel_requests=1, tags=["t"])
    batch = client.ended(client.start(60, "a"))
    assert (batch.status, batch.request_counts.completed) == ("completed", 60)
    assert client.spent == (round(60 * LINE, 9), 0.0)
    rows = client.rows()
    assert len(rows) < 60
    assert {row["request_id"] for row in rows} == {batch.id}
    assert round(sum(row["spend"] for row in rows), 9) == round(60 * LINE, 9)
    assert sum(row["total_tokens"] for row in rows) == 60 * 12
    assert sum(row["metadata"]["lines"] for row in rows) == 60
    activity = manage(gateway, f"/user/daily/activity?api_key={client.token}")
    assert activity["metadata"]["total_api_requests"] == 60  # lines, not reservations
    content = client.sdk.files.content(batch.output_file_id).content
    assert len(content.splitlines()) == 60
    other = Client(gateway)
    for read in (other.sdk.batches.retrieve, other.sdk.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            read(batch.id)
    for name in (batch.input_file_id, batch.output_file_id):
        with pytest.raises(openai.NotFoundError):
            other.sdk.files.content(name)


def test_each_model_of_a_job_counts_under_its_own_name(gateway: RunningGateway) -> None:
    """In all reports, whether a line calls one model or several."""
    client = Client(gateway, team_id="mixed")
    batch = client.ended(client.start(30, "a", "a", "b", "a,b"))  # of the last there are 7
    assert (batch.status, batch.request_counts.failed) == ("completed", 0)
    lines = {"a": 23, "b": 14}
    spend = {name: round(count * LINE, 9) for name, count in lines.items()}
    query = f"?api_key={client.token}"
    rows = client.rows()
    for name, count in lines.items():
        data = [row["metadata"] for row in rows]
        assert sum(one["lines_by_model"].get(name, 0) for one in data) == count
        assert round(sum(one["spend_by_model"].get(name, 0) for one in data), 9) == spend[name]
        own = manage(gateway, f"/spend/logs{query}&model={name}")
        assert {row["model"] for row in own} == {name}
        assert sum(row["metadata"]["lines"] for row in own) == count
        assert sum(row["total_tokens"] for row in own) == count * 12
        found = manage(gateway, f"/global/spend{query}&model={name}")["spend"]
        assert round(found, 9) == spend[name]
    assert {name for row in rows for name in row["metadata"]["spend_by_model"]} == set(lines)
    activity = manage(gateway, f"/user/daily/activity{query}")
    models = [day["breakdown"]["models"] for day in activity["results"]]
    for name, count in lines.items():
        metrics = [found[name]["metrics"] for found in models if name in found]
        assert sum(one["api_requests"] for one in metrics) == count
        assert sum(one["total_tokens"] for one in metrics) == count * 12
        assert round(sum(one["spend"] for one in metrics), 9) == spend[name]
    assert activity["metadata"]["total_api_requests"] == 30
    report = manage(gateway, f"/global/spend/report{query}&group_by=api_key")
    details = {one["model"]: one["total_cost"] for one in report[0]["model_details"]}
    assert {name: round(cost, 9) for name, cost in details.items()} == spend
    days = manage(gateway, f"/spend/logs{query}&start_date=2026-01-01")
    assert {name for day in days for name in day["models"]} == set(lines)
    providers = manage(gateway, f"/global/spend/provider{query}")
    assert [one["provider"] for one in providers] == ["openai"]
    assert round(sum(spend.values()), 9) == client.spent[0]


def test_a_line_whose_calls_may_be_billed_costs_their_prompts(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    """In the job's cost, in its key's spend, and against its cap alike."""
    client = Client(gateway)
    upstream.script("a", [reply(200, b"<p>")])
    batch = client.ended(client.start(1, "a"))
    job = batch.to_dict()
    assert (job["cost_usd"], job["fanout"]["unpriced_lines"]) == (None, 1)
    assert job["fanout"]["known_cost_usd"] > 0
    assert client.spent == (job["fanout"]["known_cost_usd"], 0.0)
    upstream.script("a", [raw(PART), cut], answers("one two three"))
    job = client.ended(client.start(1, "a")).to_dict()
    assert job["request_counts"]["completed"] == 1
    assert job["fanout"]["known_cost_usd"] > LINE


def test_a_spent_budget_ends_a_job_and_a_retry_goes_on(gateway: RunningGateway) -> None:
    client = Client(gateway, max_budget=0.5)
    batch = client.ended(client.start(60, "a"))
    done = batch.request_counts.completed
    assert batch.status == "cancelled"
    assert [error.code for error in batch.errors.data] == ["budget_exceeded"]
    assert 20 < done < 60
    spent, reserved = client.spent
    assert (spent, reserved) == (round(done * LINE, 9), 0.0)
    assert spent <= 0.5
    assert client.chat(20) == 402  # a line is refused when a request would be
    retry = partial(client.sdk.post, f"/batches/{batch.id}/retry", cast_to=object)
    again: Any = retry()
    assert client.ended(again["id"]).errors.data[0].code == "budget_exceeded"
    manage(gateway, "/key/update", {"key": client.token, "max_budget": 5})
    again = retry()
    last = client.ended(again["id"])
    assert (last.status, last.request_counts.failed) == ("completed", 0)
    assert client.spent == (round(60 * LINE, 9), 0.0)
    assert len(client.sdk.files.content(last.output_file_id).content.splitlines()) == 60


def test_the_rights_of_a_key_are_those_of_its_jobs(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    limited = Client(gateway, models=["a"])
    batch = limited.ended(limited.start(2, "a", "b"))
    assert (batch.status, batch.errors.data[0].code) == ("failed", "model_not_allowed")
    budget = Client(gateway, max_budget=1)
    batch = budget.ended(budget.start(1, "unpriced"))
    assert (batch.status, batch.errors.data[0].code) == ("failed", "price_not_found")
    free = Client(gateway)
    assert free.ended(free.start(1, "unpriced")).status == "completed"


def test_the_keys_of_a_team_share_its_budget_with_their_jobs(gateway: RunningGateway) -> None:
    team = manage(gateway, "/team/new", {"max_budget": 0.5, "models": ["a"]})["team_id"]
    one, two = Client(gateway, team_id=team), Client(gateway, team_id=team, max_budget=1)
    first, second = (client.start(30, "a") for client in (one, two))
    done = [client.ended(job) for client, job in ((one, first), (two, second))]
    counts = [batch.request_counts.completed for batch in done]
    assert "budget_exceeded" in [
        error.code for one in done if one.errors for error in one.errors.data
    ]
    assert 20 < sum(counts) < 60
    assert [one.spent, two.spent] == [(round(count * LINE, 9), 0.0) for count in counts]
    info = manage(gateway, f"/team/info?team_id={team}")["team_info"]
    assert (round(info["spend"], 9), info["reserved"]) == (round(sum(counts) * LINE, 9), 0.0)
    assert one.ended(one.start(1, "b")).errors.data[0].code == "model_not_allowed"


def test_a_users_account_pays_for_the_jobs_of_its_keys(gateway: RunningGateway) -> None:
    manage(gateway, "/user/new", {"user_id": "u", "max_budget": 1, "auto_create_key": False})
    client = Client(gateway, user_id="u")
    assert client.ended(client.start(3, "a")).status == "completed"
    info = manage(gateway, "/user/info?user_id=u")["user_info"]
    assert (round(info["spend"], 9), info["reserved"]) == (round(3 * LINE, 9), 0.0)
    assert client.spent == (round(3 * LINE, 9), 0.0)


def test_a_blocked_key_ends_its_job_and_keeps_what_is_done(
    gateway: RunningGateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charged_job, "CHECK_INTERVAL", 0.0)
    upstream.script("b", answers("one two three"), stalls())
    client = Client(gateway)
    job = client.start(3, "b")
    upstream.wait_called("b")
    client.wait_for(job, lambda batch: batch.request_counts.completed == 1)
    manage(gateway, "/key/block", {"key": client.token})
    upstream.wait_disconnected("b")
    manage(gateway, "/key/unblock", {"key": client.token})
    batch = client.ended(job)
    assert (batch.status, batch.errors.data[0].code) == ("cancelled", "invalid_api_key")
    assert batch.request_counts.completed == 1
    prompt = client.spent[0] - LINE  # of the call that was cancelled
    assert 5 * PRICE < prompt < 20 * PRICE
    assert client.spent == (round(LINE + prompt, 9), 0.0)


class Counts:
    """What a job's own progress has counted, which outlives a crash."""

    def __init__(self) -> None:
        self.totals = Totals()

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)

    def reserve(self, estimate: int, *, is_whole: bool = False) -> None:
        """Permit each line."""

    def settle(self, shard: int, estimate: int, totals: Totals) -> None:
        self.totals.add(totals)

    async def sync(self) -> None:
        """There is nothing to write."""

    async def close(self) -> None:
        """There is nothing to write."""

    async def total(self) -> Totals:
        return self.totals


JOB = Job(
    id="batch_1",
    host="serve",
    owner="key-1",
    input_file_id="file-1",
    input_key="files/1",
    completion_window="24h",
    created_at=int(time.time()),
    expires_at=int(time.time()) + 3_600,
    models={"a": 1},
)


def test_a_worker_that_ends_while_it_settles_settles_once() -> None:
    async def run(cut: int) -> tuple[int, int]:
        """What the key has spent and reserved if a `sync` is cancelled after so many turns."""
        store, inner = MemoryStore(), Counts()
        ledger = KeyLedger(store, lease=600.0)
        _, item = await KeyManager(ledger, "master").create({"max_budget": 1_000})
        job = ChargedJob(inner, JobRows(ledger, replace(JOB, account=item["id"]), item["id"]), item)
        await job.open()
        while job.reserve(10) == "wait":  # noqa: ASYNC110 -- as a worker does
            await asyncio.sleep(0)
        job.settle(0, 10, Totals(done=1, cost=7))
        await job.sync()
        async with asyncio.TaskGroup() as group:
            syncing = group.create_task(job.sync())
            for _ in range(cut):
                await asyncio.sleep(0)
            syncing.cancel()
        await job.close()
        now = await ledger.find(item["id"])
        assert now is not None
        return now["spent"], now["reserved"]

    assert {asyncio.run(run(cut)) for cut in range(16)} == {(7, 0)}


@pytest.mark.parametrize("is_settled", [False, True])
def test_a_crash_is_charged_once_by_the_next_run(tmp_path: Path, *, is_settled: bool) -> None:
    async def run() -> None:
        store = SQLiteStore(tmp_path / "keys.sqlite")
        ledger, inner = KeyLedger(store, lease=600.0), Counts()
        key, item = await KeyManager(ledger, "master").create({"max_budget": 1_000})
        job = replace(JOB, account=item["id"])
        for _ in range(2):
            first = ChargedJob(inner, JobRows(ledger, job, item["id"]), item)
            await first.open()
            assert first.reserve(10) == "wait"
            while first.reserve(10) == "wait":  # noqa: ASYNC110 -- as a worker does
                await asyncio.sleep(0)
            first.settle(0, 10, Totals(done=1, cost=7, tokens_in=3, tokens_out=4))
            for _ in range(3 if is_settled else 0):
                await first.sync()
            now = await ledger.find(item["id"])
            assert now is not None
            assert now["available"] <= 1_000 - inner.totals.cost
        last = ChargedJob(inner, JobRows(ledger, job, item["id"]), item)
        await last.open()
        await first.close()  # its job was taken over
        await last.close()
        now = await ledger.find_key(key)
        assert now is not None
        assert (now["spent"], now["reserved"], now["available"]) == (14, 0, 986)
        rows = await store.items(row_partition(item["id"], ledger.now()))
        assert sum(row["cost"] for _, row in rows if row["status"] == "settled") == 14
        assert not [row for _, row in rows if row["status"] == "open"]
        store.close()

    asyncio.run(run())

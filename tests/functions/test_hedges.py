"""Adaptive hedges that several processes count together: Lambda environments, local servers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fanout.aws.credentials import AWSSigner
from fanout.aws.hedge_counts import item_id
from fanout.bulk.local.hedge_counts import FILE, SQLiteHedgeCounts
from fanout.bulk.local.lazy_service import open_local_batches
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.routing.first_token_times import BUDGET, FirstTokenTimes
from fanout.settings import Settings
from functions.hedges import LambdaHedges
from tests.functions.test_runtime_script import started
from tests.support.api_function import write_config
from tests.support.background_loop import background
from tests.support.dynamodb_engine import ENV, DynamoDBEngine, requests_table, serving_table
from tests.support.gateway_server import RecordingObserver, RunningGateway, _serving, entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers
from tests.support.runtime_api import FakeRuntimeAPI, fake_runtime_api, proxy_event
from tests.support.scripted_provider import Upstream, open_upstream
from tests.support.virtual_clock import run

HEDGED = {
    "messages": [{"role": "user", "content": "Hi"}],
    "fanout": {"models": ["m", "m"], "stagger": "p95"},
}


async def is_waiting(api: FakeRuntimeAPI) -> None:
    """Wait until the environment asks for an invocation."""
    await api.until(lambda: api.waiting == 1)


def test_environments_count_together_when_their_responses_are_complete(tmp_path: Path) -> None:
    async def test(upstream: Upstream) -> None:
        async with serving_table() as table, fake_runtime_api() as one, fake_runtime_api() as two:
            variables = {
                "AWS_ENDPOINT_URL_DYNAMODB": table.url,
                "FANOUT_REQUESTS_TABLE": "requests",
            }
            config = write_config(tmp_path, f"{upstream.url}/v1")
            event = proxy_event(body=json.dumps(HEDGED))
            async with started(one, config, variables), started(two, config, variables):
                for api in (one, two):
                    await is_waiting(api)
                    before = len(table.operations)
                    delivered = await api.ask(event)
                    assert delivered.prelude["statusCode"] == 200, delivered.body
                    await is_waiting(api)  # it may be frozen now
                    assert set(table.operations[before:]) == {"UpdateItem"}
            found = table._client.scan(TableName="requests")["Items"]
            (budget,) = (item for item in found if item["id"]["S"] == item_id(BUDGET))
            assert budget["ccalls"] == {"N": "2"}
            assert len(found) == 3  # the budget, the model, and the model at this size

    with open_upstream() as upstream:
        upstream.script("m", answers("Hello"))
        asyncio.run(test(upstream))


@contextmanager
def server(config: Mapping[str, Any], home: Path) -> Any:
    observer = RecordingObserver()
    catalog = resolve(check(config, {}), {})
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, observer=observer),
        observer=observer,
        jobs=lambda gateway: open_local_batches(gateway, home, observer=observer),
    )
    with background(lambda: _serving(app, observer)) as served:
        yield served
    assert observer.unexpected_errors == []


def test_the_processes_of_a_machine_count_together(tmp_path: Path) -> None:
    with open_upstream() as upstream, ExitStack() as stack:
        upstream.script("m", answers("Hello"))
        config = {"model_list": [entry(upstream, "m")]}
        servers = [stack.enter_context(server(config, tmp_path)) for _ in range(2)]
        assert not (tmp_path / FILE).exists()
        for number, served in enumerate(servers):
            assert isinstance(served, RunningGateway)
            assert served.chat(HEDGED).status == 200
            wait(tmp_path, calls=number + 1)


def test_without_a_folder_a_process_counts_alone(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("no folder")
    with open_upstream() as upstream:
        upstream.script("m", answers("Hello"))
        with server({"model_list": [entry(upstream, "m")]}, tmp_path / "home") as served:
            assert [served.chat(HEDGED).status for _ in range(3)] == [200] * 3


def counted(home: Path) -> Mapping[str, int]:
    async def read() -> Mapping[str, int]:
        store = SQLiteHedgeCounts(home)
        try:
            return (await store.add(BUDGET, {}, time.time()))[1]
        finally:
            store.close()

    return asyncio.run(read())


def wait(home: Path, calls: int) -> None:
    until = time.monotonic() + PATIENCE
    while counted(home) != {"calls": calls}:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_worker_of_jobs_shares_while_it_works() -> None:
    async def test(client: Any) -> None:
        engine = DynamoDBEngine(client)
        bugs: list[str] = []
        hedges = LambdaHedges(ENV, engine, AWSSigner(ENV), lambda _, error: bugs.append(str(error)))
        times = FirstTokenTimes(0.1, time.time)

        async def work() -> str:
            hedges.share_times(times)
            times.count_call()
            await asyncio.sleep(5)
            assert engine.count("UpdateItem") == 1
            times.record("m", 0, 0.5)
            times.take()
            return "done"

        assert await hedges.shared_during(work) == "done"
        assert engine.count("UpdateItem") == 4  # the budget again, the model, and its size

        async def fail() -> str:
            raise LookupError("as it is")

        with pytest.raises(LookupError, match="as it is"):
            await hedges.shared_during(fail)
        assert bugs == []

    with requests_table() as client:
        run(test(client))

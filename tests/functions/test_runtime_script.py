"""The API function as Lambda starts it, by the wrapper script, under a fake Runtime API."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fanout.http.asgi import Receive, Scope, Send
from fanout.telemetry.observers import NullObserver
from functions.api.__main__ import main
from functions.api.runtime_api import RuntimeAPI, RuntimeAPIError
from functions.api.snapshot import wait_for_restore
from tests.support.api_function import ENV, ROOT, write_config
from tests.support.patience import PATIENCE
from tests.support.runtime_api import FakeRuntimeAPI, fake_runtime_api, proxy_event

SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
NOWHERE = "http://127.0.0.1:1/v1"
HELLO = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
HEAVY = {"boto3", "click", "h11", "httptools", "pydantic", "pydantic_core", "uvicorn", "uvloop"}


@asynccontextmanager
async def started(
    api: FakeRuntimeAPI, config: str, variables: Mapping[str, str] = {}
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the script as AWS does: with the interpreter and the arguments of AWS's own client."""
    process = await asyncio.create_subprocess_exec(
        ROOT / "functions/api/runtime.sh",
        sys.executable,
        "/var/runtime/bootstrap.py",
        env={**ENV, **variables, "AWS_LAMBDA_RUNTIME_API": api.address, "FANOUT_CONFIG": config},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def json_line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout
    found: dict[str, Any] = json.loads(await process.stdout.readline())
    return found


def test_the_log_line_and_the_metrics_of_a_request_are_written_before_its_response_ends(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with fake_runtime_api() as api, started(api, write_config(tmp_path, NOWHERE)) as run:
            api.takes.clear()  # the end of the response is not read
            delivered = api.invoke(proxy_event(body="{"), headers={"Lambda-Runtime-Trace-Id": "t"})
            log, metrics = await json_line(run), await json_line(run)
            assert not delivered.is_done
            api.takes.set()
            await delivered.whole()
            assert delivered.prelude["statusCode"] == 400
            assert delivered.prelude["headers"]["x-request-id"] == "api-gateway-1"
        assert (log["message"], log["status"]) == ("request", 400)
        assert (log["correlation_id"], log["xray_trace_id"]) == ("api-gateway-1", "t")
        assert (metrics["Requests"], metrics["Errors"]) == ([1.0], [0.0])

    asyncio.run(test())


def test_the_gateway_responds_before_the_invocation_ends_and_has_closed_the_call_by_then(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        called, closed = asyncio.Event(), asyncio.Event()

        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            called.set()
            while await reader.read(1 << 16):
                pass
            closed.set()
            writer.close()

        async with await asyncio.start_server(stall, "127.0.0.1", 0) as provider:
            base = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}/v1"
            async with fake_runtime_api() as api, started(api, write_config(tmp_path, base)):
                await api.until(lambda: api.waiting == 1)
                delivered = await api.ask(proxy_event(body=HELLO), deadline=time.time() + 7)
                assert delivered.prelude["statusCode"] == 504
                assert called.is_set()
                async with asyncio.timeout(PATIENCE):
                    await closed.wait()
                await api.until(lambda: api.waiting == 1)

    asyncio.run(test())


def test_what_serves_http_on_a_laptop_or_is_heavy_is_not_loaded(tmp_path: Path) -> None:
    async def test() -> None:
        provider = NOWHERE.replace("http:", "https:")  # with TLS, as every vendor
        config, timed = write_config(tmp_path, provider), {"PYTHONPROFILEIMPORTTIME": "1"}
        async with fake_runtime_api() as api, started(api, config, timed) as run:
            delivered = await api.ask(proxy_event(body=HELLO))
            assert delivered.prelude["statusCode"] == 502
            api.vanish()
            _, errors = await run.communicate()
        loaded = {line.rpartition("|")[2].strip() for line in errors.decode().splitlines()}
        assert "fanout.http.app" in loaded
        assert {name.partition(".")[0] for name in loaded} & HEAVY == set()

    asyncio.run(test())


def test_a_config_that_is_wrong_is_the_reason_why_the_function_does_not_start(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        config = tmp_path / "config.json"
        config.write_text('{"model_lists": []}')
        async with fake_runtime_api() as api, started(api, str(config)) as run:
            _, errors = await run.communicate()
            assert run.returncode == 1
            (failure,) = api.start_failures
            assert failure["errorType"] == "Runtime.StartFailed"
            assert "`model_lists`" in failure["errorMessage"]
            (line,) = map(json.loads, errors.splitlines())
            assert line["level"] == "ERROR"
            assert line["stack_trace"].startswith("Traceback")

    asyncio.run(test())


def test_a_snapshot_is_taken_before_the_app_starts(tmp_path: Path) -> None:
    async def test() -> None:
        config = write_config(tmp_path, NOWHERE)
        async with fake_runtime_api() as api, started(api, config, SNAP_START):
            await api.until(lambda: api.snapshots == 1)
            assert api.most_waiting == 0
            api.restores.set()
            await api.until(lambda: api.waiting == 1)
            assert (await api.ask(proxy_event("GET", "/health"))).prelude["statusCode"] == 200
            assert api.snapshots == 1

    asyncio.run(test())


@pytest.mark.parametrize("env", [{}, SNAP_START], ids=["start", "restore"])
def test_an_app_that_cannot_start_is_an_error_of_the_start_or_of_the_restore(
    env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no models"})

    made = SimpleNamespace(app=app, concurrency=1, observer=NullObserver())
    monkeypatch.setitem(sys.modules, "functions.api.app", made)

    async def test() -> None:
        async with fake_runtime_api() as api:
            api.restores.set()
            assert await main({**env, "AWS_LAMBDA_RUNTIME_API": api.address}) == 1
            failures = (api.restore_failures, api.start_failures)
        reported, none = failures if env else reversed(failures)
        assert [one["errorMessage"] for one in reported] == ["no models"]
        assert none == []

    asyncio.run(test())


def test_each_restored_process_has_random_numbers_of_its_own() -> None:
    async def test() -> None:
        async with fake_runtime_api() as api:
            api.restores.set()
            runtime = RuntimeAPI(api.address)
            random.seed(1)
            state = random.getstate()
            assert await wait_for_restore(runtime, SNAP_START)
            assert random.getstate() != state
            random.setstate(state)
            assert not await wait_for_restore(runtime, {})
            assert random.getstate() == state
            api.next_status = 500
            with pytest.raises(RuntimeAPIError, match="`/restore/next` with 500"):
                await wait_for_restore(runtime, SNAP_START)

    asyncio.run(test())


def test_it_asks_for_as_many_invocations_as_lambda_says(tmp_path: Path) -> None:
    async def test() -> None:
        config, many = write_config(tmp_path, NOWHERE), {"AWS_LAMBDA_MAX_CONCURRENCY": "3"}
        async with fake_runtime_api() as api, started(api, config, many):
            await api.until(lambda: api.waiting == 3)
            assert (await api.ask(proxy_event("GET", "/health"))).prelude["statusCode"] == 200
            await api.until(lambda: api.waiting == 3)

    asyncio.run(test())


def test_a_key_with_many_slow_requests_leaves_invocations_of_the_process_for_other_keys(
    tmp_path: Path,
) -> None:
    """Each of several keys may have at most three times as many as are free."""
    stream = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}

    def event(key: str) -> dict[str, Any]:
        headers = {"Authorization": [f"Bearer sk-{key}"], "Content-Type": ["application/json"]}
        return proxy_event(body=json.dumps(stream), multiValueHeaders=headers)

    async def test() -> None:
        called, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            called.release()
            await go_on.wait()
            error = b'{"error": {"message": "no", "code": "model_not_found"}}'
            head = f"HTTP/1.1 404 No\r\nContent-Length: {len(error)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + error)
            await writer.drain()
            writer.close()

        keys = [{"name": name, "key": f"sk-{name}"} for name in ("busy", "other")]
        many = {"AWS_LAMBDA_MAX_CONCURRENCY": "8"}
        async with await asyncio.start_server(slow, "127.0.0.1", 0) as provider:
            base = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}/v1"
            config = write_config(tmp_path, base, {"keys": keys})
            async with fake_runtime_api() as api, started(api, config, many):
                busy = [api.invoke(event("busy")) for _ in range(6)]
                async with asyncio.timeout(PATIENCE):
                    for _ in busy:
                        await called.acquire()
                for _ in range(20):  # more than there are invocations
                    assert (await api.ask(event("busy"))).prelude["statusCode"] == 429
                other = api.invoke(event("other"))
                async with asyncio.timeout(PATIENCE):
                    await called.acquire()
                go_on.set()
                for one in (*busy, other):
                    assert (await one.whole()).prelude["statusCode"] == 404

    asyncio.run(test())


def test_the_process_ends_when_the_runtime_api_is_gone(tmp_path: Path) -> None:
    async def test() -> None:
        config = write_config(tmp_path, NOWHERE)
        async with fake_runtime_api() as api, started(api, config) as run:
            await api.until(lambda: api.waiting == 1)
            api.vanish()
            _, errors = await run.communicate()
            assert run.returncode == 1
            (line,) = map(json.loads, errors.splitlines())
            assert "Runtime API" in line["message"]

    asyncio.run(test())


def test_web_pages_of_the_origin_may_read_the_response(tmp_path: Path) -> None:
    origin = {"FANOUT_CORS": "https://app.example.com"}

    async def test() -> None:
        config = write_config(tmp_path, NOWHERE, {"page": True})
        async with fake_runtime_api() as api, started(api, config, origin) as run:
            assert run.stdout
            delivered = await api.ask(proxy_event("GET", "/"))
            headers = delivered.prelude["headers"]
            assert headers["access-control-allow-origin"] == "https://app.example.com"
            assert headers["vary"] == "accept-encoding, origin"
            assert headers["content-length"] == str(len(delivered.body))

    asyncio.run(test())

"""
A response that has arrived whole is delivered, however its connection breaks after it.

Through the gateway, over real sockets: each wire format, each way to break, plain, raced, in a
list, streamed, and as a line of a job. The provider is called once, although there are retries.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from fanout.schema.accumulator import ChunkAccumulator
from fanout.transport import stalled_response
from fanout.transport.client_engine import ClientEngine
from fanout.transport.connection_pool import PyqwestEngine
from fanout.transport.engine import Engine, Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.local_jobs import EchoProvider, jsonl, line, open_jobs
from tests.support.breaking_provider import HOWS, OPEN, BreakingProvider, Recorded, open_breaking
from tests.support.in_process import InProcess, run_in_process

GOLDEN = Path(__file__).parents[1] / "providers" / "golden"
HI = [{"role": "user", "content": "Hi"}]
CASES = {  # a recorded response of each wire format, and a recorded stream
    "openai": ("text", "text-stream"),
    "azure": ("text", "text-stream"),
    "groq": ("tools", "tools-stream"),
    "anthropic": ("parallel-tools", "parallel-tools"),
    "gemini": ("text", "text"),
    "vertex_ai": ("claude-text", "claude-text"),
    "cohere": ("parallel-tools", "parallel-tools"),
    "bedrock": ("converse-text", "converse-text"),
}
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "list": {},
    "streamed": {"stream": True},
    "raced": {"fastest_response": True},  # the last: the loser's call may come later
}
RETRIES = {"router_settings": {"num_retries": 3, "allowed_fails": 10**6}}
ERRORS_OF_HALVES = {
    "502 provider_stream_broken",
    "200 provider_stream_broken",  # after the first part of the stream
    "502 provider_malformed",  # httpx does not see that the end of the compression is missing
}


def read(vendor: str, case: str) -> bytes:
    """A recorded stream, which may be binary, or the response if there is none."""
    folder = GOLDEN / vendor / case
    binary = folder / "stream.hex"
    return (
        bytes.fromhex(binary.read_text())
        if binary.exists()
        else (folder / "stream.txt").read_bytes()
    )


def recorded(vendor: str) -> Recorded:
    plain, streamed = CASES[vendor]
    body = (GOLDEN / vendor / plain / "response.json").read_bytes()
    return Recorded(body, read(vendor, streamed))


def half(vendor: str) -> Recorded:
    whole = recorded(vendor)
    plain, streamed = whole.plain.rstrip(), whole.streamed
    return Recorded(plain[:-1], streamed[: len(streamed) // 2])


def rejection(vendor: str, status: int) -> Recorded:
    errors = json.loads((GOLDEN / vendor / "errors.json").read_text())
    return Recorded(json.dumps(errors[0]["body"]).encode(), status=status)


RESPONSES = {vendor: recorded(vendor) for vendor in CASES}
HALVES = {f"half-{vendor}": half(vendor) for vendor in CASES}
ERRORS = {
    f"{vendor}-{status}": rejection(vendor, status) for vendor in CASES for status in (400, 503)
}


def entry(provider: BreakingProvider, name: str, how: str) -> dict[str, Any]:
    vendor = next(one for one in CASES if one in name)
    there = GOLDEN / vendor / CASES[vendor][0] / "target.json"
    target = json.loads(there.read_text()) if there.exists() else {}
    params = {
        "model": f"{vendor}/{target.get('model', 'their-model')}",
        "api_base": f"{provider.url}/{name}/{how}",
        "api_key": "k",
        "input_cost_per_token": 0.001,
        "output_cost_per_token": 0.001,
        **target.get("options", {}),
    }
    return {"model_name": f"{name} {how}", "litellm_params": params}


def config_of(provider: BreakingProvider) -> dict[str, Any]:
    names = [*RESPONSES, *HALVES, *ERRORS]
    listed = [
        entry(provider, name, how) for name in names for how in ("good", *HOWS, *OPEN, "damaged")
    ]
    return {"model_list": listed, **RETRIES}


VECTORS = {
    "vectors-openai": Recorded(
        b'{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}],'
        b' "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}'
    )
}


@pytest.fixture(scope="module")
def provider() -> Iterator[BreakingProvider]:
    with open_breaking({**RESPONSES, **HALVES, **ERRORS, **VECTORS}) as provider:
        yield provider


class Client(Struct, frozen=True):
    """A client of the gateway, which counts the provider's calls."""

    app: InProcess
    provider: BreakingProvider
    vendors: tuple[str, ...]

    def ask(self, name: str, how: str, way: str, **more: Any) -> tuple[Any, int]:
        """What the client gets, in short, and how often the provider was called."""
        model = f"{name} {how}"
        self.provider.calls.clear()
        models = [model, model] if way in {"raced", "list"} else model
        got = self.app.post({"model": models, "messages": HI, **WAYS[way], **more})
        return described(got.status, got.body), self.provider.calls[name, how]


def described(status: int, body: bytes) -> Any:
    """The messages and finish reasons of a response, or its status and code."""
    if body.startswith(b"data: "):
        accumulator = ChunkAccumulator()
        for data in body.split(b"\n\n"):
            value: Any = json.loads(data[6:]) if data.startswith(b"data: {") else {}
            if "error" in value:
                return f"{status} {value['error']['code']}"
            if value:
                accumulator.add(value)
        choices: Any = accumulator.completion()["choices"]
    else:
        value = json.loads(body)
        if "error" in value:
            return f"{status} {value['error']['code']}"
        choices = value["choices"]
    return [[choice["message"], choice["finish_reason"]] for choice in choices]


SOME = ("openai", "anthropic", "bedrock")

ENGINES: dict[str, Callable[[], Engine]] = {
    "own": PyqwestEngine,
    "httpx": lambda: ClientEngine(httpx2.AsyncClient(), owns_client=True),
    "httpx in threads": lambda: ClientEngine(httpx2.Client()),
}


@pytest.fixture(params=ENGINES)
def client(provider: BreakingProvider, request: pytest.FixtureRequest) -> Iterator[Client]:
    engine: Engine = ENGINES[request.param]()
    with run_in_process(config_of(provider), engine) as app:
        yield Client(app, provider, tuple(CASES) if request.param == "own" else SOME)
        assert app.observer.unexpected_errors == []


def test_a_whole_response_is_delivered_and_paid_once(client: Client) -> None:
    wrong = []
    for name in client.vendors:
        for way in WAYS:
            expected, calls = client.ask(name, "good", way)
            assert isinstance(expected, list), (name, way, expected)
            for how in HOWS:
                found = client.ask(name, how, way)
                if found[0] != expected or (found[1] != calls and way != "raced"):
                    wrong.append((name, how, way, found, expected))
    assert wrong == []


@pytest.mark.parametrize("seconds", [0.02, 100.0])
def test_a_whole_response_whose_connection_stays_open_is_delivered_and_paid_once(
    client: Client, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many quiet seconds, or else shortly before the call's time is over."""
    monkeypatch.setattr(stalled_response, "QUIET", seconds)
    wrong = []
    names = [*client.vendors, "openai-400", "anthropic-503"] if seconds < 1 else ["openai"]
    timeouts = (
        (20.0,) if seconds < 1 else (0.2, 1.0, 5.0)
    )  # a busy machine may need the longer ones
    for name in names:
        retries = 0 if "-" in name else 3
        for way in WAYS:
            expected, calls = client.ask(name, "good", way, num_retries=retries)
            for how in OPEN:
                found: list[tuple[Any, int]] = []
                for timeout in timeouts:
                    found.append(client.ask(name, how, way, timeout=timeout, num_retries=retries))
                    if found[-1][0] == expected and (found[-1][1] == calls or way == "raced"):
                        break
                else:
                    wrong.append((name, how, way, found, expected))
    assert wrong == []


def test_a_part_of_a_response_whose_connection_stays_open_is_not_delivered(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalled_response, "QUIET", 0.02)
    found = [
        client.ask("half-openai", how, way, num_retries=0, timeout=0.1)[0]
        for how in OPEN
        for way in ("plain", "streamed")
    ]
    assert set(found) == {"504 deadline_exceeded", "200 deadline_exceeded"}


def test_it_is_logged_with_the_deployments_name(client: Client) -> None:
    for way in ("plain", "streamed"):
        client.app.observer.clear()
        client.ask("openai", "good", way)
        client.ask("openai", "length", way)
        good, broken = client.app.observer.attempts
        assert (good.is_warning, broken.is_warning, broken.broken_end) == (False, True, True)
        assert broken.deployment.startswith("openai length")
        assert broken.outcome == "ok"


def test_a_part_of_a_response_is_an_error(client: Client) -> None:
    wrong = []
    for name in [f"half-{vendor}" for vendor in client.vendors]:
        for how in HOWS:
            for way in ("plain", "streamed"):
                found = client.ask(name, how, way, num_retries=0)
                if found[0] not in ERRORS_OF_HALVES:
                    wrong.append((name, how, way, found))
    assert wrong == []


def test_a_whole_error_keeps_its_status(client: Client) -> None:
    wrong = []
    for name in [f"{v}-{status}" for v in client.vendors for status in (400, 503)]:
        for way in ("plain", "streamed"):
            expected = client.ask(name, "good", way, num_retries=0)
            for how in HOWS:
                found = client.ask(name, how, way, num_retries=0)
                if found != expected:
                    wrong.append((name, how, way, found, expected))
    assert wrong == []


def test_an_error_whose_body_is_damaged_keeps_its_status(client: Client) -> None:
    """Its text is lost, as the checksum of its compression is wrong; the status is not."""
    wrong = []
    for name in [f"{v}-{status}" for v in client.vendors for status in (400, 503)]:
        for way in ("plain", "streamed"):
            found, calls = client.ask(name, "damaged", way, num_retries=0)
            if found.partition(" ")[0] not in {"400", "503"} or name[-3:] not in found:
                wrong.append((name, way, found, calls))
    assert wrong == []


def test_vectors_that_have_arrived_whole_are_delivered_and_paid_once(
    provider: BreakingProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalled_response, "QUIET", 0.02)
    hows = ("good", *HOWS, *OPEN)
    models = [entry(provider, "vectors-openai", how) for how in hows]
    config = {"model_list": models, **RETRIES}
    with run_in_process(config, PyqwestEngine()) as app:
        for how in hows:
            provider.calls.clear()
            body = {"model": f"vectors-openai {how}", "input": "Hi", "encoding_format": "float"}
            got = app.ask("POST", "/v1/embeddings", [json.dumps(body).encode()])
            found = json.loads(got.body)
            assert got.status == 200, (how, found)
            assert found["data"][0]["embedding"] == [0.5, 1], how
            assert provider.calls["vectors-openai", how] == 1


class OverSockets(EchoProvider):
    """Calls the provider over its sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._engine = PyqwestEngine()

    async def send(self, request: Outgoing) -> WireResponse:
        return await self._engine.send(request)

    async def aclose(self) -> None:
        await self._engine.aclose()


def test_a_jobs_lines_are_paid_once(
    provider: BreakingProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stalled_response, "QUIET", 0.3
    )  # a busy machine pauses between two writes, too
    hows = (*HOWS, *OPEN)
    lines = [line(f"{name} {how}", f"{name} {how}") for name in RESPONSES for how in hows]

    async def scenario() -> None:
        provider.calls.clear()
        async with open_jobs(tmp_path, OverSockets(), config=config_of(provider)) as jobs:
            done = await jobs.wait(await jobs.create(jsonl(lines)))
            found = {one["custom_id"] for one in await jobs.content(done.output_file_id)}
            assert found == {f"{name} {how}" for name in RESPONSES for how in hows}

    asyncio.run(scenario())
    assert {name: calls for name, calls in provider.calls.items() if calls != 1} == {}


def test_a_jobs_cut_lines_are_sent_three_times_and_may_be_billed(
    provider: BreakingProvider, tmp_path: Path
) -> None:
    names = [(f"half-{vendor}", how) for vendor in SOME for how in HOWS]
    lines = [line(" ".join(name), " ".join(name)) for name in names]

    async def scenario() -> None:
        provider.calls.clear()
        async with open_jobs(tmp_path, OverSockets(), config=config_of(provider)) as jobs:
            done = await jobs.wait(await jobs.create(jsonl(lines)))
            assert done.totals is not None
            assert done.totals.causes == {"provider_stream_broken": len(lines)}
            assert (done.totals.unpriced, done.totals.cost_usd) == (len(lines), None)
            stored = await jobs.content(done.error_file_id)
            assert all(one["response"]["body"]["error"]["may_be_billed"] for one in stored)

    asyncio.run(scenario())
    assert set(provider.calls.values()) == {3}

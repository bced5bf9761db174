"""A request with an `Idempotency-Key` is served once, and its response is remembered for a day."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from fanout.bulk.local.file_store import FolderBlobStore
from fanout.bulk.local.sqlite import Database
from fanout.bulk.service.idempotency import Claim, IdempotencyStore
from fanout.errors import RequestError, ResponseLost, SchemaMismatch, StorageFull
from fanout.http.idempotency import MAX_KEPT, SingleRequest
from tests.bulk.conftest import KEYS, serve_jobs
from tests.bulk.local_jobs import line, run
from tests.support.embedding_provider import embeds
from tests.support.gateway_server import RunningGateway, entry
from tests.support.provider_steps import answers, cut, refuse, role, say, wait
from tests.support.scripted_provider import Upstream

from .test_openai_client import CHAT, client_of


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


def ask(client: openai.OpenAI, text: str, name: str, **more: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(
        model="a", messages=messages, extra_headers=key(name), **more
    )


def test_the_same_chat_is_paid_once(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", answers("Hello", " you"))
    plain = [ask(client, "x", "k1") for _ in range(3)]
    assert [one.to_dict() for one in plain] == [plain[0].to_dict()] * 3
    streamed = [list(ask(client, "x", "k2", stream=True)) for _ in range(3)]
    assert [[c.to_dict() for c in one] for one in streamed] == [
        [chunk.to_dict() for chunk in streamed[0]]
    ] * 3
    assert "".join(c.choices[0].delta.content or "" for c in streamed[2]) == "Hello you"
    assert len(upstream.calls_to("a")) == 2
    raw = client.chat.completions.with_raw_response.create(
        model="a", messages=[{"role": "user", "content": "x"}], extra_headers=key("k1")
    )
    assert raw.headers["idempotent-replayed"] == "true"
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["x-fanout-mode"] == "one"
    assert len(upstream.calls_to("a")) == 2


def test_the_same_embeddings_are_paid_once(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", [embeds("openai")])
    given: Any = {"model": "a", "input": ["x", "y"], "extra_headers": key("vectors")}
    found = [client.embeddings.create(**given).data[1].embedding for _ in range(2)]
    assert found[0] == found[1]
    assert len(upstream.calls_to("a")) == 1


def test_a_key_is_of_one_request_and_of_one_client(
    client: openai.OpenAI, server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers())
    ask(client, "x", "k")
    for other in ({"text": "y"}, {"text": "x", "max_tokens": 5}):
        with pytest.raises(openai.UnprocessableEntityError) as raised:
            ask(client, name="k", **other)
        assert raised.value.code == "idempotency_key_reused"
    with client_of(server, "sk-other") as stranger:
        ask(stranger, "y", "k")
    assert len(upstream.calls_to("a")) == 2
    for wrong in ("", "x" * 256):
        with pytest.raises(openai.BadRequestError, match="1 to 255 printable"):
            ask(client, "x", wrong)


def test_while_the_first_request_is_served_the_second_waits_by_the_sdks_retries(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    gate = upstream.gate()
    upstream.script("a", [wait(gate), *answers("once")])
    with _sent(client, "k") as first:
        upstream.wait_called("a")
        with pytest.raises(openai.ConflictError) as raised:
            ask(client, "x", "k")
        assert raised.value.code == "idempotency_key_in_use"
        assert raised.value.response.headers["retry-after"] == "1"
        gate.open()
        patient = client.with_options(max_retries=5)
        assert ask(patient, "x", "k").choices[0].message.content == "once"
        assert first
    assert len(upstream.calls_to("a")) == 1


@contextmanager
def _sent(client: openai.OpenAI, name: str) -> Iterator[bool]:
    """A request whose client has disconnected."""
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.3), "x", name)
    yield True


def test_a_client_that_disconnects_gets_the_response_when_it_asks_again(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    gate = upstream.gate()
    upstream.script("a", [role, say("al"), wait(gate), say("l"), *answers("")[-1:]])
    for stream in (False, True):
        name = f"k{stream}"
        try:
            for _ in ask(client.with_options(timeout=0.3), "x", name, stream=stream):
                break
        except openai.APITimeoutError:
            pass
    upstream.wait(lambda: len(upstream.calls) == 2)
    gate.open()
    patient = client.with_options(max_retries=5)
    assert ask(patient, "x", "kFalse", stream=False).choices[0].message.content == "all"
    chunks = list(ask(patient, "x", "kTrue", stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "all"
    assert len(upstream.calls) == 2


def test_a_failure_is_remembered_only_if_it_was_paid(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(400)], [refuse(500)], [refuse(429)], answers())
    for _ in range(3):
        with pytest.raises(openai.APIStatusError):
            ask(client, "x", "k")
    assert ask(client, "x", "k").choices[0].message.content == "Hello"
    assert len(upstream.calls_to("a")) == 4
    upstream.script("a", [role, say("Hel"), cut], answers())
    for _ in range(2):
        with pytest.raises(openai.APIError):
            list(ask(client, "x", "broken", stream=True))
    assert len(upstream.calls_to("a")) == 5
    upstream.script("a", [cut], answers())
    with pytest.raises(openai.APIStatusError):
        ask(client, "x", "closed")
    assert ask(client, "x", "closed").choices[0].message.content == "Hello"
    with pytest.raises(openai.BadRequestError):
        ask(client, "x", "wrong", temperature="hot")
    assert ask(client, "x", "wrong").choices[0].message.content == "Hello"


def test_the_same_file_and_the_same_batch_are_created_once_also_after_a_restart(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", answers())
    config = {
        "model_list": [entry(upstream, "a")],
        "general_settings": {"master_key": "sk-master", "keys": KEYS},
    }
    seen = []
    for _ in range(2):
        with serve_jobs(config, tmp_path) as server, client_of(server, "sk-master") as client:
            for _ in range(2):
                file = client.files.create(
                    file=("in.jsonl", line("x")), purpose="batch", extra_headers=key("f")
                )
                batch = client.batches.create(
                    input_file_id=file.id,
                    endpoint=CHAT,
                    completion_window="24h",
                    extra_headers=key("b"),
                )
                seen.append((file.to_dict(), batch.to_dict()))
            with pytest.raises(openai.UnprocessableEntityError):
                client.files.create(
                    file=("in.jsonl", line("y")), purpose="batch", extra_headers=key("f")
                )
            assert [one.id for one in client.batches.list()] == [batch.id]
            assert [f.id for f in client.files.list(purpose="batch")] == [file.id]
            while client.batches.retrieve(batch.id).status != "completed":
                sleep(0.02)
    assert seen == [seen[0]] * 4
    stored = {path.name for path in (tmp_path / "files").iterdir()}
    assert stored == {seen[0][0]["id"], seen[0][1]["output_file_id"]}
    assert len(upstream.calls_to("a")) == 1


@pytest.mark.parametrize("is_record_full", [False, True], ids=["the answer", "its record too"])
def test_a_response_that_cannot_be_stored_is_neither_paid_again_nor_said_to_be_in_flight(
    client: openai.OpenAI,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    server: RunningGateway,
    *,
    is_record_full: bool,
) -> None:
    put, name = Database.put, f"lost-{is_record_full}"

    async def fail(_self: object, key: str, *_: object) -> None:
        raise StorageFull(key, "No space left on device")

    async def put_without_lost(
        self: Database, kind: str, key: str, value: bytes, *old: Any
    ) -> bool:
        if b'"lost":true' in value:
            raise StorageFull(key, "database or disk is full")
        return await put(self, kind, key, value, *old)

    upstream.script("a", answers("x" * 900_000))
    with monkeypatch.context() as full:
        full.setattr(FolderBlobStore, "write", fail)
        if is_record_full:
            full.setattr(Database, "put", put_without_lost)
        assert len(ask(client, "x", name).choices[0].message.content) == 900_000
        for _ in range(2):
            with pytest.raises(openai.APIStatusError) as raised:
                ask(client.with_options(max_retries=2), "x", name)
            assert raised.value.status_code == 410
            assert raised.value.code == "idempotency_response_lost"
    with pytest.raises(openai.APIStatusError, match="could not be stored"):  # it has room now
        ask(client, "x", name)
    with pytest.raises(openai.UnprocessableEntityError):
        ask(client, "another", name)
    assert len(upstream.calls_to("a")) == 1
    assert [type(one) for one in server.observer.unexpected_errors] == [StorageFull]
    server.observer.unexpected_errors.clear()


def test_what_only_a_process_remembers_of_a_lost_response_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000.0]

    async def fail(*_: object) -> bool:
        raise StorageFull("jobs.sqlite", "database or disk is full")

    async def main() -> None:
        database = Database(tmp_path / "jobs.sqlite")
        first = IdempotencyStore(database, FolderBlobStore(tmp_path), lambda: now[0])
        claim = await first.begin("team", "k", "r")
        assert isinstance(claim, Claim)
        with monkeypatch.context() as full:
            full.setattr(Database, "put", fail)
            await first.lose(claim)
        with pytest.raises(ResponseLost):
            await first.begin("team", "k", "r")
        other = IdempotencyStore(database, FolderBlobStore(tmp_path), lambda: now[0])
        now[0] += 23 * 3600
        with pytest.raises(ResponseLost):
            await other.begin("team", "k", "r")
        now[0] += 3600
        for store in (first, other):
            claim = await store.begin("team", "k", "r")
            assert isinstance(claim, Claim)
            await store.release(claim)
        database.close()

    run(main())


def test_a_response_is_remembered_before_its_end_is_sent(tmp_path: Path) -> None:
    """Otherwise the next request could come too early, and AWS could freeze the function."""
    events: list[str] = []

    class Store(IdempotencyStore):
        async def finish(self, *args: Any) -> None:
            await super().finish(*args)
            events.append("remembered")

        async def release(self, claim: Claim) -> None:
            await super().release(claim)
            events.append("freed")

    async def send(message: Any) -> None:
        events.append(message["type"])

    async def main(status: int, error: Exception | None, body: bytes) -> None:
        database = Database(tmp_path / "jobs.sqlite")
        store = Store(database, FolderBlobStore(tmp_path), time.time)
        exchange: Any = SimpleNamespace(client=SimpleNamespace(name="x"), send=send, receive=None)
        single = SingleRequest(exchange, store, f"k{status}{len(body)}", "POST /files")
        await single.begin(b"{}")
        single.error = error
        await single.send({"type": "http.response.start", "status": status, "headers": []})
        await single.send({"type": "http.response.body", "body": body})
        await single.settle()
        database.close()

    too_large = b"x" * (MAX_KEPT + 1)
    for status, error, body, end in (
        (200, None, b"{}", "remembered"),
        (400, RequestError("wrong"), b"{}", "freed"),
        (502, SchemaMismatch("wrong"), b"{}", "remembered"),
        (200, None, too_large, "freed"),
    ):
        events.clear()
        run(main(status, error, body))
        assert events == ["http.response.start", end, "http.response.body"]

"""What a provider's response becomes in memory is limited while it is read, and so is the time."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import end, head, piece, raw, reply
from tests.support.scripted_provider import Call, Step, Upstream

LIMIT = 200_000
HI = [{"role": "user", "content": "Hi"}]
TOO_LARGE = "provider_answer_too_large"


def response(**fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello", **fields.pop("message", {})}
    choice = {"index": 0, "finish_reason": "stop", "message": message, **fields.pop("choice", {})}
    top = {"id": "c", "object": "chat.completion", "created": 1, "model": "a"}
    return {**top, "choices": [choice], **fields}


def many(value: Any, size: int) -> list[Any]:
    """A list whose JSON has about `size` bytes."""
    return [value] * (size // (len(json.dumps(value, separators=(",", ":"))) + 1))


SIZE = LIMIT * 3 // 4
FEW_BYTES_MUCH_MEMORY: dict[str, dict[str, Any]] = {
    "empty objects": {"padding": many({}, SIZE)},
    "empty lists": {"padding": many([], SIZE)},
    "zeros": {"padding": many(0.5, SIZE)},
    "nested": {"padding": many([[{}]], SIZE)},
    "objects": {"padding": many({"a": 0}, SIZE)},
    "in the message": {"message": {"annotations": many({"a": {}}, SIZE)}},
    "log probabilities": {"choice": {"logprobs": {"content": many({"bytes": [1]}, SIZE)}}},
    "after a text with quotes": {"before": 'x"{\\' * 99, "padding": many({}, SIZE)},
}
AS_LARGE_AS_THEY_LOOK: dict[str, dict[str, Any]] = {
    "a text": {"message": {"content": "x" * SIZE}},
    "a text of separators": {"message": {"content": ",{[:" * (SIZE // 4)}},
    "escapes": {"message": {"content": '\\"[' * (SIZE // 6)}},
    "an image": {"message": {"images": [{"url": "data:," + "x" * SIZE}]}},
}


def whole(body: bytes) -> list[Step]:
    return [reply(200, body, {"content-type": "application/json"})]


def packed(body: bytes) -> list[Step]:
    return [reply(200, gzip.compress(body), {"content-encoding": "gzip"})]


def in_chunks(body: bytes) -> list[Step]:
    """Chunks that cut strings and escapes anywhere."""
    lines = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]
    lines += [
        b"%x\r\n%s\r\n" % (len(p), p)
        for p in (body[i : i + 4093] for i in range(0, len(body), 4093))
    ]
    return [raw(b"".join(lines) + b"0\r\n\r\n")]


def as_event(body: bytes) -> list[Step]:
    """One chunk of a stream, with the message as its delta."""
    value = json.loads(body)
    for choice in value["choices"]:
        choice["delta"] = choice.pop("message")
    value["object"] = "chat.completion.chunk"
    return [head, piece(b"data: " + json.dumps(value).encode() + b"\n\ndata: [DONE]\n\n"), end]


def instead_of_a_stream(body: bytes) -> list[Step]:
    return [head, piece(body), end]


STREAM: dict[str, Any] = {"stream": True}
RACE: dict[str, Any] = {"model": "a, b", "fastest_response": True}
WAYS: dict[str, tuple[Callable[[bytes], list[Step]], dict[str, Any]]] = {
    "whole": (whole, {}),
    "packed": (packed, {}),
    "in chunks": (in_chunks, {}),
    "event": (as_event, STREAM),
    "event of a race": (as_event, RACE),
    "json instead of a stream": (instead_of_a_stream, STREAM),
    "json instead of a stream, in a race": (instead_of_a_stream, RACE),
}


@pytest.fixture(scope="module")
def small(provider: Upstream) -> Iterator[RunningGateway]:
    config = {
        "model_list": [entry(provider, name) for name in "ab"],
        "router_settings": {"num_retries": 0},
        "general_settings": {"max_response_size_mb": LIMIT / 1e6},
    }
    with serve(config) as served:
        yield served


@pytest.mark.parametrize("way", WAYS)
def test_small_values_count_as_what_they_take_in_memory(
    small: RunningGateway, upstream: Upstream, way: str
) -> None:
    steps, fields = WAYS[way]
    for cases, is_fine in ((FEW_BYTES_MUCH_MEMORY, False), (AS_LARGE_AS_THEY_LOOK, True)):
        for name, case in cases.items():
            body = json.dumps(response(**case), separators=(",", ":")).encode()
            assert len(body) < LIMIT
            for model in "ab":
                upstream.script(model, steps(body))
            with small.ask({"model": "a", "messages": HI, **fields}) as got:
                text = got.read().decode()
                found = got.status, TOO_LARGE in text
            assert found == ((200, False) if is_fine else (502, True)), (way, name, text[:300])


def test_small_values_in_many_events_count_together(
    small: RunningGateway, upstream: Upstream
) -> None:
    delta = {"content": "x", "annotations": [{}] * 1_000}
    chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
    event = b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
    assert 30 * len(event) < LIMIT
    for model in "ab":
        upstream.script(model, [head, piece(30 * event + b"data: [DONE]\n\n"), end])
    status, _, body = small.json({"messages": HI, **RACE})
    assert (status, TOO_LARGE in str(body)) == (502, True)


def dripping(start: bytes, drop: bytes) -> list[Step]:
    """Send the start of a response, and then a few bytes at a time without end."""

    async def step(call: Call) -> None:
        call.writer.write(start)
        while True:
            call.writer.write(drop)
            await call.writer.drain()
            await asyncio.sleep(0.02)

    return [step]


OK = b"HTTP/1.1 200 OK\r\n"
SLOW_BODIES = {
    "plain": (OK + b"content-length: 100000\r\n\r\n{", b" "),
    "until the end": (OK + b"connection: close\r\n\r\n{", b" "),
    "chunked": (OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "packed": (
        OK + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
        b"5\r\n\x00\x00\x00\xff\xff\r\n",
    ),
    "an error": (b"HTTP/1.1 500 No\r\ncontent-length: 100000\r\n\r\n{", b" "),
}
GZIP_HEAD = b"a\r\n" + gzip.compress(b"")[:10] + b"\r\n"


@pytest.mark.parametrize("fields", [{}, STREAM, RACE], ids=["whole", "stream", "race"])
@pytest.mark.parametrize("kind", SLOW_BODIES)
def test_a_body_that_drips_ends_at_the_deadline(
    small: RunningGateway, upstream: Upstream, kind: str, fields: dict[str, Any]
) -> None:
    start, drop = SLOW_BODIES[kind]
    for model in "ab":
        upstream.script(model, dripping(start + (GZIP_HEAD if kind == "packed" else b""), drop))
    body = {"model": "a", "messages": HI, "timeout": 0.3, **fields}
    status, _, answer = small.json(body)
    assert (status, answer["error"]["code"]) == (504, "deadline_exceeded"), answer
    upstream.wait_ended()

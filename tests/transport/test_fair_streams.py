"""A provider that floods a stream leaves other requests their turns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import FanoutError, Oversized
from fanout.gateway.factory import open_gateway
from fanout.gateway.gateway import Gateway
from fanout.gateway.run import Context
from fanout.schema.chat import ChatChunk
from fanout.schema.fanout import parse_request
from fanout.settings import Settings
from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.transport.stream_events import MAX_HEAD_BYTES, StreamEvents
from fanout.transport.stream_reader import MAX_TURN
from fanout.wire.http import WireResponse

PARAMS = {"model": "openai/a", "api_base": "http://provider.test/v1", "api_key": "k"}
CONFIG = {
    "model_list": [{"model_name": name, "litellm_params": PARAMS} for name in "ab"],
    "router_settings": {"num_retries": 0},
}
TOTAL = 1 << 18


def sse(value: object) -> bytes:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


EVENTS = {
    "no choices": sse({"choices": []}),
    "comments": b": keep-alive\n\n",
    "odd events": sse({"choices": 1}),
    "no text": sse({"choices": [{"index": 0, "delta": {}}]}),
    "text": sse({"choices": [{"index": 0, "delta": {"content": "x"}}]}),
    "one long text": sse({"choices": [{"index": 0, "delta": {"content": "x" * TOTAL}}]}),
}


class Flood:
    """An engine whose streams have all of their bytes at once."""

    def __init__(self, event: bytes, part: int) -> None:
        self._data = event * (TOTAL // len(event) or 1)
        self._part = part

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        yield StreamedResponse(200, {"content-type": "text/event-stream"}, self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), self._part):
            yield self._data[start : start + self._part]
        yield b"data: [DONE]\n\n"

    async def send(self, request: Outgoing) -> WireResponse:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


async def consume(gateway: Gateway, *, race: bool) -> None:
    """Read a stream to its end, of one model or of a race between two."""
    models = {"model": ["a", "b"], "fastest_response": True} if race else {"model": "a"}
    hi = [{"role": "user", "content": "Hi"}]
    request = parse_request({**models, "messages": hi, "stream": True})
    async with gateway.stream(request, Context("req_1")) as stream:
        async for _ in stream.chunks:
            pass


@pytest.mark.parametrize("race", [False, True])
@pytest.mark.parametrize("part", [28, 1 << 17])
@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_a_flood_is_decoded_in_turns(
    monkeypatch: pytest.MonkeyPatch, event: bytes, part: int, *, race: bool
) -> None:
    decoded = [0]  # bytes since another task ran, and before
    feed = StreamEvents.feed

    def counted(events: StreamEvents, data: bytes) -> Iterator[ChatChunk]:
        decoded[-1] += len(data)
        return feed(events, data)

    monkeypatch.setattr(StreamEvents, "feed", counted)

    async def run_too() -> None:
        while True:
            decoded.append(0)
            await asyncio.sleep(0)

    async def main() -> None:
        catalog, flood = resolve(check(CONFIG, {}), {}), Flood(event, part)
        async with (
            open_gateway(Settings(), catalog=catalog, engine=flood) as gateway,
            asyncio.TaskGroup() as group,
        ):
            other = group.create_task(run_too())
            with suppress(FanoutError):  # of a stream without text
                await consume(gateway, race=race)
            other.cancel()

    asyncio.run(main())
    assert sum(decoded) > 10 * MAX_TURN
    assert max(decoded) <= (2 if race else 1) * 2 * MAX_TURN


class EndlessFlood(Flood):
    """An engine whose streams have no end; `sent` counts their bytes."""

    def __init__(self, event: bytes) -> None:
        super().__init__(event, 0)
        self.sent = 0

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += len(self._data)
            yield self._data


@pytest.mark.parametrize("data", ["{}", "null", "ping", '{"type":"ping"}', '{"choices":[]}'])
def test_events_without_content_end_a_stream(data: str) -> None:
    flood = EndlessFlood(f"data: {data}\n\n".encode())

    async def main() -> None:
        async with open_gateway(
            Settings(), catalog=resolve(check(CONFIG, {}), {}), engine=flood
        ) as gateway:
            with pytest.raises(Oversized, match="10000 events or 4000000 bytes without content"):
                await consume(gateway, race=False)

    asyncio.run(main())
    assert flood.sent <= MAX_HEAD_BYTES + TOTAL


class JSONFlood(Flood):
    """An engine that responds with JSON instead of a stream, and counts the parts that are read."""

    def __init__(self, part: int) -> None:
        super().__init__(b" ", part)
        message = {"role": "assistant", "content": "x" * TOTAL}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        self._data = json.dumps({"choices": [choice]}).encode()
        self.read = [0]  # bytes since another task ran, and before

    async def _body(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), self._part):
            part = self._data[start : start + self._part]
            self.read[-1] += len(part)
            yield part


@pytest.mark.parametrize("part", [28, 1 << 12])
def test_json_instead_of_a_stream_is_read_in_turns(part: int) -> None:
    async def main(flood: JSONFlood) -> None:
        async def run_too() -> None:
            while True:
                flood.read.append(0)
                await asyncio.sleep(0)

        catalog = resolve(check(CONFIG, {}), {})
        async with (
            open_gateway(Settings(), catalog=catalog, engine=flood) as gateway,
            asyncio.TaskGroup() as group,
        ):
            other = group.create_task(run_too())
            await consume(gateway, race=False)
            other.cancel()

    flood = JSONFlood(part)
    asyncio.run(main(flood))
    assert sum(flood.read) > TOTAL
    assert max(flood.read) <= 2 * MAX_TURN

"""What a failed or cancelled call has received is freed at once, not by the garbage collector."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from itertools import product
from typing import Any

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import FanoutError
from fanout.gateway.factory import open_gateway
from fanout.gateway.gateway import Gateway
from fanout.gateway.run import Context
from fanout.schema.fanout import parse_request
from fanout.settings import Settings
from fanout.transport.engine import ConnectionLost, Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse
from tests.support.no_collection import no_collection
from tests.support.virtual_clock import run

HI = [{"role": "user", "content": "Hi"}]
WORD = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n'
PARAMS = {"model": "openai/a", "api_base": "http://provider.test/v1", "api_key": "k"}
CONFIG = {
    "model_list": [{"model_name": name, "litellm_params": PARAMS} for name in "ab"],
    "router_settings": {"num_retries": 0},
}
MODES: dict[str, dict[str, Any]] = {
    "one": {"model": "a"},
    "race": {"model": "a, b", "fastest_response": True},
    "all": {"model": "a, b"},
    "hedge": {"fanout": {"mode": "race", "models": ["a", "b"], "stagger": 0.01}},
    "fallback": {"model": "a", "fallbacks": ["b"]},
    "list": {"model": "a", "messages": [HI, HI]},
}


SIZE = 1 << 21


class FailingProvider:
    """An engine whose responses stop after a large part, and are then cut off or late."""

    def __init__(self, *, is_late: bool, begins: bool) -> None:
        self._is_late = is_late
        self._begins = begins
        self.calls = 0

    async def send(self, request: Outgoing) -> WireResponse:
        part = new_part()
        await self._stop()
        raise AssertionError(part)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        yield StreamedResponse(200, {}, self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        if self._begins:
            yield WORD
        yield b"data: " + new_part()
        await self._stop()

    async def _stop(self) -> None:
        self.calls += 1
        await asyncio.sleep(1000 if self._is_late else 0)
        raise ConnectionLost("broken")

    async def aclose(self) -> None:
        """Nothing is open."""


def new_part() -> bytes:
    return b"x" * SIZE


async def plain(gateway: Gateway, body: dict[str, Any]) -> None:
    await gateway.chat(parse_request(body), Context("req_1"))


async def streamed(gateway: Gateway, body: dict[str, Any]) -> None:
    async with gateway.stream(parse_request(body | {"stream": True}), Context("req_1")) as stream:
        async for _ in stream.chunks:
            pass


def left_after(mode: str, ask: Callable[..., Any], end: str, *, begins: bool) -> int:
    """Return by how many bytes a failed or cancelled request makes the process larger."""
    provider = FailingProvider(is_late=end != "cut off", begins=begins)
    body = {"messages": HI, **MODES[mode]} | ({"timeout": 5} if end == "late" else {})

    async def main() -> int:
        catalog = resolve(check(CONFIG, {}), {})
        async with open_gateway(Settings(), catalog=catalog, engine=provider) as gateway:
            before = tracemalloc.get_traced_memory()[0]
            async with asyncio.TaskGroup() as group:
                task = group.create_task(outcome_of(ask(gateway, body)))
                if end == "cancelled":
                    await asyncio.sleep(1)
                    task.cancel()
            del task
            return tracemalloc.get_traced_memory()[0] - before

    left = run(main())
    assert provider.calls
    return left


def test_what_a_failed_call_has_received_is_freed_with_it() -> None:
    cases = product(MODES, (plain, streamed), ("cut off", "late", "cancelled"), (False, True))
    with no_collection():  # once: it looks at all that the other tests have made, too
        left = {
            (mode, ask.__name__, end, begins): left_after(mode, ask, end, begins=begins)
            for mode, ask, end, begins in cases
        }
    assert {case: size for case, size in left.items() if size >= SIZE // 2} == {}


async def outcome_of(request: Coroutine[Any, Any, None]) -> None:
    with suppress(FanoutError):
        await request

"""
The gateway: a checked request to an answer, in any mode. Made once, used by many requests at once.

Composition only: which models are asked, how they are run against each other and how their answers
become one. It alone stamps times and random ids.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from time import perf_counter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..concurrency import (
    Failure,
    FairLimiter,
    RaceResult,
    Success,
    map_all,
    merge_streams,
    with_deadline,
)
from ..config.resolve import Catalog
from ..errors import AllFailed, Cause, DeadlineExceeded
from ..routing.leg import Leg, Watcher
from ..routing.router import Router
from ..schema.chat import ChatChunk, ChatCompletion, says_something
from ..schema.fanout import FanOutRequest, Mode, Report
from ..secret import HiddenRepr
from .combine import Cell, combined_answer, listed_answer
from .conversation import ConversationRunner, GridCell
from .interleave import Interleave
from .report import make_report, spent


class Context(Struct, frozen=True, gc=False):
    """Who asks, under which id, until when (`deadline`: seconds from now), and who watches."""

    request_id: str
    caller: str | None = None
    deadline: float | None = None
    watcher: Watcher | None = None


class GatewayResponse(HiddenRepr, frozen=True):
    """A JSON body and what its headers say: an object, or LiteLLM's list."""

    body: dict[str, Any] | list[Any]
    mode: Mode
    winner: str | None = None


class ResponseStream(Struct, frozen=True):
    """An answer under way, its first content in hand."""

    chunks: AsyncIterator[ChatChunk]
    mode: Mode
    winner: str | None = None


class Gateway:
    """Everything the surfaces can ask for; its calls share the places of `pool`, if it has one."""

    def __init__(
        self,
        catalog: Catalog,
        router: Router,
        *,
        now: Callable[[], float] = time.time,
        pool: FairLimiter | None = None,
    ) -> None:
        self.catalog = catalog
        self._pool = pool
        self._contests = ConversationRunner(router, catalog.fallbacks)
        self._now = now

    async def answer(self, request: FanOutRequest, context: Context) -> GatewayResponse:
        """The whole answer; raises `AllFailed`, a lone model's own error or `DeadlineExceeded`."""
        request = self._resolved(request)
        until = _clock() + self._deadline(request, context)
        if request.combined:
            return await self._answer_all(request, context, until)
        asked = self._grid(request, context, until)[0]
        completion = await self._in_time(request, context, until, asked)
        return GatewayResponse(self._stamped(completion), request.mode, completion["model"])

    @asynccontextmanager
    async def stream(
        self, request: FanOutRequest, context: Context
    ) -> AsyncIterator[ResponseStream]:
        """The answer as it comes, entered once its first content is in hand."""
        request = self._resolved(request)
        run = self._stream_all if request.combined else self._stream_one
        when = _clock() + self._deadline(request, context)
        async with run(request, context, when) as stream:
            yield stream

    # ---- whole answers ----

    async def _in_time(
        self, request: FanOutRequest, context: Context, until: float, asked: GridCell
    ) -> ChatCompletion:
        """One cell's answer; one that is late takes nothing from those that are there."""
        try:
            async with asyncio.timeout_at(until):
                return await self._contests.answer(request, asked)
        except TimeoutError:
            raise self._too_late(request, context) from None

    async def _answer_all(
        self, request: FanOutRequest, context: Context, until: float
    ) -> GatewayResponse:
        grid = self._grid(request, context, until)
        ask = partial(self._in_time, request, context, until)
        outcomes = await map_all(ask, grid, limit=self._limit(request))
        cells = [
            Cell(
                models=asked.models,
                completion=outcome.value if isinstance(outcome, Success) else None,
                error=outcome.error if isinstance(outcome, Failure) else None,
                elapsed=outcome.elapsed,
                cost=spent(asked.legs),
            )
            for asked, outcome in zip(grid, outcomes, strict=True)
        ]
        if not any(cell.completion for cell in cells):
            raise AllFailed([Cause(cell.label, cell.error) for cell in cells if cell.error])
        if request.shape == "list":
            width = len(request.models) if request.mode == "all" else 1
            listed = listed_answer(cells, self._stamped, width if request.nested else None)
            return GatewayResponse(listed, request.mode)
        body = combined_answer(cells, request)
        body |= {"id": _random_id(), "created": int(self._now())}
        return GatewayResponse(body, request.mode)

    # ---- streams ----

    @asynccontextmanager
    async def _stream_one(
        self, request: FanOutRequest, context: Context, until: float
    ) -> AsyncIterator[ResponseStream]:
        asked = self._grid(request, context, until)[0]
        started = perf_counter()
        async with self._contest(request, context, until, asked) as (result, leg, chunks):

            def report() -> Report:
                outcomes = result.outcomes
                return make_report(request.mode, asked.legs, outcomes, started, perf_counter())

            told = self._told(chunks, leg.answered, request, report)
            yield ResponseStream(told, request.mode, leg.answered)

    async def _told(
        self,
        chunks: AsyncIterator[ChatChunk],
        model: str,
        request: FanOutRequest,
        report: Callable[[], Report],
    ) -> AsyncIterator[ChatChunk]:
        """The winner's chunks under the caller's name for it; usage only if asked for, and last."""
        head: dict[str, Any] = {}
        usage: Any = None
        async for chunk in chunks:
            if not head:
                created = chunk.get("created") or int(self._now())
                head = {"id": chunk.get("id") or _random_id(), "created": created, "model": model}
            usage = chunk.get("usage") or usage
            if not chunk["choices"]:
                continue
            said: Any = {**chunk, **head}
            said.pop("usage", None)
            if request.include_usage:
                said["usage"] = None
            yield said
        if request.include_usage:
            last: Any = {"object": "chat.completion.chunk", **head, "choices": [], "usage": usage}
            if request.mode != "one":
                last["fanout"] = report()
            yield last

    @asynccontextmanager
    async def _stream_all(
        self, request: FanOutRequest, context: Context, until: float
    ) -> AsyncIterator[ResponseStream]:
        grid = self._grid(request, context, until)
        cell = partial(self._stream_cell, request, context, until)
        openers = [partial(cell, asked) for asked in grid]
        cells = [asked.models for asked in grid]

        def cost(index: int) -> float | None:
            return spent(grid[index].legs)

        weave = Interleave(cells, request, _random_id(), int(self._now()), perf_counter, cost)
        async with merge_streams(openers, limit=self._limit(request)) as items:
            woven = weave.chunks(items)
            head: list[ChatChunk] = []
            async for chunk in woven:
                head.append(chunk)
                if says_something(chunk):
                    break
            if len(weave.causes) == len(grid):
                raise AllFailed(weave.causes)
            yield ResponseStream(_then(head, woven), request.mode)

    @asynccontextmanager
    async def _stream_cell(
        self, request: FanOutRequest, context: Context, until: float, asked: GridCell
    ) -> AsyncIterator[AsyncIterator[tuple[str, ChatChunk]]]:
        """One cell's chunks, each with the name of the model that says it."""
        async with self._contest(request, context, until, asked) as (_, leg, chunks):
            yield _named(leg.answered, chunks)

    @asynccontextmanager
    async def _contest(
        self, request: FanOutRequest, context: Context, until: float, asked: GridCell
    ) -> AsyncIterator[tuple[RaceResult[Any], Leg, AsyncIterator[ChatChunk]]]:
        """One cell's result, decided in time, and its chunks, none of them too late."""
        late = self._too_late(request, context)
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(until):
                    opening = self._contests.stream(request, asked)
                    result, leg, chunks = await stack.enter_async_context(opening)
            except TimeoutError:
                raise late from None
            yield result, leg, with_deadline(chunks, until, late)

    # ---- what the request means here ----

    def _resolved(self, request: FanOutRequest) -> FanOutRequest:
        """Refuse unknown names before anything is paid for; chain a lone model to its fallbacks."""
        for name in request.names:
            self.catalog.find(name)
        spare = self._contests.spare(request, request.models[0]) if request.mode == "one" else ()
        if not spare:
            return request
        return replace(
            request, mode="fallback", models=(*request.models, *spare), stagger=None, fallbacks={}
        )

    def _grid(self, request: FanOutRequest, context: Context, until: float) -> list[GridCell]:
        """The cells, message-major; each with its contestants."""
        leg = partial(
            Leg,
            request_id=context.request_id,
            mode=request.mode,
            retries=request.num_retries,
            until=until,
            places=self._share(request),
            size=request.size,
            watcher=context.watcher,
        )
        sets = [(m,) for m in request.models] if request.mode == "all" else [request.models]
        return [
            GridCell(chat, models, [leg(name) for name in models])
            for chat in request.conversations
            for models in sets
        ]

    def _share(self, request: FanOutRequest) -> AbstractAsyncContextManager[object] | None:
        """The request's part of the places; `None` where it needs none."""
        calls, limit = len(request.conversations) * len(request.models), self._limit(request)
        if self._pool is not None:
            return self._pool.share(limit)
        return asyncio.Semaphore(limit) if calls > limit else None

    def _limit(self, request: FanOutRequest) -> int:
        ours = self.catalog.general.max_parallel_requests
        return min(request.max_parallel or ours, ours)

    def _deadline(self, request: FanOutRequest, context: Context) -> float:
        """Seconds: the smallest of the request's, the config's and the host's."""
        given = (request.timeout, self.catalog.timeout, context.deadline)
        return min(seconds for seconds in given if seconds is not None)

    def _too_late(self, request: FanOutRequest, context: Context) -> DeadlineExceeded:
        seconds = self._deadline(request, context)
        return DeadlineExceeded(f"no answer within the request's {seconds:g} s")

    def _stamped(self, completion: ChatCompletion) -> dict[str, Any]:
        """The answer with what its provider left out: an id, a time."""
        body: dict[str, Any] = {**completion}
        body["id"] = body.get("id") or _random_id()
        body["created"] = body.get("created") or int(self._now())
        return body


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _random_id() -> str:
    return f"chatcmpl-{random.getrandbits(96):024x}"


async def _named(
    model: str, chunks: AsyncIterator[ChatChunk]
) -> AsyncIterator[tuple[str, ChatChunk]]:
    async for chunk in chunks:
        yield model, chunk


async def _then(
    head: Sequence[ChatChunk], rest: AsyncIterator[ChatChunk]
) -> AsyncIterator[ChatChunk]:
    for chunk in head:
        yield chunk
    async for chunk in rest:
        yield chunk

"""
One conversation and the models that compete for its answer: the result, whole or streamed.

Knows nothing of several conversations, of how an answer is shown, or of HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter
from typing import Any

from msgspec import Struct

from ..concurrency import Failure, RaceResult, race, race_streams
from ..errors import AllFailed, Broken, Cause, ErrorDetail
from ..routing.leg import Leg
from ..routing.router import Router
from ..schema.chat import ChatChunk, ChatCompletion, says_something
from ..schema.fanout import FanOutRequest
from ..schema.request import ChatRequest
from .report import make_report


class GridCell(Struct, frozen=True, gc=False):
    """One cell of the grid: a conversation, and the models that compete for its answer."""

    request: ChatRequest
    models: tuple[str, ...]
    legs: list[Leg]


class ConversationRunner:
    """Runs contests over a router; `fallbacks` are the config's, for a request without its own."""

    def __init__(self, router: Router, fallbacks: Mapping[str, tuple[str, ...]]) -> None:
        self._router = router
        self._fallbacks = fallbacks

    async def answer(self, request: FanOutRequest, asked: GridCell) -> ChatCompletion:
        """One cell's answer, by the caller's name of who gave it; of a result with its report."""
        if request.mode in {"one", "all"}:
            leg = asked.legs[0]
            completion = await self._with_fallbacks(request, leg, asked.request)
            return {**completion, "model": leg.answered}
        started = perf_counter()
        # Only where several run at once is there one to cancel, which a stream makes cheap.
        by_stream = request.stagger is not None
        calls = [
            partial(self._with_fallbacks, request, leg, asked.request, by_stream=by_stream)
            for leg in asked.legs
        ]
        result = await race(calls, stagger=request.stagger)
        if result.winner is None:
            raise all_failed(asked.legs, result)
        report = make_report(request.mode, asked.legs, result.outcomes, started, perf_counter())
        winner = asked.legs[result.winner].answered
        return {**result.value, "model": winner, "fanout": report}

    async def _with_fallbacks(
        self, request: FanOutRequest, leg: Leg, chat: ChatRequest, *, by_stream: bool = False
    ) -> ChatCompletion:
        """One model's answer, or that of the first of its fallbacks that has one."""
        ask = self._router.chat_by_stream if by_stream else self._router.chat
        legs = self._chain(request, leg)
        if len(legs) == 1:
            return await ask(leg, chat)
        result = await race([partial(ask, each, chat) for each in legs], stagger=None)
        if result.winner is None:
            raise all_failed(legs, result)
        leg.answered = legs[result.winner].model
        return result.value

    @asynccontextmanager
    async def stream(
        self, request: FanOutRequest, asked: GridCell
    ) -> AsyncIterator[tuple[RaceResult[Any], Leg, AsyncIterator[ChatChunk]]]:
        """One cell's result, decided: how it went, who won, and what the winner says."""
        openers = [partial(self._opened, request, leg, asked.request) for leg in asked.legs]
        # An empty answer is one, but where several run at once it is no reason to stop the others.
        counts = says_something if request.stagger is not None and len(openers) > 1 else _anything
        async with race_streams(
            openers, stagger=request.stagger, qualifies=counts, empty_error=_silent(asked.legs)
        ) as (result, chunks):
            if result.winner is None:
                raise all_failed(asked.legs, result)
            yield result, asked.legs[result.winner], chunks

    @asynccontextmanager
    async def _opened(
        self, request: FanOutRequest, leg: Leg, chat: ChatRequest
    ) -> AsyncIterator[AsyncIterator[ChatChunk]]:
        """One model's stream, or that of the first of its fallbacks that has one."""
        legs = self._chain(request, leg)
        if len(legs) == 1:
            async with self._router.stream(leg, chat) as chunks:
                yield chunks
            return
        openers = [partial(self._router.stream, each, chat) for each in legs]
        silent = _silent(legs)
        async with race_streams(
            openers, stagger=None, qualifies=_anything, empty_error=silent
        ) as found:
            result, chunks = found
            if result.winner is None:
                raise all_failed(legs, result)
            leg.answered = legs[result.winner].model
            yield chunks

    def _chain(self, request: FanOutRequest, leg: Leg) -> list[Leg]:
        """The leg, and one for each fallback of its model."""
        spare = self.spare(request, leg.model)
        return [leg, *(leg.instead(name) for name in spare)]

    def spare(self, request: FanOutRequest, name: str) -> tuple[str, ...]:
        """The names that stand in for `name`: the request's, else the config's."""
        given = self._fallbacks if request.fallbacks is None else request.fallbacks
        return given.get(name, ())


def all_failed(legs: Sequence[Leg], result: RaceResult[Any]) -> Exception:
    """Every cause in call order; of a lone model, its own error."""
    failures = [
        Cause(leg.model, outcome.error)
        for leg, outcome in zip(legs, result.outcomes, strict=True)
        if isinstance(outcome, Failure)
    ]
    return failures[0].error if len(failures) == 1 else AllFailed(failures)


def _anything(_: ChatChunk) -> bool:
    return True


def _silent(legs: Sequence[Leg]) -> Callable[[int], Exception]:
    def broken(index: int) -> Exception:
        deployment = legs[index].deployment
        if deployment is None:
            raise AssertionError("a stream that ended was never opened")
        return Broken(deployment, ErrorDetail("the answer ended without any content"))

    return broken

"""
Runs one conversation: with one model and its fallbacks, or with several in a race.

Does not depend on several conversations or HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from ..concurrency import Failure, RaceResult, Stagger, Success, race, race_streams
from ..config.catalog import Catalog
from ..errors import FanoutError, Forbidden, Unauthorized, withdrawal_of
from ..routing.leg import Leg
from ..routing.router import Router
from ..schema.chat import ChatChunk, ChatCompletion, has_content, is_empty
from ..schema.fanout import FanOutRequest
from ..schema.gateway_fields import Mode
from ..schema.request import ChatRequest
from ..wire.http import WireRequest
from .fallback_calls import FallbackCalls, any_chunk
from .report import empty_error, empty_winner, make_report, mode_of

if TYPE_CHECKING:
    from ..routing.first_token_times import FirstTokenTimes
    from .checked_cell import CheckedCell
    from .decisions import Decisions
    from .judge_cell import MergedStream
    from .run import GridCell


ShareTimes: TypeAlias = "Callable[[FirstTokenTimes], None]"

CellRace: TypeAlias = tuple[RaceResult[Any], Leg, AsyncIterator[ChatChunk]]
"""A cell's race after its end: its result, the winner's leg, and the winner's chunks."""


class ConversationRunner:
    """
    Runs cells over a router; the catalog has the fallbacks for requests without their own.

    `share_times` gets the times of adaptive hedges when the first one is asked for: the host shares
    them with other processes.
    """

    def __init__(self, router: Router, catalog: Catalog) -> None:
        self._router = router
        self.share_times: ShareTimes | None = None
        self._catalog = catalog
        self.calls = FallbackCalls(router, catalog)
        self.times: FirstTokenTimes | None = None

    def chat(self, request: FanOutRequest, cell: GridCell) -> Awaitable[ChatCompletion]:
        """One cell's response, with the model's name as the client wrote it; a race's report."""
        if cell.checked is None:
            return self._chat(request, cell)
        return self._checked_chat(request, cell, cell.checked)

    async def _checked_chat(
        self, request: FanOutRequest, cell: GridCell, checked: CheckedCell
    ) -> ChatCompletion:
        try:
            completion = await self._chat(request, cell)
        except FanoutError as error:
            if checked.fatal is not None:
                raise checked.fatal from None
            if checked.last is None or isinstance(error, Unauthorized):
                raise
            if not checked.check.escalate:
                if isinstance(error, Forbidden):
                    raise
                raise checked.mismatch() from error
            completion = await self._escalate(request, cell, checked)
        if checked.fatal is not None:
            raise checked.fatal
        if request.is_decided and "fanout" in completion:
            from .decisions import with_decision

            report = checked.report(request.mode, cell.legs, None)
            return {
                **completion,
                "fanout": with_decision(report, completion["fanout"], len(cell.legs)),
            }
        report = checked.report(request.mode, cell.legs, completion)
        return {**completion, "fanout": report}

    async def _escalate(
        self, request: FanOutRequest, cell: GridCell, checked: CheckedCell
    ) -> ChatCompletion:
        """The first response that fits of the models that are called when no other's does."""
        checked.is_escalating = True
        legs = [cell.legs[0].fallback(name) for name in checked.check.escalate]
        cell.further += (*legs,)
        call = checked.valid(self.calls.plain(by_stream=_is_by_stream(request)))
        result = await race([partial(call, leg, cell.request) for leg in legs], stagger=None)
        if checked.fatal is not None:
            raise checked.fatal
        if result.winner is None:
            errors = (one.error for one in result.outcomes if isinstance(one, Failure))
            raise withdrawal_of(errors) or checked.mismatch()
        return {**result.value, "model": legs[result.winner].model}

    def _chat(self, request: FanOutRequest, cell: GridCell) -> Awaitable[ChatCompletion]:
        by_stream = _is_by_stream(request)
        if request.mode in {"one", "all"}:
            leg = cell.legs[0]
            call = self.calls.chat(request, leg, cell, by_stream=by_stream)
            return _named(request.mode, leg, call)
        if request.is_decided:
            return self._decisions.chat(request, cell)
        return self._race(request, cell, by_stream=by_stream)

    async def _race(
        self, request: FanOutRequest, cell: GridCell, *, by_stream: bool
    ) -> ChatCompletion:
        """The response of the first model that succeeds."""
        started = perf_counter()
        empty: dict[int, Success[ChatCompletion]] = {}
        call: Callable[..., Awaitable[ChatCompletion]]
        if request.stagger is None:
            call = partial(self.calls.chat, by_stream=by_stream)
        else:
            call = partial(self._with_content, empty)
        calls = [partial(call, request, leg, cell) for leg in cell.legs]
        result = await race(calls, stagger=self._stagger(request, cell))
        if result.winner is None:
            result = empty_winner(result, empty, cell.legs)
        if result.winner is None:
            raise cell.all_failed(request.mode, result, started)
        report = make_report(request.mode, cell.legs, result.outcomes, started, perf_counter())
        winner = cell.legs[result.winner].responding_model
        return {**result.value, "model": winner, "fanout": report}

    def _stagger(self, request: FanOutRequest, cell: GridCell) -> Stagger:
        """The pause before each next start; `None` if only a failure starts the next model."""
        if not request.is_adaptive:
            return request.stagger
        from .hedge_delays import HedgeDelays, first_token_times  # most requests do not need it

        if self.times is None:
            self.times = first_token_times(self._catalog)
            if self.share_times is not None:
                self.share_times(self.times)
        return HedgeDelays(self.times, cell.legs, self._router.observer)

    @cached_property
    def _decisions(self) -> Decisions:
        from .decisions import Decisions  # most requests do not need it

        return Decisions(self._router, self._catalog)

    def stream_requests(self, leg: Leg, chat: ChatRequest) -> list[WireRequest]:
        """The requests that a stream of one model, which is not called yet, may have."""
        return self._router.stream_requests(leg, chat)

    def merged_stream(
        self, request: FanOutRequest, cell: GridCell
    ) -> AbstractAsyncContextManager[MergedStream]:
        """One cell's response that a judge makes of several, as a stream."""
        return self._decisions.stream(request, cell)

    async def _with_content(
        self,
        empty: dict[int, Success[ChatCompletion]],
        request: FanOutRequest,
        leg: Leg,
        cell: GridCell,
    ) -> ChatCompletion:
        """
        One model's response in a race, received as a stream; an error if it has no content.

        An empty response is valid, but does not win against models that are still running. It is
        noted in `empty`, by the id of its leg.
        """
        started = perf_counter()
        completion = await self.calls.chat(request, leg, cell, by_stream=True)
        if all(is_empty(choice["message"]) for choice in completion["choices"]):
            empty[id(leg)] = Success(completion, perf_counter() - started)
            raise empty_error([leg])(0)
        return completion

    @asynccontextmanager
    async def stream(self, request: FanOutRequest, cell: GridCell) -> AsyncIterator[CellRace]:
        """One cell's response as a stream; the block starts when its race has a winner."""
        openers = [partial(self.calls.stream, request, leg, cell.request) for leg in cell.legs]
        # An empty response is valid, but does not win against models that are still running.
        started = perf_counter()
        qualifies = has_content if request.stagger is not None and len(openers) > 1 else any_chunk
        async with race_streams(
            openers,
            stagger=self._stagger(request, cell),
            qualifies=qualifies,
            empty_error=empty_error(cell.legs),
        ) as (result, chunks):
            if result.winner is None:
                raise cell.all_failed(request.mode, result, started)
            yield result, cell.legs[result.winner], chunks


async def _named(mode: Mode, leg: Leg, call: Awaitable[ChatCompletion]) -> ChatCompletion:
    """The call's response with the model's name as the client wrote it."""
    started = perf_counter()
    completion = await call
    named = ChatCompletion({**completion, "model": leg.responding_model})
    if leg.fallbacks:
        won, ended = Success(completion, perf_counter() - started), perf_counter()
        named["fanout"] = make_report(mode_of(mode, leg), [leg], [won], started, ended)
    return named


def _is_by_stream(request: FanOutRequest) -> bool:
    """
    Whether whole responses are received as streams.

    Models that run at once are streamed: closing a stream stops a loser and its costs. So is a
    whole response whose request asks for a stream.
    """
    is_race = request.stagger is not None and request.mode not in {"one", "all"}
    return is_race or request.stream

"""
Calls one model of a conversation, and its fallbacks one after the other if it fails.

Knows nothing of races between a request's models.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from ..concurrency import Failure, Opener, RaceResult, race, race_streams
from ..config.catalog import Catalog, ClientKey
from ..errors import FanoutError
from ..routing.leg import Leg
from ..routing.router import Router
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.fanout import FanOutRequest
from ..schema.request import ChatRequest
from .report import all_failed, empty_error

if TYPE_CHECKING:
    from .run import GridCell

_Call: TypeAlias = Callable[[Leg, ChatRequest], Awaitable[ChatCompletion]]


class FallbackCalls:
    """
    Calls models over a router; the catalog has the fallbacks for requests without their own.

    A model's response may be that of a fallback: `leg.responding_model` says which.
    """

    def __init__(self, router: Router, catalog: Catalog) -> None:
        self._router = router
        self._routes = catalog.routes
        self._has_special = catalog.routes.has_special

    def plain(self, *, by_stream: bool) -> _Call:
        return self._router.chat_by_stream if by_stream else self._router.chat

    def chat(
        self, request: FanOutRequest, leg: Leg, cell: GridCell, *, by_stream: bool = False
    ) -> Awaitable[ChatCompletion]:
        """One model's response, or that of the first of its fallbacks that succeeds."""
        plain = self.plain(by_stream=by_stream)
        if cell.checked is not None:
            plain = cell.checked.valid(plain)
        elif cell.pace is not None:
            plain = cell.pace.paced(plain)
        call = partial(self._call_special, plain) if self._has_special else plain
        legs = self._with_fallback_legs(request, leg)
        if len(legs) == 1:
            return call(leg, cell.request)
        return self._first_of(legs, cell.request, call)

    async def _first_of(self, legs: list[Leg], chat: ChatRequest, call: _Call) -> ChatCompletion:
        """The first response of a model and its fallbacks, which are called one after the other."""
        leg = legs[0]
        calls = [partial(_noted_call, partial(call, each, chat), leg, each) for each in legs]
        result = await race(calls, stagger=None)
        if result.winner is None:
            raise all_failed(legs, result)
        leg.responding_model = legs[result.winner].responding_model
        return result.value

    async def _call_special(self, call: _Call, leg: Leg, chat: ChatRequest) -> ChatCompletion:
        """The call's response, or that of a fallback for the kind of error it failed with."""
        started = perf_counter()
        try:
            return await call(leg, chat)
        except FanoutError as error:
            fallbacks = self._special_legs(leg, error)
            if not fallbacks:
                raise
            leg.failure = failure = Failure(error, perf_counter() - started)
        calls = [partial(_noted_call, partial(call, each, chat), leg, each) for each in fallbacks]
        result = await race(calls, stagger=None)
        if result.winner is None:
            raise all_failed([leg, *fallbacks], _with_first(failure, result))
        leg.responding_model = fallbacks[result.winner].model
        return result.value

    def _special_legs(self, leg: Leg, error: FanoutError) -> list[Leg]:
        """A leg for each fallback of its model for this kind of error."""
        names = self._routes.special_fallbacks(leg.model, error.detail.code)
        names = allowed_names(leg.client, names)
        return [leg.fallback(name) for name in names]

    @asynccontextmanager
    async def stream(
        self, request: FanOutRequest, leg: Leg, chat: ChatRequest
    ) -> AsyncIterator[AsyncIterator[ChatChunk]]:
        """One model's stream, or that of the first of its fallbacks that succeeds."""
        legs = self._with_fallback_legs(request, leg)
        call = self._stream_special if self._has_special else self._router.stream
        if len(legs) == 1:
            async with call(leg, chat) as chunks:
                yield chunks
            return
        openers = [partial(_noted_stream, partial(call, each, chat), leg, each) for each in legs]
        async with race_streams(
            openers, stagger=None, qualifies=any_chunk, empty_error=empty_error(legs)
        ) as (result, chunks):
            if result.winner is None:
                raise all_failed(legs, result)
            leg.responding_model = legs[result.winner].responding_model
            yield chunks

    @asynccontextmanager
    async def _stream_special(
        self, leg: Leg, chat: ChatRequest
    ) -> AsyncIterator[AsyncIterator[ChatChunk]]:
        """The model's stream, or that of a fallback for the kind of error it failed with."""
        started, plain = perf_counter(), self._router.stream
        async with AsyncExitStack() as stack:
            try:
                chunks = await stack.enter_async_context(plain(leg, chat))
            except FanoutError as error:
                fallbacks = self._special_legs(leg, error)
                if not fallbacks:
                    raise
                leg.failure = failure = Failure(error, perf_counter() - started)
                openers = [
                    partial(_noted_stream, partial(plain, each, chat), leg, each)
                    for each in fallbacks
                ]
                result, chunks = await stack.enter_async_context(
                    race_streams(
                        openers,
                        stagger=None,
                        qualifies=any_chunk,
                        empty_error=empty_error(fallbacks),
                    )
                )
                if result.winner is None:
                    raise all_failed([leg, *fallbacks], _with_first(failure, result)) from None
                leg.responding_model = fallbacks[result.winner].model
            yield chunks

    def _with_fallback_legs(self, request: FanOutRequest, leg: Leg) -> list[Leg]:
        """The leg, and one for each fallback of its model; a single one has none (`_resolve`)."""
        if request.mode == "one":
            return [leg]
        names = self.fallbacks_of(request, leg.model, leg.client)
        return [leg, *(leg.fallback(name) for name in names)]

    def fallbacks_of(
        self, request: FanOutRequest, name: str, client: ClientKey | None
    ) -> tuple[str, ...]:
        """The model's fallbacks: the request's, else those of the config that the client may use"""
        if request.fallbacks is None:
            return allowed_names(client, self._routes.fallbacks_of(name))
        return request.fallbacks.get(name, ())


async def _noted_call(
    call: Callable[[], Awaitable[ChatCompletion]], first: Leg, leg: Leg
) -> ChatCompletion:
    """The call of a leg that is `first` or a fallback of it; why it fails is noted."""
    started = _begin(first, leg)
    try:
        return await call()
    except Exception as error:
        _note(leg, error, started)
        raise


@asynccontextmanager
async def _noted_stream(
    opener: Opener[ChatChunk], first: Leg, leg: Leg
) -> AsyncIterator[AsyncIterator[ChatChunk]]:
    """The same for a stream."""
    started = _begin(first, leg)
    try:
        async with opener() as chunks:
            yield chunks
    except Exception as error:
        _note(leg, error, started)
        raise


def _begin(first: Leg, leg: Leg) -> float:
    if leg is not first:
        first.fallbacks += (leg,)
    return perf_counter()


def _note(leg: Leg, error: Exception, started: float) -> None:
    """Note why a leg fails; if it has fallbacks of its own, it is already known."""
    if leg.failure is None:
        leg.failure = Failure(error, perf_counter() - started)


def _with_first(failure: Failure, result: RaceResult[Any]) -> RaceResult[Any]:
    """A race that no one has won, with a failure before it."""
    return RaceResult(None, [failure, *result.outcomes])


def allowed_names(client: ClientKey | None, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that a client may use, all for the user of this process."""
    if client is None or not client.is_limited:
        return names
    return tuple(name for name in names if client.may_use(name))


def any_chunk(_: ChatChunk) -> bool:
    return True

"""
Calls one model of a conversation, and its fallbacks one after the other if it fails.

Does not depend on races between a request's models.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from ..concurrency import Failure, Opener, RaceResult, failure_of, prepend, race, race_streams
from ..config.catalog import Catalog, ClientKey
from ..errors import ContentFiltered, ErrorDetail, FanoutError, detail_of
from ..routing.leg import Leg
from ..routing.router import Router
from ..schema.chat import ChatChunk, ChatCompletion, is_empty
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
        """The call of one model without fallbacks, received as a stream or whole."""
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
        """
        The call's response, or that of a fallback for the kind of error it failed with.

        A response that ends as `content_filter` has failed, too, if there is a fallback
        for that. If the fallbacks fail, it is the response all the same.
        """
        started, filtered = perf_counter(), None
        error: FanoutError
        try:
            completion = await call(leg, chat)
            if not is_filtered(completion["choices"]) or not self._may_filter(leg):
                return completion
            filtered, error = completion, _filtered_error(leg)
            fallbacks = self._special_legs(leg, error)
        except FanoutError as raised:
            if not (fallbacks := self._special_legs(leg, raised)):
                raise
            error = raised
        leg.failure = failure = failure_of(error, started)
        calls = [partial(_noted_call, partial(call, each, chat), leg, each) for each in fallbacks]
        result = await race(calls, stagger=None)
        if result.winner is None and filtered is not None:
            leg.failure = None
            return filtered
        if result.winner is None:
            raise all_failed([leg, *fallbacks], _with_first(failure, result))
        leg.responding_model = fallbacks[result.winner].model
        return result.value

    def _may_filter(self, leg: Leg) -> bool:
        """Whether there is a fallback for a response that is filtered."""
        names = self._routes.special_fallbacks(leg.model, ContentFiltered.code)
        return bool(allowed_names(leg.client, names))

    def _special_legs(self, leg: Leg, error: Exception) -> list[Leg]:
        """A leg for each fallback of its model for this kind of error."""
        names = self._routes.special_fallbacks(leg.model, detail_of(error).code)
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
        """
        The model's stream, or that of a fallback for the kind of error it failed with.

        One that ends as `content_filter` has failed, too, if it has no content but the refusal.
        """
        started = perf_counter()
        filtered: list[ChatChunk] = []
        error: FanoutError | None = None
        async with AsyncExitStack() as stack:
            try:
                chunks = await stack.enter_async_context(self._router.stream(leg, chat))
                if self._may_filter(leg):
                    head, is_over = await _head_of(chunks)
                    filtered = head if is_over else []
                    chunks = prepend(head, chunks)
                if filtered:
                    error = _filtered_error(leg)
            except FanoutError as raised:
                if not self._special_legs(leg, raised):
                    raise
                error = raised
            if error is not None:
                await stack.aclose()  # its slot is free for the fallback
                failure = failure_of(error, started)
                chunks = await self._opened_special(stack, leg, chat, failure, filtered)
            yield chunks

    async def _opened_special(
        self,
        stack: AsyncExitStack,
        leg: Leg,
        chat: ChatRequest,
        failure: Failure,
        filtered: list[ChatChunk],
    ) -> AsyncIterator[ChatChunk]:
        """The stream of the first fallback that succeeds; if none does, what was filtered."""
        fallbacks = self._special_legs(leg, failure.error)
        leg.failure = failure
        call = self._router.stream
        openers = [
            partial(_noted_stream, partial(call, each, chat), leg, each) for each in fallbacks
        ]
        result, chunks = await stack.enter_async_context(
            race_streams(
                openers, stagger=None, qualifies=any_chunk, empty_error=empty_error(fallbacks)
            )
        )
        if result.winner is not None:
            leg.responding_model = fallbacks[result.winner].model
            return chunks
        if not filtered:
            raise all_failed([leg, *fallbacks], _with_first(failure, result)) from None
        leg.failure = None
        return prepend(filtered, None)

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


def is_filtered(choices: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each of these choices ends as `content_filter`."""
    return bool(choices) and all(one.get("finish_reason") == "content_filter" for one in choices)


def _filtered_error(leg: Leg) -> ContentFiltered:
    """The error of a leg whose response was filtered."""
    if leg.deployment is None:
        raise AssertionError("a response came from nowhere")
    detail = ErrorDetail(
        "the response ended as `content_filter`",
        "invalid_request_error",
        None,
        ContentFiltered.code,
    )
    return ContentFiltered(leg.deployment, detail)


async def _head_of(chunks: AsyncIterator[ChatChunk]) -> tuple[list[ChatChunk], bool]:
    """The chunks up to the first content, or all; and whether all is nothing but a refusal."""
    head: list[ChatChunk] = []
    async for chunk in chunks:
        head.append(chunk)
        if not all(is_empty({**one["delta"], "refusal": None}) for one in chunk["choices"]):
            return head, False
    ends = [one for each in head for one in each["choices"] if one.get("finish_reason")]
    return head, is_filtered(ends)


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
        leg.failure = failure_of(error, started)


def _with_first(failure: Failure, result: RaceResult[Any]) -> RaceResult[Any]:
    """A race that no one has won, with a failure before it."""
    return RaceResult(None, [failure, *result.outcomes])


def allowed_names(client: ClientKey | None, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that a client may use, all for the user of this process."""
    if client is None or not client.is_limited:
        return names
    return tuple(name for name in names if client.may_use(name))


def any_chunk(_: ChatChunk) -> bool:
    """Whether a chunk decides that a stream has begun: each does."""
    return True

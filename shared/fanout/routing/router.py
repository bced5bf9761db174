"""
One model name to one answer: its group, its fail-over, its retries, its fallbacks' door.

Knows one model name at a time; `gateway/gateway.py` chooses the names.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from functools import partial
from time import perf_counter
from typing import TypeAlias, TypeVar

from ..concurrency import optional_timeout
from ..config.resolve import Catalog, Deployment
from ..errors import (
    ErrorDetail,
    FanoutError,
    Internal,
    MissingKey,
    Oversized,
    ProviderError,
    TimedOut,
    Unsupported,
)
from ..schema.accumulator import ChunkAccumulator
from ..schema.chat import ChatChunk, ChatCompletion, says_something
from ..schema.request import ChatRequest
from ..schema.validation import parse_chat
from ..telemetry.observers import Observer
from ..transport.client import Transport
from ..transport.engine import MAX_ANSWER
from .leg import AttemptState, Leg, Outcome, make_record
from .load_balancing import DeploymentGroup
from .retry_policy import Retry, is_retryable

T = TypeVar("T")

NO_PLACE: AbstractAsyncContextManager[object] = nullcontext()
"""What a call holds whose request is not one of too many."""

MAX_HEAD = 10_000
"""Chunks of a stream that are held while none of them has content."""


def _clock() -> float:
    """The event loop's clock, which a test may turn; uvloop's counts whole milliseconds only."""
    return asyncio.get_running_loop().time()


_Call: TypeAlias = Callable[[Leg, ChatRequest, AttemptState], Awaitable[T]]
"""Performs one attempt."""

_Attempt: TypeAlias = Callable[[Leg, ChatRequest, DeploymentGroup, Deployment], Awaitable[T]]
"""Takes a place of the deployment's, and performs one attempt in it."""

_Opened: TypeAlias = tuple[AsyncExitStack, AttemptState, list[ChatChunk], AsyncIterator[ChatChunk]]


class Router:
    """Asks a model name, whichever of its deployments answers. Used by many requests at once."""

    def __init__(
        self,
        catalog: Catalog,
        transport: Transport,
        *,
        observer: Observer,
        draw: Callable[[], float] = random.random,
        max_answer: int = MAX_ANSWER,
    ) -> None:
        self._catalog = catalog
        self._transport = transport
        self._observer = observer
        self._draw = draw
        self._retry = Retry(draw)
        self._groups: dict[str, DeploymentGroup] = {}
        self._max_answer = max_answer

    async def chat(self, leg: Leg, request: ChatRequest) -> ChatCompletion:
        """The whole answer of one model name."""
        return await self._answered(leg, request, partial(self._placed, self._whole))

    async def _whole(self, leg: Leg, request: ChatRequest, this: AttemptState) -> ChatCompletion:
        fitted = with_defaults(request, this.deployment)
        async with optional_timeout(this.deployment.timeout):
            reply = await self._transport.chat(this.deployment, fitted, leg.size)
        this.dropped, leg.headers = reply.dropped, reply.headers
        this.usage = reply.completion.get("usage")
        self._told(leg, this, "ok", None)
        return reply.completion

    async def chat_by_stream(self, leg: Leg, request: ChatRequest) -> ChatCompletion:
        """
        The whole answer, asked for as a stream: cancelling it then stops the provider's bill.

        A stream that breaks has failed as a whole, so another deployment may still answer.
        """
        return await self._answered(leg, request, partial(self._placed, self._assembled))

    async def _assembled(
        self, leg: Leg, request: ChatRequest, this: AttemptState
    ) -> ChatCompletion:
        fitted = with_defaults(request, this.deployment)
        assembly = ChunkAccumulator()
        async with (
            optional_timeout(this.deployment.timeout),
            self._transport.stream(this.deployment, fitted, leg.size) as stream,
        ):
            this.dropped = stream.dropped
            async for chunk in stream.chunks:
                if this.first_token is None and says_something(chunk):
                    self._first_token(leg, this)
                assembly.add(chunk)
                if assembly.size > self._max_answer:
                    raise _oversized(this.deployment, "the answer is too large to be held")
        this.usage = assembly.usage
        self._told(leg, this, "ok", None)
        return assembly.whole()

    @asynccontextmanager
    async def stream(
        self, leg: Leg, request: ChatRequest
    ) -> AsyncIterator[AsyncIterator[ChatChunk]]:
        """
        The answer as it comes, entered once its first content is in hand, or all of an empty one.

        Until then another deployment may take over; after it a fault is the caller's to hear.
        """
        stack, this, head, rest = await self._answered(leg, request, self._placed_open)
        try:
            async with stack:
                yield self._noting_usage(leg, this, head, rest)
        except BaseException as error:
            self._told(leg, this, _outcome(error), error)
            raise
        self._told(leg, this, "ok", None)

    async def _opened(
        self, hold: AsyncExitStack, leg: Leg, request: ChatRequest, this: AttemptState
    ) -> _Opened:
        """The stream, whose connection and places are `hold`'s, and then whoever's that reads."""
        fitted = with_defaults(request, this.deployment)
        async with optional_timeout(this.deployment.timeout):
            opened = await hold.enter_async_context(
                self._transport.stream(this.deployment, fitted, leg.size)
            )
            this.dropped = opened.dropped
            head: list[ChatChunk] = []
            async for chunk in opened.chunks:
                head.append(chunk)
                if len(head) > MAX_HEAD:
                    raise _oversized(this.deployment, f"{MAX_HEAD} chunks without content")
                if says_something(chunk):
                    self._first_token(leg, this)
                    break
            return hold.pop_all(), this, head, opened.chunks

    async def _answered(self, leg: Leg, request: ChatRequest, attempt: _Attempt[T]) -> T:
        """
        Try the group's deployments until one answers.

        Another deployment is tried at once; when each has been, those worth another try are, after
        a pause. There are as many tries as `num_retries` allows, and at least one for each
        deployment. Nothing sleeps after the last, nor longer than the leg has time.
        """
        group = self._group(leg.model)
        avoid: set[str] = set()
        hopeless: set[str] = set()
        tries = round_number = 0
        leg.started = perf_counter()
        while True:
            deployment = group.pick(avoid | hopeless)
            if deployment is None:
                raise AssertionError("a round always leaves someone to ask")
            try:
                return await attempt(leg, request, group, deployment)
            except (ProviderError, MissingKey, Unsupported) as error:
                tries += 1
                (avoid if is_retryable(error) else hopeless).add(deployment.id)
                retries = deployment.retries if leg.retries is None else leg.retries
                if tries >= max(retries + 1, len(group)) or len(hopeless) == len(group):
                    raise
                if len(avoid | hopeless) == len(group):
                    pause = self._retry.delay(round_number, error)
                    if leg.until is not None and _clock() + pause >= leg.until:
                        raise
                    await asyncio.sleep(pause)
                    round_number += 1
                    avoid.clear()

    async def _placed(
        self,
        call: _Call[T],
        leg: Leg,
        request: ChatRequest,
        group: DeploymentGroup,
        deployment: Deployment,
    ) -> T:
        async with leg.places or NO_PLACE, group.using(deployment):
            return await self._attempt(call, leg, request, group, deployment)

    async def _placed_open(
        self, leg: Leg, request: ChatRequest, group: DeploymentGroup, deployment: Deployment
    ) -> _Opened:
        async with AsyncExitStack() as hold:
            await hold.enter_async_context(leg.places or NO_PLACE)
            await hold.enter_async_context(group.using(deployment))
            call = partial(self._opened, hold)
            return await self._attempt(call, leg, request, group, deployment)

    async def _attempt(
        self,
        call: _Call[T],
        leg: Leg,
        request: ChatRequest,
        group: DeploymentGroup,
        deployment: Deployment,
    ) -> T:
        this = AttemptState(group, deployment, perf_counter())
        leg.deployment = deployment
        leg.tried.append(deployment.id)
        if leg.watcher is not None:
            leg.watcher.started(leg)
        try:
            return await call(leg, request, this)
        except TimeoutError:
            words = f"no answer within {deployment.timeout or 0:g} s"
            error = TimedOut(deployment, ErrorDetail(words, "timeout_error"))
            self._told(leg, this, "failed", error)
            raise error from None
        except ProviderError as error:
            self._told(leg, this, "failed", error)
            raise
        except BaseException as error:
            self._told(leg, this, _outcome(error), error)
            self._raise_bug(leg, error)
            raise

    def _group(self, name: str) -> DeploymentGroup:
        if (group := self._groups.get(name)) is None:
            group = DeploymentGroup(
                self._catalog.find(name),
                now=_clock,
                draw=self._draw,
                allowed_fails=self._catalog.allowed_fails,
                cooldown=self._catalog.cooldown_time,
            )
            if name in self._catalog.groups:  # any other is a caller's own word: there is no end
                self._groups[name] = group
        return group

    async def _noting_usage(
        self,
        leg: Leg,
        this: AttemptState,
        head: Sequence[ChatChunk],
        rest: AsyncIterator[ChatChunk],
    ) -> AsyncIterator[ChatChunk]:
        for chunk in head:
            leg.usage = this.usage = chunk.get("usage") or this.usage
            yield chunk
        while True:
            try:
                piece = await anext(rest, None)
            except Exception as error:
                self._raise_bug(leg, error)
                raise
            if piece is None:
                return
            leg.usage = this.usage = piece.get("usage") or this.usage
            yield piece

    def _raise_bug(self, leg: Leg, error: BaseException) -> None:
        """Of a bug the log is told here, whatever else the others in the request come to."""
        if isinstance(error, Exception) and not isinstance(error, FanoutError):
            self._observer.bug(leg.request_id, error)
            raise Internal from error

    def _first_token(self, leg: Leg, this: AttemptState) -> None:
        this.first_token = leg.first_token = perf_counter()
        if leg.watcher is not None:
            leg.watcher.first_token(leg)

    def _told(
        self, leg: Leg, this: AttemptState, outcome: Outcome, error: BaseException | None
    ) -> None:
        """An attempt is over, a streamed one when its last word is said."""
        if error is None:
            this.group.succeeded(this.deployment)
        elif isinstance(error, ProviderError):
            this.group.failed(this.deployment, error)
        leg.ended = perf_counter()
        leg.usage, leg.dropped = this.usage, this.dropped
        if leg.watcher is not None:
            leg.watcher.ended(leg, outcome, error)
        self._observer.attempt(make_record(leg, this, outcome, error))


def _oversized(deployment: Deployment, words: str) -> Oversized:
    return Oversized(deployment, ErrorDetail(words))


def _outcome(error: BaseException) -> Outcome:
    return "failed" if isinstance(error, Exception) else "cancelled"


def with_defaults(request: ChatRequest, deployment: Deployment) -> ChatRequest:
    """The request with the deployment's default parameters where the caller says nothing."""
    if not deployment.defaults:
        return request
    return parse_chat({**deployment.defaults, **request.body})

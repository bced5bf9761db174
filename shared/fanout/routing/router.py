"""
Gets one response from one model name: load balancing between its deployments, failover, retries.

Knows one model name at a time; `gateway/gateway.py` chooses the names, and runs fallbacks.
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

from msgspec.structs import replace

from ..concurrency import optional_timeout, within
from ..config.deployment import Deployment
from ..config.resolve import Catalog
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
from ..schema.chat import ChatChunk, ChatCompletion, has_content
from ..schema.request import ChatRequest
from ..schema.validation import with_defaults
from ..telemetry.observers import Observer
from ..transport.client import Transport
from ..transport.engine import MAX_RESPONSE_BYTES
from ..transport.error_mapping import OVER_SIZE_LIMIT
from .leg import AttemptState, Leg, Outcome, outcome_of, record_end, record_first_token
from .load_balancing import DeploymentGroup, DeploymentGroups
from .retry_policy import RetryPolicy, retries_after

T = TypeVar("T")

NO_SLOT: AbstractAsyncContextManager[object] = nullcontext()
"""What a call holds if its request has no limit on calls in flight."""

MAX_HEAD = 10_000
"""The most chunks at the start of a stream without any content."""

MAX_HEAD_BYTES = 1_000_000
"""The most bytes of these chunks, unpacked; as objects they take up to thirty times as much."""


def _clock() -> float:
    """The event loop's clock, which tests may set; uvloop's has a resolution of 1 ms."""
    return asyncio.get_running_loop().time()


_Call: TypeAlias = Callable[[Leg, ChatRequest, AttemptState], Awaitable[T]]
"""Makes one attempt."""

_Attempt: TypeAlias = Callable[[Leg, ChatRequest, DeploymentGroup, Deployment], Awaitable[T]]
"""Waits for a slot of the deployment, and makes one attempt."""

_Opened: TypeAlias = tuple[AsyncExitStack, AttemptState, list[ChatChunk], AsyncIterator[ChatChunk]]


class Router:
    """Gets responses from model names. One instance serves many concurrent requests."""

    def __init__(
        self,
        catalog: Catalog,
        transport: Transport,
        *,
        observer: Observer,
        rng: Callable[[], float] = random.random,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        self._catalog = catalog
        self._transport = transport
        self._observer = observer
        self._rng = rng
        self._retry = RetryPolicy(rng, least=catalog.balancing.retry_after)
        self._groups = DeploymentGroups(catalog, now=_clock, rng=rng)
        self._max_response_bytes = max_response_bytes
        self._attempt_chat = partial(self._in_slot, self._chat)

    async def chat(self, leg: Leg, request: ChatRequest) -> ChatCompletion:
        """The whole response of one model name."""
        return await self._with_retries(leg, request, self._attempt_chat)

    async def _chat(self, leg: Leg, request: ChatRequest, state: AttemptState) -> ChatCompletion:
        request, limit = with_defaults(request, state.deployment.defaults), state.deployment.timeout
        call = self._transport.chat(state.deployment, request, leg.size)
        response = await (call if limit is None else within(limit, call))
        state.dropped, leg.headers = response.dropped, response.headers
        state.usage = response.completion.get("usage")
        self._record(leg, state, "ok", None)
        return response.completion

    async def chat_by_stream(self, leg: Leg, request: ChatRequest) -> ChatCompletion:
        """
        The whole response, received as a stream: closing a stream stops the model and its costs.

        A stream that breaks has failed as a whole, so another deployment may still succeed.
        """
        return await self._with_retries(leg, request, partial(self._in_slot, self._collect_stream))

    async def _collect_stream(
        self, leg: Leg, request: ChatRequest, state: AttemptState
    ) -> ChatCompletion:
        request = with_defaults(request, state.deployment.defaults)
        accumulator = ChunkAccumulator()
        async with (
            optional_timeout(state.deployment.timeout),
            self._transport.stream(state.deployment, request, leg.size) as stream,
        ):
            state.dropped, state.skipped = stream.dropped, stream.skipped
            async for chunk in stream.chunks:
                if state.first_token is None and has_content(chunk):
                    record_first_token(leg, state, perf_counter())
                accumulator.add(chunk)
                if accumulator.size > self._max_response_bytes:
                    raise Oversized(state.deployment, ErrorDetail(OVER_SIZE_LIMIT))
        state.usage = accumulator.usage
        self._record(leg, state, "ok", None)
        return accumulator.completion()

    @asynccontextmanager
    async def stream(
        self, leg: Leg, request: ChatRequest
    ) -> AsyncIterator[AsyncIterator[ChatChunk]]:
        """
        The response as a stream; the block starts when its first content (or its end) is there.

        Until then, another deployment is called if one fails; later failures are raised.
        """
        stack, state, head, rest = await self._with_retries(leg, request, self._open_in_slot)
        try:
            async with stack:
                yield self._track_usage(leg, state, head, rest)
        except BaseException as error:
            self._record(leg, state, outcome_of(error), error)
            raise
        self._record(leg, state, "ok", None)

    async def _open_stream(
        self, stack: AsyncExitStack, leg: Leg, request: ChatRequest, state: AttemptState
    ) -> _Opened:
        """
        Open the stream and read up to its first content.

        `stack` holds the connection and the slots; on success they move to the stack returned.
        """
        request = with_defaults(request, state.deployment.defaults)
        async with optional_timeout(state.deployment.timeout):
            opened = await stack.enter_async_context(
                self._transport.stream(state.deployment, request, leg.size)
            )
            state.dropped, state.skipped = opened.dropped, opened.skipped
            head: list[ChatChunk] = []
            async for chunk in opened.chunks:
                head.append(chunk)
                if has_content(chunk):
                    record_first_token(leg, state, perf_counter())
                    break
                if len(head) > MAX_HEAD or opened.skipped.bytes > MAX_HEAD_BYTES:
                    why = f"more than {MAX_HEAD} chunks or {MAX_HEAD_BYTES} bytes without content"
                    raise Oversized(state.deployment, ErrorDetail(why))
            return stack.pop_all(), state, head, opened.chunks

    async def _with_retries(self, leg: Leg, request: ChatRequest, attempt: _Attempt[T]) -> T:
        """
        Call the group's deployments until one succeeds.

        After a failure (but a refused prompt) another deployment is called at once. When all have
        failed, those with a retryable error are called again after a pause. There are `num_retries`
        + 1 attempts, at least one a deployment, and no wait after the last or past the deadline.
        A `retry_policy` of the config counts before `num_retries`, unless the request has its own.
        """
        if leg.client is not None and (leg.client.is_limited or not request.is_text):
            from .authorization import check_call

            check_call(leg.client, leg.alias or leg.model, request, self._catalog.general)
        group = self._groups.find(leg.model)
        failed: set[str] = set()  # in this round
        not_retryable: set[str] = set()
        attempts = round_number = 0
        leg.started = perf_counter()
        while True:
            deployment = group.pick(failed | not_retryable if attempts else frozenset())
            if deployment is None:
                raise AssertionError("a round always leaves a deployment to call")
            try:
                return await attempt(leg, request, group, deployment)
            except (ProviderError, MissingKey, Unsupported) as error:
                planned = group.retries_after(error) if leg.retries is None else None
                if error.is_final and not planned:
                    raise
                attempts += 1
                given = deployment.retries if leg.retries is None else leg.retries
                retries, may_succeed = retries_after(error, planned, given)
                (failed if may_succeed else not_retryable).add(deployment.id)
                if attempts >= max(retries + 1, len(group)) or len(not_retryable) == len(group):
                    raise
                if len(failed | not_retryable) == len(group):
                    pause = self._retry.delay(round_number, error)
                    if leg.deadline is not None and _clock() + pause >= leg.deadline:
                        raise
                    await asyncio.sleep(pause)
                    round_number += 1
                    failed.clear()

    async def _in_slot(
        self,
        call: _Call[T],
        leg: Leg,
        request: ChatRequest,
        group: DeploymentGroup,
        deployment: Deployment,
    ) -> T:
        if leg.slots is None:
            async with group.slot(deployment):
                return await self._attempt(call, leg, request, group, deployment)
        async with leg.slots, group.slot(deployment):
            return await self._attempt(call, leg, request, group, deployment)

    async def _open_in_slot(
        self, leg: Leg, request: ChatRequest, group: DeploymentGroup, deployment: Deployment
    ) -> _Opened:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(leg.slots or NO_SLOT)
            await stack.enter_async_context(group.slot(deployment))
            call = partial(self._open_stream, stack)
            return await self._attempt(call, leg, request, group, deployment)

    async def _attempt(
        self,
        call: _Call[T],
        leg: Leg,
        request: ChatRequest,
        group: DeploymentGroup,
        deployment: Deployment,
    ) -> T:
        if leg.drop_params is not None:
            target = replace(deployment.target, drop_params=leg.drop_params)
            deployment = replace(deployment, target=target)
        state = AttemptState(group, deployment, perf_counter())
        leg.deployment = deployment
        leg.tried.append(deployment.id)
        if leg.watcher is not None:
            leg.watcher.started(leg)
        try:
            return await call(leg, request, state)
        except TimeoutError:
            message = f"no response within {deployment.timeout or 0:g} s"
            error = TimedOut(deployment, ErrorDetail(message, "timeout_error"))
            self._record(leg, state, "failed", error)
            raise error from None
        except ProviderError as error:
            self._record(leg, state, "failed", error)
            raise
        except BaseException as error:
            self._record(leg, state, outcome_of(error), error)
            self._raise_bug(leg, error)
            raise

    async def _track_usage(
        self,
        leg: Leg,
        state: AttemptState,
        head: Sequence[ChatChunk],
        rest: AsyncIterator[ChatChunk],
    ) -> AsyncIterator[ChatChunk]:
        for chunk in head:
            leg.usage = state.usage = chunk.get("usage") or state.usage
            yield chunk
        while True:
            try:
                next_chunk = await anext(rest, None)
            except Exception as error:
                self._raise_bug(leg, error)
                raise
            if next_chunk is None:
                return
            leg.usage = state.usage = next_chunk.get("usage") or state.usage
            yield next_chunk

    def _raise_bug(self, leg: Leg, error: BaseException) -> None:
        """Log a bug and raise `Internal`; do nothing for other errors."""
        if isinstance(error, Exception) and not isinstance(error, FanoutError):
            self._observer.bug(leg.request_id, error)
            raise Internal from error

    def _record(
        self, leg: Leg, state: AttemptState, outcome: Outcome, error: BaseException | None
    ) -> None:
        record_end(leg, state, outcome, error, perf_counter(), self._observer)

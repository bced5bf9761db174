"""
Gets one response from one model name: load balancing between its deployments, failover, retries.

Knows one model name at a time; `gateway/gateway.py` chooses the names, and runs fallbacks.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from functools import cached_property, partial
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, TypeVar

from msgspec.structs import replace

from ..concurrency import within
from ..config.catalog import Catalog, ClientKey
from ..config.deployment import Deployment
from ..errors import (
    MissingKey,
    ProviderError,
    RequestError,
    Unsupported,
)
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.request import ChatRequest
from ..schema.validation import with_defaults
from ..telemetry.observers import Observer
from ..transport.client import Transport
from ..transport.engine import MAX_RESPONSE_BYTES, Incoming
from ..transport.request_encoding import stream_request
from ..wire.http import WireRequest, WireResponse
from .leg import Attempt, HeldSlots, Leg, outcome_of
from .load_balancing import NONE, DeploymentGroup, DeploymentGroups
from .retry_policy import Failures, RetryPolicy

if TYPE_CHECKING:
    from ..schema.embeddings import EmbeddingPart, Vectors
    from .stream_attempts import Opened, StreamAttempts

T = TypeVar("T")


def _clock() -> float:
    """The event loop's clock, which tests may set; uvloop's has a resolution of 1 ms."""
    return asyncio.get_running_loop().time()


R = TypeVar("R", ChatRequest, "EmbeddingPart")
"""What a model is asked."""

_Call: TypeAlias = Callable[[R, Attempt], Awaitable[T]]
"""Makes one attempt."""

_Attempt: TypeAlias = Callable[[Leg, R, DeploymentGroup, AbstractSet[str]], Awaitable[T]]
"""Waits for a deployment that is not in the set, and makes one attempt."""


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
        self.observer = observer
        self._rng = rng
        self._retry = RetryPolicy(rng, least=catalog.balancing.retry_after)
        self._groups = DeploymentGroups(catalog, now=_clock, rng=rng)
        self._max_response_bytes = max_response_bytes
        self._attempt_chat = partial(self._in_slot, self._chat)

    def exchange(self, deployment: Deployment, wire: WireRequest) -> Awaitable[WireResponse]:
        """Send a request of another API than chat once; see `Transport.exchange`."""
        return self._transport.exchange(deployment, wire)

    def open(
        self, deployment: Deployment, wire: WireRequest
    ) -> AbstractAsyncContextManager[Incoming]:
        """The response to such a request as it arrives; see `Transport.open`."""
        return self._transport.open(deployment, wire)

    def chat(self, leg: Leg, request: ChatRequest) -> Awaitable[ChatCompletion]:
        """The whole response of one model name."""
        return self._with_retries(leg, request, self._attempt_chat)

    async def _chat(self, request: ChatRequest, attempt: Attempt) -> ChatCompletion:
        leg, deployment = attempt.leg, attempt.deployment
        leg.is_stream = False
        request, limit = with_defaults(request, deployment.defaults), deployment.timeout
        if leg.flex:
            from .flex import FLEX_TIMEOUT, on_flex  # only lines of jobs are on this tier

            cheaper = on_flex(request, deployment)
            leg.is_on_flex = cheaper is not None
            if cheaper is not None:
                request, limit = cheaper, limit and max(limit, FLEX_TIMEOUT)
        until = leg.call_end(limit, _clock())
        call = self._transport.chat(deployment, request, leg.size, until, attempt.note_request)
        response = await (call if limit is None else within(limit, call))
        leg.headers = response.headers
        attempt.broken_end = response.broken_end
        attempt.usage = response.completion.get("usage")
        leg.completion = None if attempt.usage else response.completion
        attempt.tier = response.completion.get("service_tier")
        attempt.record("ok")
        return response.completion

    def embed(self, leg: Leg, part: EmbeddingPart) -> Awaitable[Vectors]:
        """The vectors of one part of a request for embeddings, with retries as for a chat."""
        from .embeddings import attempt_embedding  # few processes serve them

        call = partial(attempt_embedding, self._transport)
        return self._with_retries(leg, part, partial(self._in_slot, call))

    def chat_by_stream(self, leg: Leg, request: ChatRequest) -> Awaitable[ChatCompletion]:
        """
        The whole response, received as a stream: closing a stream stops the model and its costs.

        A stream that breaks has failed as a whole, so another deployment may still succeed.
        """
        return self._with_retries(leg, request, partial(self._in_slot, self._streams.collect))

    @cached_property
    def _streams(self) -> StreamAttempts:
        from .stream_attempts import StreamAttempts  # the first response may be a whole one

        return StreamAttempts(self._transport, self._max_response_bytes)

    @asynccontextmanager
    async def stream(
        self, leg: Leg, request: ChatRequest
    ) -> AsyncIterator[AsyncIterator[ChatChunk]]:
        """
        The response as a stream; the block starts when its first content (or its end) is there.

        Until then, another deployment is called if one fails; later failures are raised.
        """
        stack, attempt, head, rest = await self._with_retries(leg, request, self._open_in_slot)
        try:
            async with stack:
                yield self._streams.track_usage(attempt, head, rest)
        except BaseException as error:
            attempt.record(outcome_of(error), error)
            raise
        attempt.record("ok")

    async def _with_retries(self, leg: Leg, request: R, attempt: _Attempt[R, T]) -> T:
        """
        Call the group's deployments until one succeeds.

        After a failure (but a refused prompt) another deployment is called at once. When all have
        failed, those with a retryable error are called again after a pause. There are `num_retries`
        + 1 attempts, at least one a deployment, and no wait after the last or past the deadline.
        A `retry_policy` of the config counts before `num_retries`, unless the request has its own.
        If no budget has another call, the last error is raised, or that it is spent.
        """
        client = leg.client
        if client is not None and (
            client.is_limited or client.account is not None or not request.is_text
        ):
            self._check_rights(leg, client, request)
        group = self._groups.find(leg.model)
        failures: Failures | None = None
        leg.started, leg.sent = perf_counter(), request
        if leg.fallback_of and leg.watcher is not None:
            await leg.watcher.pay_again(leg, None)
        while True:
            try:
                return await attempt(
                    leg, request, group, NONE if failures is None else failures.avoided
                )
            except (ProviderError, MissingKey, RequestError) as error:
                deployment = leg.deployment
                if deployment is None or not _is_of_deployment(error, request):
                    raise
                failures = failures or Failures(self._retry, len(group), leg.deadline)
                planned = group.retries_after(error) if leg.retries is None else None
                given = deployment.retries if leg.retries is None else leg.retries
                if not failures.add(error, deployment.id, planned, given, _clock()):
                    raise
                if leg.watcher is not None:
                    await leg.watcher.pay_again(leg, error)
            if failures.pause is not None:
                await asyncio.sleep(failures.pause)

    def _check_rights(self, leg: Leg, client: ClientKey, request: R) -> None:
        """Raise `Forbidden` if the client may not make the call."""
        from .authorization import check_call

        if client.account is not None and leg.watcher is None:
            raise AssertionError("a meter watches each call of a virtual key")
        check_call(client, leg.alias or leg.model, request, self._catalog.general)

    async def _check_current(self, leg: Leg, request: R) -> None:
        """
        Raise what forbids the call that starts now.

        The rights of a virtual key may have changed while the call waited for its slot, or since an
        earlier call of the same request.
        """
        client = leg.client
        if client is None or client.current is None:
            return
        now = await client.current()
        if now is not client:
            self._check_rights(leg, now, request)

    async def _in_slot(
        self,
        call: _Call[R, T],
        leg: Leg,
        request: R,
        group: DeploymentGroup,
        avoided: AbstractSet[str],
    ) -> T:
        if leg.held is not None:
            return await self._in_held_slots(call, leg, leg.held, request, group, avoided)
        slots, slot = leg.call_slots(group, avoided)
        async with slots, slot as deployment:
            await self._check_current(leg, request)
            with self._attempt(leg, group, deployment) as attempt:
                return await call(request, attempt)

    async def _in_held_slots(
        self,
        call: _Call[R, T],
        leg: Leg,
        held: HeldSlots,
        request: R,
        group: DeploymentGroup,
        avoided: AbstractSet[str],
    ) -> T:
        """The response of a call whose slots are held after it, too, if it succeeds."""
        async with AsyncExitStack() as own:
            slots, slot = leg.call_slots(group, avoided)
            await own.enter_async_context(slots)
            deployment = await own.enter_async_context(slot)
            await self._check_current(leg, request)
            with self._attempt(leg, group, deployment) as attempt:
                response = await call(request, attempt)
            held.push_async_exit(own.pop_all())
            return response

    async def _open_in_slot(
        self, leg: Leg, request: ChatRequest, group: DeploymentGroup, avoided: AbstractSet[str]
    ) -> Opened:
        async with AsyncExitStack() as stack:
            slots, slot = leg.call_slots(group, avoided)
            await stack.enter_async_context(slots)
            deployment = await stack.enter_async_context(slot)
            await self._check_current(leg, request)
            with self._attempt(leg, group, deployment) as attempt:
                return await self._streams.open(stack, request, attempt)

    def _attempt(self, leg: Leg, group: DeploymentGroup, deployment: Deployment) -> Attempt:
        return Attempt(leg, self.observer, perf_counter, group, _fitted(leg, deployment))

    def stream_requests(self, leg: Leg, request: ChatRequest) -> list[WireRequest]:
        """The requests that a stream of one model would have, one for each of its deployments."""
        deployments = self._catalog.find(leg.model)
        found = (stream_request(_fitted(leg, one), request) for one in deployments)
        return [one for one in found if one is not None]


def _is_of_deployment(
    error: Exception, request: ChatRequest | EmbeddingPart
) -> TypeGuard[ProviderError | MissingKey | Unsupported]:
    """Whether another deployment may take the request; the error names the client's field."""
    if isinstance(error, RequestError):
        if isinstance(request, ChatRequest) and request.names is not None:
            request.names.apply(error)
        return isinstance(error, Unsupported)
    return True


def _fitted(leg: Leg, deployment: Deployment) -> Deployment:
    """The deployment as it is called: the request's own `drop_params` counts before its."""
    if leg.drop_params is None:
        return deployment
    return replace(deployment, target=replace(deployment.target, drop_params=leg.drop_params))

"""Sends a line through the gateway, with the same checks as a client's request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from ...config.catalog import Catalog, ClientKey
from ...config.deployment import Deployment
from ...errors import (
    AllFailed,
    FanoutError,
    QuotaExceeded,
    RateLimited,
    RequestError,
)
from ...gateway.gateway import Gateway
from ...gateway.run import Context
from ...providers.registry import rate_limits_of
from ...routing.flex import is_rejection
from ...routing.leg import Leg, Outcome
from ...schema.fanout import FanOutRequest, parse_request
from ...schema.tokens import BYTES_PER_TOKEN
from ...telemetry.observers import Observer
from ...telemetry.prices import FLEX
from ..activity import ActivityTracker
from ..input.estimates import DEFAULT_OUTPUT_TOKENS, conversations_of, max_tokens
from ..input.lines import BadLine, Line
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.limits import Limits
from ..pacing.line_retry import LineRequest, NotSent, SendLine
from ..pacing.prefix_groups import PrefixCall
from ..pacing.prompt_caches import with_cache
from ..pacing.rate_limiter import MemoryRateLimitStore, Permit, RateLimiter
from .checked_lines import PacedCalls
from .judge_calls import JudgeCalls

if TYPE_CHECKING:
    from ...endpoints.embeddings.request import EmbeddingRequest
    from .embedding_groups import EmbeddingGroups

SMOOTHING = 0.1
"""The weight of the latest response in the moving average of output tokens."""

HOLD_POLL = 0.1
"""Seconds between two looks at whether a call may start again."""


def make_line_sender(  # noqa: PLR0913 -- its parts, each once
    gateway: Gateway,
    owner: str,
    observer: Observer,
    limiter: RateLimiter | None = None,
    activity: ActivityTracker | None = None,
    job: str = "",
    latest: float | None = None,
    *,
    client: Callable[[], ClientKey] | None = None,
) -> SendLine:
    """
    Returns the function that sends one line.

    `owner` is the name of the job's key; the lines have the rights that this key has now, or
    those that `client` has when they are sent. A line that may not be sent before `latest`, the end
    of the job's window, fails at once. Without a limiter, only the providers' 429s slow the job
    down.
    """
    known = gateway.catalog.client(owner)
    return _LineSender(
        gateway,
        client or (lambda: known),
        observer,
        limiter or RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), time.time),
        activity or ActivityTracker(time.time),
        job,
        latest,
    ).send


class _LineSender(Struct, eq=False):
    """Sends the lines of a job; `output_tokens` has each model's moving average."""

    gateway: Gateway
    find_client: Callable[[], ClientKey]
    observer: Observer
    limiter: RateLimiter
    activity: ActivityTracker
    job: str
    latest: float | None
    output_tokens: dict[str, float] = field(default_factory=dict)
    groups: EmbeddingGroups | None = None

    @property
    def client(self) -> ClientKey:
        """The client whose rights the lines have."""
        return self.find_client()

    async def send(self, sent: LineRequest, concurrency: AdaptiveConcurrency) -> object:
        """The body of the line's response, which is sent when each of its models permits it."""
        if sent.line.is_embedding:
            return await self._send_embedding(sent, concurrency)
        request = self.gateway.prepare(_parse(sent), self.client)
        watcher = _CallWatcher(concurrency, self.limiter, self.activity, sent.prefix)
        if request.check is not None:
            return await self._send_checked(sent, request, watcher)
        calls = len(conversations_of(sent.line))
        if len(request.models) == 1:  # no stack, because it is run for every line
            name = request.models[0]
            async with self._permit(name, sent.line, sent.size, calls) as permit:
                return await self._call(sent, request, watcher, {name: permit}, calls)
        permits: dict[str, Permit] = {}
        async with AsyncExitStack() as stack:
            for name in request.models:
                opening = self._permit(name, sent.line, sent.size, calls)
                permit = await stack.enter_async_context(opening)
                permits[name] = permit
            return await self._call(sent, request, watcher, permits, calls)

    async def _send_embedding(
        self, sent: LineRequest, concurrency: AdaptiveConcurrency
    ) -> dict[str, Any]:
        """The body of the response to a line for embeddings, which shares a call with others."""
        if self.groups is None:
            from .embedding_groups import EmbeddingGroups  # few jobs have such lines

            self.groups = EmbeddingGroups(self.gateway.catalog, self.activity)

        async def send(request: EmbeddingRequest, tokens: int) -> tuple[list[bytes], int]:
            watcher = _CallWatcher(concurrency, self.limiter, self.activity, None)
            return await self._call_embedding(sent, request, watcher, tokens)

        if sent.line.parse_error is not None:
            raise RequestError(sent.line.parse_error)
        try:
            body: dict[str, Any] = await self.groups.response(sent.line.body, send)
        except Exception as error:
            if not isinstance(error, FanoutError):
                self.observer.bug(sent.request_id, error)
            raise
        sent.received(body)
        return body

    async def _call_embedding(
        self, sent: LineRequest, request: EmbeddingRequest, watcher: _CallWatcher, tokens: int
    ) -> tuple[list[bytes], int]:
        """The vectors of a request, and its tokens; it is sent when its model permits it."""
        found: list[bytes] = []

        async def add(_: int, vectors: Sequence[bytes]) -> None:
            found.extend(vectors)

        model = request.model
        permit = self.limiter.permit(model, tokens, 1, tokens, self.job, self.latest)
        async with _ShownPermit(permit, self.activity):
            await self._until_ready()
            context = Context(sent.request_id, self.client, sent.deadline, watcher)
            try:
                used = await self.gateway.embed(request, context, add)
            except FanoutError as error:
                for name, seconds in _rate_limited_models(error):
                    started = watcher.starts.get(name, 0.0)
                    await self.limiter.rejected(name, started, seconds, permit.size)
                raise
            permit.tokens_used = used
        return found, used

    def _permit(self, name: str, line: Line, size: int, calls: int) -> _ShownPermit:
        """The permit for so many calls to a model, by its usual number of output tokens."""
        expected = self.output_tokens.get(name)
        if expected is None:
            expected = max_tokens(line) or DEFAULT_OUTPUT_TOKENS
        sent_tokens = size / BYTES_PER_TOKEN
        tokens = round(sent_tokens + calls * expected)
        permit = self.limiter.permit(name, tokens, calls, round(sent_tokens), self.job, self.latest)
        return _ShownPermit(permit, self.activity)

    async def _call(
        self,
        sent: LineRequest,
        request: FanOutRequest,
        watcher: _CallWatcher,
        permits: dict[str, Permit],
        calls: int,
    ) -> object:
        activity = self.activity
        await self._until_ready()
        activity.slot_waits[watcher] = request.models[0]
        try:
            context = Context(
                sent.request_id,
                self.client,
                sent.deadline,
                watcher,
                held=sent.held,
                judge_pace=self._judge_calls(sent, request),
                flex=sent.tier == FLEX,
            )
            body = (await self.gateway.chat(_streamed(sent, request), context)).body
        except FanoutError as error:
            for name, seconds in _rate_limited_models(error):
                size = permits[name].size if name in permits else 1.0
                await self.limiter.rejected(name, watcher.starts.get(name, 0.0), seconds, size)
            raise
        except Exception as error:
            self.observer.bug(sent.request_id, error)
            raise
        else:
            sent.received(body)
            return body
        finally:
            activity.slot_waits.pop(watcher, None)
            for name, used in watcher.tokens.items():
                if (permit := permits.get(name)) is not None:
                    permit.tokens_used = used
                    self._used_tokens(name, used, sent.size, calls)

    def _judge_calls(self, sent: LineRequest, request: FanOutRequest) -> JudgeCalls | None:
        """What makes the judge's calls, if there is a judge."""
        if request.judging is None:
            return None
        return JudgeCalls(
            self.limiter,
            lambda name, size: self._permit(name, sent.line, size, 1),
            self._until_ready,
            self._used_tokens,
        )

    async def _until_ready(self) -> None:
        """Wait while no call may start, as on a full disk."""
        activity = self.activity
        while activity.is_held and not activity.is_stopping():  # noqa: ASYNC110 -- of many jobs
            await asyncio.sleep(HOLD_POLL)

    def _used_tokens(self, name: str, tokens: int, size: int, calls: int = 1) -> None:
        """Note that so many calls have used so many tokens, those of the request included."""
        got = (tokens - size / BYTES_PER_TOKEN) / calls
        average = self.output_tokens.get(name, got)
        self.output_tokens[name] = max(1.0, average + (got - average) * SMOOTHING)

    def _deployment(self, name: str, deployment_id: str) -> Deployment | None:
        """The deployment of a model that has this id, if the config still has it."""
        found = self.gateway.catalog.find(name)
        return next((one for one in found if one.id == deployment_id), None)

    async def _send_checked(
        self, sent: LineRequest, request: FanOutRequest, watcher: _CallWatcher
    ) -> object:
        """The body of a checked line's response; each of its calls is sent when it is permitted."""
        pace = PacedCalls(
            sent,
            self.limiter,
            lambda name, size: self._permit(name, sent.line, size, 1),
            self._until_ready,
            self._used_tokens,
            self._deployment,
        )
        sent.paid.begin()
        self.activity.slot_waits[watcher] = request.models[0]
        context = Context(
            sent.request_id,
            self.client,
            sent.deadline,
            watcher,
            held=sent.held,
            pace=pace,
            judge_pace=self._judge_calls(sent, request),
        )
        try:
            body = (await self.gateway.chat(request, context)).body
        except Exception as error:
            if pace.stopped is not None:
                raise pace.stopped from None
            if not isinstance(error, FanoutError):
                self.observer.bug(sent.request_id, error)
            raise
        finally:
            self.activity.slot_waits.pop(watcher, None)
        if pace.stopped is not None:
            raise pace.stopped
        sent.received(body)
        return body


class _ShownPermit:
    """A permit as an `async with` block, which `activity` shows while its line waits for it."""

    __slots__ = ("_activity", "_permit")

    def __init__(self, permit: Permit, activity: ActivityTracker) -> None:
        self._permit = permit
        self._activity = activity

    async def __aenter__(self) -> Permit:
        permit = self._permit
        with self._activity.waiting(permit.limiter.waits[permit.model]):
            return await permit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._permit.__aexit__(kind, error, trace)


def _parse(sent: LineRequest) -> FanOutRequest:
    """
    The line as a request; raises if it is unreadable.

    On the flex tier it has no fallbacks, because the same model in real time comes before them.
    """
    line = sent.line
    if line.parse_error is not None:
        raise RequestError(line.parse_error)
    body = {**line.body, "stream": False}
    if sent.prefix is not None and sent.prefix.mark:
        body = with_cache(body, sent.prefix)
    if sent.tier is not None:
        body.pop("service_tier", None)
    request = parse_request(body)
    if sent.tier == FLEX:
        request = replace(request, fallbacks={})
    if request.num_retries is None:
        return replace(request, num_retries=0)  # the worker retries, within the rate limits
    return request


def _streamed(sent: LineRequest, request: FanOutRequest) -> FanOutRequest:
    """
    The request, to be received as a stream if other lines wait for its first token.

    Calls on the flex tier are no streams.
    """
    prefix = sent.prefix
    waits = prefix is not None and prefix.is_warming and sent.tier != FLEX
    return replace(request, stream=True) if waits else request


class _CallWatcher:
    """
    Reports each call of a line.

    By model, `tokens` are the tokens used, and `starts` when its last call was started.
    """

    def __init__(
        self,
        concurrency: AdaptiveConcurrency,
        limiter: RateLimiter,
        activity: ActivityTracker,
        prefix: PrefixCall | None,
    ) -> None:
        self._prefix = prefix
        self._concurrency = concurrency
        self._limiter = limiter
        self._activity = activity
        self._may_not_send = False
        self.tokens: dict[str, int] = {}
        self.starts: dict[str, float] = {}

    def started(self, leg: Leg) -> None:
        """
        A call starts; raises `NotSent` if none may, unless one of the line was sent before.

        The line may have waited long for its slot, and calls were sent when that began.
        """
        activity = self._activity
        if not self.starts:
            self._may_not_send |= activity.is_held or activity.is_stopping()
        if self._may_not_send:
            raise NotSent("no call may start now")
        activity.slot_waits.pop(self, None)
        self.starts[leg.model] = self._limiter.clock()
        self._limiter.sent(leg.model)
        self._activity.in_flight += 1
        self._concurrency.started(leg)
        if self._prefix is not None:
            self._prefix.started()

    def first_token(self, leg: Leg) -> None:  # noqa: ARG002 -- the interface
        """A call has its first token."""
        if self._prefix is not None:
            self._prefix.first_token()

    def checked(self, leg: Leg, error: FanoutError | None) -> None:
        """A call's response is checked."""

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """A call has ended."""
        self._activity.in_flight -= 1
        if not (leg.is_on_flex and is_rejection(error)):
            self._concurrency.ended(leg, outcome, error)
        if outcome == "ok":
            self._activity.succeeded += 1
        if self._prefix is not None:
            if outcome == "ok":
                self._prefix.succeeded(leg.usage)
            else:
                self._prefix.failed()
        if leg.headers and leg.deployment:
            table = rate_limits_of(leg.deployment.provider.name)
            self._limiter.record_headers(leg.model, leg.deployment.id, leg.headers, table)
        if isinstance(error, RateLimited):
            self._activity.rate_limited += 1
            if error.rate_limits and leg.deployment:
                limits = Limits(**error.rate_limits)
                self._limiter.record_limits(leg.model, leg.deployment.id, limits)
        if leg.usage:
            used = self.tokens.get(leg.model, 0)
            self.tokens[leg.model] = used + leg.usage["total_tokens"]


def _rate_limited_models(error: FanoutError) -> list[tuple[str, float | None]]:
    """The models that responded with a 429, each with its `Retry-After` in seconds."""
    errors = [c.error for c in error.failures] if isinstance(error, AllFailed) else [error]
    return [
        (e.deployment.name, e.retry_after)
        for e in errors
        if isinstance(e, RateLimited) and not isinstance(e, QuotaExceeded)
    ]


def check_model(catalog: Catalog, client: ClientKey, name: str) -> None:
    """Raise `BadLine` for a model that is unknown or that this client may not use."""
    if not client.may_use(name):
        message = f"The key `{client.name}` may not use the model `{name}`."
        raise BadLine("model_not_allowed", message, "body.model")
    try:
        catalog.check_name(name)
    except FanoutError as error:
        raise BadLine("model_not_found", f"{error}.", "body.model") from None

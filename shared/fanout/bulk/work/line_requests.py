"""Sends a line through the gateway, with the same checks as a client's request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from msgspec import Struct, field

from ...config.catalog import ClientKey
from ...config.deployment import DEFAULT_RETRIES, Deployment
from ...errors import FanoutError
from ...gateway.gateway import Gateway
from ...gateway.run import Context
from ...schema.fanout import FanOutRequest
from ...schema.tokens import BYTES_PER_TOKEN
from ...telemetry.observers import Observer
from ...telemetry.prices import FLEX
from ..activity import ActivityTracker
from ..input.estimates import DEFAULT_OUTPUT_TOKENS, conversations_of, max_tokens
from ..input.line_parser import Line
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.limits import Limits
from ..pacing.line_attempt import LineRequest, SendLine
from ..pacing.permit import Permit
from ..pacing.rate_limit_state import MemoryRateLimitStore
from ..pacing.rate_limiter import RateLimiter
from .call_watcher import CallWatcher, ShownPermit, rate_limited_models
from .checked_lines import PacedCalls
from .judge_calls import JudgeCalls
from .permitted_calls import LaterCalls, PermittedCalls
from .requests_of_lines import as_stream, request_of

if TYPE_CHECKING:
    from .embedding_calls import EmbeddingCalls

SMOOTHING = 0.1
"""The weight of the latest response in the moving average of output tokens."""

HOLD_POLL = 0.1
"""Seconds between two looks at whether a call may start again."""


ONE_AFTER_ANOTHER = frozenset({"fallback", "hedge"})
"""The modes in which a line's later models may not be called at all."""


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
    embeddings: EmbeddingCalls | None = None

    @property
    def client(self) -> ClientKey:
        """The client whose rights the lines have."""
        return self.find_client()

    async def send(self, sent: LineRequest, concurrency: AdaptiveConcurrency) -> object:
        """
        The body of the line's response.

        It is sent when each of its models permits it, or each call when its model does: of a line
        that is checked, or whose models are to agree. A hedge or a fallback is sent when its first
        model permits it, and each later call when its own does.
        """
        if sent.line.is_embedding:
            return await self._embedding_calls().send(sent, concurrency)
        request = self.gateway.prepare(request_of(sent), self.client)
        again = sent.is_retry
        watcher = CallWatcher(
            concurrency,
            self.limiter,
            self.activity,
            sent.prefix,
            sent.paid,
            sent.pay_again,
            limit=sent.deadline,
            is_retry=again,
        )
        if request.check is not None or request.agree is not None:
            return await self._send_paced(sent, request, watcher)
        calls = len(conversations_of(sent.line))
        if len(request.models) == 1:  # no stack, because it is run for every line
            name = request.models[0]
            async with self._permit(name, sent.line, sent.size, calls) as permit:
                return await self._call(sent, request, watcher, {name: permit}, calls)
        permits: dict[str, Permit] = {}
        if request.mode in ONE_AFTER_ANOTHER:
            first = request.models[0]
            async with self._permit(first, sent.line, sent.size, calls) as permit:
                later = LaterCalls(self._permitted_calls(sent), first, permit, calls)
                return await self._call(sent, request, watcher, {first: permit}, calls, later)
        async with AsyncExitStack() as stack:
            for name in request.models:
                opening = self._permit(name, sent.line, sent.size, calls)
                permit = await stack.enter_async_context(opening)
                permits[name] = permit
            return await self._call(sent, request, watcher, permits, calls)

    def _embedding_calls(self) -> EmbeddingCalls:
        """What sends the lines for embeddings; few jobs have such lines."""
        if self.embeddings is None:
            from .embedding_calls import EmbeddingCalls

            self.embeddings = EmbeddingCalls(
                self.gateway,
                self.find_client,
                self.observer,
                self.limiter,
                self.activity,
                job=self.job,
                latest=self.latest,
                ready=self._until_ready,
            )
        return self.embeddings

    def _permit(self, name: str, line: Line, size: int, calls: int) -> ShownPermit:
        """The permit for so many calls to a model, by its usual number of output tokens."""
        expected = self.output_tokens.get(name)
        if expected is None:
            expected = max_tokens(line) or DEFAULT_OUTPUT_TOKENS
        sent_tokens = size / BYTES_PER_TOKEN
        tokens = round(sent_tokens + calls * expected)
        permit = self.limiter.permit(name, tokens, calls, round(sent_tokens), self.job, self.latest)
        return ShownPermit(permit, self.activity)

    async def _call(
        self,
        sent: LineRequest,
        request: FanOutRequest,
        watcher: CallWatcher,
        permits: dict[str, Permit],
        calls: int,
        later: LaterCalls | None = None,
    ) -> object:
        activity = self.activity
        await self._until_ready()
        activity.slot_waits[watcher] = request.models[0]
        try:
            context = Context(
                sent.request_id,
                watcher.watched(self.client),
                sent.deadline,
                watcher,
                held=sent.held,
                pace=later,
                judge_pace=self._judge_calls(sent, request),
                flex=sent.tier == FLEX,
                job=self.job,
            )
            body = (await self.gateway.chat(as_stream(sent, request), context)).body
        except FanoutError as error:
            if later is not None:
                raise later.stopped or watcher.stopped or error from None
            for name, seconds in rate_limited_models(error):
                size = permits[name].size if name in permits else 1.0
                await self.limiter.rejected(name, watcher.starts.get(name, 0.0), seconds, size)
            if watcher.stopped is not None:
                raise watcher.stopped from None
            raise
        except Exception as error:
            if later is None or later.stopped is None:
                self.observer.unexpected_error(sent.request_id, error)
            raise
        else:
            watcher.check_whole(request, body)
            watcher.reported.clear()  # the body has it
            sent.received(body)
            return body
        finally:
            sent.paid.unlisted += watcher.reported
            activity.slot_waits.pop(watcher, None)
            for name, used in watcher.tokens.items():
                if (permit := permits.get(name)) is not None:
                    permit.tokens_used = used
                    self._used_tokens(name, used, sent.size, calls)

    def _judge_calls(self, sent: LineRequest, request: FanOutRequest) -> JudgeCalls | None:
        """What makes the judge's calls, if there is a judge."""
        if request.judging is None:
            return None
        return JudgeCalls(self._permitted_calls(sent))

    def _permitted_calls(self, sent: LineRequest) -> PermittedCalls:
        """What makes calls that wait for their own model's rate limit."""
        return PermittedCalls(
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

    async def _send_paced(
        self, sent: LineRequest, request: FanOutRequest, watcher: CallWatcher
    ) -> object:
        """The body of a line's response; each of its calls is sent when it is permitted."""

        async def ready() -> None:
            await self._until_ready()
            self.activity.slot_waits[watcher] = request.models[0]

        pace = PacedCalls(
            sent,
            self.limiter,
            lambda name, size: self._permit(name, sent.line, size, 1),
            ready,
            self._used_tokens,
            self._deployment,
            None if request.agree is None else _panel_retries(sent),
            failures=len(sent.paid.failures),
        )
        sent.paid.begin()
        context = Context(
            sent.request_id,
            watcher.watched(self.client),
            sent.deadline,
            watcher,
            held=sent.held,
            pace=pace,
            judge_pace=self._judge_calls(sent, request),
            job=self.job,
        )
        try:
            body = (await self.gateway.chat(request, context)).body
        except Exception as error:
            if (stopped := pace.stopped or watcher.stopped) is not None:
                raise stopped from None
            if not isinstance(error, FanoutError):
                self.observer.unexpected_error(sent.request_id, error)
            raise
        finally:
            self.activity.slot_waits.pop(watcher, None)
        if pace.stopped is not None:
            raise pace.stopped
        watcher.check_whole(request, body)
        sent.received(body)
        return body


def _panel_retries(sent: LineRequest) -> int:
    """How often a failed call is made again of one of several models that are to agree."""
    is_given = sent.line.body.get("num_retries") is not None
    return 0 if is_given else DEFAULT_RETRIES  # given ones are the gateway's

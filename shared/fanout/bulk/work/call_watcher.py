"""What a line does to its job: permits and calls, counted and shown as they begin and end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import inf
from types import TracebackType
from typing import Any

from msgspec.structs import replace

from ...concurrency import TIMER_ERROR
from ...config.catalog import ClientKey
from ...errors import AllFailed, FanoutError, QuotaExceeded, RateLimited, Unauthorized
from ...gateway.report import is_undecided
from ...providers.registry import rate_limits_of
from ...routing.billing import assumed_usage
from ...routing.flex import is_rejection
from ...routing.leg import Leg, Outcome
from ...schema.fanout import FanOutRequest
from ...telemetry.prices import FLEX
from ..activity import ActivityTracker
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.limits import Limits
from ..pacing.line_attempt import PayAgain
from ..pacing.line_retry import LineDeferred, NotSent
from ..pacing.permit import Permit
from ..pacing.prefix_groups import PrefixCall
from ..pacing.rate_limiter import RateLimiter
from ..paid_calls import PaidCalls


class ShownPermit:
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


class CallWatcher:
    """
    Reports each call of a line.

    It `is_retry` if the line has failed before. By model, `tokens` are the tokens used, and
    `starts` when its last call was started. `paid` gets the calls that cost something without a
    usage; `reported` are those that succeeded with one. `stopped` is set if the job's budget has
    no further call, or its key is not valid any more: it `is_withdrawn`. `limit` is how
    many seconds the line's worker has left.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        concurrency: AdaptiveConcurrency,
        limiter: RateLimiter,
        activity: ActivityTracker,
        prefix: PrefixCall | None,
        paid: PaidCalls,
        pay_again: PayAgain,
        *,
        limit: float | None,
        is_retry: bool = False,
    ) -> None:
        self._clock = asyncio.get_running_loop().time
        self._end = inf if limit is None else self._clock() + limit
        self._prefix = prefix
        self._is_retry = is_retry
        self._paid = paid
        self._pay_again = pay_again
        self.stopped: LineDeferred | None = None
        self.is_withdrawn = False
        self._concurrency = concurrency
        self._limiter = limiter
        self._activity = activity
        self._may_not_send = False
        self.tokens: dict[str, int] = {}
        self.starts: dict[str, float] = {}
        self.reported: list[dict[str, Any]] = []

    async def pay_again(self, leg: Leg, error: Exception | None) -> None:
        """A call is to start after a failed one; raises its error if no budget has it now."""
        try:
            if await self._pay_again():
                return
        except LineDeferred as stopped:
            self.stopped = stopped
        if error is not None:
            raise error
        raise NotSent(f"`{leg.model}` is not called: the budget does not cover another call")

    def watched(self, client: ClientKey) -> ClientKey:
        """The job's client; that its key is not valid before a call ends the line, too."""
        current = client.current
        if current is None:
            return client

        async def watched() -> ClientKey:
            try:
                return await current()
            except Unauthorized:
                self.stopped, self.is_withdrawn = LineDeferred(), True
                raise

        return replace(client, current=watched)

    def check_whole(self, request: FanOutRequest, body: Any) -> None:
        """Raise `LineDeferred` if the response would be another one with the calls not made."""
        if self.stopped is None:
            return
        needs_all = request.combined or request.judging is not None
        if (self.is_withdrawn and needs_all) or any(map(is_undecided, (body, *body["choices"]))):
            raise self.stopped

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
        self._concurrency.started(leg, is_retry=self._is_retry or leg.model in self.starts)
        self.starts[leg.model] = self._limiter.clock()
        self._limiter.sent(leg.model)
        self._activity.in_flight += 1
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
        if leg.is_on_flex and is_rejection(error):
            self._concurrency.ended(leg, "cancelled", None)
        else:
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
        self._note_cost(leg, outcome, error)
        if isinstance(error, RateLimited):
            self._activity.rate_limited += 1
            if error.rate_limits and leg.deployment:
                limits = Limits(**error.rate_limits)
                self._limiter.record_limits(leg.model, leg.deployment.id, limits)

    def _note_cost(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """Note what a call has used."""
        if leg.usage:
            self.tokens[leg.model] = self.tokens.get(leg.model, 0) + leg.usage["total_tokens"]
            if outcome == "ok":
                self.reported.append(_charged(leg, outcome, leg.usage))
        elif usage := assumed_usage(leg, outcome, error):
            ended: Outcome = "failed" if outcome == "cancelled" and self._is_late(leg) else outcome
            self._paid.unlisted.append(_charged(leg, ended, usage))

    def _is_late(self, leg: Leg) -> bool:
        """Whether the time of the leg's request is over, and not that of its worker."""
        end = leg.deadline
        return end is not None and end < self._end and self._clock() + TIMER_ERROR >= end


def _charged(leg: Leg, outcome: Outcome, usage: Mapping[str, Any]) -> dict[str, Any]:
    """A call that costs something, as a report lists it."""
    found = {"model": leg.model, "outcome": outcome, "usage": usage}
    tier = leg.tier or (FLEX if leg.is_on_flex else None)
    return found if tier is None else {**found, "service_tier": tier}


def rate_limited_models(error: FanoutError) -> list[tuple[str, float | None]]:
    """The models that responded with a 429, each with its `Retry-After` in seconds."""
    errors = [c.error for c in error.failures] if isinstance(error, AllFailed) else [error]
    return [
        (e.deployment.name, e.retry_after)
        for e in errors
        if isinstance(e, RateLimited) and not isinstance(e, QuotaExceeded)
    ]

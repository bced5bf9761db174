"""
A rate limiter for requests and tokens a minute of a model, shared by all workers.

A `RateLimitStore` keeps the shared state (`rate_limit_state.py`). Tokens are reserved by estimate
and corrected by real usage. A limit that is not stated is searched for (`limit_search.py`) and
estimated from 429s (`estimated_limit.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from ...errors import DeploymentName, ErrorDetail, RateLimited
from ...providers.rate_limits import MINUTE, OPENAI, Limits, RateLimitTable, read_limits
from .estimated_limit import CALLS
from .fair_lock import FairLock
from .limit_search import LimitSearch
from .limit_wait import LimitWaits
from .limits import weigh_tokens
from .permit import Permit
from .ramp import Ramp
from .rate_limit_state import RateLimitStore, Reservation, store_errors, unavailable

SHORTEST_PAUSE = 0.001
"""Seconds below which a pause is over: clocks are not exact."""

LONG_WAIT = LOOK_INTERVAL = 1.0
"""Seconds of waiting after which a worker looks again for a pause of the model."""

HORIZON, MAX_SLEEP = 1.0, 5.0
"""
Seconds for which a worker reserves ahead by an estimate, and after which it looks again at most.

Otherwise each worker would hold a start of its own, however far off, when the estimate grows.
"""

STEADY_SHARE = 0.96
"""The part of a limit that is used as a steady rate; the rest may be used at once, as a burst."""


def paused_too_long(model: str, seconds: float) -> RateLimited:
    """The error of a line that could only be sent after its job's completion window."""
    message = (
        f"the provider accepts calls again in {seconds:,.0f} seconds, "
        "after the end of the job's completion window"
    )
    return RateLimited(DeploymentName(model), ErrorDetail(message), retry_after=seconds)


class RateLimiter:
    """
    One worker's access to the shared limits.

    `configured` returns the config's limits of a model, `share` is the part of them that jobs may
    use. A worker has one reservation waiting for each model at a time, so that a killed worker
    wastes only one.
    """

    def __init__(
        self,
        store: RateLimitStore,
        configured: Callable[[str], Limits],
        now: Callable[[], float],
        share: float = 1.0,
    ) -> None:
        self.store = store
        self.now = now
        self.waits = LimitWaits()
        self._configured = configured
        self._share = share
        self._turns: dict[str, FairLock] = {}
        self._recorded: set[str] = set()
        self._search = LimitSearch(store, now)

    def permit(
        self,
        model: str,
        tokens: int,
        requests: int = 1,
        input_tokens: int = 0,
        job: str = "",
        latest: float | None = None,
    ) -> Permit:
        """
        Returns a permit for so many requests of about so many tokens together; jobs take turns.

        If the wait for it is cancelled, the reservation is refunded. Entering it raises
        `RateLimitUnavailable` if the store fails, and `RateLimited` at once if the provider has
        asked for a pause that ends after `latest`.
        """
        size = self._search.recent_calls(model).size(requests, tokens, input_tokens)
        return Permit(
            self, model, tokens, requests, input_tokens, job=job, latest=latest, size=size
        )

    async def acquire(self, permit: Permit) -> tuple[list[Reservation], Ramp | None]:
        """Wait until the requests may start; what was reserved, and the ramp that they are in."""
        model, job, latest = permit.model, permit.job, permit.latest
        if (turns := self._turns.get(model)) is None:
            turns = self._turns[model] = FairLock()
        while True:
            if (await self.limits(model)).are_known:
                async with turns.hold(job):
                    limits = await self.limits(model)
                    while reservations := self._reservations(limits, permit):
                        if await self._reserve(model, limits, reservations, turns.waiting, latest):
                            return reservations, None
                        limits = await self.limits(model)
            # All wait for a pause at the same time, and after it limits may be known.
            if await self._wait_for_pause(model, latest):
                continue
            if self._search.is_settled(model):
                return [], None
            if (entered := await self._enter_search(model, turns, job)) is not None:
                return [], entered[0]

    async def _enter_search(
        self, model: str, turns: FairLock, job: str
    ) -> tuple[Ramp | None] | None:
        """Wait for a turn in the search, and return its ramp; `None` if limits may be known now."""
        async with turns.hold(job):
            ramp = await self._search.ramp(model)
            if isinstance(ramp, Ramp):
                await ramp.enter()
        if isinstance(ramp, Ramp):
            if not (await self._search.is_over(model) or (await self.limits(model)).are_known):
                return (ramp,)
            ramp.leave()
        elif ramp is None and not (await self.limits(model)).are_known:
            return (None,)
        return None

    async def _wait_for_pause(self, model: str, latest: float | None) -> bool:
        """Wait until the model's pause ends; returns whether it had one."""
        now = self.now()
        try:  # not `store_errors`, because every line of a job comes here
            until = await self.store.reserve(model, [], now, 0)
        except Exception as error:
            raise unavailable(model) from error
        if until - now <= SHORTEST_PAUSE or (pause := until - self.now()) <= SHORTEST_PAUSE:
            return False
        wait = self.waits[model]
        wait.until = wait.paused_until = until
        if latest is not None and until > latest:
            raise paused_too_long(model, pause)
        await asyncio.sleep(pause)
        return True

    async def _reserve(
        self,
        model: str,
        limits: Limits,
        reservations: list[Reservation],
        waiting: int,
        latest: float | None,
    ) -> bool:
        """
        Reserve and wait for the start.

        Returns `False`, without a reservation, if a pause began meanwhile, or if the start is far
        off by an estimate, which may change before.
        """
        if limits.is_estimate and await self._wait_for_pause(model, latest):
            return False
        with store_errors(model):
            start = await self.store.reserve(model, reservations, self.now(), waiting)
        self.waits[model].until = start
        try:
            if latest is not None and start > latest:
                await self._check_pause(model, latest)
            pause = start - self.now() - HORIZON
            if limits.is_estimate and pause > 0:
                await self._refund(model, reservations)
                reservations = []
                await asyncio.sleep(min(pause + HORIZON / 2, MAX_SLEEP))
                return False
            if await self._wait_until(model, start, limits):
                return True
        except (asyncio.CancelledError, RateLimited):
            await self._refund(model, reservations)
            raise
        if (await self.limits(model)).estimated_at == limits.estimated_at:
            await self._refund(model, reservations)  # a new estimate ends all at the old one
        return False

    async def _refund(self, model: str, reservations: list[Reservation]) -> None:
        for reservation in reservations:
            await self.store.refund(model, reservation)

    async def _wait_until(self, model: str, start: float, limits: Limits) -> bool:
        """Wait for the start of a reservation at these limits; returns whether it still holds."""
        looks = limits.is_estimate or start - self.now() > LONG_WAIT
        while (pause := start - self.now()) > SHORTEST_PAUSE:
            await asyncio.sleep(min(pause, LOOK_INTERVAL))
            if looks:  # another worker may have got a 429 since
                with store_errors(model):
                    paused_until = await self.store.reserve(model, [], self.now(), 0)
                if paused_until > max(start, self.now()) + SHORTEST_PAUSE:
                    return False
        return self.waits[model].paused_until <= max(start, self.now()) + 2 * SHORTEST_PAUSE

    async def _check_pause(self, model: str, latest: float) -> None:
        """Raise `RateLimited` if the provider has asked for a pause that ends after `latest`."""
        with store_errors(model):
            until = await self.store.reserve(model, [], self.now(), 0)
        if until > latest:
            raise paused_too_long(model, until - self.now())

    def _reservations(self, limits: Limits, permit: Permit) -> list[Reservation]:
        all_tokens, weight = weigh_tokens(limits, permit.tokens, permit.input_tokens)
        requests = permit.requests * (permit.size if limits.counts_tokens else 1.0)
        wanted = (
            (CALLS if limits.is_estimate else "requests", requests, limits.requests),
            ("tokens", weight, all_tokens),
        )
        return [
            self._reservation(kind, amount, limit * self._share)
            for kind, amount, limit in wanted
            if limit
        ]

    @staticmethod
    def _reservation(kind: str, amount: float, limit: float) -> Reservation:
        """Reserve at the limit's steady rate; estimates are steady already, and have no burst."""
        steady = 1.0 if kind == CALLS else STEADY_SHARE
        burst = max(0.0, limit * (1 - steady) - 1)
        return Reservation(kind, amount, limit * steady / MINUTE, burst)

    async def limits(self, model: str) -> Limits:
        """The configured limits; where there is none, the learned ones."""
        limits = self._configured(model)
        if not (limits.requests and limits.tokens):
            try:
                learned = await self.store.learned_limits(model, self.now())
            except Exception as error:
                raise unavailable(model) from error
            if learned is not None:
                if limits.tokens:
                    learned = replace(learned, tokens=None, input_tokens=None, output_tokens=None)
                limits = limits.or_else(learned)
        self.waits[model].limits = limits
        return limits

    def record_headers(
        self,
        model: str,
        deployment_id: str,
        headers: Mapping[str, str],
        table: RateLimitTable = OPENAI,
    ) -> None:
        """Share the limits in the headers of a deployment's response; `table` has their names."""
        self.record_limits(model, deployment_id, read_limits(headers, table))

    def record_limits(self, model: str, deployment_id: str, limits: Limits) -> None:
        """Share the limits of a deployment."""
        if limits != Limits() or deployment_id not in self._recorded:
            self._recorded.add(deployment_id)
            self.store.record_limits(model, deployment_id, limits, self.now())

    # ---- calls, from which unstated limits are estimated ----

    @staticmethod
    def clock() -> float:
        """The time of calls: seconds of a clock that never jumps."""
        return asyncio.get_running_loop().time()

    def sent(self, model: str) -> None:
        """Note that a call starts."""
        self._search.recent_calls(model).started(self.clock())

    async def rejected(
        self, model: str, started: float, retry_after: float | None, size: float = 1.0
    ) -> None:
        """
        After a 429 to a call that was started at that `clock`, pause all workers.

        The `size` of the call is that of its permit.

        If the model's limits are not stated, it is a new estimate of them. Otherwise, the pause is
        what the provider asks for.
        """
        limits = await self.limits(model)
        if limits.requests is None or limits.is_estimate:
            if limits.has_tokens:
                size = 1.0  # the limit of tokens is known, so this one is of calls
            with store_errors(model):
                until = await self._search.rejected(model, started, self.clock(), retry_after, size)
            retry_after = max(retry_after or 0.0, until - self.now())
        await self.pause(model, retry_after)

    async def pause(self, model: str, retry_after: float | None) -> None:
        """Let no worker start a line of the model for so many seconds."""
        if retry_after:
            wait = self.waits[model]
            wait.paused_until = max(wait.paused_until, self.now() + retry_after)
            with store_errors(model):
                await self.store.pause(model, self.now() + retry_after)

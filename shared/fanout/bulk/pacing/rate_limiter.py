"""
A rate limiter for requests and tokens a minute of a model, shared by all workers.

A `RateLimitStore` keeps the shared state (`rate_limit_state.py`). Tokens are reserved by estimate
and corrected by real usage. A limit that nobody states is estimated from 429s
(`observed_rate.py`); while none is known, a worker starts slowly (`ramp.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from msgspec import Struct, field
from msgspec.structs import replace

from ...providers.rate_limits import MINUTE, OPENAI, Limits, RateLimitTable, read_limits
from .fair_turns import FairTurns
from .limits import ESTIMATE, ROUGH_ESTIMATE, weigh_tokens
from .observed_rate import Estimate, ObservedRate
from .ramp import PROBE_TIMEOUT, Ramp
from .rate_limit_state import MemoryRateLimitStore, RateLimitStore, Reservation, State, advance

__all__ = [
    "PROBE_TIMEOUT",
    "MemoryRateLimitStore",
    "RateLimitStore",
    "Reservation",
    "State",
    "advance",
]

PROBE_POLL = 0.02
"""Seconds between two looks at whether a call that is tried after a 429 was rejected."""

SHORTEST_PAUSE = 0.001
"""Seconds below which a pause is over: clocks are not exact."""

STEADY_SHARE = 0.96
"""The part of a limit that is used as a steady rate; the rest may be used at once, as a burst."""


class RateLimitUnavailable(Exception):
    """The store could not be read or written; no line is at fault."""


class Permit(Struct, eq=False):
    """
    Permission for some requests of about `tokens` tokens together; entering it waits for it.

    `input_tokens` of them are those of the prompts. Set `tokens_used` once the real usage is known:
    what was not used is refunded at the end.
    """

    limiter: RateLimiter
    model: str
    tokens: int
    requests: int
    input_tokens: int = 0
    reservations: list[Reservation] = []
    tokens_used: int | None = None
    ramp: Ramp | None = None
    job: str = ""

    async def __aenter__(self) -> Self:
        self.reservations, self.ramp = await self.limiter.acquire(
            self.model, self.tokens, self.requests, self.input_tokens, self.job
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.ramp is not None:
            self.ramp.leave()
        if kind is None and self.tokens_used is not None:
            for one in self.reservations:
                if one.kind == "tokens":
                    unused = 1 - self.tokens_used / max(1, self.tokens)
                    refund = Reservation("tokens", one.amount * unused, one.rate, one.burst)
                    await self.limiter.store.refund(self.model, refund)


class RateLimiter(Struct):
    """
    One worker's access to the shared limits.

    `configured` returns the config's limits of a model, `share` is the part of them that jobs may
    use. A worker has one reservation waiting for each model at a time, so that a killed worker
    wastes only one. If a model's limits are unknown and no worker has had a response from it, the
    worker sends one line first, and then a few more with each response (`ramp.py`): otherwise it
    would learn the limits from hundreds of 429s.
    """

    store: RateLimitStore
    configured: Callable[[str], Limits]
    now: Callable[[], float]
    share: float = 1.0
    turns: dict[str, FairTurns] = field(default_factory=dict)
    ramps: dict[str, Ramp | None] = field(default_factory=dict)
    observed: dict[str, ObservedRate] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)

    def permit(
        self, model: str, tokens: int, requests: int = 1, input_tokens: int = 0, job: str = ""
    ) -> Permit:
        """
        Returns a permit for so many requests of about so many tokens together; jobs take turns.

        If the wait for it is cancelled, the reservation is refunded. Entering it raises
        `RateLimitUnavailable` if the store fails.
        """
        return Permit(self, model, tokens, requests, input_tokens, job=job)

    async def acquire(
        self, model: str, tokens: int, requests: int, input_tokens: int = 0, job: str = ""
    ) -> tuple[list[Reservation], Ramp | None]:
        """Wait until the requests may start; what was reserved, and the ramp that they are in."""
        turns = self.turns.setdefault(model, FairTurns())
        while True:
            if (await self.limits(model)).are_known:
                async with turns.turn(job):
                    if await self._wait_for_probe(model):
                        return [], None
                    limits = await self.limits(model)
                    if reservations := self._reservations(limits, tokens, requests, input_tokens):
                        await self._reserve(model, reservations)
                        await self._wait_for_probe(model)
                        return reservations, None
            # All wait for a pause at the same time, and after it limits may be known.
            if await self._reserve(model, []):
                continue
            ramp = await self._ramp(model)
            if ramp is None or ramp.is_over:
                return [], None
            async with turns.turn(job):
                await ramp.enter()
            if not (ramp.is_over or (await self.limits(model)).are_known):
                return [], ramp
            ramp.leave()

    async def _ramp(self, model: str) -> Ramp | None:
        """The slow start of a model; `None` if a worker has had a response from it before."""
        if model not in self.ramps:
            with _store_errors(model):
                is_new = await self.store.learned_limits(model, self.now()) is None
            self.ramps.setdefault(model, Ramp() if is_new else None)
        return self.ramps[model]

    async def _reserve(self, model: str, reservations: list[Reservation]) -> bool:
        """Reserve and wait for the start; returns whether it had to wait."""
        with _store_errors(model):
            start = await self.store.reserve(model, reservations, self.now())
        pause = start - self.now()
        try:
            if pause > 0:
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            for reservation in reservations:
                await self.store.refund(model, reservation)
            raise
        return pause > SHORTEST_PAUSE

    def _reservations(
        self, limits: Limits, tokens: int, requests: int, input_tokens: int
    ) -> list[Reservation]:
        all_tokens, weight = weigh_tokens(limits, tokens, input_tokens)
        wanted = (
            ("requests", float(requests), limits.requests, bool(limits.is_estimate)),
            ("tokens", weight, all_tokens, False),
        )
        return [
            self._reservation(kind, amount, limit * self.share, is_estimate)
            for kind, amount, limit, is_estimate in wanted
            if limit
        ]

    @staticmethod
    def _reservation(kind: str, amount: float, limit: float, is_estimate: bool) -> Reservation:  # noqa: FBT001
        """Reserve at the limit's steady rate; estimates are steady already, and have no burst."""
        steady = 1.0 if is_estimate else STEADY_SHARE
        burst = max(0.0, limit * (1 - steady) - 1)
        return Reservation(kind, amount, limit * steady / MINUTE, burst)

    async def limits(self, model: str) -> Limits:
        """The configured limits; where there is none, the learned ones."""
        configured = self.configured(model)
        if configured.requests and configured.tokens:
            return configured
        with _store_errors(model):
            learned = await self.store.learned_limits(model, self.now()) or Limits()
        if configured.tokens:
            learned = replace(learned, tokens=None, input_tokens=None, output_tokens=None)
        return configured.or_else(learned)

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
        if limits != Limits() or deployment_id not in self.recorded:
            self.recorded.add(deployment_id)
            self.store.record_limits(model, deployment_id, limits, self.now())

    # ---- calls, from which unstated limits are estimated ----

    def sent(self, model: str) -> None:
        """Note that a call starts."""
        self._observed(model).sent(self.now())

    def responded(self, model: str, started: float) -> None:
        """Note that the provider did not reject a call that was started then."""
        self._record_estimate(model, self._observed(model).responded(started, self.now()))

    async def rejected(self, model: str, started: float, retry_after: float | None) -> None:
        """
        After a 429, let no worker start a line before its `Retry-After` is over.

        If the model's limits are not stated, lower the estimate of them, and pause without a
        `Retry-After`, too.
        """
        limits = await self.limits(model)
        if limits.requests is None or limits.is_estimate:
            now, observed = self.now(), self._observed(model)
            known = None
            if limits.requests is not None:
                known = Estimate(limits.requests, bool(limits.is_rough))
            self._record_estimate(model, observed.rejected(started, now, known, retry_after))
            if (ramp := self.ramps.get(model)) is not None:
                ramp.end()
            if observed.is_probing:
                retry_after = retry_after or observed.pause(now)
        await self.pause(model, retry_after)

    def _observed(self, model: str) -> ObservedRate:
        return self.observed.setdefault(model, ObservedRate())

    def _record_estimate(self, model: str, estimate: Estimate | None) -> None:
        if estimate is None:
            return
        kind = ROUGH_ESTIMATE if estimate.is_rough else ESTIMATE
        self.store.record_limits(model, kind, Limits(estimate.rate), self.now())

    async def _wait_for_probe(self, model: str) -> bool:
        """
        While a call is tried after a 429, wait until it has a response, or none for a while.

        Returns whether the next call is the one that is tried.
        """
        observed = self._observed(model)
        while observed.is_probing:
            if (until := observed.probe_until) is None:
                if not await self._reserve(model, []):
                    return True
            elif (rest := until - self.now()) > SHORTEST_PAUSE:
                await asyncio.sleep(min(PROBE_POLL, rest))
            else:
                self._record_estimate(model, observed.recovered(self.now()))
        return False

    async def pause(self, model: str, retry_after: float | None) -> None:
        """Let no worker start a line of the model for so many seconds."""
        if retry_after:
            with _store_errors(model):
                await self.store.pause(model, self.now() + retry_after)


@contextmanager
def _store_errors(model: str) -> Iterator[None]:
    """Raise `RateLimitUnavailable` for anything that the store raises inside the block."""
    try:
        yield
    except Exception as error:
        raise RateLimitUnavailable(f"cannot read or write the rate limits of `{model}`") from error

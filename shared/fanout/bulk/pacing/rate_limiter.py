"""
A rate limiter for requests and tokens a minute of a model, shared by all workers.

It is GCRA, the leaky bucket as one number: a model's state holds, for requests and for tokens, the
time at which the next reservation may start. Each reservation moves that time on by what it takes
at the allowed rate. So it is first come, first served, and nothing polls. Tokens are reserved by
estimate and corrected by real usage. A `RateLimitStore` keeps the state; time is an argument.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, Self

from msgspec import Struct, field

from ...providers.rate_limits import MINUTE, OPENAI, Limits, RateLimitTable, read_limits
from .limits import add_learned, read_learned, weigh_tokens

PROBE_TIMEOUT = 5.0
"""
Seconds for which a worker waits for its first line of a model with unknown limits.

After them it sends its other lines, too.
"""

STEADY_SHARE = 0.96
"""The part of a limit that is used as a steady rate; the rest may be used at once, as a burst."""

State = dict[str, float]
"""
A model's rate limit state.

`requests` and `tokens` are the times of the next reservation, `pause` the end of a `Retry-After`;
`limits.py` adds the learned limits.
"""


class Reservation(Struct, frozen=True):
    """An `amount` of requests or tokens (`kind`), at `rate` a second and with `burst` at once."""

    kind: str
    amount: float
    rate: float
    burst: float


class RateLimitStore(Protocol):
    """The state of all models, shared by all workers."""

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """Make all reservations together, and return the time from which they may be used."""
        ...

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Return an amount that was not used; a negative amount was used in addition."""
        ...

    async def pause(self, model: str, until: float) -> None:
        """Let no reservation start before that time."""
        ...

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """
        What any worker learned of the model in the last day; up to a second or so old.

        `None` if no worker has had a response from it. If responses had no limits, empty limits.
        """
        ...

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """
        Share what a response of one deployment says, at the latest with the next reservation.

        It may be called for each response.
        """
        ...

    async def flush(self) -> None:
        """Return what this worker holds of the shared state; the worker is done."""
        ...


def advance(
    state: Mapping[str, float], reservations: list[Reservation], now: float
) -> tuple[State, float]:
    """The state after the reservations, and when they may start; every store uses this."""
    bases = {r.kind: max(state.get(r.kind, 0.0), now - r.burst / r.rate) for r in reservations}
    start = max([now, state.get("pause", 0.0), *bases.values()])
    # A reservation that waits for another one still uses the rate at the time it starts.
    moved = {
        r.kind: max(bases[r.kind], start - r.burst / r.rate) + r.amount / r.rate
        for r in reservations
    }
    return {**state, **moved}, start


class MemoryRateLimitStore:
    """The state in memory, for the workers of one process."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """Move the model's times on."""
        state = self._states.get(model, {})
        self._states[model], start = advance(state, reservations, now)
        return start

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Move the time back."""
        self._states[model][reservation.kind] -= reservation.amount / reservation.rate

    async def pause(self, model: str, until: float) -> None:
        """Keep the later of two pauses."""
        state = self._states.setdefault(model, {})
        state["pause"] = max(state.get("pause", 0.0), until)

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Read them from the state."""
        return read_learned(self._states.get(model, {}), now)

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """Add them to the state."""
        state = self._states.get(model, {})
        self._states[model] = add_learned(state, deployment_id, limits, now)

    async def flush(self) -> None:
        """Do nothing: all of it is shared already."""


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

    async def __aenter__(self) -> Self:
        self.reservations = await self.limiter.acquire(
            self.model, self.tokens, self.requests, self.input_tokens
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.limiter.record_response(self.model)
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
    worker sends one line first, the probe, and waits for it up to `probe_timeout` seconds:
    otherwise it would learn the limits from hundreds of 429s.
    """

    store: RateLimitStore
    configured: Callable[[str], Limits]
    now: Callable[[], float]
    share: float = 1.0
    probe_timeout: float = PROBE_TIMEOUT
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    responded: dict[str, asyncio.Event] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)

    def permit(self, model: str, tokens: int, requests: int = 1, input_tokens: int = 0) -> Permit:
        """
        Returns a permit for so many requests of about so many tokens together.

        If the wait for it is cancelled, the reservation is refunded. Entering it raises
        `RateLimitUnavailable` if the store fails.
        """
        return Permit(self, model, tokens, requests, input_tokens)

    async def acquire(
        self, model: str, tokens: int, requests: int, input_tokens: int = 0
    ) -> list[Reservation]:
        """Wait until the requests may start, and return what was reserved."""
        while True:
            if (await self.limits(model)).are_known:
                async with self.locks.setdefault(model, asyncio.Lock()):
                    limits = await self.limits(model)
                    if reservations := self._reservations(limits, tokens, requests, input_tokens):
                        await self._reserve(model, reservations)
                        return reservations
            # All wait for a pause at the same time, and after it limits may be known.
            if not (await self._reserve(model, []) or await self._wait_for_probe(model)):
                return []

    def record_response(self, model: str) -> None:
        """Note that a request has ended: the other lines need not wait for a probe."""
        if model in self.responded:
            self.responded[model].set()

    async def _wait_for_probe(self, model: str) -> bool:
        """Wait for another line's probe; `False` if there is none, so that this line is it."""
        if (responded := self.responded.get(model)) is None:
            responded = self.responded[model] = asyncio.Event()
            with _store_errors(model):
                if await self.store.learned_limits(model, self.now()) is not None:
                    responded.set()
            return False
        if responded.is_set():
            return False
        try:
            async with asyncio.timeout(self.probe_timeout):
                await responded.wait()
        except TimeoutError:
            responded.set()
        return True

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
        return pause > 0

    def _reservations(
        self, limits: Limits, tokens: int, requests: int, input_tokens: int
    ) -> list[Reservation]:
        all_tokens, weight = weigh_tokens(limits, tokens, input_tokens)
        wanted = (
            ("requests", float(requests), limits.requests),
            ("tokens", weight, all_tokens),
        )
        return [
            Reservation(
                kind, amount, limit * self.share * STEADY_SHARE / MINUTE, self._burst(limit)
            )
            for kind, amount, limit in wanted
            if limit
        ]

    def _burst(self, limit: float) -> float:
        return max(0.0, limit * self.share * (1 - STEADY_SHARE) - 1)

    async def limits(self, model: str) -> Limits:
        """The configured limits; where there is none, the learned ones."""
        configured = self.configured(model)
        if configured.requests and configured.tokens:
            return configured
        with _store_errors(model):
            learned = await self.store.learned_limits(model, self.now()) or Limits()
        if configured.tokens:
            learned = Limits(learned.requests)
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

    async def pause(self, model: str, retry_after: float | None) -> None:
        """After a 429, let no worker start a line before its `Retry-After` is over."""
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

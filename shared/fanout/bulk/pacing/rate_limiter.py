"""
Requests and tokens a minute of a model, shared by all who work on its lines.

Each reservation moves a model's mark on by what it takes at the allowed rate, and may start where
the mark was: first come, first served, with nothing to poll (GCRA, the leaky bucket as one number).
Tokens are reserved by estimate and settled by real usage. A `RateLimitStore` keeps the marks; time
is an argument.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, Self

from msgspec import Struct, field

from .limits import MINUTE, Limits, add_learned, read_learned, read_limits

SCOUT = 5.0
"""Seconds for which a worker's first line of a model nobody knows may keep its others waiting."""

STEADY = 0.96
"""The part of a limit that is the steady rate; what is left of it may come at once."""


class Reservation(Struct, frozen=True):
    """Some of one thing: `amount` of what flows at `rate` a second, `burst` of it at once."""

    kind: str
    amount: float
    rate: float
    burst: float


class RateLimitStore(Protocol):
    """The marks of all models, for everyone who shares them."""

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """Take all of the reservations, at the first time at which all may be; that time."""
        ...

    async def refund(self, model: str, reservation: Reservation) -> None:
        """So much was not needed; a negative amount was, and more."""
        ...

    async def pause(self, model: str, until: float) -> None:
        """Nobody starts before that time."""
        ...

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """
        What anybody learned of the model in the last day, as of a second or so ago.

        `None` where nobody has had an answer of it; of answers without limits no limits.
        """
        ...

    def record_limits(self, model: str, place: str, limits: Limits, now: float) -> None:
        """
        Tell everybody of one deployment of the model, at the latest with the next reservation.

        It may come with each answer.
        """
        ...

    async def flush(self) -> None:
        """What is kept here of the marks is everybody's again: its worker is done."""
        ...


def advance(
    marks: Mapping[str, float], reservations: list[Reservation], now: float
) -> tuple[dict[str, float], float]:
    """The marks after a reservation, and when it may start; every `RateLimitStore` uses this."""
    bases = {
        reservation.kind: max(
            marks.get(reservation.kind, 0.0), now - reservation.burst / reservation.rate
        )
        for reservation in reservations
    }
    start = max([now, marks.get("pause", 0.0), *bases.values()])
    # What has to wait for another of its reservations has the rate of the later time.
    moved = {
        reservation.kind: max(bases[reservation.kind], start - reservation.burst / reservation.rate)
        + reservation.amount / reservation.rate
        for reservation in reservations
    }
    return {**marks, **moved}, start


class MemoryRateLimitStore:
    """For one process."""

    def __init__(self) -> None:
        self._marks: dict[str, dict[str, float]] = {}

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """Compute and keep."""
        self._marks[model], start = advance(self._marks.get(model, {}), reservations, now)
        return start

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Move the mark back."""
        self._marks[model][reservation.kind] -= reservation.amount / reservation.rate

    async def pause(self, model: str, until: float) -> None:
        """Set the mark that all wait for."""
        marks = self._marks.setdefault(model, {})
        marks["pause"] = max(marks.get("pause", 0.0), until)

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Of the marks."""
        return read_learned(self._marks.get(model, {}), now)

    def record_limits(self, model: str, place: str, limits: Limits, now: float) -> None:
        """Put it with the marks."""
        self._marks[model] = add_learned(self._marks.get(model, {}), place, limits, now)

    async def flush(self) -> None:
        """Nothing is kept elsewhere."""


class RateLimitUnavailable(Exception):
    """The marks could not be read or written: the store's fault, and no line's."""


class Permit(Struct, eq=False):
    """One request's turn; `used` is what it took in tokens, once that is known."""

    pacer: RateLimiter
    model: str
    tokens: int
    requests: int
    reservations: list[Reservation] = []
    used: int | None = None

    async def __aenter__(self) -> Self:
        self.reservations = await self.pacer.claimed(self.model, self.tokens, self.requests)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.pacer.has_answered(self.model)
        if kind is None and self.used is not None:
            for reservation in self.reservations:
                if reservation.kind == "tokens":
                    left = Reservation(
                        "tokens", self.tokens - self.used, reservation.rate, reservation.burst
                    )
                    await self.pacer.book.refund(self.model, left)


class RateLimiter(Struct):
    """
    Turns of one worker. `known` are the config's limits; `share` is the part of them that is ours.

    A worker has one reservation waiting for each model at a time, so that a killed one loses one.
    Of a model without known limits that nobody has had an answer of, it asks one line first: what
    that one learns, hundreds at once would learn by being refused.
    """

    book: RateLimitStore
    known: Callable[[str], Limits]
    now: Callable[[], float]
    share: float = 1.0
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    answered: dict[str, asyncio.Event] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)

    def permit(self, model: str, tokens: int, requests: int = 1) -> Permit:
        """
        A permit for so many requests of about so many tokens together; entering it waits for it.

        If the wait is cancelled, the reservation is refunded. Entering raises
        `RateLimitUnavailable` if the store fails.
        """
        return Permit(self, model, tokens, requests)

    async def claimed(self, model: str, tokens: int, requests: int) -> list[Reservation]:
        """Wait for the turn; what was claimed for it, by the limits as they are known then."""
        while True:
            if (await self.limits(model)).are_known:
                async with self.locks.setdefault(model, asyncio.Lock()):
                    if reservations := self._claims(await self.limits(model), tokens, requests):
                        await self._wait(model, reservations)
                        return reservations
            # A pause is waited for by all at once, and limits may be known behind it.
            if not (await self._wait(model, []) or await self._await_scout(model)):
                return []

    def has_answered(self, model: str) -> None:
        """A request has been answered, well or not: the others need not wait for a first one."""
        if model in self.answered:
            self.answered[model].set()

    async def _await_scout(self, model: str) -> bool:
        """Whether there was a first answer to wait for; who finds none asks for it."""
        if (answered := self.answered.get(model)) is None:
            answered = self.answered[model] = asyncio.Event()
            with _of_the_book(model):
                if await self.book.learned_limits(model, self.now()) is not None:
                    answered.set()
            return False
        if answered.is_set():
            return False
        try:
            async with asyncio.timeout(SCOUT):
                await answered.wait()
        except TimeoutError:
            answered.set()
        return True

    async def _wait(self, model: str, reservations: list[Reservation]) -> bool:
        """Reserve and wait; whether there was anything to wait for."""
        with _of_the_book(model):
            start = await self.book.reserve(model, reservations, self.now())
        pause = start - self.now()
        try:
            if pause > 0:
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            for reservation in reservations:
                await self.book.refund(model, reservation)
            raise
        return pause > 0

    def _claims(self, limits: Limits, tokens: int, requests: int) -> list[Reservation]:
        wanted = (
            ("requests", float(requests), limits.requests),
            ("tokens", float(tokens), limits.tokens),
        )
        return [
            Reservation(kind, amount, limit * self.share * STEADY / MINUTE, self._burst(limit))
            for kind, amount, limit in wanted
            if limit
        ]

    def _burst(self, limit: float) -> float:
        return max(0.0, limit * self.share * (1 - STEADY) - 1)

    async def limits(self, model: str) -> Limits:
        """The configured limits; for those that are not configured, the learned ones."""
        known = self.known(model)
        if known.requests and known.tokens:
            return known
        with _of_the_book(model):
            return known.or_else(await self.book.learned_limits(model, self.now()) or Limits())

    def record_headers(self, model: str, place: str, headers: Mapping[str, str]) -> None:
        """Take over what the `x-ratelimit-*` of a deployment's answer say, for everybody."""
        found = read_limits(headers)
        if found != Limits() or place not in self.heard:
            self.heard.add(place)
            self.book.record_limits(model, place, found, self.now())

    async def rate_limited(self, model: str, retry_after: float | None) -> None:
        """After a 429, all workers wait until its `Retry-After` is over."""
        if retry_after:
            with _of_the_book(model):
                await self.book.pause(model, self.now() + retry_after)


@contextmanager
def _of_the_book(model: str) -> Iterator[None]:
    """A fault inside the block is the store's."""
    try:
        yield
    except Exception as error:  # whatever a store raises
        raise RateLimitUnavailable(f"the pace of `{model}` is not to be had") from error

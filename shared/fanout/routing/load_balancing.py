"""
A model name's deployments: which one is next, and which ones are cooling down.

Knows nothing of calls: it is told how they went. Time and chance are arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager

from msgspec import Struct

from ..config.resolve import Deployment
from ..errors import ProviderError, RateLimited, Refused


class _Member(Struct):
    deployment: Deployment
    slots: asyncio.Semaphore | None
    in_flight: int = 0
    fails: int = 0
    cool_until: float = 0.0

    @property
    def is_full(self) -> bool:
        return self.slots is not None and self.slots.locked()


class _Place:
    """One of a deployment's places; a class, as it costs each call less than a generator."""

    def __init__(self, member: _Member) -> None:
        self._member = member

    async def __aenter__(self) -> None:
        self._member.in_flight += 1
        if self._member.slots is not None:
            try:
                await self._member.slots.acquire()
            except BaseException:
                self._member.in_flight -= 1
                raise

    async def __aexit__(self, *_: object) -> None:
        self._member.in_flight -= 1
        if self._member.slots is not None:
            self._member.slots.release()


class DeploymentGroup:
    """
    The deployments of one model name.

    More than `allowed_fails` failures in a row cool a deployment down for `cooldown` seconds, or
    for as long as its `Retry-After` says; a 429 and a refused key do so at once. A name with one
    deployment never cools down: there is nothing else to ask.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        *,
        now: Callable[[], float],
        draw: Callable[[], float],
        allowed_fails: int = 3,
        cooldown: float = 5.0,
    ) -> None:
        self._now = now
        self._draw = draw
        self._allowed_fails = allowed_fails
        self._cooldown = cooldown
        self._members = {
            d.id: _Member(d, asyncio.Semaphore(d.max_parallel) if d.max_parallel else None)
            for d in deployments
        }

    def __len__(self) -> int:
        return len(self._members)

    def pick(self, avoid: AbstractSet[str] = frozenset()) -> Deployment | None:
        """
        The next deployment to ask, or `None` if `avoid` holds them all.

        Those cooling down come last, the soonest ready first. Of the others, one with a free place
        goes first, then the least busy for its weight; between equals, chance decides by weight.
        """
        members = [m for m in self._members.values() if m.deployment.id not in avoid]
        if len(members) < 2:  # noqa: PLR2004
            return members[0].deployment if members else None
        now = self._now()
        ready = [m for m in members if m.cool_until <= now]
        if not ready:
            return min(members, key=_ready_at).deployment
        ready = [m for m in ready if not m.is_full] or ready
        least = min(_load(m) for m in ready)
        return self._by_weight([m for m in ready if _load(m) == least])

    def _by_weight(self, members: Sequence[_Member]) -> Deployment:
        point = self._draw() * sum(m.deployment.weight for m in members)
        for member in members:
            point -= member.deployment.weight
            if point < 0:
                return member.deployment
        return members[-1].deployment

    def using(self, deployment: Deployment) -> AbstractAsyncContextManager[None]:
        """Hold one of the deployment's places (`max_parallel_requests`) for the block."""
        return _Place(self._members[deployment.id])

    def succeeded(self, deployment: Deployment) -> None:
        """A call went well: earlier failures are forgotten."""
        self._members[deployment.id].fails = 0

    def failed(self, deployment: Deployment, error: ProviderError) -> None:
        """A call failed; what the request itself was to blame for does not count."""
        counts = error.is_retryable or isinstance(error, Refused | RateLimited)
        if len(self._members) == 1 or not counts:
            return
        member = self._members[deployment.id]
        member.fails += 1
        at_once = isinstance(error, RateLimited | Refused)
        if at_once or member.fails > self._allowed_fails:
            pause = self._cooldown if error.retry_after is None else error.retry_after
            member.cool_until = max(member.cool_until, self._now() + pause)
            member.fails = 0


def _ready_at(member: _Member) -> float:
    return member.cool_until


def _load(member: _Member) -> float:
    return member.in_flight / member.deployment.weight

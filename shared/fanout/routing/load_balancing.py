"""
Load balancing between the deployments of a model name: which is next, which are cooling down.

Knows nothing of calls: the router reports how they ended. Time and random numbers are arguments.
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


class _Slot:
    """Holds a slot of a deployment for a block; a class, because a generator would be slower."""

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

    After more than `allowed_fails` failures in a row a deployment cools down for `cooldown`
    seconds, or as long as its `Retry-After` header says. A 429 and a rejected key start a cooldown
    at once. The only deployment of a name never cools down. `rng` returns numbers in [0, 1).
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        *,
        now: Callable[[], float],
        rng: Callable[[], float],
        allowed_fails: int = 3,
        cooldown: float = 5.0,
    ) -> None:
        self._now = now
        self._rng = rng
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
        The next deployment to call, or `None` if `avoid` holds them all.

        A deployment with a free slot is preferred, then the one with the fewest calls in flight for
        its weight; among equals one is picked at random, by weight. If all are cooling down, the
        one whose cooldown ends first is picked.
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
        point = self._rng() * sum(m.deployment.weight for m in members)
        for member in members:
            point -= member.deployment.weight
            if point < 0:
                return member.deployment
        return members[-1].deployment

    def slot(self, deployment: Deployment) -> AbstractAsyncContextManager[None]:
        """Hold one of the deployment's slots (`max_parallel_requests`) for the block."""
        return _Slot(self._members[deployment.id])

    def succeeded(self, deployment: Deployment) -> None:
        """A call succeeded: set the count of failures to 0."""
        self._members[deployment.id].fails = 0

    def failed(self, deployment: Deployment, error: ProviderError) -> None:
        """A call failed; an error that the request itself caused is not counted."""
        is_counted = error.is_retryable or isinstance(error, Refused | RateLimited)
        if len(self._members) == 1 or not is_counted:
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

"""
Load balancing between the deployments of a model name: which is next, which are cooling down.

Knows nothing of calls: the router reports how they ended. Time and random numbers are arguments.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager

from msgspec import Struct, field

from ..config.deployment import Deployment
from ..config.model import Strategy
from ..config.resolve import Catalog
from ..errors import ProviderError

MAX_WILDCARD_GROUPS = 1_000
"""How many groups of names that a wildcard takes are kept, the latest ones."""

LATENCIES = 10
"""How many calls a latency is the average of; LiteLLM's default."""


class _Member(Struct):
    deployment: Deployment
    slots: asyncio.Semaphore | None
    in_flight: int = 0
    fails: int = 0
    cool_until: float = 0.0
    seconds: list[float] = field(default_factory=list)  # of the latest calls that succeeded

    @property
    def latency(self) -> float:
        """The average, in seconds; 0 before the first success, so that each is tried."""
        return sum(self.seconds) / len(self.seconds) if self.seconds else 0.0

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
    `strategy` is LiteLLM's name of a way to choose; the least busy one is chosen by default.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        *,
        now: Callable[[], float],
        rng: Callable[[], float],
        allowed_fails: int = 3,
        cooldown: float = 5.0,
        strategy: Strategy | None = None,
    ) -> None:
        self._choose = {
            "simple-shuffle": self._shuffled,
            "latency-based-routing": self._fastest,
        }.get(strategy or "", self._least_busy)
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

        A deployment with a free slot is preferred, then the strategy decides. If all are cooling
        down, the one whose cooldown ends first is picked.
        """
        members = [m for m in self._members.values() if m.deployment.id not in avoid]
        if len(members) < 2:  # noqa: PLR2004
            return members[0].deployment if members else None
        now = self._now()
        ready = [m for m in members if m.cool_until <= now]
        if not ready:
            return min(members, key=_ready_at).deployment
        return self._choose([m for m in ready if not m.is_full] or ready)

    def _least_busy(self, members: Sequence[_Member]) -> Deployment:
        """The one with the fewest calls in flight for its weight; of equals, one by weight."""
        least = min(_load(m) for m in members)
        return self._by_weight([m for m in members if _load(m) == least])

    def _fastest(self, members: Sequence[_Member]) -> Deployment:
        """The one with the lowest latency; of equals, one by weight."""
        least = min(m.latency for m in members)
        return self._by_weight([m for m in members if m.latency == least])

    def _shuffled(self, members: Sequence[_Member]) -> Deployment:
        """One at random: by weight, else by `rpm`, else by `tpm`, else all alike (LiteLLM's)."""
        for weights in (
            [m.deployment.weight if m.deployment.has_weight else 0.0 for m in members],
            [float(m.deployment.rpm or 0) for m in members],
            [float(m.deployment.tpm or 0) for m in members],
        ):
            if any(weights):
                return self._at_random(members, weights)
        return self._at_random(members, [1.0] * len(members))

    def _by_weight(self, members: Sequence[_Member]) -> Deployment:
        return self._at_random(members, [m.deployment.weight for m in members])

    def _at_random(self, members: Sequence[_Member], weights: Sequence[float]) -> Deployment:
        point = self._rng() * sum(weights)
        for member, weight in zip(members, weights, strict=True):
            point -= weight
            if point < 0:
                return member.deployment
        return members[-1].deployment

    def slot(self, deployment: Deployment) -> AbstractAsyncContextManager[None]:
        """Hold one of the deployment's slots (`max_parallel_requests`) for the block."""
        return _Slot(self._members[deployment.id])

    def succeeded(self, deployment: Deployment, seconds: float | None = None) -> None:
        """
        A call succeeded: set the count of failures to 0.

        `seconds` is the time to its first content, or to the whole response if it had no stream.
        """
        member = self._members[deployment.id]
        member.fails = 0
        if seconds is not None:
            member.seconds = [*member.seconds[1 - LATENCIES :], seconds]

    def failed(self, deployment: Deployment, error: ProviderError) -> None:
        """A call failed; an error that the request itself caused is not counted."""
        if len(self._members) == 1 or error.cooldown == "never":
            return
        member = self._members[deployment.id]
        member.fails += 1
        if error.cooldown == "now" or member.fails > self._allowed_fails:
            pause = self._cooldown if error.retry_after is None else error.retry_after
            member.cool_until = max(member.cool_until, self._now() + pause)
            member.fails = 0


class DeploymentGroups:
    """The groups of a catalog's names; each is made when its name is first used."""

    def __init__(
        self, catalog: Catalog, *, now: Callable[[], float], rng: Callable[[], float]
    ) -> None:
        self._catalog = catalog
        self._now = now
        self._rng = rng
        self._groups: dict[str, DeploymentGroup] = {}
        self._wildcards: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._groups)

    def find(self, name: str) -> DeploymentGroup:
        """The group of a name; of a name that the config does not have, a new one each time."""
        name = self._catalog.group_name(name)
        if (group := self._groups.get(name)) is not None:
            return group
        group = DeploymentGroup(
            self._catalog.find(name),
            now=self._now,
            rng=self._rng,
            allowed_fails=self._catalog.allowed_fails,
            cooldown=self._catalog.cooldown_time,
            strategy=self._catalog.strategy,
        )
        if name in self._catalog.groups:
            self._groups[name] = group
        elif self._catalog.routes.matching(name):  # clients may use any number of these
            self._groups[name] = group
            self._wildcards.append(name)
            if len(self._wildcards) > MAX_WILDCARD_GROUPS:
                del self._groups[self._wildcards.popleft()]
        return group


def _ready_at(member: _Member) -> float:
    return member.cool_until


def _load(member: _Member) -> float:
    return member.in_flight / member.deployment.weight

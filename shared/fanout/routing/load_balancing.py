"""
Load balancing between the deployments of a model name: which is next, which are cooling down.

Does not depend on calls: the router reports how they ended. Time and random numbers are arguments.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager

from msgspec import Struct, field

from ..concurrency import TIMER_ERROR, FairLimiter, Share
from ..config.catalog import Catalog
from ..config.deployment import Balancing, Deployment
from ..errors import ProviderError

MAX_COOLDOWN = 600.0
"""Seconds for which a provider's `Retry-After` keeps calls away from a deployment, at most."""

DEFAULT = Balancing()

NONE: AbstractSet[str] = frozenset()

MAX_WILDCARD_GROUPS = 1_000
"""How many groups of names that a wildcard takes are kept, the latest ones."""


class _Member(Struct):
    """
    A deployment and its calls; an `async with` block is one of them.

    `fails` are its failures in a row by kind of error; `""` are those of any other kind. `calls`
    are the latest ones that succeeded: when they ended, and how many seconds they took.
    """

    deployment: Deployment
    calls: deque[tuple[float, float]]
    in_flight: int = 0
    fails: dict[str, int] = field(default_factory=dict)
    cool_until: float = 0.0

    def latency(self, since: float) -> float:
        """The average, in seconds; 0 without a success since then, so that each is tried."""
        while self.calls and self.calls[0][0] < since:
            self.calls.popleft()
        return sum(seconds for _, seconds in self.calls) / (len(self.calls) or 1)

    async def __aenter__(self) -> Deployment:
        self.in_flight += 1
        return self.deployment

    async def __aexit__(self, *_: object) -> None:
        self.in_flight -= 1

    @property
    def is_full(self) -> bool:
        limit = self.deployment.max_parallel
        return limit is not None and self.in_flight >= limit


class DeploymentGroup:
    """
    The deployments of one model name.

    After more than `allowed_fails` failures in a row a deployment cools down for `cooldown_time`
    seconds, or as long as its `Retry-After` header says. A 429 and a rejected key start a cooldown
    at once, unless a policy counts them. The only deployment of a name never cools down. `rng`
    returns numbers in [0, 1). The least busy one is chosen if `settings` have no strategy.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        *,
        now: Callable[[], float],
        rng: Callable[[], float],
        settings: Balancing = DEFAULT,
        retries: Mapping[str, int] | None = None,
    ) -> None:
        self._choose = {
            "simple-shuffle": self._shuffled,
            "latency-based-routing": self._fastest,
        }.get(settings.strategy or "", self._least_busy)
        self._now = now
        self._rng = rng
        self._settings = settings
        self._retries = settings.retries if retries is None else retries
        self._is_timed = settings.strategy == "latency-based-routing"
        self._is_ordered = len({d.order for d in deployments}) > 1
        size = settings.latency.max_latency_list_size
        self._members = {d.id: _Member(d, deque(maxlen=size)) for d in deployments}
        self._limiter = _limiter(deployments)

    @property
    def is_limited(self) -> bool:
        """Whether a call may have to wait for a free slot of a deployment."""
        return self._limiter is not None

    def __len__(self) -> int:
        return len(self._members)

    def pick(self, avoid: AbstractSet[str] = NONE) -> Deployment | None:
        """
        The next deployment to call, or `None` if `avoid` holds them all.

        A deployment with a free slot is preferred, then one with the lowest `order`, then the
        strategy decides. If all are cooling down, the one whose cooldown ends first is picked.
        """
        members = self._ready(avoid)
        if len(members) < 2:  # noqa: PLR2004
            return members[0].deployment if members else None
        found = [m for m in members if not m.is_full] or members
        if self._is_ordered:
            first = min(m.deployment.order for m in found)
            found = [m for m in found if m.deployment.order == first]
        return self._choose(found)

    def _ready(self, avoid: AbstractSet[str]) -> list[_Member]:
        """The members that may be called now; if all are cooling down, the one that is first."""
        members = list(self._members.values())
        if avoid:
            members = [m for m in members if m.deployment.id not in avoid]
        if len(members) < 2:  # noqa: PLR2004
            return members
        now = self._now()
        return [m for m in members if m.cool_until <= now] or [min(members, key=_ready_at)]

    def has_free(self, avoid: AbstractSet[str] = NONE) -> bool:
        """Whether one of the deployments that may be called now has a free slot."""
        return any(not m.is_full for m in self._ready(avoid))

    def member(self, avoid: AbstractSet[str] = NONE) -> _Member:
        """The member of the deployment that `pick` returns."""
        deployment = self.pick(avoid)
        if deployment is None:
            raise AssertionError("a round always leaves a deployment to call")
        return self._members[deployment.id]

    def _least_busy(self, members: Sequence[_Member]) -> Deployment:
        """The one with the fewest calls in flight for its weight; of equals, one by weight."""
        least = min(_load(m) for m in members)
        return self._by_weight([m for m in members if _load(m) == least])

    def _fastest(self, members: Sequence[_Member]) -> Deployment:
        """The one with the lowest latency; of equals, one by weight."""
        args = self._settings.latency
        since = self._now() - args.ttl
        latencies = [m.latency(since) for m in members]
        most = min(latencies) * (1 + args.lowest_latency_buffer)
        pairs = zip(members, latencies, strict=True)
        return self._by_weight([m for m, latency in pairs if latency <= most])

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

    def slot(
        self, avoid: AbstractSet[str] = NONE, request: Share | None = None, request_id: str = ""
    ) -> AbstractAsyncContextManager[Deployment]:
        """
        A block that is a call to one of the deployments, not one of those to avoid: its value.

        If the group `is_limited`, it waits for a free slot of one (`max_parallel_requests`), and
        also takes one of the `request`'s share; see `DeploymentSlot`. Raises `Busy` if the request
        has patience and it waits too long.
        """
        if self._limiter is None:
            return self.member(avoid)
        from .deployment_slots import DeploymentSlot

        return DeploymentSlot(self._limiter, self, avoid, request, request_id)

    def succeeded(self, deployment: Deployment, seconds: float | None = None) -> None:
        """
        A call succeeded: set the count of failures to 0.

        `seconds` is the time to its first content, or to the whole response if it had no stream.
        """
        member = self._members[deployment.id]
        if member.fails:
            member.fails = {}
        if self._is_timed and seconds is not None:
            member.calls.append((self._now(), seconds))

    def failed(self, deployment: Deployment, error: ProviderError) -> None:
        """A call failed; an error that the request itself caused is not counted."""
        if len(self._members) == 1 or not self._settings.cools_down:
            return
        member = self._members[deployment.id]
        policy = member.deployment.fails or self._settings.fails
        kind = _kind_in(policy, error)
        if kind is None and error.cooldown == "never":
            return
        allowed = self._settings.allowed_fails if kind is None else policy[kind]
        count = member.fails[kind or ""] = member.fails.get(kind or "", 0) + 1
        if count > allowed or (kind is None and error.cooldown == "now"):
            self._cool_down(member, error)

    def _cool_down(self, member: _Member, error: ProviderError) -> None:
        own = member.deployment.cooldown_time
        member.fails = {}
        if own == 0:
            return  # LiteLLM's way to exempt one deployment
        pause = self._settings.cooldown_time if own is None else own
        pause = pause if error.retry_after is None else min(error.retry_after, MAX_COOLDOWN)
        member.cool_until = max(member.cool_until, self._now() + pause)
        if self._limiter is not None:  # what waits for the others may call it then
            asyncio.get_running_loop().call_later(pause + TIMER_ERROR, self._limiter.grant_waiting)

    def retries_after(self, error: Exception) -> int | None:
        """The retries that a policy has for an error; `None` if it does not count it."""
        kind = _kind_in(self._retries, error)
        return None if kind is None else self._retries[kind]


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
            settings=self._catalog.balancing,
            retries=self._catalog.balancing.retries_of(name),
        )
        if name in self._catalog.groups:
            self._groups[name] = group
        elif self._catalog.routes.matching(name):  # clients may use any number of these
            self._groups[name] = group
            self._wildcards.append(name)
            if len(self._wildcards) > MAX_WILDCARD_GROUPS:
                del self._groups[self._wildcards.popleft()]
        return group


def _kind_in(counts: Mapping[str, int], error: Exception) -> str | None:
    """The name under which a policy counts an error, if there is a policy and it does."""
    if not counts:
        return None
    from .error_kinds import kind_in

    return kind_in(counts, error)


def _limiter(deployments: Sequence[Deployment]) -> FairLimiter | None:
    """What calls wait in for a free slot; `None` if no deployment has a limit."""
    limits = [one.max_parallel for one in deployments]
    if not any(limits):
        return None
    return FairLimiter(sum(one or sys.maxsize for one in limits), keeps_free=False)


def _ready_at(member: _Member) -> float:
    return member.cool_until


def _load(member: _Member) -> float:
    return member.in_flight / member.deployment.weight

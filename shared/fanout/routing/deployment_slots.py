"""
The slots of a model name's deployments (`max_parallel_requests`); its calls wait in one queue.

Imported with the first model name that has such a limit.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Protocol

from ..concurrency import FairLimiter, Share, WaitingCall, release_all
from ..config.deployment import Deployment

PATIENCE = 10.0
"""
Seconds that a request's first call may wait for a deployment; then it gets 429 with `Retry-After`.

Longer than for a slot of the gateway: a limit of a few calls is reached in normal use.
"""

BUSY = "as many calls to the model are in flight as its `max_parallel_requests` allows; try again"


class Member(Protocol):
    """A deployment, and how many calls to it are in flight."""

    deployment: Deployment
    in_flight: int


class Group(Protocol):
    """The deployments of a model name."""

    def has_free(self, avoid: AbstractSet[str]) -> bool:
        """Whether one of the deployments that may be called now has a free slot."""
        ...

    def member(self, avoid: AbstractSet[str]) -> Member:
        """The next deployment to call: one with a free slot if there is one."""
        ...


class DeploymentSlot(Share):
    """
    An `async with` block that holds a slot of one of a group's deployments; its value is that one.

    It is the first one that has a free slot and is not in `avoid`. The block also holds a slot of
    its request's share of the gateway's slots, if there is a `request`. Both are taken at once. So
    a call that waits for a deployment keeps no slot from calls to others, and the other way round.
    """

    busy = BUSY

    def __init__(
        self,
        limiter: FairLimiter,
        group: Group,
        avoid: AbstractSet[str],
        request: Share | None,
        request_id: str,
    ) -> None:
        key, job = ("", "") if request is None else request.names
        is_patient = request is None or request.patience is None
        super().__init__(limiter, 1, key, None if is_patient else PATIENCE, job or request_id)
        self._group = group
        self._avoid = avoid
        self._request = request
        self._member: Member | None = None

    @property
    def may_take(self) -> bool:
        """Whether one of the deployments has a free slot."""
        return self.limiter.free > 0 and self._group.has_free(self._avoid)

    @property
    def is_impatient(self) -> bool:
        """Whether it fails if it cannot start soon: no call of its request has started."""
        return self._request is not None and self._request.is_impatient

    def take(self) -> None:
        """Take a free slot of a deployment."""
        super().take()
        self._member = self._group.member(self._avoid)
        self._member.in_flight += 1

    def give_back(self) -> None:
        """Give the slot back."""
        super().give_back()
        if self._member is not None:
            self._member.in_flight -= 1
            self._member = None

    def reject(self, call: WaitingCall) -> None:
        """Let a call fail that has waited for too long, whichever limit is the cause."""
        super().reject(call)
        if self._request is not None:
            self._request.reject(call)

    @property
    def _shares(self) -> tuple[Share, ...]:
        return (self,) if self._request is None else (self, self._request)

    async def __aenter__(self) -> Deployment:
        """Wait for the slots."""
        request = self._request
        if request is None:
            await super().__aenter__()
        elif self.may_take and request.may_take:
            self.take()
            request.take()
        else:
            await self.wait(request)
        if self._member is None:
            raise AssertionError("a call has a deployment when its wait has ended")
        return self._member.deployment

    async def __aexit__(self, *_: object) -> None:
        release_all(self._shares)

"""
The chat requests that are open in this process; a client may cancel its own, or renew their leases.

A client names a request by the `x-request-id` that it sent or that the response has. Requests of
other processes (AWS) are reached through `OtherProcesses`.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol, TypeAlias

from ..errors import LeaseExpired, RequestCancelled
from .asgi import CancelOnDisconnect, Receive

RequestKey: TypeAlias = tuple[str, str]
"""The name of a client, and the id of one of its requests."""


class OtherProcesses(Protocol):
    """
    The open requests of other processes of this gateway.

    `grace` is the seconds for which a lease is kept after its end: a renewal may be on its way.
    """

    @property
    def grace(self) -> float: ...

    async def cancel(self, key: RequestKey) -> bool:
        """Cancel the requests of this key; whether there was an open one."""
        ...

    async def announce_cancel(self, key: RequestKey) -> None:
        """Cancel the requests of this key, if there are any, without waiting for that."""
        ...

    async def renew(self, key: RequestKey) -> bool:
        """Renew the leases of the requests of this key; whether there was an open one."""
        ...

    async def watch(self, request: OpenRequest) -> None:
        """Pass on what other processes are asked about an open request, until cancelled."""
        ...


class OpenRequests:
    """
    The open requests, by client and id.

    Several requests of a client may have the same id: they are cancelled and renewed together.
    """

    def __init__(self, others: OtherProcesses | None = None) -> None:
        self.others = others
        self._open: dict[RequestKey, list[OpenRequest]] = {}

    def add(self, request: OpenRequest) -> None:
        """Add a request that can be cancelled from now on."""
        self._open.setdefault(request.key, []).append(request)

    def remove(self, request: OpenRequest) -> None:
        """Remove a request that has ended; a cancelled one is no longer there."""
        same = self._open.get(request.key, [])
        if request in same:
            same.remove(request)
            if not same:
                del self._open[request.key]

    def __len__(self) -> int:
        return len(self._open)

    async def cancel(self, key: RequestKey) -> bool:
        """Cancel a client's requests of this id; whether there was an open one."""
        found = self._open.pop(key, [])
        for request in found:
            request.cancel()
        if self.others is None:
            return bool(found)
        if not found:
            return await self.others.cancel(key)
        await self.others.announce_cancel(key)  # they may have more requests of the same id
        return True

    async def renew(self, key: RequestKey) -> bool:
        """Renew the leases of a client's requests of this id; whether one with a lease was open."""
        found = [request for request in self._open.get(key, ()) if request.lease is not None]
        for request in found:
            request.renew()
        return bool(found) or (self.others is not None and await self.others.renew(key))


class OpenRequest:
    """
    The block in which a request is open. It ends with an error if the request is cancelled.

    The errors are `ClientGone`, `RequestCancelled`, and `LeaseExpired` if the client does not renew
    the `lease` (s) in time. The block gets a task group for tasks beside it, and must end them.
    `received` is when the request reached the host, in seconds since 1970.
    """

    def __init__(
        self,
        registry: OpenRequests,
        key: RequestKey,
        receive: Receive,
        *,
        lease: float | None = None,
        received: float | None = None,
    ) -> None:
        self.key = key
        self.lease = lease
        self.received = received
        self._registry = registry
        self._block = CancelOnDisconnect(receive)
        self._lease_ends = 0.0
        self._watchers: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> asyncio.TaskGroup:
        """Open the request."""
        group = await self._block.__aenter__()
        self._registry.add(self)
        others = self._registry.others
        if self.lease is not None:
            self.renew()
            self._watchers += (group.create_task(self._watch_lease(self.lease)),)
        if others is not None:
            self._watchers += (group.create_task(others.watch(self)),)
        return group

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the request, and wait until all that belongs to it has ended."""
        self._registry.remove(self)
        for watcher in self._watchers:
            if not watcher.cancelling():  # a second one would interrupt what it does at its end
                watcher.cancel()
        await self._block.__aexit__(kind, error, trace)

    def cancel(self) -> None:
        """End the block with `RequestCancelled`."""
        self._block.fail(RequestCancelled("the request was cancelled by its client"))

    def renew(self) -> None:
        """Let the lease begin again."""
        if self.lease is not None:
            grace = self._registry.others.grace if self._registry.others else 0.0
            self._lease_ends = asyncio.get_running_loop().time() + self.lease + grace

    async def _watch_lease(self, lease: float) -> None:
        """Raise `LeaseExpired` at the end of the lease."""
        clock = asyncio.get_running_loop().time
        while (left := self._lease_ends - clock()) > 0:  # noqa: ASYNC110 -- renewals move it
            await asyncio.sleep(left)
        raise LeaseExpired(
            f"the request's lease of {lease:g} s was not renewed "
            f"(`POST …/chat/completions/{{request_id}}/renew`)"
        )

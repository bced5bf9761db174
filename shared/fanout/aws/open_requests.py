"""
Cancels and renews requests that are open in other Lambda environments, through a DynamoDB table.

AWS gives a function no way to reach a certain environment, and does not tell it that its client has
disconnected. So the function that is asked to cancel marks the request in the table. Each
environment reads the marks of its open requests once a second, cancels those that are marked, and
acknowledges that. A request that ends within its first second costs nothing, unless it has a lease:
then the environment registers it, so that a renewal knows at once whether it is open.

An item has numbers: `cancelled_at`, `acknowledged_at` (the same value) and `opened_at`, in
microseconds since 1970, `renewals`, and `ttl`, after which DynamoDB deletes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..transport.credentials import Signer
from ..transport.engine import Engine
from .dynamodb import ConditionFailed, DynamoDB, TableUnavailable
from .watched_request import Watch, Watched, item_id, microseconds, number_in

TABLE_VARIABLE = "FANOUT_REQUESTS_TABLE"

INTERVAL = 1.0
"""Seconds between two reads of an environment, and until the first one."""

PATIENCE = 3.0
"""Seconds that a cancel waits for the acknowledgement: two reads, each late by half a second."""

ACKNOWLEDGEMENT_INTERVAL = 0.1
"""Seconds between two looks for the acknowledgement."""

GRACE = 1.5
"""Seconds until a renewal is seen: the time between two reads, and half a second for a slow one."""

RETENTION = 3600
"""Seconds for which an item is kept; a request on Lambda runs for 900 at most."""

BATCH = 100
"""The most items of a `BatchGetItem`."""

Clock = Callable[[], float]


class OpenRequestsTable:
    """
    The open requests of all environments.

    `report` gets an error if the table cannot be read, once in the life of the process.
    """

    grace = GRACE

    def __init__(
        self,
        table: str,
        database: DynamoDB,
        report: Callable[[str, BaseException], None],
        now: Clock = time.time,
    ) -> None:
        self._table = table
        self._database = database
        self._report = report
        self._now = now
        self._watches: list[Watch] = []
        self._turn = asyncio.Lock()
        self._due = 0.0
        self._is_reported = False

    # ---- the environment that is asked ----

    async def cancel(self, key: tuple[str, str]) -> bool:
        """Mark the request; whether an environment acknowledges that within `PATIENCE`."""
        item, mark = item_id(key), await self._mark(key)
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE
        while clock() < until:
            await asyncio.sleep(ACKNOWLEDGEMENT_INTERVAL)
            for found in await self._read([item]):
                if number_in(found, "acknowledged_at") >= mark:
                    return True
        with suppress(ConditionFailed):  # a later cancel, or a request with a lease
            await self._delete(
                item, "cancelled_at = :mark AND attribute_not_exists(opened_at)", {":mark": mark}
            )
        return False

    async def announce_cancel(self, key: tuple[str, str]) -> None:
        """Mark the requests of this key, if the table can be used."""
        await self._try(self._mark(key))

    async def _mark(self, key: tuple[str, str]) -> int:
        mark = microseconds(self._now())
        await self._update(item_id(key), "SET cancelled_at = :mark, #ttl = :ttl", {":mark": mark})
        return mark

    async def renew(self, key: tuple[str, str]) -> bool:
        """Count a renewal; whether the request is registered."""
        try:
            await self._update(
                item_id(key),
                "SET #ttl = :ttl ADD renewals :one",
                {":one": 1},
                condition="attribute_exists(opened_at)",
            )
        except ConditionFailed:
            return False
        return True

    # ---- the environment that has the request ----

    async def watch(self, request: Watched) -> None:
        """Cancel and renew the request as others ask, until this is cancelled."""
        watch = Watch(request, self._now())
        self._watches.append(watch)
        try:
            if request.lease is not None:
                await self._begin_registration(watch)
            await asyncio.sleep(INTERVAL)
            while True:
                await self._read_for_all()
        finally:
            self._watches.remove(watch)
            if watch.registration is not None:  # its write could arrive after its deletion
                await watch.registration
            await self._try(self._close(watch))

    async def _read_for_all(self) -> None:
        """
        Read the items of all watched requests when a read is due.

        One request's task waits for that and the others wait for it, so an environment reads once a
        second, however many requests it has. If the task ends, the next one takes over.
        """
        clock = asyncio.get_running_loop().time
        async with self._turn:
            if (wait := self._due - clock()) > 0:
                await asyncio.sleep(wait)
            started = clock()
            await self._try(self._apply_items())
            self._due = started + INTERVAL

    async def _apply_items(self) -> None:
        for watch in [*self._watches]:
            is_open = watch in self._watches  # its request may have ended meanwhile
            if is_open and watch.request.lease is not None and not watch.is_registered:
                await self._begin_registration(watch)
        watches: dict[str, list[Watch]] = {}
        for watch in self._watches:
            watches.setdefault(watch.id, []).append(watch)
        for batch in _batches([*watches]):
            for item in await self._read(batch):
                for watch in watches[item["id"]["S"]]:
                    watch.apply(item)

    def _begin_registration(self, watch: Watch) -> asyncio.Future[None]:
        """Register the request; the write goes on if the task that waits for it is cancelled."""
        watch.registration = asyncio.ensure_future(self._try(self._register(watch)))
        return asyncio.shield(watch.registration)

    async def _register(self, watch: Watch) -> None:
        """Write that the request is open, and apply what others have written before."""
        watch.opened_at = watch.opened_at or microseconds(self._now())
        item = await self._update(
            watch.id, "SET opened_at = :opened, #ttl = :ttl", {":opened": watch.opened_at}
        )
        watch.is_registered, watch.renewals = True, number_in(item, "renewals")
        if watch in self._watches:  # else the request has ended
            watch.apply(item)

    async def _close(self, watch: Watch) -> None:
        """Acknowledge that the request was cancelled, or delete its registration."""
        if watch.mark is not None:
            changes = "SET acknowledged_at = :mark, #ttl = :ttl REMOVE opened_at"
            await self._update(watch.id, changes, {":mark": watch.mark})
        elif watch.opened_at is not None:
            with suppress(ConditionFailed):  # another request has the same id
                await self._delete(watch.id, "opened_at = :own", {":own": watch.opened_at})

    async def _try(self, call: Any) -> None:
        """
        Await a call, of which the requests do not depend.

        If the table cannot be used, no lease ends: its renewals could not be seen.
        """
        try:
            await call
        except TableUnavailable as error:
            for watch in self._watches:
                watch.request.renew()
            if not self._is_reported:
                self._is_reported = True
                self._report("", error)

    # ---- items ----

    async def _read(self, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        keys = [{"id": {"S": one}} for one in ids]
        requested = {self._table: {"Keys": keys, "ConsistentRead": True}}
        found = await self._database.call("BatchGetItem", {"RequestItems": requested})
        items: Sequence[Mapping[str, Any]] = found.get("Responses", {}).get(self._table, ())
        return items

    async def _update(
        self, item: str, changes: str, values: Mapping[str, int], condition: str | None = None
    ) -> Mapping[str, Any]:
        """Update an item and its `ttl`; return all its attributes."""
        ttl = int(self._now()) + RETENTION
        arguments = {
            "TableName": self._table,
            "Key": {"id": {"S": item}},
            "UpdateExpression": changes,
            "ExpressionAttributeNames": {"#ttl": "ttl"},
            "ExpressionAttributeValues": _numbers({**values, ":ttl": ttl}),
            "ReturnValues": "ALL_NEW",
        }
        if condition:
            arguments["ConditionExpression"] = condition
        done = await self._database.call("UpdateItem", arguments)
        attributes: Mapping[str, Any] = done.get("Attributes", {})
        return attributes

    async def _delete(self, item: str, condition: str, values: Mapping[str, int]) -> None:
        await self._database.call(
            "DeleteItem",
            {
                "TableName": self._table,
                "Key": {"id": {"S": item}},
                "ConditionExpression": condition,
                "ExpressionAttributeValues": _numbers(values),
            },
        )


def open_requests_table(
    env: Mapping[str, str],
    engine: Engine,
    signer: Signer,
    report: Callable[[str, BaseException], None],
) -> OpenRequestsTable | None:
    """The table that the environment names; `None` in a stack of an older version."""
    table = env.get(TABLE_VARIABLE)
    return OpenRequestsTable(table, DynamoDB(env, engine, signer), report) if table else None


def _numbers(values: Mapping[str, int]) -> dict[str, Any]:
    return {name: {"N": str(value)} for name, value in values.items()}


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]

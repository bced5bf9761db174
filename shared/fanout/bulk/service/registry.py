"""Typed records of one kind: find, list by page, change by compare-and-set."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from ...errors import DamagedRecord, Forbidden, NotFound
from ...wire import json
from ..store import Change, RecordStore

R = TypeVar("R", bound=Struct)

SEE_ALL = frozenset({"master", "anyone"})
"""Clients that see all records: one with the master key, or any on a machine without keys."""


PAGE = 1000
"""Records that are read at a time."""

Report: TypeAlias = Callable[[str, BaseException], None]


class Page(Struct, Generic[R], frozen=True):
    """Some records, and whether there are more after them."""

    records: list[R]
    has_more: bool


class Registry(Generic[R]):
    """
    The records of `kind`; `owner_of` returns the name of the client that owns a record.

    A record that cannot be read, such as one of a newer version, fails alone: lists leave it out,
    and `report` gets its id and the error. With `is_open`, the open records are also listed apart,
    so that `all_open` does not read the others.
    """

    def __init__(
        self,
        table: RecordStore,
        kind: str,
        model: type[R],
        owner_of: Callable[[R], str],
        report: Report = lambda _id, _error: None,
        *,
        is_open: Callable[[R], bool] | None = None,
    ) -> None:
        self._is_open = is_open
        self._open_kind = f"open-{kind}"
        self._table = table
        self._kind = kind
        self._model = model
        self._owner_of = owner_of
        self._report = report
        self._reported: set[str] = set()

    async def find(self, key: str, client: str | None) -> R:
        """
        The client's record; `NotFound` if it is missing or another client's.

        For `None`, Fanout itself, the owner does not matter.
        """
        raw = await self._table.get(self._kind, key)
        record = None if raw is None else self._decode(key, raw)
        if record is None or not self._is_visible(record, client):
            raise NotFound(f"no such {self._kind}: `{key[:80]}`", "id")
        return record

    async def create_with(self, key: str, record: R, pointer: Change) -> bool:
        """Add a record and write `pointer`, both or neither; returns whether it was possible."""
        await self._list_as_open(key, record)
        return await self._table.put_all([pointer, Change(self._kind, key, json.encode(record))])

    async def create(self, key: str, record: R) -> None:
        """Add a record; one that exists already stays unchanged."""
        await self._list_as_open(key, record)
        await self._table.put(self._kind, key, json.encode(record), None)

    async def change(self, key: str, change: Callable[[R], R | None]) -> R:
        """
        Replace the record by what `change` returns, or keep it if that is `None`.

        If another process changes it in the meantime, `change` is called again.
        """
        while True:
            raw = await self._table.get(self._kind, key)
            if raw is None:
                raise NotFound(f"no such {self._kind}: `{key[:80]}`", "id")
            record = self._decode(key, raw)
            changed = change(record)
            if changed is None:
                return record
            await self._list_as_open(key, changed)
            if await self._table.put(self._kind, key, json.encode(changed), raw):
                await self._unlist(key, changed)
                return changed

    async def delete(self, key: str) -> None:
        """Delete the record, if it exists."""
        await self._table.delete(self._kind, key)
        if self._is_open:
            await self._table.delete(self._open_kind, key)

    async def find_or_delete(self, key: str, client: str | None) -> R | None:
        """
        The client's record; a damaged one is deleted, and the result is `None`.

        Whose that is cannot be read, so it is `Forbidden` to clients that see only their own.
        """
        try:
            return await self.find(key, client)
        except DamagedRecord as damaged:
            if client is not None and client not in SEE_ALL:
                message = f"{damaged}; only the gateway's master key can delete it"
                raise Forbidden(message, "id") from None
            await self.delete(key)
            return None

    async def newest_open(self, most: int) -> list[R]:
        """So many of the newest open records at most: one query, and a read of each."""
        rows = await self._table.list(self._open_kind, after=None, limit=most)
        raws = [(name, await self._table.get(self._kind, name)) for name, _ in rows]
        records = [self._decode_or_report(name, raw) for name, raw in raws if raw is not None]
        return [one for one in records if one is not None and self._is_open and self._is_open(one)]

    async def all_open(self) -> list[R]:
        """All open records, whatever the number of others."""
        found: list[R] = []
        last: str | None = None
        while rows := await self._table.list(self._open_kind, after=last, limit=PAGE):
            for name, _ in rows:
                raw = await self._table.get(self._kind, name)
                record = None if raw is None else self._decode_or_report(name, raw)
                if record is None or self._is_open is None:
                    continue
                if self._is_open(record):
                    found.append(record)
                else:  # the process that closed it crashed, or another one listed it again
                    await self._unlist(name, record)
            if len(rows) < PAGE:
                break
            last = rows[-1][0]
        return found

    async def _list_as_open(self, key: str, record: R) -> None:
        """List an open record, before it is written: after a crash, one too many is listed."""
        if self._is_open and self._is_open(record):
            await self._table.put(self._open_kind, key, b"1", None)

    async def _unlist(self, key: str, record: R) -> None:
        if self._is_open and not self._is_open(record):
            await self._table.delete(self._open_kind, key)

    async def page(
        self,
        client: str | None,
        *,
        after: str | None,
        limit: int,
        newest_first: bool = True,
        keep: Callable[[R], bool] = lambda _: True,
    ) -> Page[R]:
        """The next `limit` of the client's records for which `keep` is true."""
        found: list[tuple[str, R]] = []
        last = after
        while len(found) <= limit:
            rows = await self._table.list(
                self._kind, after=last, limit=limit + 1, newest_first=newest_first
            )
            records = [(name, self._decode_or_report(name, raw)) for name, raw in rows]
            found += [
                (name, record)
                for name, record in records
                if record is not None and self._is_visible(record, client) and keep(record)
            ]
            if len(rows) <= limit:
                break
            last = rows[-1][0]
        return Page([record for _, record in found[:limit]], len(found) > limit)

    async def all(self, keep: Callable[[R], bool]) -> list[R]:
        """All records for which `keep` is true."""
        found: list[R] = []
        last: str | None = None
        while rows := await self._table.list(self._kind, after=last, limit=PAGE):
            records = [self._decode_or_report(name, raw) for name, raw in rows]
            found += [record for record in records if record is not None and keep(record)]
            last = rows[-1][0]
        return found

    def _decode(self, key: str, raw: bytes) -> R:
        try:
            return json.decode(raw, type=self._model)
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            raise DamagedRecord(self._kind, key, str(error)) from error

    def _decode_or_report(self, key: str, raw: bytes) -> R | None:
        """The record; `None` if it is damaged, which is reported once."""
        try:
            return self._decode(key, raw)
        except DamagedRecord as error:
            if key not in self._reported:
                self._reported.add(key)
                self._report(key, error)
            return None

    def _is_visible(self, record: R, client: str | None) -> bool:
        return client is None or client in SEE_ALL or self._owner_of(record) == client


def new_id(prefix: str, now: float) -> str:
    """A new id; ids sort by the time of creation."""
    return f"{prefix}{int(now * 1_000_000):014x}{secrets.token_hex(6)}"

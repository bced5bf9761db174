"""Typed records of one kind: find, list by page, change by compare-and-set."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from ...errors import NotFound
from ...wire import json
from ..store import Change, RecordStore

R = TypeVar("R", bound=Struct)

SEE_ALL = frozenset({"master", "anyone"})
"""Clients that see all records: one with the master key, or any on a machine without keys."""


class Page(Struct, Generic[R], frozen=True):
    """Some records, and whether there are more after them."""

    records: list[R]
    has_more: bool


class Registry(Generic[R]):
    """The records of `kind`; `owner_of` returns the name of the client that owns a record."""

    def __init__(
        self, table: RecordStore, kind: str, model: type[R], owner_of: Callable[[R], str]
    ) -> None:
        self._table = table
        self._kind = kind
        self._model = model
        self._owner_of = owner_of

    async def find(self, key: str, client: str | None) -> R:
        """
        The client's record; `NotFound` if it is missing or another client's.

        For `None`, Fanout itself, the owner does not matter.
        """
        raw = await self._table.get(self._kind, key)
        record = None if raw is None else json.decode(raw, type=self._model)
        if record is None or not self._is_visible(record, client):
            raise NotFound(f"no such {self._kind}: `{key[:80]}`", "id")
        return record

    async def create_with(self, key: str, record: R, pointer: Change) -> bool:
        """Add a record and write `pointer`, both or neither; returns whether it was possible."""
        return await self._table.put_all([pointer, Change(self._kind, key, json.encode(record))])

    async def create(self, key: str, record: R) -> None:
        """Add a record; one that exists already stays unchanged."""
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
            record: R = json.decode(raw, type=self._model)
            changed = change(record)
            if changed is None:
                return record
            if await self._table.put(self._kind, key, json.encode(changed), raw):
                return changed

    async def delete(self, key: str) -> None:
        """Delete the record, if it exists."""
        await self._table.delete(self._kind, key)

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
            raws = await self._table.list(
                self._kind, after=last, limit=limit + 1, newest_first=newest_first
            )
            records: list[R] = [json.decode(raw, type=self._model) for raw in raws]
            keys: list[str] = [json.decode(raw, type=_HasId).id for raw in raws]
            pairs = zip(keys, records, strict=True)
            found += [(k, r) for k, r in pairs if self._is_visible(r, client) and keep(r)]
            if len(raws) <= limit:
                break
            last = keys[-1]
        return Page([record for _, record in found[:limit]], len(found) > limit)

    def _is_visible(self, record: R, client: str | None) -> bool:
        return client is None or client in SEE_ALL or self._owner_of(record) == client


class _HasId(Struct):
    id: str


def new_id(prefix: str, now: float) -> str:
    """A new id; ids sort by the time of creation."""
    return f"{prefix}{int(now * 1_000_000):014x}{secrets.token_hex(6)}"

"""Records of one kind as typed values: found, listed page by page, changed by compare and set."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from ...errors import NotFound
from ...wire import json
from ..store import RecordStore

R = TypeVar("R", bound=Struct)

MASTERS = frozenset({"master", "anyone"})
"""Callers that see everybody's records: who holds the master key, or a machine of one's own."""


class Page(Struct, Generic[R], frozen=True):
    """Some records, and whether there are more behind them."""

    records: list[R]
    has_more: bool


class Registry(Generic[R]):
    """The records of `kind`; `owner_of` tells whose one is."""

    def __init__(
        self, table: RecordStore, kind: str, model: type[R], owner_of: Callable[[R], str]
    ) -> None:
        self._table = table
        self._kind = kind
        self._model = model
        self._owner_of = owner_of

    async def find(self, key: str, caller: str | None) -> R:
        """The caller's record; somebody else's is not there. `None` is the house itself."""
        raw = await self._table.get(self._kind, key)
        record = None if raw is None else json.decode(raw, type=self._model)
        if record is None or not self._is_seen(record, caller):
            raise NotFound(f"no such {self._kind}: `{key[:80]}`", "id")
        return record

    async def create(self, key: str, record: R) -> None:
        """A new one; one that is there stays as it is."""
        await self._table.put(self._kind, key, json.encode(record), None)

    async def change(self, key: str, change: Callable[[R], R | None]) -> R:
        """
        Put what `change` makes of it in its place; asked again if another was faster.

        `None` leaves it as it is.
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
        """Away with it."""
        await self._table.delete(self._kind, key)

    async def page(
        self,
        caller: str | None,
        *,
        after: str | None,
        limit: int,
        newest_first: bool = True,
        keep: Callable[[R], bool] = lambda _: True,
    ) -> Page[R]:
        """The next `limit` of the caller's records that are worth keeping."""
        found: list[tuple[str, R]] = []
        edge = after
        while len(found) <= limit:
            raws = await self._table.list(
                self._kind, after=edge, limit=limit + 1, newest_first=newest_first
            )
            records: list[R] = [json.decode(raw, type=self._model) for raw in raws]
            keys: list[str] = [json.decode(raw, type=_Keyed).id for raw in raws]
            pairs = zip(keys, records, strict=True)
            found += [(k, r) for k, r in pairs if self._is_seen(r, caller) and keep(r)]
            if len(raws) <= limit:
                break
            edge = keys[-1]
        return Page([record for _, record in found[:limit]], len(found) > limit)

    def _is_seen(self, record: R, caller: str | None) -> bool:
        return caller is None or caller in MASTERS or self._owner_of(record) == caller


class _Keyed(Struct):
    id: str


def new_id(prefix: str, now: float) -> str:
    """An id that sorts by its birth."""
    return f"{prefix}{int(now * 1_000_000):014x}{secrets.token_hex(6)}"

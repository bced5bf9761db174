"""Accounts and spend rows in one SQLite file, which several processes may use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ..bulk.local.sqlite import Connection, Database
from ..disk.threads import in_thread
from ..wire import json
from .items import Item, ItemKey, Update, applied

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    partition TEXT, name TEXT, value BLOB NOT NULL, PRIMARY KEY (partition, name)
) WITHOUT ROWID;
"""

WHERE = "WHERE partition = ? AND name = ?"
LAST = "\U0010ffff"


class SQLiteStore:
    """A `Store`; each update is one transaction. The file is made with the first item."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)
        self._path = path
        self._exists = False

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    async def get(self, key: ItemKey) -> Item | None:
        """The item, or `None`. Without a file there is none: a wrong key makes no file."""
        if not await self._has_file():
            return None
        return await self._database.submit(lambda db: _read(db, key))

    async def _has_file(self) -> bool:
        if not self._exists:
            self._exists = await in_thread(self._path.exists)
        return self._exists

    async def create(self, key: ItemKey, item: Item) -> bool:
        """Write a new item; whether there was none."""
        row = (key.partition, key.name, json.encode(item))
        query = "INSERT OR IGNORE INTO items VALUES (?, ?, ?)"
        return await self._database.submit(lambda db: db.execute(query, row).rowcount == 1)

    async def update(self, update: Update) -> Item:
        """Make the update and return the new item; raises `UpdateConflict`."""

        def change(db: Connection) -> Item:
            key = update.key
            new = applied(update, _read(db, key))
            query = f"UPDATE items SET value = ? {WHERE}"  # noqa: S608 -- a constant
            db.execute(query, (json.encode(new), key.partition, key.name))
            return new

        return await self._in_transaction(change)

    async def delete(self, key: ItemKey) -> Item | None:
        """Delete the item and return it."""

        def remove(db: Connection) -> Item | None:
            item = _read(db, key)
            query = f"DELETE FROM items {WHERE}"  # noqa: S608 -- a constant
            db.execute(query, (key.partition, key.name))
            return item

        return await self._in_transaction(remove)

    async def items(
        self, partition: str, *, after: str = "", before: str = "", limit: int = 1_000
    ) -> Sequence[tuple[str, Item]]:
        """The items of a partition with `after < name < before`, by name; without a file none."""
        if not await self._has_file():
            return []
        query = (
            "SELECT name, value FROM items WHERE partition = ? AND name > ? AND name < ? "
            "ORDER BY name LIMIT ?"
        )
        values = (partition, after, before or LAST, limit)

        def read(db: Connection) -> list[tuple[str, Item]]:
            rows = db.execute(query, values).fetchall()
            return [(name, json.decode(value)) for name, value in rows]

        return await self._database.submit(read)

    async def _in_transaction(self, change: Callable[[Connection], T]) -> T:
        def run(db: Connection) -> T:
            db.execute("BEGIN IMMEDIATE")
            done = change(db)
            db.execute("COMMIT")
            return done

        return await self._database.submit(run)


def _read(db: Connection, key: ItemKey) -> Item | None:
    query = f"SELECT value FROM items {WHERE}"  # noqa: S608 -- a constant
    found = db.execute(query, (key.partition, key.name)).fetchone()
    if found is None:
        return None
    item: Item = json.decode(found[0])
    return item

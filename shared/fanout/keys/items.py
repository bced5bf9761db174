"""
Items of a key-value store, and their conditional updates as values. Pure, but for the interface.

Every store applies the same `Update`: SQLite with `applied` in one transaction, DynamoDB in one
`UpdateItem`. So what a key may spend is decided by the same code everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Struct, field

Item: TypeAlias = Mapping[str, Any]
"""Fields of strings, whole numbers, lists of strings, and objects of strings."""


class ItemKey(Struct, frozen=True):
    """Where an item is: its partition, and its name there. A partition is sorted by name."""

    partition: str
    name: str


class Condition(Struct, frozen=True):
    """What a field must be for an update; a field that the item does not have is none of these."""

    field: str
    is_: Literal["=", ">=", ">"]
    value: Any


class Update(Struct, frozen=True):
    """
    Fields to set, and numbers to add to fields, if all conditions hold.

    There is at least one condition, so an item that does not exist is never created.
    """

    key: ItemKey
    conditions: tuple[Condition, ...]
    set: Mapping[str, Any] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)


class UpdateConflict(Exception):
    """A condition does not hold; `item` is what is stored, `None` if nothing is."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("a condition of an update does not hold")
        self.item = item


class Store(Protocol):
    """
    Where items are. Every read sees every write before it.

    Methods raise `FanoutError` if the store does not respond; then a write may have been made.
    """

    def close(self) -> None:
        """Close the store; nothing is called after it."""
        ...

    async def get(self, key: ItemKey) -> Item | None:
        """The item, or `None`."""
        ...

    async def create(self, key: ItemKey, item: Item) -> bool:
        """Write a new item; whether there was none."""
        ...

    async def update(self, update: Update) -> Item:
        """Make the update and return the new item; raises `UpdateConflict`."""
        ...

    async def delete(self, key: ItemKey) -> Item | None:
        """Delete the item and return it."""
        ...

    async def items(
        self, partition: str, *, after: str = "", before: str = "", limit: int = 1_000
    ) -> Sequence[tuple[str, Item]]:
        """The items of a partition with `after < name < before`, sorted by name."""
        ...


def holds(condition: Condition, item: Item) -> bool:
    """Whether the condition holds for an item."""
    if (found := item.get(condition.field)) is None:
        return False
    if condition.is_ == "=":
        return bool(found == condition.value)
    if condition.is_ == ">=":
        return bool(found >= condition.value)
    return bool(found > condition.value)


def applied(update: Update, item: Item | None) -> Item:
    """The item after the update; raises `UpdateConflict`."""
    if item is None or not all(holds(condition, item) for condition in update.conditions):
        raise UpdateConflict(item)
    added = {name: item.get(name, 0) + number for name, number in update.add.items()}
    return {**item, **update.set, **added}

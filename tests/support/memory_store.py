"""A store of keys in memory, and coroutines that a test steps through by hand."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any

from fanout.keys.items import Item, ItemKey, Update, applied


class Pause:
    """Gives the test the turn; it decides who goes on, or crashes."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class MemoryStore:
    """A `Store` whose calls pause before and after their effect."""

    def __init__(self) -> None:
        self.stored: dict[ItemKey, Item] = {}
        self.reads = self.writes = 0

    def close(self) -> None:
        """There is nothing to close."""

    async def get(self, key: ItemKey) -> Item | None:
        await Pause()
        self.reads += 1
        found = self.stored.get(key)
        await Pause()
        return found

    async def create(self, key: ItemKey, item: Item) -> bool:
        await Pause()
        self.writes += 1
        is_new = key not in self.stored
        self.stored.setdefault(key, dict(item))
        await Pause()
        return is_new

    async def update(self, update: Update) -> Item:
        await Pause()
        self.writes += 1
        new = self.stored[update.key] = applied(update, self.stored.get(update.key))
        await Pause()
        return new

    async def delete(self, key: ItemKey) -> Item | None:
        await Pause()
        return self.stored.pop(key, None)

    async def items(
        self, partition: str, *, after: str = "", before: str = "", limit: int = 1_000
    ) -> Sequence[tuple[str, Item]]:
        await Pause()
        names = sorted(
            key.name
            for key in self.stored
            if key.partition == partition and after < key.name < (before or "\U0010ffff")
        )
        return [(name, self.stored[ItemKey(partition, name)]) for name in names[:limit]]


class Steps:
    """A coroutine that goes on by one step at a time; `ended` is whether it has."""

    def __init__(self, call: Coroutine[Any, Any, Any]) -> None:
        self._call = call
        self.ended = False
        self.result: Any = None

    def step(self) -> None:
        """Go on until the next pause."""
        try:
            self._call.send(None)
        except StopIteration as stop:
            self.ended, self.result = True, stop.value

    def crash(self) -> None:
        """The process ends here, and runs nothing more."""
        self._call.close()
        self.ended = True


def finish(call: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, alone."""
    steps = Steps(call)
    while not steps.ended:
        steps.step()
    return steps.result


def rows_of(store: MemoryStore, where: Callable[[Mapping[str, Any]], bool]) -> list[Item]:
    """The spend rows for which `where` holds."""
    return [
        item
        for key, item in store.stored.items()
        if key.partition.startswith("spend#") and where(item)
    ]

"""The rights of an account that pays for a job, which are read again while the job runs."""

from __future__ import annotations

from .clients import models_of
from .current_rights import RecentRead
from .groups import shared_account, shared_models
from .items import Item, ItemKey
from .ledger import KeyLedger


class AccountRights:
    """
    The rights of an account that pays for a job: of a key, or of what several keys share.

    `item` is the account as it was last read, `shared` that of the key's team or user. They are not
    valid if one of these is blocked or deleted, or has expired.
    """

    def __init__(self, ledger: KeyLedger, where: ItemKey, item: Item | None) -> None:
        self.item = item
        self.shared: Item | None = None
        self.is_valid = item is not None
        self._ledger = ledger
        self._where = where
        self._recent = RecentRead()

    @property
    def models(self) -> frozenset[str] | None:
        """The models that a job of this account may use, `None` for all."""
        if self.item is None:
            return frozenset()
        own = models_of(self.item)
        return own if self.shared is None else shared_models(own, models_of(self.shared))

    def know(self, item: Item) -> None:
        """The account was just written, and is this."""
        self.item = item

    async def refresh(self, max_age: float) -> None:
        """Read them, if that is so many seconds ago; raises the errors of the store of keys."""
        await self._recent.repeat(self._read, max_age)

    async def _read(self) -> None:
        item = await self._ledger.store.get(self._where)
        shared = None if item is None else await shared_account(self._ledger, item)
        now = self._ledger.now()
        self.is_valid = (
            item is not None
            and not item["blocked"]
            and item["expires_at"] > now
            and not (shared is not None and shared["blocked"])
        )
        if self.is_valid:
            self.item, self.shared = item, shared

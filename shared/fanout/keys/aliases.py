"""The aliases of keys: items of their own, so that of two keys with one alias, one is made."""

from __future__ import annotations

from ..errors import RequestError
from .account import account_key
from .items import ItemKey, Store

ALIAS_GRACE = 60
"""Seconds after which an alias is free whose key was not made, because the process crashed."""


def alias_key(alias: str) -> ItemKey:
    """Where an alias is."""
    return ItemKey(f"alias#{alias}", "alias")


async def take_alias(store: Store, alias: str, account: str, now: float) -> None:
    """
    Take an alias for an account; one whose key was never made, or has another alias now, is free.

    Raises `RequestError` if another key has it.
    """
    where = alias_key(alias)
    for _ in range(2):
        if not alias or await store.create(where, {"account": account, "at": int(now)}):
            return
        found = await store.get(where)
        if found is not None:
            owner = await store.get(account_key(found["account"]))
            is_used = owner is not None and owner["alias"] == alias
            if is_used or found["at"] > int(now) - ALIAS_GRACE:
                break
            await store.delete(where)
    raise RequestError(f"another key has the alias `{alias}`", "key_alias", "alias_exists")


async def free_alias(store: Store, alias: str, account: str) -> None:
    """Free an alias of an account."""
    if alias:
        found = await store.get(alias_key(alias))
        if found is not None and found["account"] == account:
            await store.delete(alias_key(alias))

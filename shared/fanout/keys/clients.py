"""The client of a virtual key, as the gateway knows clients: its name and its models."""

from __future__ import annotations

from functools import partial

from ..config.catalog import ClientKey
from ..secret import HiddenRepr
from .current_rights import CurrentRights
from .groups import shared_models, valid_shared_account
from .items import Item
from .key_types import LLM_API
from .ledger import KeyLedger, digest_of

ALL_MODELS = frozenset({"all-proxy-models", "all-team-models", "*"})
"""LiteLLM's names for every model."""

NO_MODELS = "no-default-models"
"""LiteLLM's name for no model."""


class KeyAccount(HiddenRepr, frozen=True):
    """
    The account of a client with a virtual key, as it was last read.

    `shared` is that of its team, or else of its user, if there is one.
    """

    ledger: KeyLedger
    item: Item
    shared: Item | None = None


def client_of(ledger: KeyLedger, item: Item, shared: Item | None = None) -> ClientKey:
    """The client of an account; its name stays the same when the key is regenerated."""
    name = f"key-{item['id'][:32]}"
    models = models_of(item)
    if shared is not None:
        models = shared_models(models, models_of(shared))
    return ClientKey(name, None, models, account=KeyAccount(ledger, item, shared))


def models_of(item: Item) -> frozenset[str] | None:
    """The models that an account may use, `None` for all; LiteLLM's empty list is all."""
    if item["key_type"] != LLM_API:
        return frozenset()
    names = frozenset(item["models"])
    return None if not names or names & ALL_MODELS else names - {NO_MODELS}


async def authenticate(ledger: KeyLedger, key: str) -> ClientKey:
    """The client of a virtual key, whose rights are read again later; raises `Unauthorized`."""
    read = partial(_read, ledger, digest_of(key))
    return CurrentRights(read, await read()).client


async def _read(ledger: KeyLedger, digest: str) -> ClientKey:
    item = await ledger.authenticate(digest)
    return client_of(ledger, item, await valid_shared_account(ledger, item))

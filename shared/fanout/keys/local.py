"""Opens the ledger of this machine, in the folder of the user's data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo

from ..bulk.local.batch_service import data_home
from ..config.catalog import Catalog
from ..errors import ConfigError
from .items import Store
from .ledger import Ledger
from .sqlite_store import SQLiteStore

FILE = "keys.sqlite"

LEASE_MARGIN = 60.0
"""Seconds that a request may take beyond its time limit, before it counts as crashed."""


def zone_of(name: str) -> tzinfo:
    """The time zone of budgets; raises `ConfigError` if there is no such zone."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(
            f"`general_settings.budget_timezone`: there is no time zone `{name}`; write a name such"
            " as `Europe/Berlin`"
        ) from None


def make_ledger(catalog: Catalog, store: Store) -> Ledger:
    """A ledger with the config's time limit and time zone."""
    zone = zone_of(catalog.general.budget_timezone)
    return Ledger(store, lease=catalog.timeout + LEASE_MARGIN, zone=zone)


def open_local(env: Mapping[str, str], catalog: Catalog) -> Ledger:
    """The ledger of this machine."""
    return make_ledger(catalog, SQLiteStore(data_home(env) / FILE))

"""Opens the ledger of virtual keys: in SQLite on this machine, or in the stack's table on AWS."""

from __future__ import annotations

from asyncio import TaskGroup
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from ..config.catalog import Catalog
from ..errors import ConfigError
from ..transport.credentials import Signer
from ..transport.engine import Engine
from .items import Store
from .ledger import Ledger

if TYPE_CHECKING:
    from .jobs import KeyAccounts

FILE = "keys.sqlite"

TABLE_VARIABLE = "FANOUT_KEYS_TABLE"

LEASE_MARGIN = 60.0
"""Seconds that a request may take beyond its time limit, before it counts as crashed."""


def open_local(env: Mapping[str, str], catalog: Catalog) -> Ledger:
    """The ledger of this machine, in the folder of the user's data."""
    from ..bulk.local.batch_service import data_home
    from .sqlite_store import SQLiteStore

    return _ledger(catalog, SQLiteStore(data_home(env) / FILE))


def open_local_accounts(env: Mapping[str, str], catalog: Catalog, group: TaskGroup) -> KeyAccounts:
    """The accounts of this machine's virtual keys, for their jobs."""
    from .jobs import KeyAccounts

    return KeyAccounts(open_local(env, catalog), catalog, group)


def open_table(env: Mapping[str, str], engine: Engine, signer: Signer, catalog: Catalog) -> Ledger:
    """The ledger in the table that the environment names."""
    from ..aws.dynamodb import DynamoDB
    from .dynamodb_store import DynamoDBStore

    database = DynamoDB(env, engine, signer, "table of virtual keys")
    return _ledger(catalog, DynamoDBStore(env[TABLE_VARIABLE], database))


def _ledger(catalog: Catalog, store: Store) -> Ledger:
    zone = zone_of(catalog.general.budget_timezone)
    return Ledger(store, lease=catalog.timeout + LEASE_MARGIN, zone=zone)


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

"""Opens the ledger of virtual keys: in SQLite on this machine, or in the stack's table on AWS."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING

from ..config.catalog import Catalog
from ..config.time_zones import find_zone
from ..transport.credentials import Signer
from ..transport.engine import Engine
from .items import Store
from .ledger import KeyLedger

if TYPE_CHECKING:
    from .jobs import KeyAccounts

FILE = "keys.sqlite"

TABLE_VARIABLE = "FANOUT_KEYS_TABLE"

LEASE_MARGIN = 60.0
"""Seconds that a request may take beyond its time limit, before it counts as crashed."""


def open_local(env: Mapping[str, str], catalog: Catalog) -> KeyLedger:
    """The ledger of this machine, in the folder of the user's data."""
    from ..bulk.local.lazy_service import data_home
    from .sqlite_store import SQLiteStore

    return _ledger(catalog, SQLiteStore(data_home(env) / FILE))


def open_local_accounts(env: Mapping[str, str], catalog: Catalog) -> KeyAccounts:
    """The accounts of this machine's virtual keys, for their jobs."""
    from .jobs import KeyAccounts

    return KeyAccounts(open_local(env, catalog), catalog)


def open_table(
    env: Mapping[str, str], engine: Engine, signer: Signer, catalog: Catalog
) -> KeyLedger:
    """The ledger in the table that the environment names."""
    from ..aws.dynamodb import DynamoDB
    from .dynamodb_store import DynamoDBStore

    database = DynamoDB(env, engine, signer, "table of virtual keys")
    return _ledger(catalog, DynamoDBStore(env[TABLE_VARIABLE], database))


def open_table_accounts(
    env: Mapping[str, str], engine: Engine, signer: Signer, catalog: Catalog
) -> KeyAccounts:
    """The accounts of the stack's virtual keys, for their jobs."""
    from .jobs import KeyAccounts

    return KeyAccounts(open_table(env, engine, signer, catalog), catalog)


def _ledger(catalog: Catalog, store: Store) -> KeyLedger:
    zone = find_zone(catalog.general.budget_timezone) or UTC  # the config is checked
    return KeyLedger(store, lease=catalog.timeout + LEASE_MARGIN, zone=zone)

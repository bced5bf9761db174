"""
Reads LiteLLM's tables from its Postgres database, as CSV, in a transaction that cannot write.

psycopg is an extra, and imported for the first table. Source: litellm 1.110.2, `schema.prisma`,
2026-11; https://www.psycopg.org/psycopg3/docs/basic/copy.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..errors import ConfigError
from ..settings import install_command

TABLES = {
    "budgets": "LiteLLM_BudgetTable",
    "teams": "LiteLLM_TeamTable",
    "users": "LiteLLM_UserTable",
    "keys": "LiteLLM_VerificationToken",
}
"""What is read, in the order in which it is imported: keys name the others."""

LIBPQ = frozenset(
    {"application_name", "connect_timeout", "host", "hostaddr", "options", "passfile", "port"}
    | {"channel_binding", "gssencmode", "sslcert", "sslkey", "sslmode", "sslrootcert"}
    | {"target_session_attrs"}
)
"""The parameters of an address that libpq knows; Prisma's are left out, but for `schema`."""

PREFIXES = ("postgres://", "postgresql://")
CONNECT_SECONDS = 15

SAME = (
    *("connection refused", "connection timed out", "no route to host", "network is unreachable"),
    *("password authentication failed", "no password supplied", "no pg_hba.conf entry"),
    *("certificate verify failed", "server does not support ssl", "server closed the connection"),
    "too many clients",
)
REASONS: Mapping[str, str] = {
    **{reason: reason for reason in SAME},
    "timeout expired": "connection timed out",
    "could not translate host name": "its host is unknown",
    "failed to resolve host": "its host is unknown",
    "permission denied": "its user may not read the tables",
    "does not exist": "the database or the user does not exist",
}
"""What libpq and Postgres say of a failure, in lower case, and how it is said here."""


def is_address(text: str) -> bool:
    """Whether this is a database's address, not a file's name."""
    return text.startswith(PREFIXES)


def read_tables(address: str, driver: Any = None) -> Mapping[str, str]:
    """
    Each of `TABLES` that the database has, as CSV with a header.

    Raises `ConfigError` without a part of the address if the database does not respond, or has no
    keys.
    """
    driver = driver or _psycopg()
    try:
        parts = urlsplit(address)
        given = dict(parse_qsl(parts.query))
    except ValueError:
        raise ConfigError("the database's address is not valid") from None
    known = {name: value for name, value in given.items() if name in LIBPQ}
    query = urlencode({"connect_timeout": CONNECT_SECONDS, **known})
    try:
        with driver.connect(parts._replace(query=query).geturl()) as connection:
            connection.read_only = True
            return _copied(connection, given.get("schema") or "public")
    except (driver.Error, ValueError) as error:
        raise ConfigError(f"cannot read LiteLLM's database: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What has failed, in words of ours: the library's text may have a part of the address."""
    text = str(error).lower()
    found = next((ours for theirs, ours in REASONS.items() if theirs in text), "")
    code = getattr(error, "sqlstate", None)
    return found or (f"its error {code}" if code else "its address, or what it names, is wrong")


def _copied(connection: Any, schema: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    with connection.cursor() as cursor:
        listed = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
        cursor.execute(listed, (schema,))
        there = {name for (name,) in cursor.fetchall()}
        for name, table in TABLES.items():
            if table in there:
                place = '"{}"."{}"'.format(schema.replace('"', '""'), table)
                statement = f"COPY (SELECT * FROM {place}) TO STDOUT (FORMAT csv, HEADER)"  # noqa: S608
                with cursor.copy(statement) as copy:
                    found[name] = b"".join(bytes(part) for part in copy).decode()
    if "keys" not in found:
        raise ConfigError(
            f"the database has no table {TABLES['keys']} in this schema: add `?schema=NAME` to its"
            " address"
        )
    return found


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError:
        raise ConfigError(
            f"a Postgres database needs psycopg: {install_command('postgres')}"
        ) from None
    return psycopg

"""
LiteLLM's table of keys as accounts: the hashes are the same, so clients keep their keys.

Source: litellm 1.110.2, `schema.prisma`, `LiteLLM_VerificationToken`, 2026-11.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import MsgspecError, Struct, field

from ..errors import RequestError
from ..wire import json
from .ledger import HASH, Ledger
from .litellm import amount_of, changes_of, read_fields
from .management import KeyManager

LEFT_OUT = (
    "aliases",
    "allowed_routes",
    "budget_id",
    "budget_limits",
    "model_max_budget",
    "object_permission_id",
    "organization_id",
    "permissions",
    "policies",
    "project_id",
)
"""Columns whose effect Fanout does not have."""

EMPTY = frozenset({"", "{}", "[]", "null", "NULL", "\\N"})
NUMBERS = {"max_budget": float, "tpm_limit": int, "rpm_limit": int, "max_parallel_requests": int}
TEXTS = ("key_alias", "team_id", "user_id", "budget_duration")


class Imported(Struct):
    """How many keys were imported and were there already, and what was left out."""

    created: int = 0
    present: int = 0
    notes: list[str] = field(default_factory=list)


async def import_rows(manager: KeyManager, ledger: Ledger, text: str) -> Imported:
    """
    Make an account of each row of a CSV with a header; one that exists is left as it is.

    Raises `RequestError` if the text is no such CSV.
    """
    reader = csv.DictReader(io.StringIO(text))
    if "token" not in (reader.fieldnames or ()):
        raise RequestError(
            "the file has no column `token`: write LiteLLM_VerificationToken as CSV with a header"
        )
    done = Imported()
    for number, row in enumerate(reader, 2):
        token = (row.get("token") or "").strip()
        name = row.get("key_alias") or row.get("key_name") or f"{token[:8]}…"
        if not HASH.fullmatch(token):
            done.notes.append(f"line {number}: `token` is no SHA-256 hash: left out")
            continue
        try:
            fields, spent = _fields(row, ledger.now()), _spent(row)
        except (RequestError, ValueError) as error:
            done.notes.append(f"line {number} (`{name}`): {error}: left out")
            continue
        unused = [one for one in LEFT_OUT if (row.get(one) or "") not in EMPTY]
        shown = row.get("key_name") or "sk-..."
        try:
            is_new = await manager.adopt(token, shown, fields, spent)
        except RequestError as error:
            done.notes.append(f"line {number} (`{name}`): {error}: left out")
            continue
        done.created += is_new
        done.present += not is_new
        if unused and is_new:
            done.notes.append(f"`{name}`: imported without {', '.join(unused)}")
    return done


def _fields(row: Mapping[str, str], now: float) -> dict[str, Any]:
    """The fields of an account of a row."""
    given: dict[str, Any] = {
        name: kind(row[name])
        for name, kind in NUMBERS.items()
        if (row.get(name) or "") not in EMPTY
    }
    given |= {name: row[name] for name in TEXTS if (row.get(name) or "") not in EMPTY}
    given["models"] = _array(row.get("models") or "")
    given["blocked"] = (row.get("blocked") or "").lower() in {"t", "true", "1"}
    metadata = _object(row.get("metadata") or "")
    tags = metadata.pop("tags", None)
    tags = [str(tag) for tag in tags] if isinstance(tags, list) else []
    given["tags"] = list(dict.fromkeys([*_array(row.get("tags") or ""), *tags]))
    given["metadata"] = metadata
    fields = changes_of(read_fields(given), now)
    if (expires := row.get("expires") or "") not in EMPTY:
        fields["expires_at"] = int(_time(expires).timestamp())
    return fields


def _spent(row: Mapping[str, str]) -> int:
    text = row.get("spend") or ""
    return 0 if text in EMPTY else amount_of(float(text), "spend")


def _time(text: str) -> datetime:
    """A time of Postgres, in UTC if it names no zone."""
    found = datetime.fromisoformat(text.strip())
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _array(text: str) -> list[str]:
    """Postgres's `{a,"b c"}`, or a JSON list."""
    if text in EMPTY:
        return []
    if text.startswith("["):
        found = json.decode(text.encode())
        return [str(one) for one in found] if isinstance(found, list) else []
    return next(csv.reader([text.strip("{}")], escapechar="\\"))


def _object(text: str) -> dict[str, Any]:
    if text in EMPTY:
        return {}
    try:
        found = json.decode(text.encode())
    except MsgspecError:
        raise RequestError("`metadata` is not JSON", "metadata") from None
    return found if isinstance(found, dict) else {}

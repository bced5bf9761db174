"""
A row of LiteLLM's tables, as CSV, as the fields of an account; and what of it has no effect here.

Source: litellm 1.110.2, `schema.prisma` (`LiteLLM_VerificationToken`, `LiteLLM_TeamTable`,
`LiteLLM_UserTable`, `LiteLLM_BudgetTable`), `proxy/_types.py`
(`LiteLLM_ManagementEndpoint_MetadataFields`, `LiteLLMKeyType`), 2026-11.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from msgspec import MsgspecError

from ..errors import RequestError
from ..wire import json
from .key_types import CALLS, INFO, LLM_API, READS
from .litellm import LIMITS, amount_of, changes_of, read_fields

Row: TypeAlias = Mapping[str, str]

EMPTY = frozenset({"", "{}", "[]", "null", "NULL", "\\N"})
OFF = EMPTY | {"f", "false", "0"}
"""What a column has whose effect is not used."""

NUMBERS: Mapping[str, Callable[[str], float]] = {
    "max_budget": float,
    "soft_budget": float,
    "tpm_limit": int,
    "rpm_limit": int,
    "max_parallel_requests": int,
}
GROUP_TEXTS = ("budget_duration",)
KEY_TEXTS = ("key_alias", "team_id", "user_id", *GROUP_TEXTS)

READ = frozenset(
    {"allowed_routes", "blocked", "budget_id", "expires", "key_name", "metadata", "models"}
    | {"spend", "tags", "team_alias", "token", "total_spend", "user_alias", "user_email"}
    | {"user_role"}
    | {*NUMBERS, *KEY_TEXTS}
)
"""The columns that are read."""

WITHOUT_EFFECT = frozenset(
    {"budget_reset_at", "created_at", "created_by", "last_active", "last_rotation_at"}
    | {
        "key_rotation_at",
        "key_type",
        "model_id",
        "model_spend",
        "rotation_count",
        "rotation_interval",
    }
    | {
        "settings_updated_at",
        "soft_budget_cooldown",
        "sso_user_id",
        "updated_at",
        "updated_by",
        "user_alias",
    }
)
"""
The columns that limit nothing. Any other one is named as left out, if it is used.

LiteLLM decides by `allowed_routes` alone; a `key_type` has only set them.
"""

SHOWN_ROUTES = 200
"""Characters of `allowed_routes` in a note."""

LIMITING = frozenset(
    {"allowed_passthrough_routes", "allowed_vector_store_indexes", "disable_global_guardrails"}
    | {"enforced_params", "guardrails", "model_rpm_limit", "model_tpm_limit", "policies"}
    | {"prompts", "rpm_limit_type", "temp_budget_expiry", "temp_budget_increase"}
    | {"team_member_budget_id", "tpm_limit_type"}
)
"""The fields of `metadata` that LiteLLM reads as limits or rights."""


def has(row: Row, name: str) -> bool:
    """Whether the column is there and has a value."""
    return (row.get(name) or "") not in EMPTY


def unused(row: Row) -> list[str]:
    """The columns of a row, and the fields of its `metadata`, that are used and not read."""
    known = READ | WITHOUT_EFFECT
    columns = [
        name
        for name, value in row.items()
        if name not in known and isinstance(value, str) and value not in OFF
    ]
    inner = _object(row.get("metadata") or "")
    return columns + [f"metadata.{name}" for name in LIMITING & inner.keys() if inner[name]]


def numbers(row: Row) -> dict[str, Any]:
    """The limits of a row."""
    return {name: kind(row[name]) for name, kind in NUMBERS.items() if has(row, name)}


def zero_limits(row: Row) -> list[str]:
    """The limits of a row that are 0: nothing may be called, so the account is blocked here."""
    return [name for name, value in numbers(row).items() if name in LIMITS and value == 0]


def zero_note(row: Row) -> list[str]:
    """What a note says of limits that are 0."""
    found = zero_limits(row)
    return [f"blocked, because of its {', '.join(found)} of 0"] if found else []


def fields_of(row: Row, texts: Sequence[str], now: float) -> dict[str, Any]:
    """The fields of an account of a row."""
    given = numbers(row)
    zeros = zero_limits(row)
    given |= dict.fromkeys(zeros)
    given |= {name: row[name] for name in texts if has(row, name)}
    given["models"] = _array(row.get("models") or "")
    is_blocked = (row.get("blocked") or "").lower() in {"t", "true", "1"}
    given["blocked"] = is_blocked or bool(zeros)
    metadata = _object(row.get("metadata") or "")
    tags = metadata.pop("tags", None)
    tags = [str(tag) for tag in tags] if isinstance(tags, list) else []
    given["tags"] = list(dict.fromkeys([*_array(row.get("tags") or ""), *tags]))
    given["metadata"] = metadata
    fields = changes_of(read_fields(given), now)
    if has(row, "expires"):
        fields["expires_at"] = int(_time(row["expires"]).timestamp())
    if has(row, "total_spend"):
        fields["total_spent"] = amount_of(float(row["total_spend"]), "total_spend")
    return fields


def rights_of(row: Row) -> tuple[dict[str, Any], list[str]]:
    """
    The fields of a key for its `allowed_routes`, and what a note says of them.

    No key has more rights than in LiteLLM: one whose routes no type of key has is blocked.
    """
    routes = frozenset(_array(row.get("allowed_routes") or ""))
    if not routes:
        return {}, []
    kind = LLM_API if routes & CALLS else INFO
    if not routes & (CALLS | READS):
        return {"blocked": 1}, [f"blocked, because of its {_listed(routes)}"]
    how: list[str] = []
    if found := routes & READS:
        what = "manage" if "management_routes" in found else "list"
        of = "keys, teams or users"
        how.append(f"as a key of type `{kind}`, which may {what} no {of}, for its {_listed(found)}")
    if rest := routes - CALLS - READS:
        how.append(f"without its {_listed(rest)}")
    return {"key_type": kind}, how


def _listed(routes: frozenset[str]) -> str:
    return f"allowed_routes {', '.join(sorted(routes))}"[:SHOWN_ROUTES]


def spent_of(row: Row) -> int:
    """What a row's key, team or user has spent in its window."""
    return amount_of(float(row["spend"]), "spend") if has(row, "spend") else 0


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

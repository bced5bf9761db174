"""
LiteLLM's requests and responses for keys, as accounts and back. Pure.

Source: litellm 1.110.2, `proxy/_types.py` (`GenerateKeyRequest`, `UpdateKeyRequest`,
`GenerateKeyResponse`), 2026-11. A field whose effect Fanout does not have is rejected unless it is
empty: clients send all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from ..errors import RequestError
from ..schema.validation import convert
from ..secret import HiddenRepr
from ..telemetry.prices import to_dollars, to_nanodollars
from ..wire import json
from .items import Item
from .key_types import LLM_API, TYPES, with_key_type
from .rate_limits import UNLIMITED
from .windows import NEVER, seconds_of, window_end

MAX_DOLLARS = 100_000_000
Dollars = Annotated[float, Meta(ge=0, le=MAX_DOLLARS)]
Limit = Annotated[int, Meta(le=10**12)]
Name = Annotated[str, Meta(max_length=256)]
Names = Annotated[list[Name], Meta(max_length=1_000)]

MAX_METADATA = 4_096
"""Bytes of a key's metadata: each request reads and writes them."""


class KeyFields(HiddenRepr, frozen=True, kw_only=True):
    """The fields that a client may set; `null` removes a limit. One is the key itself."""

    key: Annotated[str, Meta(max_length=512)] | UnsetType | None = UNSET
    key_alias: Name | UnsetType | None = UNSET
    duration: Name | UnsetType | None = UNSET
    models: Names | UnsetType | None = UNSET
    max_budget: Dollars | UnsetType | None = UNSET
    soft_budget: Dollars | UnsetType | None = UNSET
    budget_duration: Name | UnsetType | None = UNSET
    spend: Dollars | UnsetType | None = UNSET
    rpm_limit: Limit | UnsetType | None = UNSET
    tpm_limit: Limit | UnsetType | None = UNSET
    max_parallel_requests: Limit | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    tags: Names | UnsetType | None = UNSET
    team_id: Name | UnsetType | None = UNSET
    user_id: Name | UnsetType | None = UNSET
    blocked: bool | UnsetType | None = UNSET
    key_type: Name | UnsetType | None = UNSET
    budget_id: Name | UnsetType | None = UNSET


FIELDS = frozenset(KeyFields.__struct_fields__)

LIMITS = ("rpm_limit", "tpm_limit", "max_parallel_requests")
"""The limits that must be at least 1: with 0, a client would wait for ever."""

RENAMED = {
    "duration": "expires_at",
    "key_alias": "alias",
    "max_parallel_requests": "parallel_limit",
}


def read_fields(
    body: object, extra: frozenset[str] = frozenset(), whose: str = "keys"
) -> KeyFields:
    """
    The fields of a request; `extra` are those that the endpoint reads itself.

    `whose` fields they are is said of one that is none.
    """
    if not isinstance(body, Mapping):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    if whose == "keys":
        body = with_key_type(body)
    for name, value in body.items():
        if name not in FIELDS and name not in extra and value not in (None, "", 0, [], {}):
            raise RequestError(
                f"`{name}` is not supported for {whose}: leave it out (docs/keys.md has the"
                " fields)",
                name,
                "unsupported_parameter",
            )
    return convert({name: body[name] for name in body if name in FIELDS}, KeyFields)


def changes_of(fields: KeyFields, now: float) -> dict[str, Any]:
    """The fields of an account that a request sets."""
    given = {name: getattr(fields, name) for name in FIELDS}
    metadata = given["metadata"]
    if given["tags"] is UNSET and isinstance(metadata, dict):
        given["tags"] = tags_of(metadata)
    for name in LIMITS:
        if isinstance(value := given[name], int) and value < 1:
            raise RequestError(
                f"`{name}` must be at least 1: set `blocked: true` to reject all requests", name
            )
    return {
        RENAMED.get(name, name): read(given[name], now)
        for name, read in READERS.items()
        if given[name] is not UNSET
    }


def _is_amount(value: float) -> bool:
    return 0 <= value <= MAX_DOLLARS


def tags_of(metadata: Mapping[str, Any]) -> list[str] | UnsetType:
    """The tags in a key's metadata, where LiteLLM has them."""
    tags = metadata.get("tags")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return UNSET
    return tags


def amount_of(value: object, param: str) -> int:
    """An amount in US dollars, in nanodollars; raises `RequestError`, which names `param`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_amount(value):
        raise RequestError(f"`{param}` must be an amount from 0 to {MAX_DOLLARS} US dollars", param)
    return to_nanodollars(value)


def _amount(value: Any, _: float) -> int:
    return UNLIMITED if value is None else to_nanodollars(value)


def _limit(value: Any, _: float) -> int:
    return UNLIMITED if value is None else int(value)


def _names(value: Any, _: float) -> list[str]:
    return value or []


def _text(value: Any, _: float) -> str:
    return value or ""


def _flag(value: Any, _: float) -> int:
    return int(bool(value))


def _expiry(value: Any, now: float) -> int:
    return min(NEVER, int(now) + (seconds_of(value, "duration") if value else NEVER))


def _window(value: Any, now: float) -> str:
    window_end(value or "", now, UTC)  # checks it
    return value or ""


def _metadata(value: Any, _: float) -> str:
    text = json.encode(value or {})
    if len(text) > MAX_METADATA:
        raise RequestError(f"`metadata` may have {MAX_METADATA} bytes", "metadata")
    return text.decode()


def _type(value: Any, _: float) -> str:
    name = LLM_API if value in (None, "", "default") else str(value)
    if name not in TYPES:
        raise RequestError(f"`key_type` must be one of {', '.join(TYPES)}", "key_type")
    return name


READERS: Mapping[str, Callable[[Any, float], Any]] = {
    "key_alias": _text,
    "duration": _expiry,
    "models": _names,
    "max_budget": _amount,
    "soft_budget": _amount,
    "budget_duration": _window,
    "rpm_limit": _limit,
    "tpm_limit": _limit,
    "max_parallel_requests": _limit,
    "metadata": _metadata,
    "tags": _names,
    "team_id": _text,
    "user_id": _text,
    "blocked": _flag,
    "key_type": _type,
}
"""How a field becomes one of an account."""


PUBLIC: Mapping[str, str] = {
    "alias": "key_alias",
    "email": "user_email",
    "expires_at": "expires",
    "parallel_limit": "max_parallel_requests",
    "spent": "spend",
    "total_spent": "total_spend",
    "until": "previous_key_expires",
    "window_end": "budget_reset_at",
}
"""The fields of an account that clients know by another name."""

INFO = (
    *("token", "key_name", "alias", "spent", "total_spent", "reserved", "max_budget"),
    *("soft_budget", "budget_duration", "window_end", "models", "rpm_limit", "tpm_limit"),
    *("parallel_limit", "metadata", "tags", "team_id", "user_id", "budget_id", "blocked"),
    *("key_type", "expires_at", "created_at", "created_by", "updated_at"),
)
"""The fields of an account that are shown."""


def _shown_dollars(value: Any) -> float | None:
    return None if value == UNLIMITED else to_dollars(value)


def _shown_limit(value: Any) -> int | None:
    return None if value == UNLIMITED else int(value)


def _shown_time(value: Any) -> str | None:
    return None if value == NEVER else time_text(value)


def _shown_text(value: Any) -> str | None:
    return str(value) if value else None


def _shown_object(value: Any) -> Any:
    return json.decode(value)


SHOWERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("max_budget", "soft_budget", "spent", "total_spent", "reserved"), _shown_dollars
    ),
    **dict.fromkeys(("rpm_limit", "tpm_limit", "parallel_limit"), _shown_limit),
    **dict.fromkeys(("window_end", "expires_at", "created_at", "updated_at", "until"), _shown_time),
    **dict.fromkeys(
        ("alias", "budget_duration", "team_id", "user_id", "budget_id", "name", "email"),
        _shown_text,
    ),
    "metadata": _shown_object,
    "blocked": bool,
}
"""How a field of an account is shown, if not as it is."""


def shown_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of an account as clients know them: US dollars, ISO times, and `None` for no limit."""
    return {
        PUBLIC.get(name, name): SHOWERS[name](value) if name in SHOWERS else value
        for name, value in fields.items()
    }


def info_of(item: Item) -> dict[str, Any]:
    """An account as LiteLLM shows a key. It has the key's hash, and never the key."""
    return shown_fields({name: item.get(name) for name in INFO})


def soft_budget_fields(item: Item) -> dict[str, Any]:
    """What a log says of an account that has reached its soft budget; it has no key."""
    shown = info_of(item)
    names = ("key_alias", "key_name", "team_id", "spend", "soft_budget", "max_budget")
    return {"account": item["id"], **{name: shown[name] for name in names}}


def created_body(key: str, item: Item) -> dict[str, Any]:
    """The response to a new key: the only one that has the key itself."""
    return {"key": key, "token_id": item["token"], **info_of(item)}


def time_text(seconds: float) -> str:
    """A time as LiteLLM writes it: ISO 8601 with the zone."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()

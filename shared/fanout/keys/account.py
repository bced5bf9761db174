"""
An account: what a key may use and spend, and each change of it as a conditional update. Pure.

All amounts are nanodollars, all times seconds since 1970. At any moment `available` is the budget
less what is `spent` and what is `reserved` by requests in flight. What is `spent` is the sum of the
rows of the window and the `base`, which a reset or an import sets. `version` changes with each
change of the account's rights and limits, and `window` with each window of the budget, so an update
that was computed from older values is rejected. Nothing resets an account when a window or a minute
is over: the next reservation does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from ..errors import (
    BudgetExceeded,
    BudgetHeld,
    FanoutError,
    Unauthorized,
)
from .items import Condition, Item, ItemKey, Update
from .rate_limits import MINUTE, UNLIMITED, over_rate
from .windows import NEVER, window_end

NOTHING: Mapping[str, Any] = MappingProxyType({})
TEAM, USER = "team:", "user:"
"""What the ids of a team's and a user's account begin with; that of a key's is a hash."""

ACCOUNT = "account"
"""The name of an account in its partition, which is the hash of its first key."""

UNKNOWN_KEY = "the API key is not one of the gateway's keys"
"""The wording for unknown, expired and blocked keys alike."""

HELD_SECONDS = 2.0
"""When a client may try again while requests in flight hold the rest of the budget."""


class Need(Struct, frozen=True):
    """
    What a request may cost at most, in nanodollars and tokens.

    `requests` is 0 for lines of a job, which do not count against the limits of a minute and of
    parallel requests. `field` is the client's name of what makes it need fewer tokens. One that
    `is_free` needs no budget, also if more than all of it is spent.
    """

    cost: int
    tokens: int = 0
    requests: int = 1
    field: str = "max_tokens"
    is_free: bool = False


class BudgetReservation(Struct, frozen=True):
    """
    What a request has reserved of an account, until it is settled.

    `row` is its spend row. `window` and `minute` are those that it is counted in. After
    `lease_until` the process that made it has crashed, or lost the store. `shared` is what it has
    reserved of its team or user, which has no row of its own: the key's row is for both.
    """

    account: ItemKey
    row: ItemKey
    need: Need
    window: int
    minute: int
    lease_until: int
    at: float
    shared: BudgetReservation | None = None


def account_key(digest: str) -> ItemKey:
    """Where the account is whose first key has this hash."""
    return ItemKey(f"key#{digest}", ACCOUNT)


def account_of(key: ItemKey) -> str:
    """The id of the account that is there: the hash of a key, or `team:…` or `user:…`."""
    return key.partition.removeprefix("key#")


def check_rights(item: Item, now: float) -> None:
    """Raise `Unauthorized` if the account is blocked or has expired."""
    if item["blocked"] or item["expires_at"] <= now:
        raise Unauthorized(UNKNOWN_KEY)


def refreshed(item: Item, now: float, zone: tzinfo) -> dict[str, int]:
    """The fields that change because a window or a minute is over."""
    fresh: dict[str, int] = {}
    if item["window_end"] <= now:
        fresh |= {
            "window": item["window"] + 1,
            "window_start": item["window_end"],
            "window_end": window_end(item["budget_duration"], now, zone),
            "available": item["max_budget"],
            "reserved": 0,
            "spent": 0,
            "base": 0,
        }
    if item["minute"] < (minute := int(now) // MINUTE):
        fresh |= {"minute": minute, "rpm_left": item["rpm_limit"], "tpm_left": item["tpm_limit"]}
    return fresh


def changed(
    item: Item,
    fresh: Mapping[str, int],
    *,
    set: Mapping[str, Any] = NOTHING,  # noqa: A002 -- the name in `Update`
    add: Mapping[str, int] = NOTHING,
    conditions: Iterable[Condition] = (),
) -> Update:
    """
    The update of an account, which sets the `fresh` fields of a new window or minute too.

    It is rejected if the rights, the window or the minute are others than those of `item`.
    """
    same = [Condition(name, "=", item[name]) for name in ("version", "window", "minute")]
    moved = {name: fresh[name] + number for name, number in add.items() if name in fresh}
    return Update(
        account_key(item["id"]),
        (*same, *conditions),
        set={**fresh, **moved, **set},
        add={name: number for name, number in add.items() if name not in fresh},
    )


def refusal(item: Item, need: Need, now: float) -> FanoutError | None:
    """Why the account, whose window and minute are those of now, cannot pay for the request."""
    kind, colon, _ = item["id"].partition(":")
    whose = kind if colon else "key"
    if not need.is_free and item["available"] < need.cost:
        if item["reserved"] > 0 and item["available"] + item["reserved"] >= need.cost:
            return BudgetHeld(
                f"running requests hold the rest of the {whose}'s budget; try again when they have"
                " ended"
            )
        return BudgetExceeded(
            f"Budget has been exceeded: the {whose}'s budget does not cover this request"
        )
    if not need.requests:
        return None
    if item["parallel_left"] < 1:
        return BudgetHeld(
            f"the {whose}'s {item['parallel_limit']} parallel requests are in flight; try again",
            code="parallel_limit_exceeded",
        )
    return over_rate(item, need.tokens, now, whose, need.field)


def reserve(item: Item, need: Need, now: float, lease: float, zone: tzinfo) -> Update | FanoutError:
    """
    The update that authorizes a request, counts it, and reserves its cost; or why there is none.

    It is computed from `item`, and rejected if that has changed in a way that matters.
    """
    check_rights(item, now)
    fresh = refreshed(item, now, zone)
    state = {**item, **fresh}
    if (error := refusal(state, need, now)) is not None:
        return error
    taken = {} if need.is_free else {"available": need.cost}
    if need.requests:
        taken |= {"rpm_left": 1, "tpm_left": need.tokens, "parallel_left": 1}
    enough = [Condition(name, ">=", least) for name, least in taken.items() if name not in fresh]
    change = {name: -least for name, least in taken.items()} | {"reserved": need.cost}
    until = {"busy_until": int(now + lease) + 1}
    return changed(item, fresh, set=until, add=change, conditions=enough)


def settlements(held: BudgetReservation, cost: int, tokens: int, now: float) -> list[Update]:
    """
    The updates of which the first that is not rejected settles the reservation.

    It puts the real cost in the place of the reserved one. If the minute is over, its tokens no
    longer count; if the window is, only the totals do.
    """
    total = {"total_spent": cost, "parallel_left": held.need.requests}
    spent = {"available": held.need.cost - cost, "reserved": -held.need.cost, "spent": cost}
    window = Condition("window", "=", held.window)
    exists = Condition("total_spent", ">=", 0)
    updates = [
        Update(held.account, (window,), add=spent | total),
        Update(held.account, (exists,), add=total),
    ]
    if held.need.requests and held.minute == int(now) // MINUTE:
        same = (window, Condition("minute", "=", held.minute))
        left = {"tpm_left": held.need.tokens - tokens}
        updates.insert(0, Update(held.account, same, add=spent | total | left))
    return updates


def reaches_soft_budget(item: Item, cost: int) -> bool:
    """Whether this cost, the last that was added, has brought the spend to the soft budget."""
    soft = item.get("soft_budget", UNLIMITED)
    return bool(item["spent"] - cost < soft <= item["spent"])


def repaired(item: Item, charged: int) -> Update:
    """
    The update of an account without requests in flight; `charged` is the sum of its rows.

    `base` is what it has spent besides: an import or a reset has set its spend.
    """
    names = ("version", "window", "busy_until", "reserved", "parallel_left", "spent")
    spent = item["base"] + charged
    return Update(
        account_key(item["id"]),
        tuple(Condition(name, "=", item[name]) for name in names),
        set={
            "available": item["max_budget"] - spent,
            "spent": spent,
            "reserved": 0,
            "parallel_left": item["parallel_limit"],
        },
        add={"total_spent": spent - item["spent"]},
    )


def needs_repair(item: Item, now: float) -> bool:
    """Whether no request can be in flight, but some still count as if they were."""
    is_off = item["reserved"] != 0 or item["parallel_left"] != item["parallel_limit"]
    return bool(is_off and item["busy_until"] <= now < item["window_end"])


def new_account(digest: str, now: float, zone: tzinfo, limits: Item) -> dict[str, int | str]:
    """The numbers of a new account with these limits (`max_budget`, `rpm_limit`, …)."""
    budget = limits.get("max_budget", UNLIMITED)
    duration = limits.get("budget_duration", "")
    rates = {name: limits.get(name, UNLIMITED) for name in ("rpm_limit", "tpm_limit")}
    parallel = limits.get("parallel_limit", UNLIMITED)
    return {
        "id": digest,
        "version": 1,
        "blocked": 0,
        "expires_at": NEVER,
        "max_budget": budget,
        "budget_duration": duration,
        "window": int(now * 1_000),
        "window_start": int(now),
        "window_end": window_end(duration, now, zone),
        "available": budget,
        "reserved": 0,
        "spent": 0,
        "base": 0,
        "total_spent": 0,
        "minute": int(now) // MINUTE,
        **rates,
        "rpm_left": rates["rpm_limit"],
        "tpm_left": rates["tpm_limit"],
        "parallel_limit": parallel,
        "parallel_left": parallel,
        "busy_until": 0,
    }


def limit_of(item: Item, name: str) -> int | None:
    """A limit of an account; `None` if it has none."""
    return None if (found := item[name]) == UNLIMITED else int(found)

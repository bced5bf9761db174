"""
The lanes of a job: how its lines are sent, and at which price. Pure.

`realtime` is a call at the standard price. `flex` is the same call on the provider's flex tier:
slower and cheaper, and sent in real time if the tier has no room. Decision 0021 says how a line
gets its lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from ..errors import RequestError

LaneChoice: TypeAlias = Literal["auto", "realtime", "flex", "native"]
"""What a job asks for. With `auto`, each line is on the cheapest lane that keeps the deadline."""

NativeChoice: TypeAlias = Literal["never", "auto", "require"]
"""
Whether lines go by their providers' own batches.

With `auto` those do that are cheaper so; with `require` all must, or nothing is sent.
"""

REALTIME: Literal["realtime"] = "realtime"

NATIVE: Literal["native"] = "native"

CHOICES: tuple[LaneChoice, ...] = ("auto", "realtime", "flex", "native")

WITH_FLEX: frozenset[LaneChoice] = frozenset({"auto", "flex"})
"""The lanes of jobs that use the flex tiers."""

NATIVE_CHOICES: tuple[NativeChoice, ...] = ("never", "auto", "require")

CacheChoice: TypeAlias = Literal["order", "auto", "off"]
"""
What a job does about providers' caches of prompts. `order`: lines with the same beginning are sent
one after the other. `auto`: the providers are asked for a cache, too. `off`: lines are sent in the
order of the file.
"""

CACHES: tuple[CacheChoice, ...] = ("order", "auto", "off")

OrderChoice: TypeAlias = Literal["any", "input"]
"""The order of a job's two files: as each shard's results came, or as the lines of its input."""

ORDERS: tuple[OrderChoice, ...] = ("any", "input")

AUTO_WINDOW = 3 * 3600
"""Seconds of a completion window from which a job without a choice is on `auto`."""

ALLOWED_LANES: Mapping[NativeChoice, tuple[LaneChoice, ...]] = {
    "never": ("auto", "realtime", "flex"),
    "auto": ("auto", "native"),
    "require": ("auto", "native"),
}
"""The lanes of a job, by its choice of batches."""

NO_BATCHES_HERE = (
    "`{name}` asks for the providers' own batches, which this stack was deployed without; deploy "
    "it again, or use the lane `auto`, `flex` or `realtime` without `native`"
)


class LaneTotals(Struct, array_like=True):
    """
    Lines that succeeded on a lane, what they cost, and what they would have cost more in real time.

    Money is in nanodollars.
    """

    lines: int = 0
    cost: int = 0
    saved: int = 0

    def add(self, more: LaneTotals) -> None:
        """Add these totals."""
        self.lines += more.lines
        self.cost += more.cost
        self.saved += more.saved


def choose_lane(given: str | None, window: int, name: str = "fanout.lane") -> LaneChoice:
    """
    The choice that was given, else `auto` if the window has at least `AUTO_WINDOW` seconds.

    Raises `RequestError` about the field or option `name`.
    """
    if given is None:
        return "auto" if window >= AUTO_WINDOW else REALTIME
    for choice in CHOICES:
        if choice == given:
            return choice
    known = ", ".join(f"`{choice}`" for choice in CHOICES)
    raise RequestError(f"`{name}` must be one of {known}, not `{given[:40]}`", name)


def choose_native(
    given: str | None, lane: LaneChoice, *, has_batches: bool, name: str = "fanout.native"
) -> NativeChoice:
    """
    The choice that was given, else `auto` for the lane `native` and `never` for others.

    Raises `RequestError` if the lane excludes it, or if the host `has_batches` is false.
    """
    choice: NativeChoice = "auto" if lane == NATIVE else "never"
    if given is not None:
        found = [one for one in NATIVE_CHOICES if one == given]
        if not found:
            known = ", ".join(f"`{one}`" for one in NATIVE_CHOICES)
            raise RequestError(f"`{name}` must be one of {known}, not `{given[:40]}`", name)
        choice = found[0]
    if lane not in ALLOWED_LANES[choice]:
        fitting = " or ".join(f"`{one}`" for one in ALLOWED_LANES[choice])
        raise RequestError(
            f"`{name}` is `{choice}`, which does not fit the lane `{lane}`, only {fitting}",
            name,
        )
    if choice != "never" and not has_batches:
        field = "fanout.lane" if given is None else name
        raise RequestError(NO_BATCHES_HERE.format(name=field), field)
    return choice


def choose_cache(given: str | None, name: str = "fanout.cache") -> CacheChoice:
    """The choice that was given, else `order`; raises `RequestError` about `name`."""
    if given is None:
        return "order"
    for choice in CACHES:
        if choice == given:
            return choice
    known = ", ".join(f"`{choice}`" for choice in CACHES)
    raise RequestError(f"`{name}` must be one of {known}, not `{given[:40]}`", name)


def choose_order(given: str | None, name: str = "fanout.order") -> OrderChoice:
    """The choice that was given, else `any`; raises `RequestError` about `name`."""
    if given is None:
        return "any"
    for choice in ORDERS:
        if choice == given:
            return choice
    known = ", ".join(f"`{choice}`" for choice in ORDERS)
    raise RequestError(f"`{name}` must be one of {known}, not `{given[:40]}`", name)

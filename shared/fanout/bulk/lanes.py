"""
The lanes of a job: how its lines are sent, and at which price. Pure.

`realtime` is a call at the standard price. `flex` is the same call on the provider's flex tier:
slower and cheaper, and sent in real time if the tier has no room. Decision 0021 says how a line
gets its lane.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from ..errors import RequestError

LaneChoice: TypeAlias = Literal["auto", "realtime", "flex"]
"""What a job asks for. With `auto`, each line is on the cheapest lane that keeps the deadline."""

REALTIME: Literal["realtime"] = "realtime"

CHOICES: tuple[LaneChoice, ...] = ("auto", "realtime", "flex")

AUTO_WINDOW = 3 * 3600
"""Seconds of a completion window from which a job without a choice is on `auto`."""

NATIVE_IS_COMING = (
    "`{name}` cannot be `native`: Fanout does not use the providers' own batch APIs yet; "
    "use `auto`, `flex` or `realtime`"
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
    if given == "native":
        raise RequestError(NATIVE_IS_COMING.format(name=name), name)
    known = ", ".join(f"`{choice}`" for choice in CHOICES)
    raise RequestError(f"`{name}` must be one of {known}, not `{given[:40]}`", name)

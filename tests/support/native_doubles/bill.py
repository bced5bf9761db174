"""
What the doubles bill: one entry for each executed line, whichever lane it came by.

A test compares it with what Fanout reports, and with the rule that no line is paid for twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

Lane: TypeAlias = Literal["realtime", "flex", "native"]

PRICES = (1_000_000, 2_000_000)
"""Nanodollars in real time of a token that is sent, and of one that is received."""

FACTORS: Mapping[Lane, float] = {"realtime": 1.0, "flex": 0.5, "native": 0.5}

RECEIVED = 7
"""Tokens of each response."""


def tokens_of(text: str) -> int:
    """Tokens of a prompt."""
    return 1 + len(text) // 4


class Entry(Struct, frozen=True):
    """
    One executed line: its prompt, its lane and its tokens.

    `at` is when it was executed; `batch` is the batch it was in. A `lost` one is in no result file,
    so its buyer pays for it and cannot know.
    """

    vendor: str
    lane: Lane
    text: str
    sent: int
    received: int
    at: float
    batch: str | None = None
    lost: bool = False

    @property
    def nanodollars(self) -> int:
        return round(list_price(self.sent, self.received) * FACTORS[self.lane])


def list_price(sent: int, received: int) -> int:
    """Nanodollars in real time."""
    return PRICES[0] * sent + PRICES[1] * received


class Bill:
    """All entries, of all doubles that share it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)

    def texts(self, *lanes: Lane) -> Counter[str]:
        """How often each prompt was executed on these lanes, by default on all."""
        return Counter(one.text for one in self.entries if not lanes or one.lane in lanes)

    def lines(self) -> Counter[Lane]:
        """Executed lines by lane."""
        return Counter(one.lane for one in self.entries)

    def twice(self) -> set[str]:
        """The prompts that were paid for more than once, although no entry of them was lost."""
        kept = Counter(one.text for one in self.entries if not one.lost)
        return {text for text, count in kept.items() if count > 1}

    @property
    def nanodollars(self) -> int:
        return sum(one.nanodollars for one in self.entries)

    @property
    def in_real_time(self) -> int:
        """The nanodollars of the lines in real time."""
        return sum(one.nanodollars for one in self.entries if one.lane == "realtime")

    @property
    def at_list_price(self) -> int:
        """What each prompt would have cost once, in real time."""
        once = {one.text: list_price(one.sent, one.received) for one in self.entries}
        return sum(once.values())

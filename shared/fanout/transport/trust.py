"""Whether an origin's whole answers may be read in one go, which bounds them only afterwards."""

from __future__ import annotations

from msgspec import Struct

SMALL = 1_000_000
"""Bytes: far more than any model says in one answer."""

ENOUGH = 20
"""Small answers in a row after which the next is thought to be one."""


class Trust(Struct):
    """Earned by small answers, lost by one that is not. `small` counts those in a row."""

    small: int = 0

    @property
    def is_earned(self) -> bool:
        """Whether the next answer may be read in one go."""
        return self.small >= ENOUGH

    def note(self, size: int) -> None:
        """An answer of so many bytes has come."""
        if size > SMALL:
            self.small = 0
        elif self.small < ENOUGH:
            self.small += 1

    def lose(self) -> None:
        """An answer was too long to be held."""
        self.small = 0

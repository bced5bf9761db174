"""
Keys that do not show. Knows nothing of where keys are kept.

A `Secret` prints, formats and dumps as dots; only `reveal()` gives its text, and only the
transport and the key check call it.
"""

from __future__ import annotations

from msgspec import Struct


class Secret(Struct, frozen=True):
    """A literal key, or the `name` under which the environment (or Secrets Manager) has it."""

    name: str
    _text: str | None = None

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def reveal(self) -> str | None:
        """The text, or `None` where the name has yet to be looked up."""
        return self._text

    @property
    def is_known(self) -> bool:
        return bool(self._text)

    def __str__(self) -> str:
        return "••••"

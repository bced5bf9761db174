"""
Keys, and prompts, that do not show. Knows nothing of where keys are kept.

A `Secret` prints and formats as dots and cannot be dumped; only `reveal()` gives its text, and
only the transport and the key check call it. A `HiddenRepr` value has keys, or what somebody said,
somewhere in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

DOTS = "••••"


class Secret:
    """
    A literal key, or the `name` under which the environment (or Secrets Manager) has it.

    Blanks around it are no part of it: files that keys are read from end with a line break.
    """

    # No struct, which any encoder would dump.
    __slots__ = ("__text", "name")

    def __init__(self, name: str, text: str | None = None) -> None:
        self.name = name
        self.__text = text.strip() if text else text

    def reveal(self) -> str | None:
        """The text, or `None` where the name has yet to be looked up."""
        return self.__text

    @property
    def is_known(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    @property
    def _parts(self) -> tuple[str, str | None]:
        return self.name, self.__text

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __str__(self) -> str:
        return DOTS


class HiddenRepr(Struct, frozen=True):
    """A value that shows nothing of itself, in no repr: keys or prompts are in it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({DOTS})"

    def __rich_repr__(self) -> Iterator[str]:  # type: ignore[override]
        yield DOTS

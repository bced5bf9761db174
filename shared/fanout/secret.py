"""
Keeps keys and prompts out of logs, reprs and error messages.

A `Secret` prints and formats as dots and cannot be serialized. Only `reveal()` returns its text,
and only the transport and the key check call it. A `HiddenRepr` is a value that contains keys or
prompts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

DOTS = "••••"

_ADDRESS = re.compile(r"[\w+.-]{2,}:/|:[^/]*@|\bpassword\s*=", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=//)[^/\s'\"]*@")


def is_like_address(text: str) -> bool:
    """Whether a text looks like the address of a server, in which a password may be."""
    return _ADDRESS.search(text) is not None


def without_logins(text: str) -> str:
    """The text without the users and passwords of the URLs in it."""
    return _LOGIN.sub("", text)


class Secret:
    """
    A literal key, or the `name` of one in the environment or in Secrets Manager.

    Whitespace around a key is removed: files that keys are read from end with a line break.
    """

    # Not a struct: any encoder would serialize it.
    __slots__ = ("__text", "name")

    def __init__(self, name: str, text: str | None = None) -> None:
        self.name = name
        self.__text = text.strip() if text else text

    def reveal(self) -> str | None:
        """The key's text, or `None` if the name has not been looked up."""
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
    """A value with a hidden repr, because it contains keys or prompts."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({DOTS})"

    def __rich_repr__(self) -> Iterator[str]:  # type: ignore[override]
        yield DOTS

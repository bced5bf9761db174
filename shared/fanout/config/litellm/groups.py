"""The form of the tables: LiteLLM's keys, grouped by what Fanout does with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from msgspec import Struct

Status: TypeAlias = Literal["supported", "rejected", "missing"]

_WORDS: dict[str, Any] = {"true": True, "false": False}


class Group(Struct, frozen=True):
    """
    Keys with the same status and reason. `names` are separated by spaces.

    `name=value` adds LiteLLM's default, if it is not null, false or empty. `rejected` keys are
    left out on purpose; `missing` ones may come.
    """

    status: Status
    why: str
    names: str
    instead: str = ""

    def named(self) -> Iterator[tuple[str, Any]]:
        """Each name with its default, or `None`."""
        for word in self.names.split():
            name, _, default = word.partition("=")
            yield name, _value(default)


def supported(names: str) -> Group:
    """Keys that work as in LiteLLM."""
    return Group("supported", "", names)


def rejected(why: str, names: str, instead: str = "") -> Group:
    """Keys that Fanout rejects on purpose."""
    return Group("rejected", why, names, instead)


def missing(why: str, names: str) -> Group:
    """Keys that Fanout does not support yet."""
    return Group("missing", why, names)


def _value(text: str) -> Any:
    if not text or text in _WORDS:
        return _WORDS.get(text)
    try:
        return float(text)
    except ValueError:
        return text

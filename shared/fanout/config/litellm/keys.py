"""Looks up one of LiteLLM's config keys: its status, the reason, and its default."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from . import deployment, general, router, service, top
from .groups import Group

Status: TypeAlias = Literal["supported", "rejected", "missing"]

EMPTY: tuple[object, ...] = (None, False, "")
"""Values that ask for nothing, whatever the key is."""

FALSE_COUNTS = frozenset({"ssl_verify"})
"""Keys that are true by default, and with which false asks for something that Fanout has."""

_TABLES: Mapping[str, Iterable[Group]] = {
    "": top.KEYS,
    "router_settings": router.KEYS,
    "litellm_settings": service.KEYS,
    "general_settings": general.KEYS,
    "litellm_params": deployment.PARAMS,
    "model_info": deployment.INFO,
}


class Key(Struct, frozen=True):
    """
    One key. `why` is the reason of a status other than `supported`.

    `instead` is the key to write instead; `default` is LiteLLM's default, as in YAML.
    """

    section: str
    name: str
    status: Status
    why: str = ""
    instead: str = ""
    default: Any = None

    def asks_for_nothing(self, value: object) -> bool:
        """Whether the value is empty, or LiteLLM's own default."""
        if self.name in FALSE_COUNTS:
            return value is not False and (is_empty(value) or value == self.default)
        return is_empty(value) or (self.default is not None and value == self.default)


def is_empty(value: object) -> bool:
    """
    Whether a value asks for nothing, whatever its key is; 0 may ask for something.

    A mapping or a list of such values asks for nothing, either.
    """
    if isinstance(value, Mapping):
        return all(is_empty(inner) for inner in value.values())
    if isinstance(value, list):
        return all(is_empty(inner) for inner in value)
    return any(value == empty and type(value) is type(empty) for empty in EMPTY)


def find(section: str, name: str) -> Key | None:
    """The key of that name in one of LiteLLM's sections (`""` is the top level)."""
    return _by_name(section).get(name)


def keys_of(section: str) -> Iterator[Key]:
    """Every key of a section, in the order of its name."""
    for _, key in sorted(_by_name(section).items()):
        yield key


def sections() -> tuple[str, ...]:
    """The names of the sections; `""` is the top level."""
    return tuple(_TABLES)


@cache
def _by_name(section: str) -> dict[str, Key]:
    return {
        name: Key(section, name, group.status, group.why, group.instead, default)
        for group in _TABLES.get(section, ())
        for name, default in group.named()
    }

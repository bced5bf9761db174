"""Finds what is wrong with the entries of `keys`: names and keys that are not one client's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..errors import KeyPath, Problem
from ..secret import Secret
from .deployment import secret
from .fields import dotted
from .model import ANONYMOUS, MASTER, GeneralSettings, KeyEntry


def key_problems(general: GeneralSettings, env: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the problems of each entry."""
    taken: dict[str, Secret] = {}
    if general.master_key:
        taken[MASTER] = secret(general.master_key, env)
    for index, key in enumerate(general.keys):
        text = secret(key.key, env)
        yield from _name_problems(index, key.name, taken)
        yield from _text_problems(index, key, text, taken)
        taken[key.name] = text


def _name_problems(index: int, name: str, taken: Collection[str]) -> Iterator[Problem]:
    """What is wrong with the name of an entry of `keys`: files and jobs belong to the name."""
    where: KeyPath = ("general_settings", "keys", index, "name")
    message = ""
    if name.strip().casefold() in {MASTER, ANONYMOUS}:
        message = f"`{dotted(where)}`: `{name}` is reserved; choose another name"
    elif name in taken:
        message = f"`{dotted(where)}`: another key is named `{name}`; choose another name"
    elif name != name.strip() or not name.isprintable():
        message = f"`{dotted(where)}` must have no spaces around it and no control characters"
    if message:
        yield Problem(where, message, fixable=False)


def _text_problems(
    index: int, key: KeyEntry, text: Secret, taken: Mapping[str, Secret]
) -> Iterator[Problem]:
    """What is wrong with the key itself: it must say whose it is."""
    where: KeyPath = ("general_settings", "keys", index, "key")
    if not key.key.strip():
        yield Problem(where, f"`{dotted(where)}` must not be empty", fixable=False)
    elif other := next((name for name, one in taken.items() if _is_same(one, text)), None):
        message = f"`{dotted(where)}`: `{other}` has the same key; give each its own"
        yield Problem(where, message, fixable=False)


def _is_same(one: Secret, other: Secret) -> bool:
    return one == other or (one.is_known and one.reveal() == other.reveal())

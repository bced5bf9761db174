"""Finds what is wrong with the entries of `keys`: names and keys that are not one client's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ..errors import KeyPath, Problem
from ..secret import Secret
from .deployment import secret
from .fields import dotted
from .load import MASTER_KEY_VARIABLE
from .model import ANONYMOUS, MASTER, GeneralSettings, KeyEntry

MASTER_KEY: KeyPath = ("general_settings", "master_key")


def key_problems(
    general: GeneralSettings, env: Mapping[str, str], skip: Collection[object] = ()
) -> Iterator[Problem]:
    """Yield the problems of each entry, except of those at the indexes to skip."""
    taken: dict[str, tuple[KeyPath, KeyEntry, Secret]] = {}
    if general.master_key:
        master = KeyEntry(name=MASTER, key=general.master_key)
        taken[MASTER] = (MASTER_KEY, master, secret(general.master_key, env))
    for index, key in enumerate(general.keys):
        if index in skip:
            continue
        path: KeyPath = ("general_settings", "keys", index)
        text = secret(key.key, env)
        yield from _name_problems((*path, "name"), key.name, taken)
        yield from _text_problems((*path, "key"), key, text, taken.values())
        taken.setdefault(key.name, ((*path, "key"), key, text))


def _name_problems(where: KeyPath, name: str, taken: Collection[str]) -> Iterator[Problem]:
    """What is wrong with the name of an entry of `keys`: files and jobs belong to the name."""
    message = ""
    if name.strip().casefold() in {MASTER, ANONYMOUS}:
        message = f"`{dotted(where)}`: `{name}` is reserved; choose another name"
    elif name in taken:
        message = f"`{dotted(where)}`: another key is named `{name}`; choose another name"
    elif name != name.strip() or not name.isprintable():
        message = f"`{dotted(where)}` must have no spaces around it and no control characters"
    if message:
        yield Problem(where, message)


def _text_problems(
    where: KeyPath,
    key: KeyEntry,
    text: Secret,
    taken: Iterable[tuple[KeyPath, KeyEntry, Secret]],
) -> Iterator[Problem]:
    """
    What is wrong with the key itself: it must say whose it is.

    If two have the same, but other rights, both are wrong: with one of them, who has the key would
    have the rights of that one.
    """
    if not key.key.strip():
        yield Problem(where, f"`{dotted(where)}` must not be empty")
        return
    for place, other, one in taken:
        if not _is_same(one, text):
            continue
        yield _same_key(where, other.name)
        if (other.models, sorted(other.fields)) != (key.models, sorted(key.fields)):
            yield _same_key(place, key.name)
        return


def _same_key(where: KeyPath, other: str) -> Problem:
    message = f"`{dotted(where)}`: `{other}` has the same key; give each its own"
    is_master = where == MASTER_KEY
    return Problem(where, message, replace=f"os.environ/{MASTER_KEY_VARIABLE}" if is_master else "")


def _is_same(one: Secret, other: Secret) -> bool:
    return one == other or (one.is_known and one.reveal() == other.reveal())

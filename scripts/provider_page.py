"""Generates docs/providers.md from the registry and the table of OpenAI-compatible providers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import fill

from provider_page_texts import (
    ADAPTED,
    ALWAYS,
    CUT,
    DROPPED,
    FIXED,
    HEAD,
    MEANING,
    NOT_HERE,
    NOTES,
    OTHERS,
    ROWS_HEAD,
    VERTEX,
)

from fanout.providers import registry
from fanout.providers.base import GoogleToken, Header, Provider, SigV4
from fanout.providers.fields import KEPT
from fanout.providers.openai.quirks import HINTS
from fanout.providers.openai.rules import FAMILIES
from fanout.providers.other_rows import OTHER_APIS, OTHER_ROWS
from fanout.providers.registry import PREFIXES
from fanout.providers.row import RARE, Row
from fanout.providers.rows import ROWS


def provider_page() -> str:
    """The whole page."""
    every = [registry.find(name) for name in registry.names() if registry.find(name).name == name]
    names = (
        "provider",
        "model names",
        "base URL",
        "key",
        "sent as",
        "billing if cancelled",
        "notes",
    )
    table = _table(names, (_row(provider) for provider in every))
    rows = [row for name, row in sorted(ROWS.items()) if row.name == name]
    quirks = _table(("provider", "unsupported", "renamed"), map(_quirks, rows))
    rare = fill(f"*Rare fields* are {', '.join(_code(sorted(RARE - HINTS)))}.", 100)
    kept = fill(
        f"* {', '.join(_code(sorted(KEPT)))} (`tool_choice` if it requires a call)",
        100,
        subsequent_indent="  ",
    )
    dropped = f"{DROPPED}{MEANING}{kept}\n{ALWAYS}"
    fixed = _table(("provider", "models", "rejected parameters"), _fixed(rows))
    parts = (
        HEAD,
        table,
        OTHERS + _table(("provider", "base URL", "key"), map(_other, sorted(OTHER_ROWS))),
        NOT_HERE + _table(("provider", "what to do"), sorted(OTHER_APIS.items())),
        VERTEX,
        CUT,
        ADAPTED,
        dropped,
        f"{ROWS_HEAD}{quirks}",
        f"{rare}\n",
        FIXED + fixed,
    )
    return "\n".join(parts)


def _other(name: str) -> tuple[str, ...]:
    row = OTHER_ROWS[name]
    optional = " (optional)" if row.key_optional else ""
    return name, f"`{row.base_url}`", ", ".join(_code((row.key, *row.other_keys))) + optional


FAMILIES_OF_ROWS = [FAMILIES, *(row.families for row in ROWS.values())]


def _fixed(rows: list[Row]) -> Iterator[tuple[str, ...]]:
    """The families of OpenAI's models, and of the rows'; one row's are named once."""
    others = [row for _, row in sorted(OTHER_ROWS.items()) if row.families not in FAMILIES_OF_ROWS]
    families = [("openai, azure, github", family) for family in FAMILIES]
    families += [(row.name, family) for row in (*rows, *others) for family in row.families]
    for name, family in families:
        yield name, family.models, ", ".join(_code(sorted(family.fields)))


def _row(provider: Provider) -> tuple[str, ...]:
    keys = ", ".join(_code(provider.keys)) + (" (optional)" if provider.key_optional else "")
    if isinstance(provider.auth, GoogleToken):
        keys = "[Google's credentials](#vertex-ai)"
    address = f"`{provider.base_url}`"
    note = NOTES.get(provider.name, "")
    written, auth = _written(provider.name), _auth(provider)
    return provider.name, written, address, keys, auth, provider.billing, note


def _written(name: str) -> str:
    """The provider's prefixes, and the beginnings of names that need none."""
    aliases = sorted(alias for alias, row in ROWS.items() if row.name == name != alias)
    bare = [f"{begin}…" for begin, provider in PREFIXES if provider == name]
    return ", ".join(_code([f"{name}/", *(f"{alias}/" for alias in aliases), *bare]))


def _auth(provider: Provider) -> str:
    match provider.auth:
        case SigV4():
            return "AWS's signature, or the key as `Authorization: Bearer`"
        case Header(name):
            return f"`{name}`"
        case _:
            return "`Authorization: Bearer`"


def _quirks(row: Row) -> tuple[str, ...]:
    """A row's unsupported fields, with the rare ones as one entry, and its renamed fields."""
    lost, rare = row.drop - HINTS, RARE - HINTS
    words = _code(sorted(lost - rare))
    if len(lost & rare) * 2 < len(rare):
        return row.name, ", ".join(_code(sorted(lost))) or "-", _renamed(row)
    if lost & rare:
        kept = ", ".join(_code(sorted(rare - lost)))
        words.insert(0, f"*rare fields*{f' (except {kept})' if kept else ''}")
    return row.name, ", ".join(words) or "-", _renamed(row)


def _renamed(row: Row) -> str:
    return ", ".join(f"`{a}` as `{b}`" for a, b in sorted(row.rename.items())) or "-"


def _code(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

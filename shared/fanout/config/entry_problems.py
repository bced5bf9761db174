"""Says all that is wrong with an entry that cannot be resolved. Loaded only for such entries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from msgspec.structs import replace

from ..errors import ConfigError, KeyPath, Problem
from .entries import Entry, label
from .model import ModelParams

ADDRESS = "https://example.com"
"""An address for an entry whose own is wrong: without any, it may need something else."""

_NAMED = re.compile(r"`(\w+)`")


Resolve: TypeAlias = Callable[[Entry, Mapping[str, str]], object]


def entry_problems(
    entry: Entry, resolve: Resolve, env: Mapping[str, str], complete: Mapping[str, str]
) -> Iterator[Problem]:
    """
    Each problem of an entry, with the path of its parameter.

    `resolve` raises `ConfigError` with the first one. `complete` is the environment with what
    another machine may have: an entry that it would complete is not wrong, so `--fix` leaves it
    alone. Any other entry is removed, or gets a better model.
    """
    is_fixable = _error(entry, resolve, complete) is not None
    while (error := _error(entry, resolve, env)) is not None:
        name = _parameter(entry.params, str(error))
        path: KeyPath = ("model_list", entry.index)
        model = entry.params.model
        fixed = model.replace("/responses/", "/", 1) if "/responses/" in model else ""
        yield Problem(
            (*path, "litellm_params", name or "model"),
            f"{label(entry.index, entry.name)}: {error}",
            remove=path,
            replace="" if name else fixed,
            fixable=bool(fixed) or is_fixable,
        )
        if not name:
            return
        right: dict[str, str | None] = {name: ADDRESS if name == "api_base" else None}
        entry = replace(entry, params=replace(entry.params, **right))


def _error(entry: Entry, resolve: Resolve, env: Mapping[str, str]) -> ConfigError | None:
    try:
        resolve(entry, env)
    except ConfigError as error:
        return error
    return None


def _parameter(params: ModelParams, message: str) -> str:
    """The parameter that a message begins with, if the entry has it; never its model."""
    found = _NAMED.match(message)
    name = found[1] if found else ""
    is_given = name in ModelParams.__struct_fields__ and getattr(params, name) is not None
    return name if is_given and name != "model" else ""

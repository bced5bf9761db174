"""
Finds settings of an entry that its provider does not read, such as a project of Google Cloud at
OpenAI. A request would go elsewhere than the config says.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..errors import ConfigError, Problem
from ..providers import registry
from .connection import find_provider
from .entries import Entry, label
from .model import OF_SOME_PROVIDERS, ModelParams, TemplateRules


def without_foreign(entry: Entry, problems: list[Problem]) -> Entry:
    """The entry without settings that its provider does not read; each is reported."""
    given = [name for name in OF_SOME_PROVIDERS if asks(entry.params, name)]
    if entry.params.model == "*":
        return entry
    try:
        provider, model = find_provider(entry.params)
    except ConfigError:
        return entry  # which is reported with the entry
    foreign = [name for name in given if name not in provider.settings]
    for name in foreign:
        there = registry.provider_with(name, model)
        hint = f": write `{there}/{model}` to call it there" if there else ""
        message = (
            f"{label(entry.index, entry.name)}: `{provider.name}` does not read `{name}`{hint}"
        )
        path = ("model_list", entry.index, "litellm_params", name)
        problems.append(Problem(path, message))
    return replace(entry, params=_without(entry.params, foreign)) if foreign else entry


def asks(params: ModelParams, name: str) -> bool:
    """Whether a setting asks for something: of system messages, only `false` does."""
    value = getattr(params, name)
    if name == "supports_system_message":
        return value is False
    return bool(value) and value != TemplateRules()


def _without(params: ModelParams, names: list[str]) -> ModelParams:
    changed: dict[str, None] = dict.fromkeys(names)
    return replace(params, **changed)

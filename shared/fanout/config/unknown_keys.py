"""Finds unknown keys of a config, and suggests the closest known key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from msgspec.structs import replace

from ..errors import KeyPath, Problem
from ..schema.gateway_fields import GATEWAY_FIELDS
from ..schema.request import ChatRequest
from .fields import dotted
from .model import (
    ConfigFile,
    GeneralSettings,
    KeyEntry,
    ModelEntry,
    ModelParams,
    RouterSettings,
    ServiceSettings,
    Strategy,
)

if TYPE_CHECKING:
    from .litellm.keys import Key

# Request parameters that a deployment may have a default for. Not `n`: with several models, choices
# are numbered by the request's own `n`.
DEFAULTABLE = frozenset(ChatRequest.__struct_fields__) - GATEWAY_FIELDS - {"messages", "body", "n"}

_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "router_settings": RouterSettings,
    "litellm_settings": ServiceSettings,
    "general_settings": GeneralSettings,
}


SIMILAR = 0.8
"""How alike an unknown key and a known one must be to be a typo (difflib's ratio)."""

SIMILAR_PARAM = 0.85
"""The same for `litellm_params`, where other unknown keys are the provider's: `top_a`."""


CLOSE = 0.6
"""The same for a hint without a change (difflib's own default)."""

INNER = "inner"
"""The section of mappings inside a section's values: their keys are in no table of LiteLLM's."""

HAVE_INNER = frozenset(
    {
        "allowed_fails_policy",
        "content_policy_fallbacks",
        "context_window_fallbacks",
        "drop_params",
        "fallbacks",
        "model_group_alias",
        "model_group_retry_policy",
        "region_name",
        "retry_policy",
        "routing_strategy_args",
        "template_rules",
    }
)
"""Keys whose values `inner_keys` checks further."""

LIMITS = frozenset({"access_windows", "blocked", "team_id"})
"""Keys of `model_info` with which LiteLLM does not serve everyone."""

HOLDERS = ("x-", "_", ".")
"""Top-level keys that begin so hold YAML anchors, as in Docker's files, and mean nothing else."""


def unknown_keys(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Each unknown key that asks for something: what it is, and what to do about it."""
    named = {name: value for name, value in config.items() if not str(name).startswith(HOLDERS)}
    yield from _unknown(named, _fields(ConfigFile), (), "")
    yield from _rejected_values(config)
    for section, kind in _SECTIONS.items():
        settings = config.get(section)
        yield from _unknown(settings, _fields(kind), (section,), section)
        yield from _inner(settings, (section,))
    general = config.get("general_settings")
    keys = general.get("keys") if isinstance(general, Mapping) else None
    for index, entry in enumerate(keys if isinstance(keys, list) else ()):
        yield from _unknown(entry, _fields(KeyEntry), ("general_settings", "keys", index), INNER)
    models = config.get("model_list")
    for index, entry in enumerate(models if isinstance(models, list) else ()):
        path: KeyPath = ("model_list", index)
        for problem in _unknown(entry, _fields(ModelEntry), path, "model_list"):
            yield _of_model(problem, entry)
        if isinstance(entry, Mapping):
            params = entry.get("litellm_params")
            place = (*path, "litellm_params")
            inner = {problem.path: problem for problem in _inner(params, place)}
            for problem in _unknown(params, PARAMS, place, "litellm_params"):
                yield _of_model(inner.pop(problem.path, problem), entry)
            yield from inner.values()
            for problem in _of_info(entry.get("model_info"), (*path, "model_info")):
                yield _of_model(problem, entry)


def _of_info(info: object, path: KeyPath) -> Iterator[Problem]:
    """Keys of `model_info` that are no notes for LiteLLM: they limit who may call a model."""
    if isinstance(info, Mapping):
        limits = {name: value for name, value in info.items() if _limit(name)}
        yield from _unknown(limits, LIMITS - limits.keys(), path, "model_info")


def _limit(name: object) -> str:
    """The key of `LIMITS` that a name is or misspells, or nothing."""
    if not isinstance(name, str) or name in LIMITS:
        return str(name) if isinstance(name, str) else ""
    from .spelling import nearest

    return nearest(name, LIMITS, SIMILAR)


def _of_model(problem: Problem, entry: Mapping[str, Any]) -> Problem:
    """The problem; that of a limit removes the whole entry, which would be everyone's without."""
    name = problem.path[-1]
    if not _limit(name):
        return problem
    model = entry.get("model_name")
    shown = model if isinstance(model, str) and model.isprintable() else "without a name"
    loss = f"the model `{shown}`"
    return replace(problem, rename="", remove=problem.path[:2], loss=loss)


def _inner(node: object, path: KeyPath) -> Iterator[Problem]:
    """What is wrong inside the values of a section, or of an entry's parameters."""
    if not isinstance(node, Mapping) or HAVE_INNER.isdisjoint(node):
        return
    from .inner_keys import inner_keys, odd_values

    for place, inner, known in inner_keys(node, path):
        yield from _unknown(inner, known, place, INNER)
    yield from odd_values(node, path)


def _rejected_values(config: Mapping[str, Any]) -> Iterator[Problem]:
    router = config.get("router_settings")
    value = router.get("routing_strategy") if isinstance(router, Mapping) else None
    if isinstance(value, str) and value not in get_args(Strategy):
        from .litellm.router import STRATEGIES

        known = " or ".join(f"`{name}`" for name in get_args(Strategy))
        why = STRATEGIES.get(value, "it is unknown")
        message = f"`router_settings.routing_strategy` cannot be `{value}` ({why}): use {known}"
        yield Problem(("router_settings", "routing_strategy"), message)


def _fields(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(kind.__struct_fields__)


PARAMS = _fields(ModelParams) | DEFAULTABLE

TOP_LEVEL = _fields(ConfigFile)


def _unknown(node: object, known: frozenset[str], path: KeyPath, section: str) -> Iterator[Problem]:
    if not isinstance(node, Mapping):
        return
    for name, value in node.items():
        if name not in known and (problem := _problem(path, section, str(name), value, known)):
            yield problem


def param_problem(name: str, value: object) -> str:
    """What is wrong with a key of `litellm_params`, or nothing."""
    problem = None if name in PARAMS else _problem((), "litellm_params", name, value, PARAMS)
    return problem.message if problem else ""


def is_litellms(name: str) -> bool:
    """Whether a key of `litellm_params` is LiteLLM's and none of Fanout's."""
    from .litellm.keys import find

    return name not in PARAMS and find("litellm_params", name) is not None


def _problem(
    path: KeyPath, section: str, name: str, value: object, known: frozenset[str]
) -> Problem | None:
    """What is wrong with an unknown key; `None` if it asks for nothing, or is the provider's."""
    from .litellm.keys import find
    from .spelling import OF_A_CLOUD, nearest

    place = (*path, name)
    shown = f"`{dotted(place)}`"
    if section in _SECTIONS and name in TOP_LEVEL and value is not None:
        return Problem(place, f"{shown} belongs at the top level")
    key = find(section, name)
    if key is None and name not in known and not section_with(section, name):
        key = _elsewhere(section, name) if section in _SECTIONS else None
    belongs = "" if key else section_with(section, name)
    alike = SIMILAR_PARAM if section == "litellm_params" else SIMILAR
    limits = LIMITS - {name} if section == "litellm_params" else frozenset()
    near = "" if key or belongs else nearest(name, known | limits, alike)
    meant = None if key or belongs or near else _misspelled_litellms(section, name)
    if _asks_for_nothing(value, key or meant, near):
        return None
    if key or meant:
        return _of_litellms(place, key, meant)
    if belongs:
        return Problem(place, f"{shown} belongs in `{belongs}`")
    is_providers = section == "litellm_params" and name not in LIMITS and name.isidentifier()
    if is_providers and not near and not name.startswith(OF_A_CLOUD):
        return None  # a parameter that only the provider knows
    hint = near or nearest(name, known, CLOSE)
    message = f"{shown} is unknown" + (f"; did you mean `{hint}`?" if hint else "")
    return Problem(place, message, rename=near)


def _of_litellms(place: KeyPath, key: Key | None, meant: Key | None) -> Problem | None:
    """What is wrong with a key that is LiteLLM's, or is `meant` to be one."""
    shown = f"`{dotted(place)}`"
    if key is not None:
        what = "is not supported" if key.status == "missing" else "has no effect here"
        return Problem(place, f"{shown} {what} ({key.why}): remove it", rename=key.instead)
    if meant is None:
        return None
    message = f"{shown} is unknown; did you mean `{meant.name}`, which has no effect here"
    return Problem(place, f"{message} ({meant.why})?", rename=meant.instead)


def _asks_for_nothing(value: object, key: Key | None, near: str) -> bool:
    """Whether a value has no effect, with LiteLLM's key or the known one that its name may mean."""
    from .litellm.keys import is_empty

    return key.asks_for_nothing(value) if key else is_empty(value) and not near


def _misspelled_litellms(section: str, name: str) -> Key | None:
    """LiteLLM's key of which a name has the letters: Fanout does not have it either."""
    from .litellm.keys import keys_of
    from .spelling import has_its_letters

    return next((key for key in keys_of(section) if has_its_letters(name, key.name)), None)


def section_with(section: str, name: str) -> str:
    """Another section that reads a key of this name, or nothing."""
    sections = {**{one: _fields(kind) for one, kind in _SECTIONS.items()}, "litellm_params": PARAMS}
    if section == INNER:
        return ""
    if section == "model_list":
        sections = {"litellm_params": PARAMS}
    elif section == "litellm_params":  # where a provider may have parameters of any name
        sections["general_settings"] = frozenset({"master_key"})
    found = (one for one, fields in sections.items() if one != section and name in fields)
    return next(found, "")


def _elsewhere(section: str, name: str) -> Key | None:
    """LiteLLM's key of this name in another section, which is rejected there, too."""
    from .litellm.keys import find

    found = (find(other, name) for other in _SECTIONS if other != section)
    return next((key for key in found if key is not None), None)

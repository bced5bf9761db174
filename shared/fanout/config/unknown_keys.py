"""Finds unknown keys of a config, and suggests the closest known key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from ..errors import KeyPath, Problem
from ..schema.fanout import GATEWAY_FIELDS
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

SAME_WORD = 0.65
"""How alike two words of keys must be to be the same word."""

HOLDERS = ("x-", "_", ".")
"""Top-level keys that begin so hold YAML anchors, as in Docker's files, and mean nothing else."""


def unknown_keys(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Each unknown key that asks for something: what it is, and what to do about it."""
    named = {name: value for name, value in config.items() if not str(name).startswith(HOLDERS)}
    yield from _unknown(named, _fields(ConfigFile), (), "")
    yield from _rejected_values(config)
    for section, kind in _SECTIONS.items():
        yield from _unknown(config.get(section), _fields(kind), (section,), section)
    general = config.get("general_settings")
    keys = general.get("keys") if isinstance(general, Mapping) else None
    for index, entry in enumerate(keys if isinstance(keys, list) else ()):
        place = ("general_settings", "keys", index)
        yield from _unknown(entry, _fields(KeyEntry), place, "keys")
    models = config.get("model_list")
    for index, entry in enumerate(models if isinstance(models, list) else ()):
        path = ("model_list", index)
        yield from _unknown(entry, _fields(ModelEntry), path, "model_list")
        if isinstance(entry, Mapping):
            params = entry.get("litellm_params")
            yield from _unknown(params, PARAMS, (*path, "litellm_params"), "litellm_params")


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
    from .litellm.keys import find, is_empty

    key = find(section, name)
    if key is None and name not in known and not home(section, name):
        key = _elsewhere(section, name) if section in _SECTIONS else None
    alike = SIMILAR_PARAM if section == "litellm_params" else SIMILAR
    belongs = "" if key else home(section, name)
    is_typo = not (key or belongs) and bool(_nearest(name, known, alike))
    if key.asks_for_nothing(value) if key else is_empty(value) and not is_typo:
        return None
    if section == "litellm_params" and not (key or is_typo or belongs) and name.isidentifier():
        return None  # a parameter that only the provider knows
    place = (*path, name)
    shown = f"`{dotted(place)}`"
    if key and key.status == "missing":
        return Problem(place, f"{shown} is not supported ({key.why}): remove it")
    if key:
        message = f"{shown} has no effect here ({key.why}): remove it"
        return Problem(place, message, rename=key.instead)
    if belongs:
        return Problem(place, f"{shown} belongs in `{belongs}`")
    near = _nearest(name, known, CLOSE)
    hint = f"; did you mean `{near}`?" if near else ""
    return Problem(place, f"{shown} is unknown{hint}", rename=near if is_typo else "")


def _nearest(name: str, known: frozenset[str], alike: float) -> str:
    """The key that is nearest to a misspelled one, or nothing."""
    found = get_close_matches(name, known, 5, alike)
    return next((one for one in found if _has_the_words_of(one, name)), "")


def _has_the_words_of(key: str, name: str) -> bool:
    """
    Whether each word of a key is in the other name, too, maybe misspelled.

    `enable_cooldowns` is near to `disable_cooldowns`, and means the opposite.
    """
    theirs, words = key.split("_"), name.lower().replace("-", "_").split("_")
    if len(theirs) != len(words):  # `maxtokens`
        return bool(get_close_matches("".join(words), ["".join(theirs)], 1, SIMILAR_PARAM))
    pairs = zip(theirs, words, strict=True)
    return all(bool(get_close_matches(word, [own], 1, SAME_WORD)) for own, word in pairs)


def home(section: str, name: str) -> str:
    """Another section that reads a key of this name, or nothing."""
    homes = {**{one: _fields(kind) for one, kind in _SECTIONS.items()}, "litellm_params": PARAMS}
    if section == "keys":
        return ""
    if section == "model_list":
        homes = {"litellm_params": PARAMS}
    elif section == "litellm_params":  # where a provider may have parameters of any name
        homes["general_settings"] = frozenset({"master_key"})
    found = (one for one, fields in homes.items() if one != section and name in fields)
    return next(found, "")


def _elsewhere(section: str, name: str) -> Key | None:
    """LiteLLM's key of this name in another section, which is rejected there, too."""
    from .litellm.keys import find

    found = (find(home, name) for home in _SECTIONS if home != section)
    return next((key for key in found if key is not None), None)

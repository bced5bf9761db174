"""
Says where a misplaced key of a config belongs, for `fanout check --fix`.

A key that settings have for all models is written into each entry of `model_list` that has none of
its own and whose provider it is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import KeyPath, Move
from ..providers import registry
from .litellm.deployment import INTO_INFO
from .litellm.keys import find
from .model import OF_SOME_PROVIDERS, ServiceSettings
from .unknown_keys import TOP_LEVEL, section_with

SETTINGS = ("router_settings", "litellm_settings", "general_settings")

PARAMS_KEY = "litellm_params"

OF_ONE_PROVIDER = frozenset(
    {"api_key", "api_base", "api_version", "organization", "extra_headers", "extra_body"}
)
"""Parameters that are moved only if all models have one provider: no other is to get a key."""

OTHER_NAMES: Mapping[str, KeyPath] = {
    "litellm_settings.timeout": ("router_settings", "timeout"),
    "litellm_settings.model_alias_map": ("router_settings", "model_group_alias"),
    "litellm_settings.ssl_verify": ("general_settings", "ssl_verify"),
    "litellm_settings.ssl_certificate": ("general_settings", "ssl_certificate"),
    "litellm_params.ssl_verify": ("general_settings", "ssl_verify"),
    "litellm_params.ssl_certificate": ("general_settings", "ssl_certificate"),
}
"""LiteLLM's keys that are elsewhere here, maybe under another name."""

FOR_ALL_MODELS = frozenset({"api_key", "api_base", "api_version", "organization", "max_tokens"})
"""LiteLLM's keys of `litellm_settings` that are in `litellm_params` here."""

HTTPX = Move(("general_settings", "http_client"), text="httpx")


def moves_of(config: Mapping[str, Any], path: KeyPath) -> tuple[Move, ...]:
    """Where the value of a misplaced key is to be written; nothing if it has no place."""
    return _moves(config, path) if _may_move(path) else ()


def _moves(config: Mapping[str, Any], path: KeyPath) -> tuple[Move, ...]:
    section, name = _section_and_name(path)
    if section in SETTINGS and name in TOP_LEVEL:
        return () if config.get(name) else (Move((name,)),)
    if name == "drop_params" and section == "litellm_settings":  # a list of parameters
        return tuple(_to_entries(config, "additional_drop_params"))
    other = OTHER_NAMES.get(f"{section}.{name}")
    if other is None and section == PARAMS_KEY:
        return tuple(_of_params(config, path, name))
    to = section_with(section, name)
    if other is None and to == PARAMS_KEY and section == "model_list":
        return (Move((*path[:2], PARAMS_KEY, name)),)
    if other is None and to in {"", PARAMS_KEY}:
        return tuple(_of_all_models(config, section, name, is_param=to == PARAMS_KEY))
    certificate = (HTTPX,) if other and name.startswith("ssl_") else ()
    return (*_to_section(config, path, other or (to, name)), *certificate)


def _may_move(path: KeyPath) -> bool:
    """
    Whether a key is directly at the top level, in settings, or in a model's entry or parameters.

    What is deeper is about less, such as one client or one group: it is true of nothing else.
    """
    match path:
        case (_,) | ("model_list", _, _) | ("model_list", _, "litellm_params", _):
            return True
        case (section, _):
            return section in SETTINGS
        case _:
            return False


def _to_section(config: Mapping[str, Any], path: KeyPath, to: KeyPath) -> Iterator[Move]:
    """
    The move to a section, or to `litellm_settings` if that has the value that counts now.

    There, the value would be hidden by one in `router_settings`. Aliases are added one by one.
    """
    router, service = (
        one if isinstance(one, Mapping) else {}
        for one in (config.get("router_settings"), config.get("litellm_settings"))
    )
    for name, same in ((to[1], to[1]), ("timeout", "request_timeout")):
        is_read = same in ServiceSettings.__struct_fields__ and service.get(same)
        if to == ("router_settings", name) and is_read and not router.get(str(name)):
            to = ("litellm_settings", same)
            break
    given: Any = config
    for step in path:
        given = given[step]
    there = router if to[0] == "router_settings" else service
    aliases = there.get(str(to[1])) if to[1] == "model_group_alias" else None
    if isinstance(aliases, Mapping) and aliases and isinstance(given, Mapping):
        for name in given:
            yield Move((*to, str(name)), (name,))
    else:
        yield Move(to)


def _of_all_models(
    config: Mapping[str, Any], section: str, name: str, *, is_param: bool
) -> Iterator[Move]:
    """The moves of a key that settings have for all models."""
    if section == "router_settings" and name == "default_litellm_params":
        given = config[section][name]
        for inner in given if isinstance(given, Mapping) else ():
            yield from _to_entries(config, str(inner), (inner,))
    elif is_param or (section == "litellm_settings" and name in FOR_ALL_MODELS):
        yield from _to_entries(config, name)
    elif section == "litellm_settings" and name.endswith("_key"):
        yield from _to_entries(config, "api_key", provider=name.removesuffix("_key"))


def _section_and_name(path: KeyPath) -> tuple[str, str]:
    sections = [step for step in path[:-1] if isinstance(step, str)]
    return (sections[-1] if sections else "", str(path[-1]))


def _to_entries(
    config: Mapping[str, Any], name: str, part: KeyPath = (), provider: str = ""
) -> Iterator[Move]:
    """A move to each entry that has no value of its own and whose provider it is for."""
    found = dict(_entries(config))
    is_for_one = name in OF_ONE_PROVIDER and not provider
    if is_for_one and len({_provider(params) for params in found.values()}) > 1:
        return
    for index, params in found.items():
        its_own = _provider(params)
        if params.get(name) is None and provider in {"", its_own} and _reads(its_own, name):
            yield Move(("model_list", index, PARAMS_KEY, name), part)


def _reads(provider: str, name: str) -> bool:
    """Whether a provider reads a parameter: all do, except of those that some have listed."""
    is_for_all = name in OF_ONE_PROVIDER or name not in OF_SOME_PROVIDERS
    return is_for_all or name in registry.find(provider).settings


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The `litellm_params` of each entry, by its index."""
    models = config.get("model_list")
    for index, entry in enumerate(models if isinstance(models, list) else ()):
        params = entry.get(PARAMS_KEY) if isinstance(entry, Mapping) else None
        if isinstance(params, Mapping):
            yield index, params


def _provider(params: Mapping[str, Any]) -> str:
    split = registry.split_model(str(params.get("model")))
    return split[0] if split else "openai"


def _of_params(config: Mapping[str, Any], path: KeyPath, name: str) -> Iterator[Move]:
    entry = config["model_list"][path[1]]
    value = entry[PARAMS_KEY].get(name)
    key, to = find(PARAMS_KEY, name), section_with(PARAMS_KEY, name)
    if name == "model_info":
        yield Move((*path[:2], "model_info"))
    elif key is not None and key.why == INTO_INFO:
        yield Move((*path[:2], "model_info", name))
    elif name == "custom_llm_provider":
        model = entry[PARAMS_KEY].get("model")
        is_known = (
            isinstance(value, str) and registry.is_known(value) and isinstance(model, str) and model
        )
        if is_known and not model.startswith(f"{value}/"):
            yield Move((*path[:3], "model"), text=f"{value}/{model}")
    elif key is None and to:
        yield Move((to, name))
    elif name == "fallbacks" and _has_no_fallbacks(config) and _is_list_of_names(value):
        listed = ", ".join(f'"{one}"' for one in value)
        text = f'[{{"{entry.get("model_name")}": [{listed}]}}]'
        yield Move(("router_settings", "fallbacks"), text=text)


def _has_no_fallbacks(config: Mapping[str, Any]) -> bool:
    found = (config.get(section) for section in SETTINGS)
    return not any(isinstance(one, Mapping) and one.get("fallbacks") for one in found)


def _is_list_of_names(value: object) -> bool:
    names: Sequence[object] = value if isinstance(value, list) else ()
    return bool(names) and all(isinstance(one, str) and one.isprintable() for one in names)

"""Finds unknown keys of a config, and suggests the closest known key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from ..schema.fanout import GATEWAY_FIELDS
from ..schema.request import ChatRequest
from .model import (
    ConfigFile,
    GeneralSettings,
    KeyEntry,
    ModelEntry,
    ModelParams,
    RouterSettings,
    ServiceSettings,
)

# Request parameters that a deployment may have a default for. Not `n`: with several models, choices
# are numbered by the request's own `n`.
DEFAULTABLE = frozenset(ChatRequest.__struct_fields__) - GATEWAY_FIELDS - {"messages", "body", "n"}

# LiteLLM's keys that have no effect in Fanout: an error with the reason, never silently ignored.
WITHOUT_EFFECT = {
    "set_verbose": "Fanout always logs one JSON line per attempt",
    "json_logs": "logs are always JSON",
    "routing_strategy": "Fanout always picks the least busy deployment for its weight",
    "cancel_on_disconnect": "it is always on",
    "max_retries": "use num_retries",
    "n": "set it in the request",
    "custom_llm_provider": "write the provider before the model: `groq/llama3-8b-8192`",
}

# LiteLLM's keys that have another place here.
ELSEWHERE = {"ssl_verify": "general_settings", "ssl_certificate": "general_settings"}

_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "router_settings": RouterSettings,
    "litellm_settings": ServiceSettings,
    "general_settings": GeneralSettings,
}


def unknown_keys(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each unknown key: its path, and what to do about it."""
    yield from _unknown(config, _fields(ConfigFile), "")
    for section, kind in _SECTIONS.items():
        yield from _unknown(config.get(section), _fields(kind), f"{section}.")
    general = config.get("general_settings")
    keys = general.get("keys") if isinstance(general, Mapping) else None
    for index, entry in enumerate(keys if isinstance(keys, list) else ()):
        yield from _unknown(entry, _fields(KeyEntry), f"general_settings.keys[{index}].")
    models = config.get("model_list")
    params = _fields(ModelParams) | DEFAULTABLE
    for index, entry in enumerate(models if isinstance(models, list) else ()):
        place = f"model_list[{index}]."
        yield from _unknown(entry, _fields(ModelEntry), place)
        if isinstance(entry, Mapping):
            yield from _unknown(entry.get("litellm_params"), params, f"{place}litellm_params.")


def _fields(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(kind.__struct_fields__)


def _unknown(node: object, known: frozenset[str], place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(node, Mapping):
        return
    for name in node:
        if name in known:
            continue
        if name in WITHOUT_EFFECT:
            yield place + name, f"has no effect here ({WITHOUT_EFFECT[name]}): remove it"
            continue
        if name in ELSEWHERE:
            yield place + name, f"belongs in `{ELSEWHERE[name]}`: write it there"
            continue
        near = get_close_matches(str(name), known, n=1)
        yield f"{place}{name}", f"is unknown{f'; did you mean `{near[0]}`?' if near else ''}"

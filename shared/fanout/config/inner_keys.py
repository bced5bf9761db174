"""
Checks what is inside the values of a section: aliases, policies, fallbacks, and odd parameters.

Loaded only for configs that have such a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from ..errors import ConfigError, KeyPath, Problem
from ..providers import registry
from .fields import dotted
from .litellm.keys import is_empty
from .model import Alias, ErrorAllowedFails, ErrorRetries, LatencyArgs, TemplateRules

RETRIES = frozenset(get_args(ErrorRetries))
FAILS = frozenset(get_args(ErrorAllowedFails))
POLICIES: Mapping[str, frozenset[str]] = {
    "allowed_fails_policy": FAILS,
    "retry_policy": RETRIES,
    "routing_strategy_args": frozenset(LatencyArgs.__struct_fields__),
    "template_rules": frozenset(TemplateRules.__struct_fields__),
}
NAMED: Mapping[str, frozenset[str]] = {
    "model_group_alias": frozenset(Alias.__struct_fields__),
    "model_group_retry_policy": RETRIES,
}
"""Keys whose values have mappings by model names, and the keys of those."""

FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")

REGIONS = ("aws_region_name", "vertex_location")
"""The parameters that LiteLLM's `region_name` can mean."""


def inner_keys(
    node: Mapping[str, Any], path: KeyPath
) -> Iterator[tuple[KeyPath, object, frozenset[str]]]:
    """The mappings inside a section, or inside parameters: path, mapping and known keys."""
    for name, known in POLICIES.items():
        yield (*path, name), node.get(name), known
    for name, known in NAMED.items():
        by_name = node.get(name)
        for model, inner in by_name.items() if isinstance(by_name, Mapping) else ():
            yield (*path, name, model), inner, known


def odd_values(settings: Mapping[str, Any], path: KeyPath) -> Iterator[Problem]:
    """Values of a section, or of parameters, that have another form or place here."""
    if path[-1] == "litellm_params":
        yield from _odd_params(settings, path)
        return
    if path[0] == "litellm_settings" and _are_names(settings.get("drop_params")):
        yield _list_of_params((*path, "drop_params"))
    for kind in FALLBACKS:
        entries = settings.get(kind)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            for name, listed in entry.items() if isinstance(entry, Mapping) else ():
                yield from _fallback_objects(listed, (*path, kind, index, name))


def _odd_params(params: Mapping[str, Any], path: KeyPath) -> Iterator[Problem]:
    if _are_names(params.get("drop_params")):
        yield _list_of_params((*path, "drop_params"), rename="additional_drop_params")
    if not is_empty(params.get("region_name")):
        yield _region((*path, "region_name"), str(params.get("model")))


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _list_of_params(path: KeyPath, rename: str = "") -> Problem:
    message = (
        f"`{dotted(path)}` is true or false: a list of parameters belongs in "
        "`additional_drop_params` in `litellm_params`"
    )
    return Problem(path, message, rename=rename)


def _fallback_objects(listed: object, path: KeyPath) -> Iterator[Problem]:
    """
    Fallbacks that are objects: LiteLLM takes the object's fields for the request's.

    "Fallbacks with different prompts": docs.litellm.ai/docs/proxy/reliability, 2026-11
    """
    items: Sequence[object] = listed if isinstance(listed, list) else ()
    for index, item in enumerate(items):
        if isinstance(item, Mapping):
            place = (*path, index)
            model = item.get("model")
            is_name = isinstance(model, str) and model.isprintable() and len(item) == 1
            message = (
                f"`{dotted(place)}` must be a model's name, not an object: write the object's "
                "other fields into the `litellm_params` of a `model_name` of its own"
            )
            yield Problem(place, message, replace=str(model) if is_name else "")


def _region(path: KeyPath, model: str) -> Problem:
    """What `region_name` means for the model's provider."""
    split = registry.split_model(model)
    try:
        settings = registry.find(split[0]).settings if split else frozenset()
    except ConfigError:
        settings = frozenset()
    shown = f"`{dotted(path)}` has no effect here"
    for name in REGIONS:
        if name in settings:
            return Problem(path, f"{shown} (write `{name}`): remove it", rename=name)
    message = (
        f"{shown} (for Bedrock write `aws_region_name`, for Vertex AI `vertex_location`; other "
        "providers' models are not chosen by region): remove it"
    )
    return Problem(path, message)

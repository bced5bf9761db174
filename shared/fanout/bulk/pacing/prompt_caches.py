"""How the models of a job cache the beginnings of prompts, and what a request needs for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.catalog import Catalog
from ...config.deployment import Deployment
from ...errors import FanoutError
from ...wire import json
from ..input.prefixes import MARK, with_mark, without_marks
from ..lanes import CacheChoice
from .prefix_groups import PrefixCall
from .prefix_state import CacheRules

MOST_CALLS = 4
"""Calls at most that warm a beginning, one for each deployment and key."""

USUAL = 0.9
"""The part of an entry's lifetime that is counted on."""


def cache_rules(catalog: Catalog, name: str) -> CacheRules:
    """How a model caches; of several deployments, the weakest cache counts."""
    try:
        deployments = list(catalog.find(name))
    except FanoutError:
        return CacheRules()
    own = [one.provider.prompt_cache(one.target) for one in deployments]
    known = [cache for cache in own if cache is not None]
    if not known:
        return CacheRules()
    all_caches = [one.provider.prompt_cache(one.target) for one in _callable(catalog, name)]
    calls = max(cache.calls for cache in known) * sum(len(one.keys) or 1 for one in deployments)
    return CacheRules(
        calls=min(MOST_CALLS, calls),
        seconds=USUAL * min(cache.seconds for cache in known),
        marks=all(cache is not None and cache.marks for cache in all_caches),
        has_key=all(cache is not None and cache.has_key for cache in all_caches),
        is_known=len(known) == len(own),
        needs_marks=any(cache.marks for cache in known),
    )


def expects_cache(catalog: Catalog, choice: CacheChoice, name: str) -> bool:
    """Whether a job with this choice reads beginnings from a cache of the model's provider."""
    rules = cache_rules(catalog, name)
    return choice != "off" and rules.is_known and (choice == "auto" or not rules.needs_marks)


def _callable(catalog: Catalog, name: str) -> list[Deployment]:
    """The deployments that may get a request for this model: its own, and its fallbacks'."""
    found: list[Deployment] = []
    for one in catalog.routes.may_respond(name):
        try:
            found += catalog.find(one)
        except FanoutError:
            continue
    return found


def with_cache(body: dict[str, Any], call: PrefixCall) -> dict[str, Any]:
    """
    The body that asks for a cache of the beginning that it shares with others.

    What the line has of its own stays: its marks, and its key.
    """
    rules, shared = call.group.model.rules, call.shared
    if rules.has_key and body.get("prompt_cache_key") is None:
        body = {**body, "prompt_cache_key": f"fanout-{shared.key}"}
    if rules.marks and f'"{MARK}"'.encode() not in json.encode(body):
        body = with_mark(body, shared.blocks) or body
    return body


def without_cache(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without what `with_cache` may add: the same for a line with it and without it."""
    return {name: one for name, one in without_marks(body).items() if name != "prompt_cache_key"}

"""The model names that a gateway lists: its catalog's, and those that the price lists know."""

from __future__ import annotations

from collections.abc import Iterator

from ..config.catalog import Catalog
from ..config.routes import Wildcard
from ..providers import registry
from .prices import listed_models

OWN_ADDRESS = "{api_base}"
"""The `base_url` of a provider that has none itself."""


def listed_names(catalog: Catalog, *, only_chat: bool = False) -> list[str]:
    """All names, each once; with `only_chat` those that chat completions can call."""
    own = (name for name in catalog.listed if not only_chat or is_for_chat(catalog, name))
    return list(dict.fromkeys([*own, *known_names(catalog)]))


def is_for_chat(catalog: Catalog, name: str) -> bool:
    """Whether one of the models that a name of the catalog stands for is for chat."""
    models = catalog.routes.sets[name].models if name in catalog.routes.sets else (name,)
    deployments = (deployment for model in models for deployment in catalog.find(model))
    return any(registry.is_chats(one.provider, one.target) for one in deployments)


def known_names(catalog: Catalog) -> Iterator[str]:
    """
    `openai/gpt-4o`, … for `openai/*`, and if there is no config for each provider with a key.

    Models that the price lists do not know work, too. A provider at an address of the user's own
    has models that only the user knows.
    """
    for wildcard in catalog.routes.wildcards:
        yield from _names(wildcard)
    if catalog.is_open:
        for provider in registry.with_key(catalog.env):
            if registry.find(provider).base_url != OWN_ADDRESS:
                for model in _for_chat(provider):
                    yield f"{provider}/{model}"


def _for_chat(provider: str) -> Iterator[str]:
    """The provider's models for chat that the price lists know."""
    return (name for name in listed_models(provider) if registry.is_for_chat(name, provider))


def _names(wildcard: Wildcard) -> Iterator[str]:
    model = wildcard.params.model
    if model == "*":
        for provider in registry.names():
            yield from _matching(wildcard, f"{provider}/*", provider)
    elif "*" in model and (split := registry.split_model(model)) is not None:
        yield from _matching(wildcard, model, split[0])


def _matching(wildcard: Wildcard, model: str, provider: str) -> Iterator[str]:
    """The names that lead to each of the provider's models."""
    prefix, _, suffix = model.partition("*")
    for known in _for_chat(provider):
        full = f"{provider}/{known}"
        if full.startswith(prefix) and full.endswith(suffix) and len(full) >= len(prefix + suffix):
            part = full[len(prefix) : len(full) - len(suffix)]
            name = full if wildcard.name == "*" else wildcard.name.replace("*", part, 1)
            if wildcard.model_of(name) == full:
                yield name

"""What `fanout check` says beside the table: other names, and settings that do less than hoped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..config.deployment import Deployment
from ..config.resolve import Catalog

OTHER_APIS = re.compile(
    r"embed|(^|[/-])(whisper|tts|dall-e|gpt-image|sora|rerank|text-moderation|omni-moderation|"
    r"stable-diffusion|flux|bge|nomic)(-|$)",
    re.IGNORECASE,
)
"""Names of models for embeddings, images, audio, ranking and moderation."""


def other_names(catalog: Catalog) -> dict[str, Any]:
    """Each alias with its model, and each name for several models with them and their mode."""
    sets = {
        name: {"mode": found.mode, "models": list(found.models)}
        for name, found in catalog.routes.sets.items()
    }
    return {**catalog.routes.aliases, **sets}


def remarks(catalog: Catalog) -> list[str]:
    """`other name: fast: race of a, b`, a line for each other name, and the notes."""
    lines = []
    for name, found in other_names(catalog).items():
        several = isinstance(found, dict)
        meaning = f"{found['mode']} of {', '.join(found['models'])}" if several else found
        lines.append(f"other name: {name}: {meaning}")
    return [*lines, *(f"note: {note}" for note in notes(catalog))]


def notes(catalog: Catalog) -> list[str]:
    """What is no error, but probably not what was meant."""
    return [note for deployment in catalog.deployments for note in _notes(deployment)]


def _notes(deployment: Deployment) -> Iterator[str]:
    model, provider = deployment.target.model, deployment.provider
    if OTHER_APIS.search(model):
        yield f"`{deployment.name}`: `{model}` is not for chat, and there is no other API here"
    if provider.ignores_unknown and deployment.additions.defaults:
        listed = ", ".join(f"`{name}`" for name in deployment.additions.defaults)
        yield f"`{deployment.name}`: `{provider.name}` ignores {listed}; set it at the server"

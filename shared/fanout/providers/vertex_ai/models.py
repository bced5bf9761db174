"""
Where a model of Vertex AI is: its publisher, its host and its path.

Google now calls Vertex AI "Gemini Enterprise Agent Platform"; the API has kept its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias
from urllib.parse import quote

from msgspec import Struct

from ...errors import ConfigError
from ..base import Target

Publisher: TypeAlias = Literal["google", "anthropic"]

DEFAULT_LOCATION = "us-central1"
"""LiteLLM's default."""

# The locations that are several regions, and the one that is all; any other is one region.
# docs.cloud.google.com/gemini-enterprise-agent-platform/resources/locations, 2026-11
MULTI_REGIONS = frozenset({"eu", "us"})
GLOBAL = "global"

_LOCATION = re.compile(r"[a-z]+(?:-[a-z]+\d+)?")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,63}")

# LiteLLM's prefix for a tuned Gemini (`vertex_ai/gemini/1234567890`), and the publishers' own.
_PREFIXES = ("gemini/", "google/", "anthropic/")


class Model(Struct, frozen=True):
    """
    A model as Google's API names it.

    `id` is a number if it is an endpoint of the project, with a tuned model. `kind` is the model
    behind it, by the deployment's `base_model`.
    """

    publisher: Publisher
    id: str
    kind: str


def find_model(model: str, base_model: str | None = None) -> Model:
    """The model called `model` in the config, without a prefix."""
    name = model
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    kind = base_model or name
    return Model("anthropic" if "claude" in kind else "google", name, kind)


def model_of(target: Target) -> Model:
    """The model of a deployment."""
    return find_model(target.model, target.options.get("base_model"))


def find_host(location: str) -> str:
    """The host that serves a location."""
    if location == GLOBAL:
        return "aiplatform.googleapis.com"
    if location in MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def find_path(target: Target, method: str, instead: str | None = None) -> str:
    """
    The path of a method of the target's model, or of what its publisher has `instead` of a model.

    docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models
    """
    model, options = model_of(target), target.options
    project = quote(options.get("vertex_project", ""), safe=":")
    location = quote(options.get("vertex_location", DEFAULT_LOCATION))
    name = instead or quote(model.id, safe="@")
    place = (
        f"endpoints/{name}"
        if model.id.isdecimal()
        else f"publishers/{model.publisher}/models/{name}"
    )
    return f"/v1/projects/{project}/locations/{location}/{place}:{method}"


def complete_options(model: str, options: Mapping[str, str]) -> Mapping[str, str]:
    """Add the location and its host; raise `ConfigError` for what the API cannot have."""
    found = find_model(model, options.get("base_model"))
    is_known = found.publisher == "anthropic" or found.kind.startswith(
        ("gemini", "text-embedding", "text-multilingual-embedding", "*")
    )
    if not is_known:  # `*` is any model, of a wildcard
        raise ConfigError(
            f"`{model[:80]}`: only Gemini, Claude and Google's embeddings are supported on "
            "Vertex AI; "
            "for a tuned Gemini, set `base_model` to the model that it is made of"
        )
    location = options.get("vertex_location", DEFAULT_LOCATION)
    if not _LOCATION.fullmatch(location):
        raise ConfigError(
            f"`vertex_location` is no location of Google Cloud: `{location[:40]}`; "
            "write, for example, `global`, `eu` or `europe-west1`"
        )
    project = options.get("vertex_project")
    if project is None:
        raise ConfigError(
            "Vertex AI needs `vertex_project` in litellm_params, or VERTEXAI_PROJECT in the "
            "environment: the id of your Google Cloud project"
        )
    if not _PROJECT.fullmatch(project):
        raise ConfigError(f"`vertex_project` is no id of a project: `{project[:40]}`")
    return {**options, "vertex_location": location, "vertex_host": find_host(location)}

"""
The project, the location and the credentials of a deployment on Google Cloud.

The environment variables are LiteLLM's, and those of Google's own SDKs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import MsgspecError

from ..errors import ConfigError
from ..secret import Secret
from ..wire import json
from .load import read_file, reference
from .model import ModelParams

PROJECT = ("VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT")
LOCATION = ("VERTEXAI_LOCATION", "VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION")
CREDENTIALS = ("VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS")


def google_options(params: ModelParams, env: Mapping[str, str]) -> dict[str, str]:
    """`vertex_project` and `vertex_location`; the credentials may have the project."""
    found = {
        "vertex_project": params.vertex_project or _first(PROJECT, env) or _project_in(params, env),
        "vertex_location": params.vertex_location or _first(LOCATION, env),
    }
    return {name: value for name, value in found.items() if value}


def google_credentials(params: ModelParams, env: Mapping[str, str]) -> Secret | None:
    """
    The credentials: the path of a JSON file, or its JSON; `None` for Google's default credentials.

    The name of the secret is what errors say.
    """
    given = params.vertex_credentials
    if isinstance(given, dict):
        return Secret("vertex_credentials", json.encode(given).decode())
    if given:
        name = reference(given)
        return Secret(name, env.get(name) or None) if name else Secret("vertex_credentials", given)
    name = next((name for name in CREDENTIALS if env.get(name)), None)
    return Secret(name, env[name]) if name else None


def _first(names: tuple[str, ...], env: Mapping[str, str]) -> str | None:
    return next((env[name] for name in names if env.get(name)), None)


def _project_in(params: ModelParams, env: Mapping[str, str]) -> str | None:
    secret = google_credentials(params, env)
    text = (secret and secret.reveal()) or ""
    try:
        if not text.lstrip().startswith("{"):
            text = read_file(text) if text else ""
        found = json.decode(text, type=dict[str, Any])
    except (MsgspecError, ConfigError, ValueError, RecursionError):
        return None  # the first request says what is wrong with the credentials
    project = found.get("project_id") or found.get("quota_project_id")
    return project if isinstance(project, str) else None

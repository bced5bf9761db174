"""
What the stack must know of the gateway's config: its secrets' names, its Bedrock models.

Reads the same YAML as the gateway, whose own checks run when the function starts; `fanout check`
tells sooner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .props import BadContext

REFERENCE = re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$")
SECRET_KEYS = frozenset({"api_key", "master_key", "key"})
BEDROCK = "bedrock/"
BEDROCK_ROUTES = ("converse/", "converse_like/", "invoke/", "openai/")


@dataclass(frozen=True)
class GatewayConfig:
    """The config as JSON text, which the function reads faster, and what it refers to."""

    text: str
    master_key: str
    provider_keys: tuple[str, ...]
    variables: tuple[str, ...]
    bedrock_models: tuple[str, ...]


def read_config(path: Path) -> GatewayConfig:
    """Read the YAML; `BadContext` where the stack cannot be made of it."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadContext(f"`fanout:config`: there is no file `{path}`") from None
    except yaml.YAMLError as error:
        raise BadContext(f"`fanout:config`: `{path}` is not YAML: {error}") from None
    if not isinstance(value, Mapping) or not value.get("model_list"):
        raise BadContext(f"`fanout:config`: `{path}` has no `model_list`")
    secrets, variables = set(), set()
    for key, name in _references(value):
        (secrets if key in SECRET_KEYS else variables).add(name)
    master = REFERENCE.match(str((value.get("general_settings") or {}).get("master_key")))
    if master is None:
        raise BadContext(
            f"`{path}`: `general_settings.master_key` must be `os.environ/NAME`: "
            "the stack makes that secret, and without a key anyone could call the gateway"
        )
    return GatewayConfig(
        text=json.dumps(value, sort_keys=True),
        master_key=master[1],
        provider_keys=tuple(sorted(secrets - {master[1]})),
        variables=tuple(sorted(variables)),
        bedrock_models=tuple(sorted(set(_bedrock(value)))),
    )


def _references(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _references(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner, key)
    elif isinstance(value, str) and (found := REFERENCE.match(value)):
        yield key, found[1]


def _bedrock(value: Mapping[str, Any]) -> Iterator[str]:
    for entry in value["model_list"]:
        params = entry.get("litellm_params") or {}
        model = str(params.get("model", ""))
        if model.startswith(BEDROCK) and not params.get("api_key"):
            name = model.removeprefix(BEDROCK)
            for route in BEDROCK_ROUTES:
                name = name.removeprefix(route)
            yield name

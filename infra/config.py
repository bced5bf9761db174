"""
What the stack must know of the gateway's config: its keys' names, its Bedrock models.

The gateway itself reads the config (`fanout check`), so what it would refuse is refused at synth,
and the keys are those that it will look for.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .props import BadContext

SHARED = Path(__file__).parent.parent / "shared"
REFERENCE = re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$")
SECRET_KEYS = frozenset({"api_key", "master_key", "key"})
LITERAL = "(literal)"
"""What `fanout check` calls a key that is written out."""

WRONG_CONFIG = 2
HERE = "the-stacks-region"
"""Stands for the region while the config is read: which it is, is known only when deployed."""


@dataclass(frozen=True)
class BedrockModel:
    """A model's id, profile or ARN, and the region that the config asks it in, if it says so."""

    id: str
    region: str | None = None


@dataclass(frozen=True)
class GatewayConfig:
    """The config as JSON text, which the function reads faster, and what it refers to."""

    text: str
    master_key: str
    other_keys: tuple[str, ...]
    bedrock_models: tuple[BedrockModel, ...]


def read_config(path: Path, environment: Mapping[str, str]) -> GatewayConfig:
    """
    Read the YAML, with the function's `environment` for its `os.environ/NAME`.

    `BadContext` where the stack cannot be made of it.
    """
    value = _load(path)
    for name in sorted(_variables(value) - environment.keys()):
        raise BadContext(
            f"`fanout:environment` has no `{name}`, which the config refers to as "
            f"`os.environ/{name}`"
        )
    master = REFERENCE.match(str((value.get("general_settings") or {}).get("master_key")))
    if master is None:
        raise BadContext(
            f"`{path}`: `general_settings.master_key` must be `os.environ/NAME`: "
            "the stack makes that secret, and without a key anyone could call the gateway"
        )
    checked = _check(path, environment)
    return GatewayConfig(
        text=json.dumps(value, sort_keys=True),
        master_key=master[1],
        other_keys=tuple(sorted(set(_keys(path, checked)) - {master[1]})),
        bedrock_models=tuple(dict.fromkeys(_bedrock(checked))),
    )


class _Loader(yaml.SafeLoader):
    """Reads what the gateway does: a date (Azure's `api_version`) is a text."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 -- a safe one
    except FileNotFoundError:
        raise BadContext(f"`fanout:config`: there is no file `{path}`") from None
    except yaml.YAMLError as error:
        raise BadContext(f"`fanout:config`: `{path}` is not YAML: {error}") from None
    if not isinstance(value, Mapping) or not value.get("model_list"):
        raise BadContext(f"`fanout:config`: `{path}` has no `model_list`")
    return value


def _variables(value: Any, key: str = "") -> set[str]:
    """The names of what the config refers to and is no key."""
    if isinstance(value, Mapping):
        return {name for k, inner in value.items() for name in _variables(inner, str(k))}
    if isinstance(value, list):
        return {name for inner in value for name in _variables(inner, key)}
    found = REFERENCE.match(value) if isinstance(value, str) and key not in SECRET_KEYS else None
    return {found[1]} if found else set()


def _check(path: Path, environment: Mapping[str, str]) -> Mapping[str, Any]:
    """What the gateway makes of the config."""
    system = {k: v for k, v in os.environ.items() if k in {"PATH", "SYSTEMROOT", "LANG"}}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "fanout", "check", str(path.resolve()), "--json"],
        env={**system, "PYTHONPATH": str(SHARED), "AWS_REGION": HERE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == WRONG_CONFIG:
        raise BadContext(done.stderr.strip().removeprefix("fanout: "))
    if not done.stdout.startswith("{"):
        raise RuntimeError(f"`fanout check` failed:\n{done.stderr}")
    checked: dict[str, Any] = json.loads(done.stdout)
    return checked


def _keys(path: Path, checked: Mapping[str, Any]) -> Iterator[str]:
    """The names that the gateway will look up; a key that would be in the template is refused."""
    for model in checked["models"]:
        for key in model["keys"]:
            if key["name"] == LITERAL:
                raise BadContext(
                    f"`{path}`: the `api_key` of `{model['name']}` is written out: refer to it as "
                    "`os.environ/NAME`, and the stack makes a secret for it"
                )
            _refuse_in_template(key["name"], key["present"])
            yield key["name"]
    for name, present in checked["callers"].items():
        _refuse_in_template(name, present)
        yield name


def _refuse_in_template(name: str, present: object) -> None:
    if present:
        raise BadContext(
            f"the key `{name}` would be in the template, for everyone to read: take it out of "
            "`fanout:environment`, and write `os.environ/NAME` in the config"
        )


def _bedrock(checked: Mapping[str, Any]) -> Iterator[BedrockModel]:
    """The models that are called by the function's role."""
    for model in checked["models"]:
        if model["auth"] == "aws" and model["provider"] == "bedrock":
            region = re.search(r"//bedrock-runtime\.([a-z0-9-]+)\.", model["api_base"])
            here = region is None or region[1] == HERE
            yield BedrockModel(model["model"], None if here else str(region and region[1]))

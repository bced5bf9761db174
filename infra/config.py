"""
Reads what the stack needs from the gateway's config: the names of its keys and its Bedrock models.

`fanout check`, run as a subprocess, reads the config. So synth rejects what the gateway would
reject, and the stack makes a secret for exactly the keys that the gateway looks up.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .props import ContextError

SHARED = Path(__file__).parent.parent / "shared"
REFERENCE = re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$")
SECRET_KEYS = frozenset(
    {
        "api_key",
        "master_key",
        "key",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "vertex_credentials",
    }
)
LITERAL_KEY = "(literal)"
"""The name that `fanout check` prints for a key that is written into the config."""

GOOGLE_FILE = "vertex_credentials"
"""The name that it prints for Google's credentials in a file, which a function does not have."""

WRONG_CONFIG = 2
"""The exit code of `fanout check` for a config that the gateway rejects."""

STACK_REGION = "the-stacks-region"
"""A placeholder for the region, which is known only at deployment."""

BATCH_STORAGE = {
    "FANOUT_BUCKET": "the-stacks-bucket",
    "FANOUT_BATCH_ROLE": "arn:aws:iam::000000000000:role/the-stacks-role",
}
"""Placeholders for the variables that functions have if native batches use the stack's bucket."""


@dataclass(frozen=True)
class BedrockModel:
    """A model's id, profile or ARN, and the region if the config sets one."""

    id: str
    region: str | None = None


@dataclass(frozen=True)
class BatchModel:
    """
    A model with native batches in S3; `bucket` and `role` are `None` if they are the stack's.

    They are used with the function's own role, unless `is_elsewhere`: then with credentials or a
    role that the config names.
    """

    model: BedrockModel
    bucket: str | None = None
    role: str | None = None
    is_elsewhere: bool = False


@dataclass(frozen=True)
class GatewayConfig:
    """
    The config as JSON, which functions parse faster than YAML, and what it refers to.

    `provider_keys` are those of `other_keys` that are sent to providers. `bedrock_models` are
    called with the function's own role, `roles` are assumed for others, `batch_roles` for native
    batches. `batch_models` are those with native batches in S3. `webhook_secrets` are names of
    secrets that no key has.
    """

    text: str
    master_key: str
    other_keys: tuple[str, ...]
    provider_keys: tuple[str, ...]
    bedrock_models: tuple[BedrockModel, ...]
    roles: tuple[str, ...] = ()
    batch_models: tuple[BatchModel, ...] = ()
    batch_roles: tuple[str, ...] = ()
    webhook_secrets: tuple[str, ...] = ()


def read_config(path: Path, environment: Mapping[str, str]) -> GatewayConfig:
    """
    Read the YAML file; `environment` has the values of its `os.environ/NAME` that are not keys.

    Raises `ContextError` if the stack cannot be made from it.
    """
    value = _load(path)
    for name in sorted(_variables(value) - environment.keys()):
        raise ContextError(
            f"`fanout:environment` has no `{name}`, but `{path}` refers to `os.environ/{name}`; "
            "add it"
        )
    master = REFERENCE.match(str((value.get("general_settings") or {}).get("master_key")))
    if master is None:
        raise ContextError(
            f"`{path}`: `general_settings.master_key` must be `os.environ/NAME`: "
            "the stack creates that secret, and without a key anyone could call the gateway"
        )
    _reject_files(path, value.get("general_settings") or {}, environment)
    checked = _check(path, environment)
    providers = set(_provider_keys(path, checked))
    clients = set(_client_keys(checked))
    keys = providers | clients | {master[1]}
    return GatewayConfig(
        text=json.dumps(value, sort_keys=True),
        master_key=master[1],
        other_keys=tuple(sorted(keys - {master[1]})),
        provider_keys=tuple(sorted(providers)),
        bedrock_models=tuple(dict.fromkeys(_bedrock(checked))),
        roles=_roles(checked["models"]),
        batch_models=tuple(dict.fromkeys(_batches(path, checked))),
        batch_roles=_roles(model for model in checked["models"] if model.get("batches")),
        webhook_secrets=tuple(_webhook_secrets(path, value["general_settings"], keys)),
    )


class _Loader(yaml.SafeLoader):
    """Reads a date (Azure's `api_version`) as a text, as the gateway does."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 -- a SafeLoader
    except FileNotFoundError:
        raise ContextError(f"`fanout:config`: there is no file `{path}`") from None
    except yaml.YAMLError as error:
        raise ContextError(f"`fanout:config`: `{path}` is not YAML: {error}") from None
    if not isinstance(value, Mapping) or not value.get("model_list"):
        raise ContextError(f"`fanout:config`: `{path}` has no `model_list`")
    return value


def _variables(value: Any, key: str = "") -> set[str]:
    """Return the names in the config's `os.environ/NAME` references that are not keys."""
    if isinstance(value, Mapping):
        return {name for k, inner in value.items() for name in _variables(inner, str(k))}
    if isinstance(value, list):
        return {name for inner in value for name in _variables(inner, key)}
    found = REFERENCE.match(value) if isinstance(value, str) and key not in SECRET_KEYS else None
    return {found[1]} if found else set()


def _check(path: Path, environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what `fanout check` prints about the config."""
    system = {k: v for k, v in os.environ.items() if k in {"PATH", "SYSTEMROOT", "LANG"}}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "fanout", "check", str(path.resolve()), "--json"],
        env={
            **system,
            "PYTHONPATH": str(SHARED),
            "AWS_REGION": STACK_REGION,
            **BATCH_STORAGE,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == WRONG_CONFIG:
        raise ContextError(done.stderr.strip().removeprefix("fanout: "))
    if not done.stdout.startswith("{"):
        raise RuntimeError(f"`fanout check` failed:\n{done.stderr}")
    checked: dict[str, Any] = json.loads(done.stdout)
    return checked


def _reject_files(path: Path, general: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Reject certificates in files, which the functions do not have."""
    for key in ("ssl_verify", "ssl_certificate"):
        value = str(general.get(key, True))
        if found := REFERENCE.match(value):
            value = environment[found[1]]
        if value.lower() not in {"true", "false", "none"}:
            raise ContextError(
                f"`{path}`: `general_settings.{key}` names a file, and the functions have no files "
                "of yours: remove it, or run the gateway on a server"
            )


def _provider_keys(path: Path, checked: Mapping[str, Any]) -> Iterator[str]:
    """Yield the providers' keys; reject one whose value would be in the template."""
    for model in checked["models"]:
        is_google = model["auth"] == "google"
        if is_google and not model["keys"]:
            raise ContextError(
                f"`{path}`: `{model['name']}` needs `vertex_credentials: os.environ/NAME`: "
                "a function has no default credentials of Google's"
            )
        for key in model["keys"]:
            if key["name"] in {LITERAL_KEY, GOOGLE_FILE}:
                what = "vertex_credentials" if is_google else "api_key"
                raise ContextError(
                    f"`{path}`: the `{what}` of `{model['name']}` is a literal; write "
                    "`os.environ/NAME`, and the stack creates a secret for it"
                )
            _reject_in_template(key["name"], key["present"])
            yield key["name"]


def _client_keys(checked: Mapping[str, Any]) -> Iterator[str]:
    """Yield the gateway's own keys; reject one whose value would be in the template."""
    for name, present in checked["callers"].items():
        _reject_in_template(name, present)
        yield name


def _webhook_secrets(
    path: Path, general: Mapping[str, Any], keys: Collection[str]
) -> Iterator[str]:
    """Yield the names of webhook secrets; reject a key, which would sign what clients choose."""
    for name in sorted(set(general.get("webhook_secrets") or ())):
        if name in keys:
            raise ContextError(
                f"`{path}`: `general_settings.webhook_secrets` has `{name}`, which is a key: give "
                "webhooks a secret of their own"
            )
        yield name


def _reject_in_template(name: str, present: object) -> None:
    if present:
        raise ContextError(
            f"the key `{name}` would be readable in the template: remove it from "
            f"`fanout:environment`, and write `os.environ/{name}` in the config"
        )


def _bedrock(checked: Mapping[str, Any]) -> Iterator[BedrockModel]:
    """Yield the models that are called with the function's role, not with a key."""
    for model in checked["models"]:
        if _is_own(model) and model["provider"] == "bedrock":
            yield _bedrock_model(model)


def _is_own(model: Mapping[str, Any]) -> bool:
    """Whether a model is called with the function's own role."""
    return model["auth"] == "aws" and not model.get("role")


def _bedrock_model(model: Mapping[str, Any]) -> BedrockModel:
    region = re.search(r"//bedrock-runtime\.([a-z0-9-]+)\.", model["api_base"])
    is_local = region is None or region[1] == STACK_REGION
    return BedrockModel(model["model"], None if is_local else str(region and region[1]))


def _roles(models: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The roles that these models are called with."""
    return tuple(sorted({model["role"] for model in models if model.get("role")}))


def _batches(path: Path, checked: Mapping[str, Any]) -> Iterator[BatchModel]:
    """Yield the models with native batches in S3; reject one far from the stack's bucket."""
    for model in checked["models"]:
        if not (batches := model.get("batches")):
            continue
        bucket, role = batches["uri"].split("/")[2], batches["role"]
        found = _bedrock_model(model)
        if role != BATCH_STORAGE["FANOUT_BATCH_ROLE"]:
            yield BatchModel(found, bucket, role, not _is_own(model))
            continue
        if found.region is not None:
            raise ContextError(
                f"`{path}`: the native batches of `{model['name']}` need a bucket in "
                f"`{found.region}`, and the stack's is in its own region: set `s3_bucket_name` and "
                "`aws_batch_role_arn`, or remove `native_batches`"
            )
        yield BatchModel(found, is_elsewhere=not _is_own(model))

"""Summarizes a catalog's deployments and their keys for printing. Never shows a key's text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from ..config.catalog import Catalog
from ..config.deployment import Deployment
from ..errors import FanoutError
from ..providers.base import GoogleToken, SigV4
from ..providers.registry import embeddings_of, is_for_chat
from ..schema.validation import parse_chat
from ..secret import Secret
from ..settings import is_installed
from ..transport.engine import join

SAMPLE = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})

LITERAL = "(literal)"
"""The name of a key that is written in the config itself."""


class KeyStatus(Struct, frozen=True):
    """A key's name, and whether it is set."""

    name: str
    present: bool


class DeploymentSummary(Struct, frozen=True, omit_defaults=True):
    """
    One deployment.

    `place` are its project and its location on Google Cloud, `role` is the AWS role that is assumed
    to call it.
    """

    name: str
    provider: str
    model: str
    api_base: str
    url: str
    keys: tuple[KeyStatus, ...]
    auth: str
    limits: Mapping[str, float]
    defaults: Mapping[str, Any]
    fallbacks: tuple[str, ...]
    place: Mapping[str, str] = field(default_factory=dict)
    role: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of required keys that are not set."""
        return missing_keys(self.keys, self.auth)


def summarize(catalog: Catalog) -> list[DeploymentSummary]:
    """Every deployment, in the config's order."""
    return [_summarize_deployment(deployment, catalog) for deployment in catalog.deployments]


def _summarize_deployment(deployment: Deployment, catalog: Catalog) -> DeploymentSummary:
    provider = deployment.provider
    limits = {
        "rpm": deployment.rpm,
        "tpm": deployment.tpm,
        "max_parallel_requests": deployment.max_parallel,
        "timeout": deployment.timeout,
        "weight": None if deployment.weight == 1 else deployment.weight,
    }
    return DeploymentSummary(
        name=deployment.name,
        provider=provider.name,
        model=deployment.target.model,
        api_base=_without_login(deployment.base_url),
        url=_without_login(_url(deployment)),
        keys=_keys(deployment),
        auth=_auth(deployment),
        limits={name: value for name, value in limits.items() if value is not None},
        defaults={**deployment.additions.defaults, **deployment.defaults},
        fallbacks=catalog.routes.fallbacks_of(deployment.name),
        place={
            name: deployment.target.options[f"vertex_{name}"]
            for name in ("project", "location")
            if isinstance(provider.auth, GoogleToken)
        },
        role=deployment.additions.aws.role or "" if deployment.additions.aws else "",
    )


def _url(deployment: Deployment) -> str:
    """The address of a plain request."""
    target, provider = deployment.target, deployment.provider
    try:
        if not is_for_chat(target.model) and (api := embeddings_of(provider.name, target)):
            from ..schema.embeddings import EmbeddingPart  # `serve` does not need it

            wire = api.encode(EmbeddingPart(inputs=["Hi"]), target)
        else:
            wire = provider.chat.encode(SAMPLE, target, False)
    except FanoutError:
        return deployment.base_url
    return join(deployment.base_url, wire.path)


def _without_login(url: str) -> str:
    """The address without the name and password that it may have."""
    return re.sub(r"(?<=://)[^/@]*@", "***@", url)


def _auth(deployment: Deployment) -> str:
    """
    How requests are authenticated.

    `aws` or `google` for the credentials of that cloud, `optional` if no key is required, else
    `key`.
    """
    if isinstance(deployment.provider.auth, SigV4) and not deployment.own_keys:
        return "aws"
    if isinstance(deployment.provider.auth, GoogleToken) and not deployment.keys:
        return "google"
    return "optional" if deployment.provider.key_optional else "key"


def _credentials(deployment: Deployment) -> Iterator[KeyStatus]:
    """Google's credentials; those of a file are missing if there is no such file."""
    secret = deployment.credentials
    if secret is None or deployment.keys:
        return
    text = secret.reveal() or ""
    is_json = text.startswith("{")
    if is_json and secret.name == "vertex_credentials":
        yield KeyStatus(LITERAL, present=True)
    else:
        yield KeyStatus(secret.name, is_json or (bool(text) and Path(text).is_file()))


def client_keys(catalog: Catalog) -> dict[str, bool]:
    """The gateway's own keys by name, and whether each is set."""
    found = {}
    for client in catalog.client_keys:
        if client.secret is not None:
            name = client.name if client.secret.name == LITERAL else client.secret.name
            found[name] = client.secret.is_known
    return found


def missing_names(catalog: Catalog) -> list[str]:
    """The names of all keys of providers and clients that are not set, sorted."""
    clients = {name for name, is_set in client_keys(catalog).items() if not is_set}
    return sorted(clients.union(*map(missing_of, catalog.deployments)))


def missing_of(deployment: Deployment) -> tuple[str, ...]:
    """The names of the keys that calls to a deployment need and that are not set."""
    return missing_keys(_keys(deployment), _auth(deployment))


def _keys(deployment: Deployment) -> tuple[KeyStatus, ...]:
    return (*map(key_status, deployment.own_keys), *_credentials(deployment))


def key_status(secret: Secret) -> KeyStatus:
    """A secret's name, and whether it is set."""
    return KeyStatus(secret.name, secret.is_known)


def missing_keys(keys: tuple[KeyStatus, ...], auth: str) -> tuple[str, ...]:
    """The names of the keys that are not set, unless none is needed."""
    return () if auth == "optional" else tuple(key.name for key in keys if not key.present)


def missing_extras(catalog: Catalog) -> dict[str, str]:
    """The extras that the config needs and that are not installed, each with what needs it."""
    needed: dict[str, str] = {}
    for deployment in catalog.deployments:
        aws = deployment.additions.aws
        if isinstance(deployment.provider.auth, GoogleToken) and not deployment.keys:
            needed.setdefault("vertex", f"`{deployment.name}` needs for Google's credentials")
        elif aws is not None and (aws.profile or aws.role):
            what = "profile" if aws.profile else "role"
            needed.setdefault("aws", f"`{deployment.name}` needs for its {what}")
    if catalog.general.traces:
        needed["otel"] = "`general_settings.traces` needs"
    return {extra: why for extra, why in needed.items() if not is_installed(extra)}

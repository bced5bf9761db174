"""Summarizes a catalog's deployments and their keys for printing. Never shows a key's text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from ..config.catalog import Catalog
from ..config.deployment import Deployment
from ..errors import FanoutError
from ..providers.base import GoogleToken
from ..providers.registry import embeddings_of, is_chats
from ..transport.engine import join
from .config_notes import SAMPLE, KeyStatus, auth_of, client_keys, keys_of, missing_keys, missing_of


class DeploymentSummary(Struct, frozen=True, omit_defaults=True):
    """
    One deployment.

    `place` are its project and its location on Google Cloud, `role` is the AWS role that is assumed
    to call it. `batches` are the folder and the role of its native batches, if AWS stores them.
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
    batches: Mapping[str, str] = field(default_factory=dict)

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
        keys=keys_of(deployment),
        auth=auth_of(deployment),
        limits={name: value for name, value in limits.items() if value is not None},
        defaults={**deployment.additions.defaults, **deployment.defaults},
        fallbacks=catalog.routes.fallbacks_of(deployment.name),
        place={
            name: deployment.target.options[f"vertex_{name}"]
            for name in ("project", "location")
            if isinstance(provider.auth, GoogleToken)
        },
        role=deployment.additions.aws.role or "" if deployment.additions.aws else "",
        batches={
            name: deployment.target.options[f"batch_{name}"]
            for name in ("uri", "role")
            if "batch_role" in deployment.target.options
        },
    )


def _url(deployment: Deployment) -> str:
    """The address of a plain request."""
    target, provider = deployment.target, deployment.provider
    try:
        if not is_chats(provider, target) and (api := embeddings_of(provider.name, target)):
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


def missing_names(catalog: Catalog) -> list[str]:
    """The names of all keys of providers and clients that are not set, sorted."""
    clients = {name for name, is_set in client_keys(catalog).items() if not is_set}
    return sorted(clients.union(*map(missing_of, catalog.deployments)))

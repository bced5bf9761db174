"""Makes catalogs and deployments from sections of a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fanout.config.catalog import Catalog
from fanout.config.deployment import Deployment
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import ConfigError


def catalog(env: Mapping[str, str] = {}, **sections: Any) -> Catalog:
    return resolve(check(sections, env), env)


def entry(model: str, name: str = "m", **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def deployment(model: str, env: Mapping[str, str] = {}, **params: Any) -> Deployment:
    (found,) = catalog(env, model_list=[entry(model, **params)]).find("m")
    return found


def refusal(env: Mapping[str, str] = {}, **sections: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        catalog(env, **sections)
    return str(raised.value)


def names(found: Deployment) -> list[str]:
    return [secret.name for secret in found.keys]


def texts(found: Deployment) -> list[str | None]:
    return [secret.reveal() for secret in found.keys]

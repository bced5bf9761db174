"""What the config's deployments are, in LiteLLM's shape: `GET /model/info`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config.catalog import Catalog, ClientKey
from ..config.deployment import Deployment
from ..errors import NotFound
from ..providers.registry import EMBEDDING, is_chats, is_for_embeddings
from ..telemetry.prices import PICODOLLARS, prices_of
from ..transport.redaction import redact
from .exchange import Exchange
from .queries import checked_query


async def model_info(exchange: Exchange) -> None:
    """
    `GET /model/info`: the deployments of the models that this client may use, as LiteLLM has them.

    With `litellm_model_id`, only the deployment with this id. The response has no keys, addresses
    or account numbers.
    """
    found = listed(exchange.gateway.catalog, exchange.client)
    if wanted := checked_query(exchange, "litellm_model_id").get("litellm_model_id"):
        found = [one for one in found if one["model_info"]["id"] == wanted]
        if not found:
            raise NotFound(f"there is no deployment `{wanted[:80]}`", "litellm_model_id")
    await exchange.json({"data": found})


async def model_group_info(exchange: Exchange) -> None:
    """
    `GET /model_group/info`: the models that this client may use, as LiteLLM has them.

    With `model_group`, only this one. A price is that of the most expensive deployment.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in listed(exchange.gateway.catalog, exchange.client):
        groups.setdefault(one["model_name"], []).append(one["model_info"])
    wanted = checked_query(exchange, "model_group").get("model_group")
    await exchange.json(
        {
            "data": [
                _group(name, found)
                for name, found in groups.items()
                if wanted is None or name == wanted
            ]
        }
    )


def _group(name: str, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    prices = ("input_cost_per_token", "output_cost_per_token")
    return {
        "model_group": name,
        "providers": list(dict.fromkeys(one["litellm_provider"] for one in found)),
        "mode": found[0]["mode"],
        **{
            price: max((one[price] for one in found if price in one), default=None)
            for price in prices
        },
    }


def listed(catalog: Catalog, client: ClientKey) -> list[dict[str, Any]]:
    """An object for each deployment of a model that the client may use."""
    return [
        _info(deployment) for deployment in catalog.deployments if client.may_use(deployment.name)
    ]


def _info(deployment: Deployment) -> dict[str, Any]:
    provider, model = deployment.provider.name, redact(deployment.target.model)
    info: dict[str, Any] = {
        "id": deployment.id,
        "db_model": False,
        "key": model,
        "litellm_provider": provider,
        "mode": _mode(deployment),
    }
    if base_model := deployment.target.options.get("base_model"):
        info["base_model"] = base_model
    if prices := prices_of(deployment):
        info["input_cost_per_token"] = prices.input / PICODOLLARS
        info["output_cost_per_token"] = prices.output / PICODOLLARS
    return {
        "model_name": deployment.name,
        "litellm_params": {"model": f"{provider}/{model}"},
        "model_info": info,
    }


def _mode(deployment: Deployment) -> str | None:
    """LiteLLM's name of what a model is for."""
    target = deployment.target
    if is_chats(deployment.provider, target):
        return "chat"
    kind = target.options.get("base_model", target.model)
    is_embeddings = target.options.get("mode") == EMBEDDING or is_for_embeddings(kind)
    return EMBEDDING if is_embeddings else None

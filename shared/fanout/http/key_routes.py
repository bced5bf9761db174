"""The routes of LiteLLM's API for virtual keys; their endpoints are imported when one is called."""

from __future__ import annotations

from .exchange import Exchange
from .routes import Endpoint, Route


def _lazy(name: str) -> Endpoint:
    async def endpoint(exchange: Exchange) -> None:
        from . import key_endpoints

        await getattr(key_endpoints, name)(exchange)

    endpoint.__name__ = name
    return endpoint


KEY_ROUTES = (
    Route("POST", "/key/generate", _lazy("generate_key")),
    Route("POST", "/key/update", _lazy("update_key")),
    Route("POST", "/key/delete", _lazy("delete_keys")),
    Route("POST", "/key/block", _lazy("block_key")),
    Route("POST", "/key/unblock", _lazy("unblock_key")),
    Route("POST", "/key/regenerate", _lazy("regenerate_key")),
    Route("GET", "/key/info", _lazy("read_key")),
    Route("GET", "/key/list", _lazy("list_keys")),
    Route("POST", "/key/", _lazy("change_key"), has_tail=True),
)
"""What a gateway serves besides, if clients may have virtual keys."""

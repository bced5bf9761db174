"""The routes of LiteLLM's API for virtual keys and spend; what they call is imported lazily."""

from __future__ import annotations

from .exchange import Exchange
from .routes import Endpoint, Route


def _lazy(name: str) -> Endpoint:
    async def endpoint(exchange: Exchange) -> None:
        from . import key_endpoints

        await getattr(key_endpoints, name)(exchange)

    endpoint.__name__ = name
    return endpoint


def _team(name: str) -> Endpoint:
    async def endpoint(exchange: Exchange) -> None:
        from . import team_endpoints

        await getattr(team_endpoints, name)(exchange)

    endpoint.__name__ = name
    return endpoint


def _spend(name: str) -> Endpoint:
    async def endpoint(exchange: Exchange) -> None:
        from . import spend_endpoints

        await getattr(spend_endpoints, name)(exchange)

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
    Route("POST", "/team/new", _team("create_team")),
    Route("POST", "/team/update", _team("update_team")),
    Route("POST", "/team/delete", _team("delete_teams")),
    Route("POST", "/team/block", _team("block_team")),
    Route("POST", "/team/unblock", _team("unblock_team")),
    Route("GET", "/team/info", _team("read_team_info")),
    Route("GET", "/team/list", _team("list_teams")),
    Route("GET", "/spend/logs", _spend("spend_logs")),
    Route("GET", "/spend/logs/v2", _spend("spend_logs_page")),
    Route("GET", "/spend/keys", _spend("spend_keys")),
    Route("GET", "/spend/tags", _spend("spend_tags")),
    Route("GET", "/global/spend/report", _spend("spend_report")),
    Route("GET", "/user/daily/activity", _spend("daily_activity")),
)
"""What a gateway serves besides, if clients may have virtual keys."""

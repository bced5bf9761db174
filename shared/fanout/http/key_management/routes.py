"""The routes of LiteLLM's API for virtual keys and spend; what they call is imported lazily."""

from __future__ import annotations

from importlib import import_module

from ..exchange import Exchange
from ..routes import Endpoint, Route

ENDPOINTS = """
POST /key/generate                   key     generate_key
POST /key/service-account/generate   key     generate_key
POST /key/update                     key     update_key
POST /key/bulk_update                key     update_keys
POST /key/health                     key     check_key
POST /key/delete                     key     delete_keys
POST /key/block                      key     block_key
POST /key/unblock                    key     unblock_key
POST /key/regenerate                 key     regenerate_key
GET  /key/info                       key     read_key
GET  /key/list                       key     list_keys
POST /key/                           key     change_key
POST /team/member_add                team    reject_members
POST /team/member_delete             team    reject_members
POST /team/member_update             team    reject_members
GET  /team/permissions_list          team    list_permissions
POST /team/permissions_update        team    update_permissions
POST /team/new                       team    create_team
POST /team/update                    team    update_team
POST /team/delete                    team    delete_teams
POST /team/block                     team    block_team
POST /team/unblock                   team    unblock_team
GET  /team/info                      team    read_team_info
GET  /team/list                      team    list_teams
GET  /v2/team/list                   team    list_teams_in_pages
GET  /team/available                 team    list_available_teams
GET  /team/daily/activity            spend   daily_activity
POST /user/new                       user    create_user
POST /user/update                    user    update_user
POST /user/delete                    user    delete_users
GET  /user/info                      user    read_user
GET  /v2/user/info                   user    read_user_alone
GET  /user/list                      user    list_users
GET  /user/daily/activity            spend   daily_activity
POST /budget/new                     budget  create_budget
POST /budget/update                  budget  update_budget
POST /budget/info                    budget  read_budgets
GET  /budget/list                    budget  list_budgets
POST /budget/delete                  budget  delete_budget
GET  /budget/settings                budget  list_settings
GET  /audit                          audit   list_changes
GET  /spend/logs                     spend   spend_logs
GET  /spend/logs/v2                  spend   spend_logs_page
GET  /spend/keys                     spend   spend_keys
GET  /spend/users                    user    spend_users
GET  /spend/tags                     spend   spend_tags
POST /spend/calculate                global_spend  calculate_spend
GET  /global/spend                   global_spend  total_spend
GET  /global/spend/report            spend   spend_report
GET  /global/spend/keys              global_spend  keys_by_spend
GET  /global/spend/models            global_spend  models_by_spend
GET  /global/spend/tags              global_spend  tags_by_spend
GET  /global/spend/teams             global_spend  teams_by_spend
GET  /global/spend/provider          global_spend  providers_by_spend
"""
"""Method, path, module and function; `/key/` has what is below it, too."""


def _lazy(method: str, module: str, name: str) -> Endpoint:
    """The endpoint; the parameters of a POST are in its body alone."""

    async def endpoint(exchange: Exchange) -> None:
        if method == "POST":
            from ..queries import checked_query

            checked_query(exchange)
        found = import_module(f".{module}", __package__)
        await getattr(found, name)(exchange)

    endpoint.__name__ = name
    return endpoint


def _route(method: str, path: str, module: str, name: str) -> Route:
    return Route(method, path, _lazy(method, module, name), has_tail=path.endswith("/"))


KEY_ROUTES = tuple(_route(*line.split()) for line in ENDPOINTS.strip().splitlines())
"""What a gateway serves besides, if clients may have virtual keys."""

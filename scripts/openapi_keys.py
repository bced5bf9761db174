"""The bodies and queries of LiteLLM's API for virtual keys and spend, for the description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
AMOUNT: Schema = {"type": ["number", "null"], "minimum": 0}
COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
OBJECT: Schema = {"type": "object"}
FLAG: Schema = {"type": "boolean"}

BUDGET = {
    "max_budget": AMOUNT,
    "soft_budget": AMOUNT,
    "budget_duration": TEXT,
    "max_parallel_requests": COUNT,
    "rpm_limit": COUNT,
    "tpm_limit": COUNT,
    "budget_id": TEXT,
}
GROUP = {**BUDGET, "models": TEXTS, "metadata": OBJECT, "tags": TEXTS, "blocked": FLAG}
TEAM = {"team_id": TEXT, "team_alias": TEXT, **GROUP}
USER = {"user_id": TEXT, "user_alias": TEXT, "user_email": TEXT, "user_role": TEXT, **GROUP}
DATES = ("start_date", "end_date")


def _body(fields: Mapping[str, Schema], *required: str) -> Schema:
    return {"type": "object", "properties": dict(fields), "required": list(required)}


BODIES: Mapping[str, Schema] = {
    "POST /key/bulk_update": _body({"keys": {"type": "array", "items": OBJECT}}, "keys"),
    "POST /key/delete": _body({"keys": TEXTS, "key_aliases": TEXTS}),
    "POST /key/block": _body({"key": TEXT}, "key"),
    "POST /key/unblock": _body({"key": TEXT}, "key"),
    "POST /key/regenerate": _body({"key": TEXT, "new_key": TEXT, "grace_period": TEXT}, "key"),
    "POST /key/{id}/regenerate": _body({"new_key": TEXT, "grace_period": TEXT}),
    "POST /key/{id}/reset_spend": _body({"reset_to": AMOUNT}),
    "POST /team/new": _body(TEAM),
    "POST /team/update": _body(TEAM, "team_id"),
    "POST /team/delete": _body({"team_ids": TEXTS}, "team_ids"),
    "POST /team/block": _body({"team_id": TEXT}, "team_id"),
    "POST /team/unblock": _body({"team_id": TEXT}, "team_id"),
    "POST /user/new": _body({**USER, "auto_create_key": FLAG, "key_alias": TEXT, "duration": TEXT}),
    "POST /user/update": _body({**USER, "spend": AMOUNT}),
    "POST /user/delete": _body({"user_ids": TEXTS}, "user_ids"),
    "POST /budget/new": _body(BUDGET),
    "POST /budget/update": _body(BUDGET, "budget_id"),
    "POST /budget/info": _body({"budgets": TEXTS}, "budgets"),
    "POST /budget/delete": _body({"id": TEXT}, "id"),
    "POST /spend/calculate": _body(
        {
            "model": TEXT,
            "messages": {"type": "array", "items": OBJECT},
            "completion_response": OBJECT,
        }
    ),
}

ROWS = (
    *("api_key", "user_id", "internal_user_id", "request_id", "team_id", "customer_id"),
    *("end_user", "key_alias", "model", "team_ids", "exclude_team_ids", *DATES),
)
"""What chooses spend rows."""

SORT = ("sort_by", "sort_order")

QUERIES: Mapping[str, tuple[str, ...]] = {
    "GET /key/info": ("key",),
    "GET /key/list": (
        *("page", "size", "team_id", "user_id", "key_alias", "key_hash", "return_full_object"),
        *SORT,
    ),
    "GET /team/info": ("team_id",),
    "GET /team/list": ("user_id",),
    "GET /team/permissions_list": ("team_id",),
    "GET /v2/team/list": ("page", "page_size", "team_id", "team_alias", "user_id", *SORT),
    "GET /team/daily/activity": ROWS,
    "GET /user/info": ("user_id",),
    "GET /v2/user/info": ("user_id",),
    "GET /user/list": ("page", "page_size", "user_ids", "user_email", "role", *SORT),
    "GET /user/daily/activity": ROWS,
    "GET /budget/settings": ("budget_id",),
    "GET /audit": (
        *("page", "page_size", "object_id", "changed_by", "action", "table_name", *DATES),
        "sort_order",
    ),
    "GET /spend/logs": (*ROWS, "summarize"),
    "GET /spend/logs/v2": (*ROWS, "min_spend", "max_spend", "page", "page_size"),
    "GET /spend/keys": ("limit",),
    "GET /spend/users": ("user_id",),
    "GET /spend/tags": ROWS,
    "GET /global/spend": ROWS,
    "GET /global/spend/report": ("group_by", *ROWS),
    "GET /global/spend/keys": ("limit", *ROWS),
    "GET /global/spend/models": ("limit", *ROWS),
    "GET /global/spend/tags": ("tags", *ROWS),
    "GET /global/spend/teams": ROWS,
    "GET /global/spend/provider": ROWS,
}

"""Reasons that several tables share."""

from __future__ import annotations

LOG = (
    "the log has a line for each attempt and request; `general_settings.metrics` and `traces` are "
    "for Prometheus and OpenTelemetry"
)
CACHE = "Fanout does not cache responses"
DATABASE = (
    "there is no database: virtual keys are in SQLite (docs/keys.md), and `general_settings.keys` "
    "may have more"
)
BUDGETS = "budgets are those of virtual keys, see docs/keys.md"
ADMIN = "there is no admin UI and no login"
GUARDRAILS = "there are no guardrails"
MCP = "there is no MCP gateway"
REDIS = "nothing is stored in Redis"
ENDPOINTS = "Fanout has no such endpoint"
HEALTH = "`/health` calls no provider; a deployment that fails cools down"
SECRETS = "keys are in the environment, and on AWS in Secrets Manager"
PLUGINS = "there are no hooks for own code"
NO_TAGS = "deployments are not chosen by tags: write another `model_name`"

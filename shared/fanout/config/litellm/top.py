"""LiteLLM's top-level keys."""

from __future__ import annotations

from .groups import rejected, supported
from .reasons import ADMIN, ENDPOINTS, GUARDRAILS, LOG, MCP, NO_TAGS, PLUGINS

KEYS = (
    supported("model_list router_settings litellm_settings general_settings"),
    rejected("set them where you start the process", "environment_variables"),
    rejected("write everything into one file", "include"),
    rejected(LOG, "callback_settings callbacks"),
    rejected(GUARDRAILS, "guardrails policies policy_attachments"),
    rejected(MCP, "mcp_servers mcp_tools mcp_aliases"),
    rejected(
        ENDPOINTS,
        "assistant_settings files_settings finetune_settings search_tools vector_store_registry "
        "agent_list a2a_agents pass_through_endpoints sandbox_tools",
    ),
    rejected("write each key into `litellm_params`", "credential_list"),
    rejected(PLUGINS, "prompts"),
    rejected(ADMIN, "ui_settings worker_registry"),
    rejected("a client sends one of the config's keys, as a bearer token", "litellm_jwtauth"),
    rejected(NO_TAGS, "tag_routing"),
    rejected("write each value into `litellm_params`", "default_litellm_params"),
)

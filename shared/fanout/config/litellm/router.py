"""LiteLLM's `router_settings`: the parameters of its Router."""

from __future__ import annotations

from .groups import missing, rejected, supported
from .reasons import BUDGETS, CACHE, ENDPOINTS, GUARDRAILS, HEALTH, LOG, NO_TAGS, PLUGINS, REDIS

STRATEGIES = {
    "usage-based-routing": "nothing counts the tokens of all instances",
    "usage-based-routing-v2": "nothing counts the tokens of all instances",
    "cost-based-routing": "deployments are not compared by price",
    "provider-budget-routing": "there are no budgets",
}
"""Values of `routing_strategy` that Fanout does not have, and why."""

KEYS = (
    supported(
        "num_retries timeout stream_timeout fallbacks default_fallbacks context_window_fallbacks "
        "content_policy_fallbacks allowed_fails cooldown_time model_group_alias "
        "routing_strategy=simple-shuffle routing_strategy_args retry_policy "
        "model_group_retry_policy allowed_fails_policy disable_cooldowns retry_after "
        "default_max_parallel_requests"
    ),
    rejected("Fanout always logs one JSON line per attempt", "set_verbose debug_level=INFO"),
    rejected(
        REDIS,
        "redis_url redis_host redis_port redis_password redis_db redis_ssl redis_username",
    ),
    rejected(CACHE, "cache_responses cache_kwargs caching_groups"),
    rejected("connections are pooled for as long as they are used", "client_ttl=3600"),
    rejected("all fallbacks of a name are called, in order", "max_fallbacks=5"),
    rejected("write each value into `litellm_params`", "default_litellm_params"),
    rejected("a wrong deployment is an error at the start", "ignore_invalid_deployments=true"),
    rejected("write `num_retries`", "max_retries", "num_retries"),
    rejected("write `stream_timeout`", "stream_idle_timeout", "stream_timeout"),
    rejected(
        "write `timeout` into `litellm_params`: in a stream, it is the time to the first content",
        "ttft_timeout",
    ),
    rejected("write `weight` into `litellm_params`", "weights"),
    rejected(NO_TAGS, "enable_tag_filtering tag_filtering_match_any=true tag_routing_prefix"),
    rejected(ENDPOINTS, "assistants_config search_tools"),
    rejected(GUARDRAILS, "guardrail_list"),
    rejected(PLUGINS, "plugins fallback_access_check fallback_budget_check"),
    rejected(LOG, "alerting_config"),
    rejected(BUDGETS, "provider_budget_config"),
    rejected(
        HEALTH,
        "enable_health_check_routing health_check_staleness_threshold "
        "health_check_ignore_transient_errors background_health_check_model_groups",
    ),
    rejected("every call is asynchronous", "router_general_settings"),
    rejected(
        "there is no queue of requests by priority", "default_priority polling_interval=0.003"
    ),
    rejected("a failed deployment's group is always called again", "enable_weighted_failover"),
    missing(
        "a prompt that is too long is known from the provider's error: use "
        "`context_window_fallbacks`",
        "enable_pre_call_checks enable_pre_call_check optional_pre_call_checks",
    ),
    missing("`routing_strategy` is for every model name", "routing_groups"),
    missing(
        "a parameter that a provider lacks is a 400: write `drop_params`",
        "fallback_on_unsupported_params",
    ),
    missing(
        "a stream that breaks after its first content is an error",
        "enable_mid_stream_fallback_continuation",
    ),
    missing(
        "a client's requests may go to any deployment",
        "deployment_affinity_ttl_seconds=3600 model_group_affinity_config "
        "session_affinity_repin_on_failover",
    ),
    missing(
        "there are no routers that read the prompt",
        "auto_router_capability_limit heuristic_v2_router_limit",
    ),
    missing(
        "streams have a keep-alive already", "keepalive_seconds allow_client_keepalive_override"
    ),
)

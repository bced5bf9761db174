"""
The arguments of LiteLLM's functions that are no fields of a chat completion.

Each is implemented by Fanout's functions or rejected by name; over HTTP, too, because clients send
them in bodies. None is ever sent to a provider, but for a field of that provider's own that has the
same name (`VENDORS`). Sources, read in November 2026: the signature of
`completion` and the list `all_litellm_params` of LiteLLM 1.110.2, and docs.litellm.ai ("Input
params"). `docs/litellm.md` shows this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import RequestError
from .litellm_names import PRICES, ROUTERS, SHARED


def _each(*groups: tuple[str, str]) -> dict[str, str]:
    """The name of each argument, and the reason of its group."""
    return {name: why for why, names in groups for name in names.split()}


CONFIG_ONLY = frozenset(
    [
        "api_base",
        "base_url",
        "api_key",
        "api_version",
        "extra_headers",
        "headers",
        "model_id",
        "organization",
        "region",
        "aws_region_name",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_role_name",
        "aws_session_name",
        "aws_profile_name",
        "aws_external_id",
        "vertex_project",
        "vertex_location",
        "vertex_credentials",
        "ensure_alternating_roles",
        "supports_system_message",
        "user_continue_message",
        "assistant_continue_message",
        "input_cost_per_token",
        "output_cost_per_token",
        "input_cost_per_token_flex",
        "output_cost_per_token_flex",
        "input_cost_per_token_priority",
        "output_cost_per_token_priority",
        "context_window_fallback_dict",
        "http_client",
    ]
)
"""Over HTTP, only the config sets where calls go, with which key, and at what price."""

REJECTED: Mapping[str, str] = _each(
    (
        "it would keep the provider from being called",
        "mock_response mock_timeout mock_tool_calls mock_delay",
    ),
    ("write the provider before the model: `groq/llama3-8b-8192`", "custom_llm_provider"),
    ("write the deployment as the model: `azure/NAME`", "deployment_id"),
    ("write `num_retries`", "max_retries"),
    ("write `extra_headers`", "default_headers"),
    ("`Retry-After` or a backoff decides", "retry_strategy"),
    (
        "set it in the config",
        (
            "allowed_fails rpm tpm itpm otpm max_parallel_requests weight order base_model "
            "model_info "
            "retry_policy cooldown_time routing_strategy configurable_clientside_auth_params "
            "default_api_key_tpm_limit default_api_key_rpm_limit"
        ),
    ),
    ("give `deployments` to `batch_completion_models`", "model_list"),
    ("give an `http_client`", "client shared_session ssl_verify"),
    ("write `api_base`", "azure_endpoint aws_bedrock_runtime_endpoint"),
    ("write `aws_region_name`", "region_name"),
    ("write `vertex_project`", "vertex_ai_project"),
    ("write `vertex_location`", "vertex_ai_location"),
    ("write `vertex_credentials`", "vertex_ai_credentials"),
    (
        "write `aws_role_name`",
        (
            "aws_web_identity_token aws_sts_endpoint aws_session_tags aws_bedrock_project_id "
            "bedrock_tags"
        ),
    ),
    (
        "write `api_key`",
        (
            "azure_ad_token azure_ad_token_provider tenant_id client_id client_secret "
            "azure_username azure_password azure_scope litellm_credential_name"
        ),
    ),
    ("Fanout does not cache responses", "caching cache ttl"),
    (
        "the log has one JSON line for each attempt and request",
        (
            "logger_fn verbose log_delegator call_id no-log success_callback failure_callback "
            "turn_off_message_logging"
        ),
    ),
    ("write labels into `metadata`", "tags"),
    ("there are no guardrails", "disable_global_guardrails"),
    ("there are no budgets", "max_budget budget_duration"),
    ("`reasoning_content` is always its own field", "merge_reasoning_content_in_choices"),
    (
        "prompts are sent as messages",
        (
            "prompt_id prompt_variables roles initial_prompt_value final_prompt_value bos_token "
            "eos_token hf_model_name add_function_to_prompt"
        ),
    ),
    ("write `fallbacks` of models", "context_window_fallbacks content_policy_fallbacks"),
    ("there are no tools on the gateway", "include_server_side_tool_invocations"),
    (
        "there is no such switch",
        (
            "disable_fallbacks user_config use_in_pass_through use_chat_completions_api "
            "enable_tag_filtering tag_regex keepalive_seconds allow_client_keepalive_override "
            "provider_affinity_header max_file_size_mb caching_groups"
        ),
    ),
    ("write `timeout`", "stream_timeout ttft_timeout stream_idle_timeout"),
    ("the cost is that of input and output tokens", PRICES),
    ("there are no routers that read the prompt", ROUTERS),
    (
        "Fanout has no such endpoint",
        (
            "gcs_bucket_name s3_bucket_name s3_endpoint_url s3_region_name s3_access_key_id "
            "s3_secret_access_key s3_encryption_key_id s3_bucket_owner s3_output_bucket_name "
            "aws_batch_role_arn bucket_name vector_store_id milvus_text_field milvus_db_name "
            "milvus_partition_names valkey_host valkey_port valkey_password valkey_ssl "
            "valkey_text_field valkey_embedding_field vector_bucket_name index_name "
            "embedding_model"
        ),
    ),
    *SHARED,
)
"""Each argument without an effect here, and what to do instead."""

IN_FANOUT = frozenset({"attempts", "check", "escalate"})
"""Options of `completion` that are fields of a request's `fanout` over HTTP."""

_ALL = CONFIG_ONLY | REJECTED.keys() | IN_FANOUT

VENDORS = frozenset({"caching", "eos_token", "guardrails", "ttl"})
"""
Arguments whose names some vendors have for a field of their own.

LM Studio's seconds until a model is unloaded (lmstudio.ai/docs/api/ttl-and-auto-evict), Mistral's
guardrails (docs.mistral.ai/studio/safety-moderation, `GuardrailConfig` of its SDKs), Volcengine's
cache of a prompt (www.volcengine.com/docs/82379), and the ids of tokens that end a response of
Friendli's (friendli.ai/docs, `eos_token` of its chat completions). 2026-11
"""

_EMPTY: tuple[object, ...] = (None, False, "", [], {})
_NO_CACHE = frozenset({"no-cache", "no-store"})


def asks_for_something(name: str, value: object) -> bool:
    """Whether the value of such an argument would change anything in LiteLLM."""
    if name == "cache" and isinstance(value, dict) and value.keys() <= _NO_CACHE:
        return False  # nothing is cached anyway
    if name == "ssl_verify":  # true is the default, and what is done
        return value is not None and value is not True
    if name == "supports_system_message":  # likewise
        return value is False
    return not any(value == empty and type(value) is type(empty) for empty in _EMPTY)


def is_vendors(name: str, value: object) -> bool:
    """Whether this is a vendor's own field, by the form of its value; the codec has the rest."""
    match name, value:
        case "caching", dict():
            return True
        case "eos_token", list():
            return all(type(one) is int for one in value)
        case "guardrails", list():
            return all(isinstance(one, dict) for one in value)
        case "ttl", int():
            return not isinstance(value, bool)
        case _:
            return False


def without_arguments(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a request's body without LiteLLM's arguments that ask for nothing."""
    if _ALL.isdisjoint(body):
        return body
    kept: set[str] = set()
    for name in sorted(_ALL & body.keys()):
        if name in FORBIDDEN or asks_for_something(name, body[name]):
            if not is_vendors(name, body[name]):
                raise rejection(name)
            kept.add(name)
    return {name: value for name, value in body.items() if name not in _ALL or name in kept}


FORBIDDEN = frozenset({"api_base", "base_url", "api_key", "api_version"})
"""Rejected whatever their value is."""


def rejection(name: str) -> RequestError:
    """The error for an argument: the reason, and what to do instead."""
    if name in CONFIG_ONLY:
        return RequestError(f"`{name}` is set in the gateway's config, not in a request", name)
    if name in IN_FANOUT:
        return RequestError(f"`{name}` is a field of chat completions' `fanout`", name)
    return RequestError(f"`{name}` has no effect here ({REJECTED[name]}): remove it", name)

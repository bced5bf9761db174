"""LiteLLM's keys of an entry of `model_list`: its `litellm_params` and its `model_info`."""

from __future__ import annotations

from ...schema.litellm_names import PRICES, ROUTERS, SHARED
from .groups import missing, rejected, supported
from .reasons import BUDGETS, NO_TAGS, REDIS

INTO_INFO = "write it into `model_info`"

PARAMS = (
    supported(
        "model model_id api_base api_key api_version base_model rpm tpm timeout "
        "max_parallel_requests stream_timeout num_retries weight order cooldown_time "
        "allowed_fails_policy drop_params input_cost_per_token output_cost_per_token "
        "input_cost_per_token_flex output_cost_per_token_flex "
        "input_cost_per_token_priority output_cost_per_token_priority "
        "extra_body extra_headers organization aws_region_name aws_access_key_id "
        "aws_secret_access_key aws_session_token aws_role_name aws_session_name aws_profile_name "
        "aws_external_id vertex_project vertex_location vertex_credentials "
        "s3_bucket_name aws_batch_role_arn additional_drop_params allowed_openai_params "
        "ensure_alternating_roles "
        "supports_system_message=true user_continue_message assistant_continue_message"
    ),
    rejected("write `num_retries`", "max_retries", "num_retries"),
    rejected("write `stream_timeout`", "stream_idle_timeout", "stream_timeout"),
    rejected(
        "write `timeout`: in a stream, it is the time to the first content",
        "ttft_timeout",
        "timeout",
    ),
    rejected(
        "for Bedrock write `aws_region_name`, for Vertex AI `vertex_location`; other providers' "
        "models are not chosen by region",
        "region_name",
    ),
    rejected("write `vertex_project`", "vertex_ai_project", "vertex_project"),
    rejected("write `vertex_location`", "vertex_ai_location", "vertex_location"),
    rejected("write `vertex_credentials`", "vertex_ai_credentials", "vertex_credentials"),
    rejected(
        "write `api_base`", "base_url azure_endpoint aws_bedrock_runtime_endpoint", "api_base"
    ),
    rejected("write `extra_headers`", "headers default_headers", "extra_headers"),
    rejected("write the provider before the model: `groq/llama3-8b-8192`", "custom_llm_provider"),
    rejected(
        "set it in the request",
        "n stream stream_options messages body fanout fastest_response",
    ),
    rejected("write `timeout`", "request_timeout", "timeout"),
    rejected(
        "it would keep the provider from being called",
        "mock_response mock_timeout mock_tool_calls mock_delay",
    ),
    rejected("write the key itself into `litellm_params`", "litellm_credential_name"),
    rejected("only the config sets addresses and keys", "configurable_clientside_auth_params"),
    rejected(NO_TAGS, "tags tag_regex enable_tag_filtering caching_groups"),
    rejected(
        BUDGETS, "max_budget budget_duration default_api_key_tpm_limit default_api_key_rpm_limit"
    ),
    rejected("Fanout does not cache responses", "cache caching ttl"),
    rejected(REDIS, "redis_host redis_port redis_password"),
    rejected("write it beside `litellm_params`", "model_info"),
    rejected("write `router_settings.fallbacks`", "fallbacks"),
    rejected(
        "write `router_settings.context_window_fallbacks`",
        "context_window_fallback_dict context_window_fallbacks",
    ),
    rejected("write `router_settings.content_policy_fallbacks`", "content_policy_fallbacks"),
    rejected("write `router_settings.allowed_fails`", "allowed_fails"),
    rejected("the log never has prompts", "no-log turn_off_message_logging verbose logger_fn"),
    rejected(
        "Fanout has no such endpoint",
        "vector_store_id "
        "use_in_pass_through use_chat_completions_api s3_output_bucket_name "
        "gcs_bucket_name bucket_name s3_endpoint_url s3_encryption_key_id s3_bucket_owner "
        "max_file_size_mb milvus_text_field milvus_db_name milvus_partition_names valkey_host "
        "valkey_port valkey_password valkey_ssl valkey_text_field valkey_embedding_field "
        "vector_bucket_name index_name embedding_model",
    ),
    rejected(
        "native batches have a bucket in the model's region, and the deployment's credentials",
        "s3_region_name s3_access_key_id s3_secret_access_key",
    ),
    rejected("`reasoning_content` is always its own field", "merge_reasoning_content_in_choices"),
    rejected(
        "prompts are sent as messages",
        "roles initial_prompt_value final_prompt_value "
        "bos_token eos_token prompt_id prompt_variables hf_model_name",
    ),
    rejected(
        "it belongs in `general_settings`, with `http_client: httpx`",
        "ssl_verify=true ssl_certificate",
    ),
    rejected("write `general_settings.http_client: httpx`", "client shared_session"),
    rejected("`Retry-After` or a backoff decides", "retry_strategy"),
    rejected("write a `model_name` for each of them", "model_list"),
    rejected("write the deployment as the model: `azure/NAME`", "deployment_id"),
    rejected(
        INTO_INFO,
        "supports_function_calling supports_vision supports_images supports_reasoning "
        "supports_response_schema supports_tool_choice max_input_tokens max_output_tokens mode",
    ),
    *(rejected(why, names) for why, names in SHARED),
    missing("limits count requests and all tokens", "itpm otpm"),
    missing(
        "write an API key (`api_key`)",
        "azure_ad_token tenant_id client_id client_secret "
        "azure_scope azure_username azure_password azure_ad_token_provider",
    ),
    missing(
        "write `aws_role_name`, or use the environment's credentials",
        "aws_web_identity_token aws_sts_endpoint aws_session_tags aws_bedrock_project_id "
        "bedrock_tags",
    ),
    missing("there are no routers that read the prompt", ROUTERS),
    missing("the cost is that of input and output tokens", PRICES),
    missing("a client's requests may go to any deployment", "provider_affinity_header"),
    missing(
        "streams have a keep-alive already", "keepalive_seconds allow_client_keepalive_override"
    ),
)

INFO = (
    supported(
        "base_model allowed_fails_policy input_cost_per_token output_cost_per_token mode rpm tpm "
        "input_cost_per_token_flex output_cost_per_token_flex "
        "input_cost_per_token_priority output_cost_per_token_priority"
    ),
    rejected("remove the entry of a model that no client may call", "blocked"),
    rejected("models are served at any time", "access_windows"),
    rejected("list the model in the `models` of those clients' keys", "team_id"),
)
"""The keys of `model_info` that have an effect; all others are the user's own notes."""

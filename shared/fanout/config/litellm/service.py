"""LiteLLM's `litellm_settings`: the attributes of its module that configs set."""

from __future__ import annotations

from .groups import missing, rejected, supported
from .reasons import (
    ADMIN,
    BUDGETS,
    CACHE,
    DATABASE,
    ENDPOINTS,
    GUARDRAILS,
    LOG,
    MCP,
    PLUGINS,
    REDIS,
    SECRETS,
)

KEYS = (
    supported(
        "drop_params num_retries request_timeout fallbacks default_fallbacks "
        "context_window_fallbacks content_policy_fallbacks allowed_fails cooldown_time "
        "model_group_alias stream_timeout"
    ),
    rejected("Fanout always logs one JSON line per attempt", "set_verbose verbose"),
    rejected("logs are always JSON", "json_logs=true"),
    rejected(
        "each log line of a request has its id, `x-request-id`", "request_correlation_in_logs"
    ),
    rejected(
        LOG,
        "callbacks success_callback failure_callback service_callbacks service_callback "
        "input_callback audit_log_callbacks store_audit_logs callback_settings "
        "langfuse_default_tags langfuse_enable_update_trace_keys langsmith_batch_size "
        "argilla_batch_size argilla_transformation_object datadog_params "
        "datadog_llm_observability_params newrelic_params generic_logger_headers "
        "aws_sqs_callback_params dynamodb_table_name s3_callback_params gcs_pub_sub_params "
        "cold_storage_custom_logger logging=true error_logs suppress_debug_info "
        "prometheus_initialize_budget_metrics prometheus_latency_buckets "
        "prometheus_metrics_config prometheus_exclude_metrics prometheus_exclude_labels "
        "prometheus_emit_stream_label custom_prometheus_metadata_labels custom_prometheus_tags "
        "require_auth_for_metrics_endpoint=true enable_end_user_cost_tracking_prometheus_only "
        "disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only "
        "telemetry=true allow_dynamic_callback_disabling=true extra_spend_tag_headers "
        "disable_add_user_agent_to_request_tags disable_streaming_logging langfuse_public_key "
        "langfuse_secret_key langfuse_host s3_audit_callback_params azure_content_safety_params "
        "email token logged_real_time_event_types litellm_dashboard "
        "batch_line_item_callbacks datadog_use_v1 "
        "gcs_pub_sub_use_v1 generic_api_use_v1 otel_tenant_destination_mode pointfive_params "
        "zerobus_params prometheus_deployment_and_latency_caller_identity "
        "prometheus_emit_input_sequence_length_label prometheus_emit_rate_limit_labels "
        "prometheus_end_user_metrics_cleanup_interval_seconds "
        "prometheus_end_user_metrics_max_series_per_metric prometheus_end_user_metrics_ttl_seconds "
        "prometheus_metrics_cleanup_interval_seconds prometheus_metrics_max_series_per_metric "
        "prometheus_metrics_ttl_seconds prometheus_user_budget_label_include_email_alias",
    ),
    rejected(
        "logs never have prompts, responses or keys",
        "turn_off_message_logging redact_user_api_key_info redact_messages_in_exceptions "
        "log_raw_request_response global_disable_no_log_param "
        "standard_logging_payload_excluded_fields log_client_error_tracebacks "
        "log_auth_failure_key_identity expose_router_debug_in_errors=true",
    ),
    rejected(
        CACHE,
        "cache cache_params caching caching_with_models default_in_memory_ttl "
        "default_redis_ttl default_redis_batch_cache_expiry enable_redis_auth_cache "
        "enable_caching_on_provider_specific_optional_params",
    ),
    rejected(REDIS, "force_redis_hash_tag_grouping"),
    rejected(
        BUDGETS,
        "max_budget budget_duration max_user_budget max_internal_user_budget "
        "default_max_internal_user_budget internal_user_budget_duration max_ui_session_budget "
        "max_end_user_budget max_end_user_budget_id default_soft_budget=50 tag_budget_config "
        "budget_rollover budget_reset_time "
        "budget_exceeded_throttle_percentage "
        "default_key_max_budget_alert_emails apply_search_free_tier",
    ),
    rejected(
        "write `general_settings.budget_exceeded_status_code`", "budget_exceeded_status_code=422"
    ),
    rejected("write `general_settings.budget_timezone`", "timezone"),
    rejected(
        "write `general_settings.unpriced_models`", "block_requests_for_models_without_pricing"
    ),
    rejected(
        DATABASE,
        "default_key_generate_params upperbound_key_generate_params key_generation_settings "
        "default_internal_user_params default_team_params default_team_settings "
        "enable_key_alias_format_validation key_alias_pattern validate_end_user_id_in_db "
        "default_end_user_params enable_post_custom_auth_checks",
    ),
    rejected(
        GUARDRAILS,
        "guardrails blocked_user_list banned_keywords_list llamaguard_model_name "
        "llamaguard_unsafe_content_categories openai_moderations_model_name "
        "presidio_ad_hoc_recognizers google_moderation_confidence_threshold output_parse_pii "
        "skip_system_message_in_guardrail skip_tool_message_in_guardrail llm_guard_mode "
        "toxic_confidence_threshold prompt_injection_params",
    ),
    rejected(
        MCP,
        "mcp_aliases mcp_servers public_mcp_servers mcp_tool_search mcp_semantic_tool_filter "
        "public_mcp_hub_strict_whitelist=true",
    ),
    rejected(
        ENDPOINTS,
        "responses websearch_interception_params vector_store_registry "
        "enable_loadbalancing_on_batch_endpoints use_chat_completions_url_for_anthropic_messages "
        "route_all_chat_openai_to_responses agent_search_embedding_model "
        "skill_search_embedding_model require_managed_files default_vertex_config "
        "code_interpreter_interception_params compression_interception_params "
        "gemini_live_defer_setup check_provider_endpoint "
        "disable_vertex_batch_output_transformation vector_store_index_registry "
        "vector_store_search_failure_mode anthropic_messages_estimate_initial_input_tokens "
        "strip_anthropic_total_tokens",
    ),
    rejected(
        ADMIN,
        "public_model_groups public_model_groups_links public_agent_groups public_skills_index "
        "ui_theme_config",
    ),
    rejected(
        PLUGINS,
        "custom_provider_map post_call_rules pre_call_rules custom_prompt_dict "
        "global_prompt_directory global_bitbucket_config global_gitlab_config adapters",
    ),
    rejected(SECRETS, "key_management_system key_management_settings credential_list"),
    rejected(
        "Fanout fetches no address of a client", "user_url_validation=true user_url_allowed_hosts"
    ),
    rejected("write `fanout serve --host … --port …`", "host port"),
    rejected("set it in the request", "stream default_model"),
    rejected(
        "write an API key (`api_key`) into `litellm_params`",
        "enable_azure_ad_token_refresh enable_model_config_credential_overrides",
    ),
    rejected("write it into `litellm_params`", "api_base api_key api_version organization"),
    rejected("write `extra_headers` into `litellm_params`", "headers"),
    rejected("write `context_window_fallbacks`", "longer_context_model_fallback_dict"),
    rejected("a client's keys list its models", "personal_key_model_access_from_teams"),
    rejected(
        "streams have a keep-alive each 15 seconds",
        "sse_keepalive_ping_interval_seconds anthropic_sse_ping_interval_seconds",
    ),
    rejected("write them into the `litellm_params` of each entry", "default_params"),
    rejected("write it into `router_settings.timeout`", "timeout"),
    rejected(
        "write `api_key` into `litellm_params`",
        "openai_key azure_key anthropic_key cohere_key groq_key openrouter_key xai_key "
        "huggingface_key replicate_key ollama_key ai21_key aleph_alpha_key amazon_nova_api_key "
        "baseten_key bytez_key clarifai_key cloudflare_api_key cometapi_key databricks_key "
        "datarobot_key gdc_key gigachat_key gradient_ai_api_key heroku_key inception_key "
        "infinity_key lemonade_key llama_api_key maritalk_key nebius_key nlp_cloud_key "
        "novita_api_key openai_like_key ovhcloud_key predibase_key predibase_tenant_id "
        "sap_service_key snowflake_key togetherai_api_key vercel_ai_gateway_key wandb_key",
    ),
    rejected(
        "`NO_PROXY` and `HTTPS_PROXY` in the environment are read",
        "proxy_auth aiohttp_trust_env disable_aiohttp_trust_env",
    ),
    rejected(
        "there is one HTTP engine",
        "client_session aclient_session use_aiohttp_transport=true "
        "disable_aiohttp_transport network_mock use_client",
    ),
    rejected("HTTP/2 is used wherever a provider has it", "http2"),
    rejected(
        "it belongs in `general_settings`, with `http_client: httpx`",
        "ssl_verify=true ssl_certificate",
    ),
    rejected("the system's settings apply", "ssl_security_level ssl_ecdh_curve"),
    rejected(
        "a request is adapted to its provider, and what cannot be adapted is a 400; see "
        "`drop_params`",
        "modify_params add_function_to_prompt disable_add_prefix_to_prompt "
        "disable_add_transform_inline_image_block disable_stop_sequence_limit "
        "LITELLM_DISABLE_STOP_SEQUENCE_LIMIT REPEATED_STREAMING_CHUNK_LIMIT "
        "disable_copilot_system_to_assistant enable_preview_features "
        "openai_system_messages_first bedrock_neutralize_orphaned_tool_blocks=true "
        "disable_anthropic_gemini_context_caching_transform reasoning_effort_rounding",
    ),
    rejected("all fallbacks of a name are called, in order", "max_fallbacks"),
    rejected("write `num_retries`", "max_retries num_retries_per_request", "num_retries"),
    rejected("write `fallbacks`", "model_fallbacks", "fallbacks"),
    rejected("write it into `router_settings.model_group_alias`", "model_alias_map"),
    rejected(
        "tokens are counted by the providers", "disable_hf_tokenizer_download disable_token_counter"
    ),
    rejected("price lists are part of a release", "model_cost_map_url model_cost"),
    rejected(
        "nothing is fetched but the providers' responses",
        "anthropic_beta_headers_url autorouter_presets_url blog_posts_url",
    ),
    rejected(
        "there is no such switch",
        "gdc_api_base provider_url_destination_allowed_hosts retry safe_memory_mode "
        "use_litellm_proxy bedrock_request_metadata_fields config_path litellm_mode project",
    ),
    rejected("write `max_tokens` into `litellm_params`", "max_tokens=4096"),
    missing("IPv6 is used where it works", "force_ipv4"),
    missing(
        "the functions check a class given as `response_format`", "enable_json_schema_validation"
    ),
    missing("write the prices into `litellm_params`", "cost_discount_config cost_margin_config"),
    missing("usage is in the last chunk, without the cost", "include_cost_in_streaming_usage"),
    missing("response headers are Fanout's own", "return_response_headers"),
    missing(
        "caching marks are the client's",
        "enable_anthropic_prompt_caching anthropic_prompt_caching_ttl",
    ),
    missing(
        "write `reasoning_effort` into `litellm_params`",
        "reasoning_auto_summary enable_gemini_default_thinking_level_low "
        "gemini_include_thoughts_default",
    ),
    missing(
        "clients' headers are not forwarded",
        "add_user_information_to_llm_headers "
        "model_group_settings forward_traceparent_to_llm_provider filter_invalid_headers",
    ),
    missing("a request's `user` is sent as it is", "overwrite_user_with_key_hash"),
    missing("there is no priority of keys", "priority_reservation priority_reservation_settings"),
    missing("write `safety_settings` into `extra_body`", "vertex_ai_safety_settings"),
)

"""LiteLLM's `general_settings`."""

from __future__ import annotations

from .groups import missing, rejected, supported
from .reasons import (
    ADMIN,
    BUDGETS,
    DATABASE,
    ENDPOINTS,
    HEALTH,
    LOG,
    MCP,
    PLUGINS,
    REDIS,
    SECRETS,
)

KEYS = (
    supported(
        "master_key max_request_size_mb max_response_size_mb max_parallel_requests "
        "global_max_parallel_requests"
    ),
    rejected("it is always on", "cancel_on_disconnect"),
    rejected(
        "a stopped gateway finishes its requests by itself",
        "enable_drain_endpoint drain_endpoint_token",
    ),
    rejected("write `fanout serve --host … --port …`", "host port num_workers"),
    rejected("the page is at the gateway's own address", "proxy_base_url"),
    rejected(
        DATABASE,
        "database_url database_type database_args database_connection_pool_limit=10 "
        "database_connection_timeout=60 database_connection_pool_timeout database_connect_timeout "
        "database_socket_timeout database_max_idle_connection_lifetime=60 "
        "database_extra_connection_params database_disable_prepared_statements "
        "database_statement_timeout database_lock_timeout scheduled_job_stagger "
        "disable_auto_add_proxy_admin_to_teams "
        "allow_requests_on_db_unavailable disable_prisma_schema_update store_model_in_db "
        "supported_db_objects proxy_config_reload_interval_seconds=30 custom_key_generate "
        "custom_key_update custom_key_policy disable_custom_api_keys default_team_disabled "
        "service_account_settings user_api_key_cache_ttl user_api_key_cache_max_size=200 "
        "infer_model_from_keys enable_model_access_groups default_key_generate_params "
        "disable_database enable_key_management",
    ),
    rejected(
        "the spend of virtual keys is always stored, without prompts (docs/keys.md)",
        "disable_spend_logs disable_spend_updates store_prompts_in_spend_logs "
        "maximum_spend_logs_retention_period maximum_spend_logs_retention_interval "
        "maximum_spend_logs_cleanup_cron use_spend_logs_partitioning proxy_batch_write_at=10 "
        "spend_report_frequency spend_logs_metadata_fields disable_error_logs "
        "disable_adding_master_key_hash_to_db use_redis_transaction_buffer "
        "scope_spend_list_endpoints_to_caller=true legacy_unscoped_spend_list_endpoints "
        "maximum_spend_logs_cleanup_batch_size=1000 maximum_spend_logs_cleanup_max_batches=500 "
        "maximum_spend_logs_cleanup_run_budget=5m maximum_spend_logs_cleanup_batch_timeout=30s "
        "store_prompts_in_cold_storage track_unmanaged_vertex_batch_cost "
        "use_spend_logs_ledger=true spend_logs_prompt_storage spend_capture_rate_check "
        "disable_requester_ip_address_logging maximum_daily_tag_spend_retention_period "
        "maximum_spend_logs_size maximum_spend_logs_cleanup_target_size "
        "maximum_spend_logs_size_check_interval",
    ),
    rejected(
        BUDGETS,
        "disable_reset_budget proxy_budget_rescheduler_min_time=597 "
        "proxy_budget_rescheduler_max_time=605 apply_user_budget_to_team_keys "
        "disable_budget_reservation fail_closed_budget_enforcement enforce_fallback_budget=true",
    ),
    rejected("the master key alone changes budgets", "self_serve_budget_policy"),
    rejected(
        "without the store of keys, a request always gets a 503",
        "fail_closed_rate_limit_enforcement",
    ),
    rejected(
        ADMIN,
        "disable_master_key_return ui_access_mode=all custom_sso custom_ui_sso_sign_in_handler "
        "auto_redirect_ui_login_to_sso control_plane_url litellm_license "
        "password_policy_min_length password_policy_require_uppercase "
        "password_policy_require_lowercase password_policy_require_numbers "
        "password_policy_require_special_characters disable_password_login_when_sso_enabled "
        "disable_env_credential_login allow_cli_sso_verification_uri_complete "
        "hide_default_credentials_hint block_robots UI_USERNAME UI_PASSWORD ui "
        "max_failed_login_attempts=50 max_failed_login_attempts_per_source=250 "
        "failed_login_window_seconds=900 failed_login_block_seconds "
        "max_failed_login_attempts_per_source_overrides enable_public_model_hub",
    ),
    rejected(
        "a client sends one of the config's keys, as a bearer token",
        "custom_auth custom_auth_run_common_checks enable_jwt_auth litellm_jwtauth "
        "enable_oauth2_auth enable_oauth2_proxy_auth oauth2_config_mappings allow_user_auth "
        "litellm_key_header_name allow_client_side_credentials allowed_routes admin_only_routes "
        "public_routes role_permissions enforce_rbac token_rate_limit_type "
        "dangerously_permit_weak_or_unset_master_key custom_auth_settings",
    ),
    rejected(
        "limit addresses in your network", "allowed_ips use_x_forwarded_for trusted_proxy_ranges"
    ),
    rejected(
        SECRETS, "key_management_system key_management_settings use_google_kms use_azure_key_vault"
    ),
    rejected(
        LOG,
        "alerting alerting_threshold alerting_args alert_types alert_to_webhook_url "
        "alert_type_config otel tracing alerts datadog_api_key disable_telemetry "
        "disable_usage_tracking",
    ),
    rejected(
        HEALTH,
        "background_health_checks health_check_interval=300 health_check_details=true "
        "health_check_concurrency health_check_ignore_transient_errors "
        "health_check_staleness_threshold enable_health_check_routing use_shared_health_check "
        "model_list_healthy_only health_check_model health_check_skip_disabled_background_models "
        "background_health_check_model_groups maximum_health_check_retention_period",
    ),
    rejected(
        "Fanout fetches no address of a client",
        "user_url_validation=true user_url_allowed_hosts provider_url_destination_allowed_hosts",
    ),
    rejected(
        "there are no routers that read the prompt", "maximum_autorouter_session_retention_period"
    ),
    rejected(
        "each response has its id in the header `x-request-id`", "include_call_id_in_error_body"
    ),
    rejected(
        "a key's own limit is a 429 before any model is called",
        "disable_fallbacks_on_per_model_rate_limits",
    ),
    rejected(
        ENDPOINTS,
        "embedding_model moderation_model image_generation_model pass_through_endpoints "
        "use_client_credentials_pass_through_routes pass_through_request_timeout "
        "disable_responses_id_security allow_unmanaged_response_ids "
        "enable_openai_websocket_passthrough vector_store_deny_by_default "
        "search_tool_deny_by_default responses_websocket_session_limit_seconds=3600 search_tools "
        "context_management_summary_model passthrough_managed_object_ids "
        "vertex_ai_pass_through_drop_anthropic_betas transcribe_media_buckets skill_scanner "
        "agent_access_default_deny claude_code_marketplace_auth_required "
        "enable_claude_code_gateway claude_code_gateway_managed_settings "
        "allowed_client_side_s3_buckets allowed_client_side_s3_endpoint_urls",
    ),
    rejected(
        MCP,
        "user_mcp_management_mode mcp_internal_ip_ranges mcp_required_fields "
        "mcp_trusted_proxy_ranges mcp_client_side_auth_header_name enable_mcp_registry "
        "require_end_user_mcp_access_defined require_key_mcp_access_defined "
        "mcp_advertised_versions mcp_disabled_capabilities mcp_allowed_clients "
        "mcp_require_explicit_server_scope "
        "mcp_client_id_header mcp_xff_num_trusted_hops mcp_prefer_client_id_metadata_document",
    ),
    rejected(REDIS, "coordination_redis"),
    rejected(PLUGINS, "plugins"),
    rejected("a prompt names its model", "completion_model"),
    rejected(
        "a rejected call is never retried here", "disable_retry_on_max_parallel_request_limit_error"
    ),
    rejected("write `max_requests`", "max_in_flight_requests_per_worker", "max_requests"),
    rejected(
        "a request over the limit gets 429 at once",
        "max_queued_requests_per_worker admission_queue_timeout_seconds=1",
    ),
    missing(
        "requests may have any `user` and `metadata`",
        "enforce_user_param enforced_params "
        "reject_clientside_metadata_tags user_header_name user_header_mappings missing_session_id",
    ),
    rejected("streams have a keep-alive each 15 seconds", "sse_keepalive_ping_interval_seconds"),
    missing(
        "clients' headers are not forwarded: write `extra_headers` into `litellm_params`",
        "custom_headers forward_client_headers_to_llm_api forward_openai_org_id "
        "forward_llm_provider_auth_headers",
    ),
    missing("usage is streamed if the request asks for it", "always_include_stream_usage"),
    missing(
        "jobs have their own limits (docs/bulk.md)",
        "max_batch_file_size_mb "
        "max_batch_file_records max_file_size_mb allowed_file_extensions "
        "blocked_file_extensions proxy_batch_polling_interval=3600 "
        "max_batch_file_uploads_per_day max_file_downloads_per_minute "
        "disable_batch_input_file_rate_limiting skip_batch_input_file_rate_limiting_for_models "
        "skip_batch_input_file_rate_limiting_for_providers",
    ),
    missing("write tags into a request's `metadata`", "request_tag_mappings"),
    missing("`/v1/models` has no wildcards", "return_wildcard_routes"),
    missing(
        "a key's `models` are checked for the models of the request",
        "enforce_fallback_model_access",
    ),
)

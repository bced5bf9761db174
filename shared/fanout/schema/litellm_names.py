"""
Names that LiteLLM reads both in a call and in `litellm_params`, and that Fanout has no use for.

Sources, read in November 2026: `all_litellm_params`, `CustomPricingLiteLLMParams`,
`GenericLiteLLMParams` and `StandardCallbackDynamicParams` in LiteLLM's `types/utils.py` and
`types/router.py`, and `types/litellm_params.py` of LiteLLM 1.110.2, and the provider pages of
docs.litellm.ai.
"""

from __future__ import annotations

PRICES = (
    "input_cost_per_second output_cost_per_second output_cost_per_second_480p "
    "output_cost_per_second_720p output_cost_per_second_768p output_cost_per_second_1080p "
    "output_cost_per_second_2k output_cost_per_second_4k cost_per_second "
    "input_cost_per_pixel output_cost_per_pixel input_cost_per_image output_cost_per_image "
    "input_cost_per_image_token output_cost_per_image_token input_cost_per_image_above_128k_tokens "
    "input_cost_per_character output_cost_per_character input_cost_per_query "
    "input_cost_per_character_above_128k_tokens output_cost_per_character_above_128k_tokens "
    "input_cost_per_audio_token output_cost_per_audio_token input_cost_per_audio_per_second "
    "output_cost_per_audio_per_second input_cost_per_audio_per_second_above_128k_tokens "
    "input_cost_per_video_token output_cost_per_video_token input_cost_per_video_per_second "
    "output_cost_per_video_per_second input_cost_per_video_per_second_above_128k_tokens "
    "input_cost_per_video_per_second_above_8s_interval "
    "input_cost_per_video_per_second_above_15s_interval "
    "input_cost_per_token_cache_hit "
    "input_cost_per_token_batches input_cost_per_token_above_128k_tokens "
    "input_cost_per_token_above_200k_tokens input_cost_per_token_above_200k_tokens_priority "
    "input_cost_per_token_above_272k_tokens input_cost_per_token_above_272k_tokens_priority "
    "input_cost_per_token_above_512k_tokens "
    "output_cost_per_token_batches "
    "output_cost_per_token_above_128k_tokens output_cost_per_token_above_200k_tokens "
    "output_cost_per_token_above_200k_tokens_priority output_cost_per_token_above_272k_tokens "
    "output_cost_per_token_above_272k_tokens_priority output_cost_per_token_above_512k_tokens "
    "output_cost_per_reasoning_token citation_cost_per_token tiered_pricing "
    "search_context_cost_per_query cache_creation_input_token_cost "
    "cache_creation_input_token_cost_above_1hr cache_creation_input_token_cost_above_200k_tokens "
    "cache_creation_input_audio_token_cost cache_read_input_token_cost "
    "cache_read_input_token_cost_flex cache_read_input_token_cost_priority "
    "cache_read_input_token_cost_above_200k_tokens "
    "cache_read_input_token_cost_above_200k_tokens_priority "
    "cache_read_input_token_cost_above_272k_tokens "
    "cache_read_input_token_cost_above_272k_tokens_priority "
    "cache_read_input_token_cost_above_512k_tokens cache_read_input_audio_token_cost "
    "ocr_cost_per_page ocr_cost_per_credit annotation_cost_per_page output_vector_size "
    "regional_processing_uplift_multiplier_eu regional_processing_uplift_multiplier_us "
    "cost_per_query input_cost_per_text_message output_cost_per_image_512 "
    "output_cost_per_image_1024 output_cost_per_image_1536 output_cost_per_image_1K "
    "output_cost_per_image_2K input_cost_per_token_balanced input_cost_per_token_ultrafast "
    "cache_creation_input_token_cost_above_100k_tokens "
    "cache_creation_input_token_cost_above_1hr_above_100k_tokens "
    "cache_creation_input_token_cost_above_272k_tokens "
    "cache_creation_input_token_cost_above_272k_tokens_priority "
    "cache_creation_input_token_cost_above_272k_tokens_flex "
    "cache_creation_input_token_cost_above_272k_tokens_ultrafast "
    "cache_creation_input_token_cost_flex cache_creation_input_token_cost_priority "
    "cache_creation_input_token_cost_ultrafast cache_read_input_token_cost_balanced "
    "cache_read_input_token_cost_ultrafast cache_read_input_token_cost_above_100k_tokens "
    "cache_read_input_token_cost_above_272k_tokens_flex "
    "cache_read_input_token_cost_above_272k_tokens_ultrafast "
    "cache_read_input_token_cost_batches cache_read_input_token_cost_above_100k_tokens_batches "
    "cache_read_input_token_cost_above_200k_tokens_batches "
    "cache_read_input_token_cost_above_272k_tokens_batches "
    "cache_read_input_audio_token_cost_batches cache_creation_input_token_cost_batches "
    "cache_creation_input_token_cost_above_100k_tokens_batches "
    "cache_creation_input_token_cost_above_200k_tokens_batches "
    "cache_creation_input_token_cost_above_272k_tokens_batches "
    "cache_read_input_audio_token_cost_flex cache_read_input_audio_token_cost_priority "
    "cache_read_input_image_token_cost input_cost_per_audio_token_flex "
    "input_cost_per_audio_token_above_200k_tokens "
    "input_cost_per_audio_token_above_200k_tokens_flex "
    "input_cost_per_audio_token_above_200k_tokens_priority "
    "input_cost_per_audio_token_above_200k_tokens_batches input_cost_per_audio_token_priority "
    "input_cost_per_token_above_100k_tokens input_cost_per_token_above_272k_tokens_flex "
    "input_cost_per_token_above_272k_tokens_ultrafast "
    "input_cost_per_token_above_200k_tokens_batches "
    "input_cost_per_token_above_200k_tokens_flex "
    "input_cost_per_token_above_100k_tokens_batches "
    "input_cost_per_token_above_272k_tokens_batches input_cost_per_audio_token_batches "
    "input_cost_per_image_token_batches input_cost_per_video_token_batches "
    "output_cost_per_token_balanced output_cost_per_token_ultrafast "
    "output_cost_per_token_above_100k_tokens output_cost_per_token_above_272k_tokens_flex "
    "output_cost_per_token_above_272k_tokens_ultrafast "
    "output_cost_per_token_above_200k_tokens_batches "
    "output_cost_per_token_above_200k_tokens_flex "
    "output_cost_per_token_above_100k_tokens_batches "
    "output_cost_per_token_above_272k_tokens_batches output_cost_per_image_token_batches "
    "output_cost_per_image_token_priority output_cost_per_reasoning_token_flex "
    "output_cost_per_reasoning_token_priority search_queries_cost_per_query "
    "google_maps_grounding_cost_per_query ocr_cost_per_page_batches "
    "annotation_cost_per_page_batches fedramp_uplift_multiplier "
    "regional_endpoint_uplift_multiplier "
    "cache_creation_input_token_cost_above_12hr "
    "cache_creation_input_token_cost_above_12hr_above_272k_tokens "
    "cache_creation_input_token_cost_above_12hr_above_272k_tokens_batches "
    "cache_creation_input_token_cost_above_12hr_above_272k_tokens_flex "
    "cache_creation_input_token_cost_above_12hr_above_272k_tokens_priority "
    "cache_creation_input_token_cost_above_12hr_above_272k_tokens_ultrafast "
    "cache_creation_input_token_cost_above_12hr_batches "
    "cache_creation_input_token_cost_above_12hr_flex "
    "cache_creation_input_token_cost_above_12hr_priority "
    "cache_creation_input_token_cost_above_12hr_ultrafast "
    "explicit_cache_read_input_token_cost"
)
"""LiteLLM's prices besides those of input and output tokens."""

SHARED: tuple[tuple[str, str], ...] = (
    (
        "the log has one JSON line for each attempt and request",
        (
            "litellm_metadata litellm_trace_id litellm_request_debug litellm_logging_obj "
            "litellm_call_id litellm_session_id complete_response litellm_disabled_callbacks "
            "langfuse_public_key langfuse_secret langfuse_secret_key langfuse_host "
            "langfuse_prompt_version gcs_path_service_account langsmith_api_key langsmith_project "
            "langsmith_base_url langsmith_sampling_rate langsmith_tenant_id humanloop_api_key "
            "arize_api_key arize_space_key arize_space_id posthog_api_key posthog_api_url "
            "standard_callback_dynamic_params no_log dynamic_async_callbacks "
            "wandb_api_key weave_project_id dd_api_key dd_site dd_agent_host dd_agent_port "
            "completion_call_id log_client_error_tracebacks litellm_trusted_callback_vars "
            "langfuse_environment langfuse_span_scope arize_success_sampling_rate "
            "arize_error_sampling_rate arize_otlp_protocol newrelic_api_key newrelic_region "
            "signoz_ingestion_endpoint signoz_ingestion_key"
        ),
    ),
    (
        "write a `cache_control` into the message or tool that ends the cached part",
        "cache_control_injection_points enable_prompt_caching",
    ),
    (
        "write an API key (`api_key`)",
        (
            "anthropic_federation_rule_id anthropic_federation_workspace_id "
            "anthropic_organization_id anthropic_service_account_id anthropic_identity_token "
            "anthropic_identity_token_file anthropic_identity_source anthropic_issuer_url "
            "anthropic_issuer_subject anthropic_issuer_audience anthropic_issuer_ttl_seconds "
            "anthropic_issuer_signing_key_ref anthropic_keycloak_token_url "
            "anthropic_keycloak_client_id anthropic_keycloak_auth_method "
            "anthropic_keycloak_client_secret_ref anthropic_keycloak_scope "
            "anthropic_disable_workload_identity_federation openai_identity_provider_id "
            "openai_service_account_id openai_identity_token_file token_exchange_endpoint "
            "token_exchange_profile token_exchange_scope token_exchange_audience "
            "chatgpt_auth_file github_copilot_auth_type github_copilot_host "
            "github_copilot_user_session"
        ),
    ),
    ("limits are of a minute: write `rpm` and `tpm`", "rpd tpd daily_reset_time"),
    (
        "every service tier has the same limits of time",
        "timeout_by_service_tier stream_timeout_by_service_tier",
    ),
    (
        "Fanout has no such endpoint",
        (
            "vector_store_ids knowledge_bases search_tool_name aimg_generation "
            "model_file_id_mapping aembedding allm_passthrough_route responses_api_version "
            "aws_bedrock_control_plane_endpoint allow_legacy_cloud_file_ids"
        ),
    ),
    ("there are no guardrails", "guardrails guardrail_config"),
    (
        "prompts are sent as messages",
        "litellm_system_prompt prompt_version prompt_label prompt_environment custom_prompt_dict",
    ),
    ("responses are not validated", "enable_json_schema_validation"),
    ("one deployment is not called in the shadow of another", "silent_model"),
    ("write it as the model", "engine"),
    ("write the provider before the model's name: `azure/NAME`", "api_type"),
    ("write `api_base`", "use_psc_endpoint_format watsonx_region_name"),
    (
        "there is no counting of tokens before a call",
        "vertex_count_tokens_location tokenizer custom_tokenizer",
    ),
    ("set `max_cost_usd` for a job", "provider_budget_config"),
    ("Fanout does not cache responses", "cache_key preset_cache_key"),
    (
        "there is no such switch",
        (
            "litellm_params mock_testing_fallbacks mock_testing_context_fallbacks "
            "mock_testing_content_policy_fallbacks mock_testing_rate_limit_error model_alias "
            "acompletion atext_completion text_completion force_timeout use_client "
            "use_litellm_proxy specific_deployment stream_response "
            "use_xai_oauth provider_specific_header disable_add_transform_inline_image_block "
            "max_fallbacks fallback_depth allowed_model_region id azure model_config "
            "proxy_server_request secret_fields litellm_proxy_rate_limit_response "
            "max_agentic_loops "
            "_agentic_loop_depth _agentic_loop_fingerprints _agentic_loop_api_surface "
            "_code_interpreter_interception_active _code_interpreter_interception_sandbox_key "
            "_code_interpreter_interception_session_scoped "
            "_code_interpreter_interception_converted_stream _litellm_rate_limit_descriptors "
            "_litellm_tpm_reserved_tokens _litellm_tpm_reserved_model _litellm_tpm_reserved_scopes "
            "_litellm_tpm_reservation_released async_call attempted_targets client_side_timeout "
            "data_residency fireworks_forward_user_id kubernetes_pod_discovery model_alias_map "
            "rust stream_chunk_size thought_signature_in_tool_call_id "
            "_code_interpreter_interception_stream_options _context_compaction_state "
            "_encrypted_content_affinity_pinned _headroom_interception_converted_stream "
            "_headroom_interception_stream_options _headroom_request_context "
            "_litellm_addressed_comparison_response_id _litellm_addressed_response_id "
            "_litellm_stream_usage_injected _litellm_strip_stream_usage _router_weights "
            "_websearch_interception_converted_stream _websearch_interception_emit_native_blocks "
            "_websearch_interception_stream_options"
        ),
    ),
)
"""The reason, and the names that it is for."""

ROUTERS = (
    "auto_router_config_path auto_router_config auto_router_default_model "
    "auto_router_embedding_model auto_router_max_input_chars auto_router_routing_compression "
    "auto_router_model_compression complexity_router_config complexity_router_default_model "
    "adaptive_router_config adaptive_router_default_model quality_router_config "
    "quality_router_default_model switchyard_router_config"
)
"""LiteLLM's routers that read the prompt."""

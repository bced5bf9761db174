"""
Names that LiteLLM reads both in a call and in `litellm_params`, and that Fanout has no use for.

Sources, read in November 2026: `all_litellm_params`, `CustomPricingLiteLLMParams`,
`GenericLiteLLMParams` and `StandardCallbackDynamicParams` in LiteLLM's `types/utils.py` and
`types/router.py`, and the provider pages of docs.litellm.ai.
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
    "regional_processing_uplift_multiplier_eu regional_processing_uplift_multiplier_us"
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
            "wandb_api_key weave_project_id dd_api_key dd_site dd_agent_host dd_agent_port"
        ),
    ),
    (
        "write a `cache_control` into the message or tool that ends the cached part",
        "cache_control_injection_points",
    ),
    (
        "the order of messages is adapted to each provider",
        (
            "supports_system_message ensure_alternating_roles user_continue_message "
            "assistant_continue_message"
        ),
    ),
    (
        "there are chat completions, files and batches only",
        "vector_store_ids knowledge_bases search_tool_name aimg_generation model_file_id_mapping",
    ),
    ("there are no guardrails", "guardrails guardrail_config"),
    (
        "prompts are sent as messages",
        "litellm_system_prompt prompt_version prompt_label custom_prompt_dict",
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
            "_litellm_tpm_reservation_released"
        ),
    ),
)
"""The reason, and the names that it is for."""

ROUTERS = (
    "auto_router_config_path auto_router_config auto_router_default_model "
    "auto_router_embedding_model auto_router_max_input_chars auto_router_routing_compression "
    "auto_router_model_compression complexity_router_config complexity_router_default_model "
    "adaptive_router_config adaptive_router_default_model quality_router_config "
    "quality_router_default_model"
)
"""LiteLLM's routers that read the prompt."""

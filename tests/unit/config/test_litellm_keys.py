"""The tables of LiteLLM's keys have every key of its reference, and agree with Fanout's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fanout.config import unknown_keys
from fanout.config.litellm.keys import Key, find, keys_of, sections
from fanout.config.model import (
    ConfigFile,
    GeneralSettings,
    ModelInfo,
    ModelParams,
    RouterSettings,
    ServiceSettings,
)
from fanout.library import chunk_builder
from fanout.library.options import ChatOptions
from fanout.schema.gateway_fields import GATEWAY_FIELDS
from fanout.schema.litellm_arguments import CONFIG_ONLY, REJECTED
from fanout.schema.request import ChatRequest

PAGE = Path(__file__).parents[3] / "docs" / "litellm.md"

OURS = {
    "": ConfigFile,
    "router_settings": RouterSettings,
    "litellm_settings": ServiceSettings,
    "general_settings": GeneralSettings,
    "litellm_params": ModelParams,
    "model_info": ModelInfo,
}

SERVICE = """
success_callback failure_callback callbacks service_callbacks turn_off_message_logging
modify_params enable_preview_features redact_user_api_key_info mcp_aliases langfuse_default_tags
set_verbose json_logs default_fallbacks request_timeout force_ipv4 content_policy_fallbacks
context_window_fallbacks cache cache_params disable_end_user_cost_tracking
disable_end_user_cost_tracking_prometheus_only key_generation_settings
disable_add_transform_inline_image_block use_chat_completions_url_for_anthropic_messages
disable_hf_tokenizer_download enable_json_schema_validation enable_key_alias_format_validation
disable_copilot_system_to_assistant drop_params num_retries fallbacks allowed_fails
require_managed_files user_url_validation user_url_allowed_hosts
LITELLM_DISABLE_STOP_SEQUENCE_LIMIT enable_redis_auth_cache request_correlation_in_logs http2
disable_stop_sequence_limit overwrite_user_with_key_hash default_team_params budget_reset_time
ssl_verify telemetry cost_discount_config cost_margin_config max_ui_session_budget
default_team_settings service_callback disable_aiohttp_transport return_response_headers
"""
"""The keys of docs.litellm.ai, "All settings", and of its examples."""

GENERAL = """
completion_model disable_spend_logs disable_spend_updates disable_master_key_return
disable_retry_on_max_parallel_request_limit_error disable_reset_budget
disable_adding_master_key_hash_to_db disable_responses_id_security enable_jwt_auth
enforce_user_param reject_clientside_metadata_tags allowed_routes key_management_system master_key
database_url database_connection_pool_limit database_connection_timeout
allow_requests_on_db_unavailable custom_auth max_parallel_requests global_max_parallel_requests
infer_model_from_keys background_health_checks health_check_interval alerting alerting_threshold
use_client_credentials_pass_through_routes health_check_details public_routes alert_types
enforced_params enable_oauth2_auth use_x_forwarded_for service_account_settings
image_generation_model store_model_in_db supported_db_objects user_mcp_management_mode
store_prompts_in_spend_logs max_request_size_mb max_response_size_mb
proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time proxy_batch_write_at
proxy_batch_polling_interval alerting_args custom_key_generate allowed_ips embedding_model
default_team_disabled alert_to_webhook_url key_management_settings allow_user_auth
user_api_key_cache_ttl disable_prisma_schema_update litellm_key_header_name moderation_model
custom_sso allow_client_side_credentials admin_only_routes use_azure_key_vault use_google_kms
spend_report_frequency ui_access_mode litellm_jwtauth litellm_license oauth2_config_mappings
pass_through_endpoints enable_oauth2_proxy_auth forward_openai_org_id
forward_client_headers_to_llm_api maximum_spend_logs_retention_period
maximum_spend_logs_retention_interval cancel_on_disconnect enable_drain_endpoint
drain_endpoint_token disable_batch_input_file_rate_limiting
skip_batch_input_file_rate_limiting_for_providers skip_batch_input_file_rate_limiting_for_models
scope_spend_list_endpoints_to_caller legacy_unscoped_spend_list_endpoints
health_check_skip_disabled_background_models require_end_user_mcp_access_defined search_tools
database_statement_timeout database_lock_timeout disable_auto_add_proxy_admin_to_teams
enforce_fallback_budget enforce_fallback_model_access missing_session_id scheduled_job_stagger
max_failed_login_attempts max_failed_login_attempts_per_source failed_login_window_seconds
sse_keepalive_ping_interval_seconds maximum_spend_logs_cleanup_batch_size
maximum_spend_logs_cleanup_max_batches maximum_spend_logs_cleanup_run_budget
maximum_spend_logs_cleanup_batch_timeout require_key_mcp_access_defined
background_health_check_model_groups max_in_flight_requests_per_worker
"""

PARAMS = """
model api_key api_base api_version azure_ad_token tenant_id client_id client_secret azure_scope
azure_username azure_password region_name aws_access_key_id aws_secret_access_key
aws_session_token aws_region_name aws_session_name aws_profile_name aws_role_name
aws_web_identity_token aws_sts_endpoint aws_external_id aws_session_tags
aws_bedrock_runtime_endpoint custom_llm_provider tpm rpm itpm otpm timeout stream_timeout
max_retries num_retries drop_params organization configurable_clientside_auth_params
litellm_credential_name max_budget budget_duration use_in_pass_through
merge_reasoning_content_in_choices model_info mock_response tags tag_regex weight order
input_cost_per_token output_cost_per_token input_cost_per_second output_cost_per_second
extra_headers extra_body max_parallel_requests base_model auto_router_config
complexity_router_config vector_store_id cooldown_time itpm otpm s3_encryption_key_id
allowed_openai_params additional_drop_params cache_control_injection_points guardrails id
ensure_alternating_roles supports_system_message user_continue_message litellm_metadata
input_cost_per_token_above_272k_tokens cache_read_input_token_cost_priority silent_model
keepalive_seconds provider_affinity_header auto_router_max_input_chars use_xai_oauth
"""

RELEASE = json.loads((Path(__file__).parent / "litellm_names.json").read_text())
"""
The names in LiteLLM's code: the fields of `ConfigGeneralSettings` and `LiteLLM_Params`, the
parameters of `Router`, `completion` and `stream_chunk_builder`, `all_litellm_params`, and the
attributes of its module, but for the constants and the tables of models.
"""

PAGES = {"litellm_settings": SERVICE, "general_settings": GENERAL, "litellm_params": PARAMS}
"""The names of docs.litellm.ai."""


def names_in(release: str) -> list[str]:
    """The recorded names of a section or a function."""
    return [name for line in RELEASE[release] for name in line.split()]


ALL = [key for section in sections() for key in keys_of(section)]


@pytest.mark.parametrize("section", ["router_settings", *PAGES])
def test_every_key_of_litellms_code_and_reference_has_a_status(section: str) -> None:
    """Or it is supported elsewhere, which `fanout check` says."""
    names = [*names_in(section), *PAGES.get(section, "").split()]
    unknown = {name for name in names if find(section, name) is None}
    lost = {name for name in unknown if not unknown_keys.section_with(section, name)}
    assert lost - unknown_keys.TOP_LEVEL == set()


def test_every_argument_of_litellms_functions_is_an_option_or_is_rejected() -> None:
    options = {*ChatOptions.__annotations__, "messages", "model", "response_format", "stream"}
    known = options | REJECTED.keys() | CONFIG_ONLY
    assert set(names_in("completion")) - known == set()
    of_requests = set(ChatRequest.__struct_fields__) | GATEWAY_FIELDS
    for section in ("arguments", "litellm_params"):
        assert set(names_in(section)) - known - of_requests == set()
    of_chunks = chunk_builder.REJECTED.keys() | {"chunks", "messages"}
    assert set(names_in("stream_chunk_builder")) == of_chunks


def test_the_page_names_the_release_whose_names_these_are() -> None:
    assert f"release {RELEASE['release']}." in PAGE.read_text()


@pytest.mark.parametrize("section", OURS)
def test_a_key_is_supported_if_and_only_if_the_config_reads_it(section: str) -> None:
    fields = (
        unknown_keys.PARAMS if section == "litellm_params" else set(OURS[section].__struct_fields__)
    )
    for key in keys_of(section):
        assert (key.name in fields) is (key.status == "supported"), key


@pytest.mark.parametrize("key", ALL, ids=lambda key: f"{key.section}.{key.name}")
def test_a_key_that_is_not_supported_has_a_reason(key: Key) -> None:
    assert bool(key.why) is (key.status != "supported")
    assert not key.why.endswith(".")


@pytest.mark.parametrize("key", [key for key in ALL if key.instead], ids=lambda key: key.name)
def test_a_key_to_write_instead_is_read(key: Key) -> None:
    assert key.instead in OURS[key.section].__struct_fields__


def test_no_key_is_in_two_groups() -> None:
    from fanout.config.litellm import deployment, general, router, service, top

    for module in (top, router, service, general):
        names = [name for group in module.KEYS for name, _ in group.named()]
        assert len(names) == len(set(names)), module
    names = [name for group in deployment.PARAMS for name, _ in group.named()]
    assert len(names) == len(set(names))

"""
The fields of the config file, with LiteLLM's names. `config.example.yaml` shows every key.

Any other key that asks for something is an error that suggests the closest known key. The folder
`litellm` has LiteLLM's keys that are not supported, and why.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct, field

from ..secret import HiddenRepr

Seconds: TypeAlias = Annotated[float, Meta(gt=0)]
Positive: TypeAlias = Annotated[int, Meta(ge=1)]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Price: TypeAlias = Annotated[float, Meta(ge=0)]
Name: TypeAlias = Annotated[str, Meta(min_length=1)]
SecretName: TypeAlias = Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Bucket: TypeAlias = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9._-]{1,220}$")]

Strategy: TypeAlias = Literal["simple-shuffle", "least-busy", "latency-based-routing"]

ErrorRetries: TypeAlias = Literal[
    "BadRequestErrorRetries",
    "AuthenticationErrorRetries",
    "TimeoutErrorRetries",
    "RateLimitErrorRetries",
    "ContentPolicyViolationErrorRetries",
    "InternalServerErrorRetries",
    "NotFoundErrorRetries",
    "ServiceUnavailableErrorRetries",
    "DefaultRetries",
]
"""
The keys of a `retry_policy`: https://docs.litellm.ai/docs/routing and LiteLLM's types, November
2026. `DefaultRetries` are those of retryable errors that no other key names.
"""

ErrorAllowedFails: TypeAlias = Literal[
    "BadRequestErrorAllowedFails",
    "AuthenticationErrorAllowedFails",
    "TimeoutErrorAllowedFails",
    "RateLimitErrorAllowedFails",
    "ContentPolicyViolationErrorAllowedFails",
    "InternalServerErrorAllowedFails",
    "NotFoundErrorAllowedFails",
    "ServiceUnavailableErrorAllowedFails",
    "BadGatewayErrorAllowedFails",
]
"""The keys of an `allowed_fails_policy`, from the same page."""

RetryCounts: TypeAlias = dict[ErrorRetries, Count | None]
FailCounts: TypeAlias = dict[ErrorAllowedFails, Count | None]


class TemplateRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    `template_rules`: what the chat template of an entry's model accepts; see `base.Template`.

    Without a key, the model's name decides.
    """

    alternate: bool | None = None
    system_role: bool | None = None
    one_system: bool | None = None
    single_calls: bool | None = None
    after_tools: str | None = None


Turn: TypeAlias = str | dict[str, Any]
"""The text of a message, or a message with one."""


class ModelParams(HiddenRepr, frozen=True, kw_only=True):
    """
    `litellm_params`: how to call one deployment.

    Parameters of chat completions (such as `temperature`) may be added, and parameters that only
    the provider knows (`num_ctx`); they become defaults of each request.
    """

    model: Name
    api_base: str | None = None
    api_key: str | list[str] | None = None
    api_version: str | None = None
    base_model: str | None = None
    model_id: Name | None = None
    region: str | None = None
    aws_region_name: str | None = None
    vertex_project: str | None = None
    vertex_location: str | None = None
    vertex_credentials: str | dict[str, Any] | None = None
    rpm: Positive | None = None
    tpm: Positive | None = None
    max_parallel_requests: Positive | None = None
    timeout: Seconds | None = None
    stream_timeout: Seconds | None = None
    num_retries: Count | None = None
    cooldown_time: Annotated[float, Meta(ge=0)] | None = None
    weight: Annotated[float, Meta(gt=0)] | None = None
    order: int | None = None
    allowed_fails_policy: FailCounts | None = None
    drop_params: bool | None = None
    template_rules: TemplateRules | None = None
    ensure_alternating_roles: bool | None = None
    supports_system_message: bool | None = None
    user_continue_message: Turn | None = None
    assistant_continue_message: Turn | None = None
    input_cost_per_token: Price | None = None
    output_cost_per_token: Price | None = None
    input_cost_per_token_flex: Price | None = None
    output_cost_per_token_flex: Price | None = None
    input_cost_per_token_priority: Price | None = None
    output_cost_per_token_priority: Price | None = None
    native_batches: bool | None = None
    batch_deployment: Name | None = None
    s3_bucket_name: Name | None = None
    extra_body: dict[str, Any] | None = None
    extra_headers: dict[str, str | None] | None = None
    organization: str | list[str] | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = None
    aws_session_token: str | None = None
    aws_role_name: str | None = None
    aws_batch_role_arn: Name | None = None
    aws_session_name: str | None = None
    aws_external_id: str | None = None
    aws_profile_name: str | None = None


OF_TEMPLATE = (
    "template_rules",
    "ensure_alternating_roles",
    "supports_system_message",
    "user_continue_message",
    "assistant_continue_message",
)
"""The settings about the order of messages; all but the first are LiteLLM's."""

OF_SOME_PROVIDERS = (
    "api_version",
    "batch_deployment",
    "model_id",
    "organization",
    "region",
    "s3_bucket_name",
    "supports_system_message",
    "template_rules",
    *(name for name in ModelParams.__struct_fields__ if name.startswith("aws_")),
    *(name for name in ModelParams.__struct_fields__ if name.startswith("vertex_")),
)
"""The settings that only some providers read; each lists its own."""


class ModelInfo(Struct, frozen=True, kw_only=True):
    """The fields of `model_info` that have an effect; all others are the user's notes."""

    base_model: str | None = None
    mode: str | None = None
    rpm: Positive | None = None
    tpm: Positive | None = None
    allowed_fails_policy: FailCounts | None = None
    input_cost_per_token: Price | None = None
    output_cost_per_token: Price | None = None
    input_cost_per_token_flex: Price | None = None
    output_cost_per_token_flex: Price | None = None
    input_cost_per_token_priority: Price | None = None
    output_cost_per_token_priority: Price | None = None


class ModelEntry(HiddenRepr, frozen=True, kw_only=True):
    """One entry of `model_list`; several with the same `model_name` are a group."""

    model_name: Name
    litellm_params: dict[str, Any]
    model_info: dict[str, Any] = field(default_factory=dict)


NameList: TypeAlias = list[str | None]
"""Model names. A null asks for nothing, and the others keep their indexes in messages."""

FallbackList: TypeAlias = list[dict[str, NameList | None] | None]
"""LiteLLM's form: `[{"a": ["b", "c"]}]`. A null asks for nothing."""


class Alias(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Another name for one model (`model`), or a name for several (`models`) in a `mode`.

    A `hidden` name is not listed.
    """

    model: str | None = None
    models: Annotated[list[Name | None], Meta(min_length=1)] | None = None
    mode: Literal["race", "hedge", "fallback", "all"] = "race"
    stagger: Annotated[float, Meta(ge=0, le=3_600)] | None = None
    hidden: bool = False


class RoutingSettings(Struct, frozen=True, kw_only=True):
    """What LiteLLM reads in `router_settings` and in `litellm_settings`; the former counts."""

    num_retries: Count | None = None
    stream_timeout: Seconds | None = None
    fallbacks: FallbackList = field(default_factory=list)
    default_fallbacks: NameList = field(default_factory=list)
    context_window_fallbacks: FallbackList = field(default_factory=list)
    content_policy_fallbacks: FallbackList = field(default_factory=list)
    allowed_fails: Count | None = None
    cooldown_time: Annotated[float, Meta(ge=0)] | None = None
    model_group_alias: dict[str, str | Alias] = field(default_factory=dict)


class LatencyArgs(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    `routing_strategy_args` of `latency-based-routing`; the names and defaults are LiteLLM's.

    A call counts for `ttl` seconds, and only the last `max_latency_list_size` ones. Deployments
    whose average is at most `lowest_latency_buffer` (0.5: half) above the lowest are equals.
    """

    ttl: Annotated[float, Meta(gt=0)] = 3600.0
    lowest_latency_buffer: Annotated[float, Meta(ge=0)] = 0.0
    max_latency_list_size: Annotated[int, Meta(ge=1, le=10_000)] = 10


class RouterSettings(RoutingSettings, frozen=True, kw_only=True):
    timeout: Seconds | None = None
    routing_strategy: Strategy | None = None
    routing_strategy_args: LatencyArgs | None = None
    retry_after: Annotated[float, Meta(ge=0, le=3_600)] | None = None
    retry_policy: RetryCounts | None = None
    model_group_retry_policy: dict[str, RetryCounts] | None = None
    allowed_fails_policy: FailCounts | None = None
    disable_cooldowns: bool = False
    default_max_parallel_requests: Positive | None = None
    hedge_budget: Annotated[float, Meta(ge=0, le=1)] = 0.1


class ServiceSettings(RoutingSettings, frozen=True, kw_only=True):
    """`litellm_settings`."""

    drop_params: bool = False
    request_timeout: Seconds | None = None


MASTER, ANONYMOUS = "master", "anyone"
"""The clients of the master key, and of a gateway without keys; no entry of `keys` has the name."""


class KeyEntry(HiddenRepr, frozen=True, kw_only=True):
    """
    One client's key; without `models` it may use every model.

    With `models`, it may send only fields of vendors that cannot choose a model, and `fields`.
    """

    name: Name
    key: Name
    models: NameList | None = None
    fields: list[Name] = field(default_factory=list)


class GeneralSettings(HiddenRepr, frozen=True, kw_only=True):
    master_key: str | None = None
    keys: list[KeyEntry] = field(default_factory=list)
    virtual_keys: bool = True
    budget_timezone: Name = "UTC"
    budget_exceeded_status_code: Literal[402, 422, 429] = 402
    unpriced_models: Literal["reject", "free"] = "reject"
    max_request_size_mb: Annotated[float, Meta(gt=0, le=1_024)] = 32.0
    max_response_size_mb: Annotated[float, Meta(gt=0, le=1_024)] = 32.0
    max_body_memory_mb: Annotated[float, Meta(gt=0, le=1_048_576)] = 256.0
    max_requests: Positive = 1_000
    max_storage_mb: Annotated[float, Meta(ge=1)] | None = None
    keepalive_timeout: Seconds = 75.0
    cors_origins: list[Name] = field(default_factory=list)
    allowed_hosts: list[Name] | None = None
    max_parallel_requests: Positive = 400
    global_max_parallel_requests: Positive = 800
    connect_timeout: Seconds = 10.0
    http_client: Literal["default", "httpx"] = "default"
    ssl_verify: bool | Name = True
    ssl_certificate: Name | None = None
    s3_buckets: list[Bucket] = field(default_factory=list)
    gcs_buckets: list[Bucket] = field(default_factory=list)
    batch_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    webhook_secrets: list[SecretName] = field(default_factory=list)
    webhook_private_addresses: bool = False
    page: bool | None = None
    metrics: bool = False
    traces: bool = False


class ConfigFile(Struct, frozen=True, kw_only=True):
    """The whole file."""

    model_list: list[ModelEntry] = field(default_factory=list)
    router_settings: RouterSettings = RouterSettings()
    litellm_settings: ServiceSettings = ServiceSettings()
    general_settings: GeneralSettings = GeneralSettings()

"""
The fields of the config file, with LiteLLM's names. `config.example.yaml` shows every key.

Any other key is an error that suggests the closest known key. `docs/config.md` lists the keys of
LiteLLM that are not supported, and why.
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


class ModelParams(HiddenRepr, frozen=True, kw_only=True):
    """
    `litellm_params`: how to call one deployment.

    Parameters of chat completions (such as `temperature`) may be added; they become defaults of
    each request. Any other key is an error.
    """

    model: Name
    api_base: str | None = None
    api_key: str | list[str] | None = None
    api_version: str | None = None
    base_model: str | None = None
    region: str | None = None
    aws_region_name: str | None = None
    rpm: Positive | None = None
    tpm: Positive | None = None
    max_parallel_requests: Positive | None = None
    timeout: Seconds | None = None
    stream_timeout: Seconds | None = None
    num_retries: Count | None = None
    weight: Annotated[float, Meta(gt=0)] = 1.0
    drop_params: bool | None = None
    input_cost_per_token: Price | None = None
    output_cost_per_token: Price | None = None


class ModelEntry(HiddenRepr, frozen=True, kw_only=True):
    """One entry of `model_list`; several with the same `model_name` are a group."""

    model_name: Name
    litellm_params: dict[str, Any]
    model_info: dict[str, Any] = field(default_factory=dict)


class RouterSettings(Struct, frozen=True, kw_only=True):
    num_retries: Count | None = None
    timeout: Seconds | None = None
    stream_timeout: Seconds | None = None
    fallbacks: list[dict[str, list[str]]] = field(default_factory=list)
    allowed_fails: Count = 3
    cooldown_time: Annotated[float, Meta(ge=0)] = 5.0


class ServiceSettings(Struct, frozen=True, kw_only=True):
    """`litellm_settings`."""

    drop_params: bool = False
    num_retries: Count | None = None
    request_timeout: Seconds | None = None


class KeyEntry(HiddenRepr, frozen=True, kw_only=True):
    """One client's key; without `models` it may use every model."""

    name: Name
    key: Name
    models: list[str] | None = None


class GeneralSettings(HiddenRepr, frozen=True, kw_only=True):
    master_key: str | None = None
    keys: list[KeyEntry] = field(default_factory=list)
    max_request_size_mb: Annotated[float, Meta(gt=0, le=1_024)] = 32.0
    max_response_size_mb: Annotated[float, Meta(gt=0, le=1_024)] = 32.0
    max_body_memory_mb: Annotated[float, Meta(gt=0, le=1_048_576)] = 256.0
    max_requests: Positive = 1_000
    max_parallel_requests: Positive = 400
    global_max_parallel_requests: Positive = 800
    connect_timeout: Seconds = 10.0
    http_client: Literal["default", "httpx"] = "default"
    ssl_verify: bool | Name = True
    ssl_certificate: Name | None = None
    batch_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    page: bool | None = None

    def __post_init__(self) -> None:
        if self.http_client == "default":
            if str(self.ssl_verify).lower() != "true":
                raise ValueError("`ssl_verify` needs `http_client: httpx`")
            if self.ssl_certificate is not None:
                raise ValueError("`ssl_certificate` needs `http_client: httpx`")


class ConfigFile(Struct, frozen=True, kw_only=True):
    """The whole file."""

    model_list: list[ModelEntry] = field(default_factory=list)
    router_settings: RouterSettings = RouterSettings()
    litellm_settings: ServiceSettings = ServiceSettings()
    general_settings: GeneralSettings = GeneralSettings()

"""One deployment: which provider, address, model and keys, and what is added to its calls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from ..errors import ConfigError
from ..providers.base import GoogleToken, Provider, SigV4, Target, Template
from ..schema.request import READ_FIELDS
from ..secret import Secret
from .connection import (
    NONE,
    Additions,
    AWSLogin,
    base_url,
    check_batches,
    extra_body,
    extra_headers,
    find_provider,
    given_base,
    provider_options,
    region_of,
)
from .load import reference
from .model import OF_TEMPLATE, FailCounts, LatencyArgs, ModelParams, RetryCounts, Strategy

DEFAULT_RETRIES = 2
"""Retries per model name: the default of LiteLLM's router and of the OpenAI SDK."""

DEFAULT_STREAM_TIMEOUT = 600.0
"""
Seconds that a stream may be silent, before its headers or between two pieces: the OpenAI SDK's read
timeout. A reasoning model may send nothing for minutes before its first content.
"""

DEFAULT_ALLOWED_FAILS = 3
DEFAULT_COOLDOWN = 5.0
"""LiteLLM's defaults."""


class Deployment(Struct, frozen=True):
    """
    One resolved entry of `model_list`: which provider, URL, model and keys.

    Deployments with a lower `order` are called first. `fails` are the failures before a cooldown by
    kind of error. `tier_prices` has service tiers, each with its input and its output price.
    `native_batches` says whether its address has the provider's batch API, if the config does.
    `services` are the addresses of the vendor's services besides `base_url`, by their names.
    `credentials` are Google's: the path of a JSON file, or its JSON; `None` for the default ones.
    """

    id: str
    name: str
    provider: Provider
    target: Target
    base_url: str
    keys: tuple[Secret, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    order: float = math.inf
    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    timeout: float | None = None
    stream_timeout: float = DEFAULT_STREAM_TIMEOUT
    retries: int = DEFAULT_RETRIES
    cooldown_time: float | None = None
    fails: Mapping[str, int] = field(default_factory=dict)
    input_price: float | None = None
    output_price: float | None = None
    tier_prices: tuple[tuple[str, float, float], ...] = ()
    has_weight: bool = False
    native_batches: bool | None = None
    additions: Additions = NONE
    credentials: Secret | None = None
    services: Mapping[str, str] = field(default_factory=dict)

    @property
    def own_keys(self) -> tuple[Secret, ...]:
        """The keys, and those of the deployment's own AWS credentials."""
        aws = self.additions.aws
        return self.keys if aws is None else (*self.keys, *aws.secrets)


class Balancing(Struct, frozen=True, kw_only=True):
    """
    The settings of all groups.

    Policies are by LiteLLM's name of an error's kind. `group_retries` are those of one model name,
    and replace `retries` for it. `retry_after` is the shortest pause before a retry, in seconds.
    `hedge_budget` is the share of calls that adaptive hedges may add.
    """

    strategy: Strategy | None = None
    latency: LatencyArgs = LatencyArgs()
    allowed_fails: int = DEFAULT_ALLOWED_FAILS
    cooldown_time: float = DEFAULT_COOLDOWN
    cools_down: bool = True
    fails: Mapping[str, int] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    group_retries: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    retry_after: float = 0.0
    hedge_budget: float = 0.1

    def retries_of(self, name: str) -> Mapping[str, int]:
        """The retries by kind of error of one model name."""
        return self.group_retries.get(name, self.retries)


def by_kind(counts: RetryCounts | FailCounts | None) -> dict[str, int]:
    """`{"TimeoutErrorRetries": 2}` as `{"TimeoutError": 2}`; a null asks for nothing."""
    return {
        name.removesuffix("Retries").removesuffix("AllowedFails"): count
        for name, count in (counts or {}).items()
        if count is not None
    }


def make_deployment(
    name: str,
    params: ModelParams,
    defaults: Mapping[str, Any],
    env: Mapping[str, str],
    number: str = "0",
) -> Deployment:
    """One deployment from its parameters; `name` is the model name that clients write."""
    provider, model = find_provider(params)
    google, credentials = _google(provider, params, env)
    options: Mapping[str, str] = {**provider_options(params, env), **google}
    has_base = bool(given_base(provider, params, env))
    if params.model_id:  # which the name `model` describes
        options = {"base_model": model, **options}
        model = params.model_id
    if provider.rename:
        model = provider.rename(model, not has_base)
    if provider.complete:
        options = provider.complete(model, options)
    check_batches(provider, params, model)
    if region := region_of(env):
        options = {"region": region, **options}
    base = base_url(provider, params, {**options, "deployment": model.rpartition("/")[2]}, env)
    if has_base:
        options = {**options, "api_base": base}
    services, batches = _services(provider, params, options, env)
    options = {**options, **batches}
    additions = _additions(provider, params, defaults, env)
    return Deployment(
        id=f"{name}#{number}",
        name=name,
        provider=provider,
        target=Target(name, model, bool(params.drop_params), options, template=_template(params)),
        base_url=base,
        keys=_keys(provider, params, env) if additions.aws is None else (),
        defaults={k: v for k, v in defaults.items() if k in READ_FIELDS},
        weight=1.0 if params.weight is None else params.weight,
        order=math.inf if params.order is None else params.order,
        rpm=params.rpm,
        tpm=params.tpm,
        max_parallel=params.max_parallel_requests,
        timeout=params.timeout,
        stream_timeout=params.stream_timeout or DEFAULT_STREAM_TIMEOUT,
        retries=DEFAULT_RETRIES if params.num_retries is None else params.num_retries,
        cooldown_time=params.cooldown_time,
        fails=by_kind(params.allowed_fails_policy),
        input_price=params.input_cost_per_token,
        output_price=params.output_cost_per_token,
        tier_prices=_tier_prices(params),
        has_weight=params.weight is not None,
        native_batches=params.native_batches,
        additions=additions,
        credentials=credentials,
        services=services,
    )


def _services(
    provider: Provider, params: ModelParams, options: Mapping[str, str], env: Mapping[str, str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The addresses of AWS's other services, and the options of batches that are stored there."""
    if not isinstance(provider.auth, SigV4):
        return {}, {}
    from .aws_services import batch_options, service_addresses

    return service_addresses(provider, options, env), batch_options(params, env)


def _tier_prices(params: ModelParams) -> tuple[tuple[str, float, float], ...]:
    """The service tiers of which both prices are given."""
    given = (
        ("flex", params.input_cost_per_token_flex, params.output_cost_per_token_flex),
        ("priority", params.input_cost_per_token_priority, params.output_cost_per_token_priority),
    )
    return tuple(
        (tier, sent, received)
        for tier, sent, received in given
        if sent is not None and received is not None
    )


def _template(params: ModelParams) -> Template | None:
    """What the entry says of its model's chat template."""
    if all(getattr(params, name) is None for name in OF_TEMPLATE):
        return None
    from .template import template_of  # few entries say something

    return template_of(params)


def _google(
    provider: Provider, params: ModelParams, env: Mapping[str, str]
) -> tuple[Mapping[str, str], Secret | None]:
    """The options and the credentials of a deployment on Google Cloud."""
    if not isinstance(provider.auth, GoogleToken):
        return {}, None
    from .google import google_credentials, google_options

    return google_options(params, env), google_credentials(params, env)


def _additions(
    provider: Provider,
    params: ModelParams,
    defaults: Mapping[str, Any],
    env: Mapping[str, str],
) -> Additions:
    headers = extra_headers(provider, params.extra_headers, params.organization)
    body, aws = extra_body(params.extra_body), _aws_login(params, env)
    if aws and not isinstance(provider.auth, SigV4):
        raise ConfigError(f"`{provider.name}` is not called with AWS credentials")
    own = {name: value for name, value in defaults.items() if name not in READ_FIELDS}
    if not (headers or body or own or aws):
        return NONE
    return Additions(headers, body, own, aws)


def _aws_login(params: ModelParams, env: Mapping[str, str]) -> AWSLogin | None:
    access, private = params.aws_access_key_id, params.aws_secret_access_key
    if bool(access) != bool(private):
        absent = "aws_secret_access_key" if access else "aws_access_key_id"
        raise ConfigError(f"`{absent}` is missing: AWS credentials are a pair")
    if not (access or params.aws_profile_name or params.aws_role_name):
        return None
    token = params.aws_session_token
    return AWSLogin(
        access_key=secret(access, env) if access else None,
        secret_key=secret(private, env) if private else None,
        session_token=secret(token, env) if token else None,
        profile=params.aws_profile_name,
        role=params.aws_role_name,
        session_name=params.aws_session_name or "fanout",
        external_id=params.aws_external_id,
    )


def _keys(provider: Provider, params: ModelParams, env: Mapping[str, str]) -> tuple[Secret, ...]:
    given = [params.api_key] if isinstance(params.api_key, str) else params.api_key or []
    if written := [value for value in given if value]:
        return tuple(secret(value, env) for value in written)
    for name in provider.keys:
        if env.get(name):
            return (Secret(name, env[name]),)
    if provider.key_optional or isinstance(provider.auth, SigV4 | GoogleToken):
        return ()
    return (Secret(provider.keys[0]),)


def secret(value: str, env: Mapping[str, str]) -> Secret:
    """The secret of an `os.environ/NAME`, or of a literal key."""
    name = reference(value)
    return Secret(name, env.get(name) or None) if name else Secret("(literal)", value)

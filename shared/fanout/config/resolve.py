"""
Resolves a config: model names to deployments, keys to secrets.

Pure: a config and an environment in, a `Catalog` out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from ..errors import ConfigError, RequestError, UnknownModel
from ..providers import registry
from ..providers.base import Provider, SigV4, Target
from ..schema.request import ChatRequest
from ..schema.validation import convert
from ..secret import HiddenRepr, Secret
from .load import reference
from .model import ConfigFile, GeneralSettings, ModelEntry, ModelParams

DEFAULT_TIMEOUT = 600.0
"""Seconds for a whole request: the OpenAI SDK's default."""

DEFAULT_RETRIES = 2
"""Retries per model name: the default of LiteLLM's router and of the OpenAI SDK."""

DEFAULT_STREAM_TIMEOUT = 600.0
"""
Seconds that a stream may be silent, before its headers or between two pieces: the OpenAI SDK's read
timeout. A reasoning model may send nothing for minutes before its first content.
"""

# A base URL may contain options of the deployment: `https://bedrock-runtime.{region}.…`.
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Deployment(Struct, frozen=True):
    """One resolved entry of `model_list`: which provider, URL, model and keys."""

    id: str
    name: str
    provider: Provider
    target: Target
    base_url: str
    keys: tuple[Secret, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    timeout: float | None = None
    stream_timeout: float = DEFAULT_STREAM_TIMEOUT
    retries: int = DEFAULT_RETRIES
    input_price: float | None = None
    output_price: float | None = None


class ClientKey(Struct, frozen=True):
    """A client's key; `models` are the model names it may use, `None` for all."""

    name: str
    secret: Secret | None
    models: frozenset[str] | None = None


class Catalog(HiddenRepr, frozen=True):
    """The models and settings of a gateway. If `is_open`, `provider/model` is a model name too."""

    groups: Mapping[str, tuple[Deployment, ...]]
    env: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    client_keys: tuple[ClientKey, ...] = ()
    timeout: float = DEFAULT_TIMEOUT
    allowed_fails: int = 3
    cooldown_time: float = 5.0
    general: GeneralSettings = field(default_factory=GeneralSettings)

    def __repr__(self) -> str:
        return f"Catalog(groups={list(self.groups)})"  # the environment contains keys

    @property
    def secret_names(self) -> list[str]:
        """The names of keys without a text, which must be looked up."""
        keys = [key for group in self.groups.values() for d in group for key in d.keys]
        keys += [client.secret for client in self.client_keys if client.secret]
        return sorted({key.name for key in keys if not key.is_known})

    def find(self, name: str) -> tuple[Deployment, ...]:
        """The deployments of a model name; raises `UnknownModel` if there are none."""
        if group := self.groups.get(name):
            return group
        if self.is_open and registry.split_model(name):
            return (make_deployment(name, ModelParams(model=name), {}, self.env),)
        known = ", ".join(f"`{known}`" for known in sorted(self.groups)[:10])
        have = f"there are {known}" if known else "write `provider/model`, such as `openai/gpt-4o`"
        raise UnknownModel(f"there is no model `{name[:128]}`; {have}", "model")


def resolve(config: ConfigFile, env: Mapping[str, str]) -> Catalog:
    """The catalog of a config; raises `ConfigError` that says what cannot be resolved."""
    groups: dict[str, tuple[Deployment, ...]] = {}
    for index, entry in enumerate(config.model_list):
        deployment = _deployment(config, entry, index, env)
        groups[entry.model_name] = (*groups.get(entry.model_name, ()), deployment)
    router, service = config.router_settings, config.litellm_settings
    return Catalog(
        groups=groups,
        env=env,
        is_open=not config.model_list,
        fallbacks=_fallbacks(config, groups),
        client_keys=_client_keys(config.general_settings, groups, env),
        timeout=router.timeout or service.request_timeout or DEFAULT_TIMEOUT,
        allowed_fails=router.allowed_fails,
        cooldown_time=router.cooldown_time,
        general=config.general_settings,
    )


def _deployment(
    config: ConfigFile, entry: ModelEntry, index: int, env: Mapping[str, str]
) -> Deployment:
    place = f"model_list[{index}] (`{entry.model_name}`)"
    ours = ModelParams.__struct_fields__
    given = {k: v for k, v in entry.litellm_params.items() if v is not None}
    if "," in entry.model_name or entry.model_name != entry.model_name.strip():
        raise ConfigError(
            f"{place}: a model name cannot contain a comma, nor start or end with a space"
        )
    try:
        params = convert({k: given.pop(k) for k in ours if k in given}, ModelParams, strict=False)
        defaults = _checked_defaults(given)
    except RequestError as error:
        raise ConfigError(f"{place}: litellm_params: {error}") from None
    router, service = config.router_settings, config.litellm_settings
    retries = (params.num_retries, router.num_retries, service.num_retries, DEFAULT_RETRIES)
    params = msgspec.structs.replace(
        params,
        drop_params=service.drop_params if params.drop_params is None else params.drop_params,
        num_retries=next(value for value in retries if value is not None),
        stream_timeout=params.stream_timeout or router.stream_timeout,
    )
    try:
        return make_deployment(entry.model_name, params, defaults, env, f"{index}")
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def _checked_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check default parameters like those of a request; numbers may be text, from environments."""
    if not given:
        return {}
    required = {"messages": [{"role": "user", "content": ""}], "body": {}}
    checked = convert({**given, **required}, ChatRequest, strict=False)
    read = {name: getattr(checked, name) for name in given}
    return {
        name: read[name] if isinstance(read[name], bool | int | float) else value
        for name, value in given.items()
    }


def make_deployment(
    name: str,
    params: ModelParams,
    defaults: Mapping[str, Any],
    env: Mapping[str, str],
    number: str = "0",
) -> Deployment:
    """One deployment from its parameters; `name` is the model name that clients write."""
    split = registry.split_model(params.model)
    if split is None and params.api_base:
        split = ("openai", params.model)  # any server with OpenAI's API
    if split is None:
        raise ConfigError(
            f"`{params.model}` has no known provider: write `provider/model` with one of "
            f"{', '.join(registry.names())}, or set `api_base`"
        )
    provider, model = registry.find(split[0]), split[1]
    options = _options(params, env)
    return Deployment(
        id=f"{name}#{number}",
        name=name,
        provider=provider,
        target=Target(name, model, bool(params.drop_params), options),
        base_url=_base_url(provider, params, options, env),
        keys=_keys(provider, params, env),
        defaults=defaults,
        weight=params.weight,
        rpm=params.rpm,
        tpm=params.tpm,
        max_parallel=params.max_parallel_requests,
        timeout=params.timeout,
        stream_timeout=params.stream_timeout or DEFAULT_STREAM_TIMEOUT,
        retries=DEFAULT_RETRIES if params.num_retries is None else params.num_retries,
        input_price=params.input_cost_per_token,
        output_price=params.output_cost_per_token,
    )


def _options(params: ModelParams, env: Mapping[str, str]) -> dict[str, str]:
    """Options of a provider besides the model; the environment variables are LiteLLM's."""
    region = params.region or params.aws_region_name
    found = {
        "api_base": params.api_base,
        "api_version": params.api_version or env.get("AZURE_API_VERSION"),
        "base_model": params.base_model,
        "region": region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION"),
    }
    return {name: value for name, value in found.items() if value}


def _base_url(
    provider: Provider, params: ModelParams, options: Mapping[str, str], env: Mapping[str, str]
) -> str:
    base = params.api_base or env.get(f"{provider.name.upper()}_API_BASE") or provider.base_url
    if missing := [name for name in _PLACEHOLDER.findall(base) if name not in options]:
        raise ConfigError(f"`{provider.name}` needs `{missing[0]}` in litellm_params")
    base = _PLACEHOLDER.sub(lambda place: options[place[1]], base)
    if "{" in base or "}" in base:
        raise ConfigError(f"`api_base` must not contain a brace: `{base[:80]}`")
    if not _is_address(base):
        raise ConfigError(f"`api_base` must be an https:// or http:// address, not `{base[:40]}`")
    return base.rstrip("/")


def _is_address(base: str) -> bool:
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError:  # half an IPv6 address, or not a port
        return False
    has_space = any(letter.isspace() for letter in base)
    return (
        parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0 and not has_space
    )


def _keys(provider: Provider, params: ModelParams, env: Mapping[str, str]) -> tuple[Secret, ...]:
    given = [params.api_key] if isinstance(params.api_key, str) else params.api_key or []
    if written := [value for value in given if value]:
        return tuple(secret(value, env) for value in written)
    for name in provider.keys:
        if env.get(name):
            return (Secret(name, env[name]),)
    if provider.key_optional or isinstance(provider.auth, SigV4):
        return ()
    return (Secret(provider.keys[0]),)


def secret(value: str, env: Mapping[str, str]) -> Secret:
    """The secret of an `os.environ/NAME`, or of a literal key."""
    name = reference(value)
    return Secret(name, env.get(name) or None) if name else Secret("(literal)", value)


def _client_keys(
    general: GeneralSettings, groups: Mapping[str, object], env: Mapping[str, str]
) -> tuple[ClientKey, ...]:
    for index, key in enumerate(general.keys):
        _check_names(f"general_settings.keys[{index}]", key.models or (), groups)
    client_keys = [
        ClientKey(k.name, secret(k.key, env), None if k.models is None else frozenset(k.models))
        for k in general.keys
    ]
    if general.master_key:
        client_keys.insert(0, ClientKey("master", secret(general.master_key, env)))
    return tuple(client_keys)


def _check_names(place: str, names: Iterable[str], groups: Mapping[str, object]) -> None:
    for name in names:
        if groups and name not in groups:
            raise ConfigError(f"`{place}` names `{name}`, which is not in `model_list`")


def _fallbacks(config: ConfigFile, groups: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for index, entry in enumerate(config.router_settings.fallbacks):
        for name, spare in entry.items():
            _check_names(f"router_settings.fallbacks[{index}]", (name, *spare), groups)
            found[name] = (*found.get(name, ()), *spare)
    return found

"""
Resolves a config: model names to deployments, keys to secrets.

Pure: a config and an environment in, a `Catalog` out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ..errors import ConfigError, ConfigProblems, KeyPath, Problem, UnknownModel
from ..providers import registry
from ..providers.base import GoogleToken, Provider, SigV4, Target
from ..secret import HiddenRepr, Secret
from .connection import (
    NONE,
    Additions,
    AWSLogin,
    base_url,
    extra_body,
    extra_headers,
    provider_options,
)
from .entries import Entry, read_entries
from .load import Checked, reference
from .model import ConfigFile, GeneralSettings, ModelParams, Strategy
from .routes import Names, Routes, Wildcard, resolve_routes

DEFAULT_TIMEOUT = 600.0
"""Seconds for a whole request: the OpenAI SDK's default."""

DEFAULT_ALLOWED_FAILS = 3
DEFAULT_COOLDOWN = 5.0
"""LiteLLM's defaults."""

DEFAULT_RETRIES = 2
"""Retries per model name: the default of LiteLLM's router and of the OpenAI SDK."""

DEFAULT_STREAM_TIMEOUT = 600.0
"""
Seconds that a stream may be silent, before its headers or between two pieces: the OpenAI SDK's read
timeout. A reasoning model may send nothing for minutes before its first content.
"""


class Deployment(Struct, frozen=True):
    """
    One resolved entry of `model_list`: which provider, URL, model and keys.

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
    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    timeout: float | None = None
    stream_timeout: float = DEFAULT_STREAM_TIMEOUT
    retries: int = DEFAULT_RETRIES
    input_price: float | None = None
    output_price: float | None = None
    has_weight: bool = False
    additions: Additions = NONE
    credentials: Secret | None = None


class ClientKey(Struct, frozen=True):
    """A client's key; `models` are the model names (or `openai/*`) it may use, `None` for all."""

    name: str
    secret: Secret | None
    models: frozenset[str] | None = None

    def may_use(self, name: str) -> bool:
        """Whether this key may use the model `name`."""
        return self.models is None or is_allowed(self.models, name)


class Catalog(HiddenRepr, frozen=True):
    """The models and settings of a gateway. If `is_open`, `provider/model` is a model name too."""

    groups: Mapping[str, tuple[Deployment, ...]]
    env: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False
    routes: Routes = field(default_factory=Routes)
    client_keys: tuple[ClientKey, ...] = ()
    timeout: float = DEFAULT_TIMEOUT
    allowed_fails: int = DEFAULT_ALLOWED_FAILS
    cooldown_time: float = DEFAULT_COOLDOWN
    strategy: Strategy | None = None
    general: GeneralSettings = field(default_factory=GeneralSettings)

    def __repr__(self) -> str:
        return f"Catalog(groups={list(self.groups)})"  # the environment contains keys

    @property
    def fallbacks(self) -> Mapping[str, tuple[str, ...]]:
        """The config's own fallbacks of each model name."""
        return self.routes.fallbacks

    @property
    def secret_names(self) -> list[str]:
        """The names of keys without a text, which must be looked up."""
        deployments = [d for group in self.groups.values() for d in group]
        samples = [_sample(one, self.env) for one in self.routes.wildcards]
        deployments += [sample for sample in samples if sample is not None]
        keys = [key for d in deployments for key in d.keys]
        keys += [key for d in deployments if d.additions.aws for key in d.additions.aws.secrets]
        keys += [d.credentials for d in deployments if d.credentials]
        keys += [client.secret for client in self.client_keys if client.secret]
        return sorted({key.name for key in keys if not key.is_known})

    @property
    def listed(self) -> list[str]:
        """The names that are listed: of models, of aliases and of several models."""
        names = [*self.groups, *self.routes.aliases, *self.routes.sets]
        return [name for name in names if name not in self.routes.hidden]

    def group_name(self, name: str) -> str:
        """The name of the group that an alias stands for; any other name itself."""
        return self.routes.aliases.get(name, name)

    def check_name(self, name: str) -> None:
        """Raise `UnknownModel` if there is no such name."""
        if name not in self.routes.sets:
            self.find(name)

    def find(self, name: str) -> tuple[Deployment, ...]:
        """The deployments of a model name; raises `UnknownModel` if there are none."""
        if group := self.groups.get(self.group_name(name)):
            return group
        if models := self.routes.sets.get(name):
            listed = ", ".join(f"`{model}`" for model in models.models)
            raise UnknownModel(f"`{name}` stands for several models: {listed}; name one", "model")
        if found := self.routes.matching(self.group_name(name)):
            return self._matching(self.group_name(name), found)
        if self.is_open and registry.split_model(name):
            return (make_deployment(name, ModelParams(model=name), {}, self.env),)
        known = ", ".join(f"`{known}`" for known in sorted(self.groups)[:10])
        have = f"there are {known}" if known else "write `provider/model`, such as `openai/gpt-4o`"
        raise UnknownModel(f"there is no model `{name[:128]}`; {have}", "model")

    def _matching(self, name: str, found: tuple[Wildcard, ...]) -> tuple[Deployment, ...]:
        try:
            return tuple(
                make_deployment(
                    name,
                    replace(one.params, model=one.model_of(name) or name),
                    one.defaults,
                    self.env,
                    one.number,
                )
                for one in found
            )
        except ConfigError as error:
            raise UnknownModel(f"there is no model `{name[:128]}`: {error}", "model") from None


def is_allowed(allowed: Iterable[str], name: str) -> bool:
    """Whether a name is one of those allowed, which may have a `*`."""
    if name in allowed:
        return True
    stars = (ModelParams(model=one) for one in allowed if "*" in one)
    return any(Wildcard(one.model, one).model_of(name) is not None for one in stars)


def resolve(config: ConfigFile, env: Mapping[str, str]) -> Catalog:
    """The catalog of a config; raises `ConfigProblems` that say what cannot be resolved."""
    catalog, problems = resolve_all(Checked(config), env)
    if problems:
        raise ConfigProblems("", problems)
    return catalog


def resolve_all(checked: Checked, env: Mapping[str, str]) -> tuple[Catalog, list[Problem]]:
    """The catalog of a config, without what cannot be resolved, and the problems with that."""
    config, problems = checked.config, [*checked.problems]
    groups: dict[str, tuple[Deployment, ...]] = {}
    wildcards: list[Wildcard] = []
    for entry in read_entries(config, checked.positions, problems):
        try:
            if "*" in entry.name or "*" in entry.params.model:
                wildcard = Wildcard(entry.name, entry.params, entry.defaults, f"{entry.index}")
                _sample(wildcard, env)
                wildcards.append(wildcard)
                continue
            deployment = make_deployment(
                entry.name, entry.params, entry.defaults, env, f"{entry.index}"
            )
        except ConfigError as error:
            problems.append(_unresolved(entry, error))
            continue
        groups[entry.name] = (*groups.get(entry.name, ()), deployment)
    listed = frozenset({*groups, *checked.names, *(e.model_name for e in config.model_list)})
    plain = frozenset(name for name in listed if "*" not in name)
    names = Names(plain, wildcards, problems)
    router, service = config.router_settings, config.litellm_settings
    routes = resolve_routes(config, names)
    clients = _client_keys(config.general_settings, names, routes, env)
    fails = (router.allowed_fails, service.allowed_fails, DEFAULT_ALLOWED_FAILS)
    cooldowns = (router.cooldown_time, service.cooldown_time, DEFAULT_COOLDOWN)
    catalog = Catalog(
        groups=groups,
        env=env,
        is_open=not listed,
        routes=routes,
        client_keys=tuple(clients),
        timeout=router.timeout or service.request_timeout or DEFAULT_TIMEOUT,
        allowed_fails=next(value for value in fails if value is not None),
        cooldown_time=next(value for value in cooldowns if value is not None),
        strategy=router.routing_strategy,
        general=config.general_settings,
    )
    return catalog, problems


def _unresolved(entry: Entry, error: ConfigError) -> Problem:
    """What is wrong with an entry; `--fix` removes it, or writes a better model."""
    path: KeyPath = ("model_list", entry.index)
    model = entry.params.model
    fixed = model.replace("/responses/", "/", 1) if "/responses/" in model else ""
    return Problem(
        (*path, "litellm_params", "model"),
        f"model_list[{entry.index}] (`{entry.name}`): {error}",
        remove=path,
        replace=fixed,
    )


def _is_fixed(wildcard: Wildcard) -> bool:
    """Whether every model of a wildcard has the same provider."""
    return wildcard.params.model != "*"


def _sample(wildcard: Wildcard, env: Mapping[str, str]) -> Deployment | None:
    """A deployment of the wildcard, for its keys; raises `ConfigError` if there can be none."""
    model = wildcard.params.model
    if "*" in model and "*" not in wildcard.name:
        raise ConfigError(f"`{model}` needs a `model_name` with a `*`, such as `{model}`")
    if not _is_fixed(wildcard):
        return None
    return make_deployment(wildcard.name, wildcard.params, wildcard.defaults, env, wildcard.number)


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
    if model.startswith("responses/"):
        raise ConfigError(
            f"`{params.model}`: there is no Responses API here; write "
            f"`{split[0]}/{model.removeprefix('responses/')}`"
        )
    google, credentials = _google(provider, params, env)
    options: Mapping[str, str] = {**provider_options(params, env), **google}
    if provider.complete:
        options = provider.complete(model, options)
    additions = _additions(provider, params, env)
    return Deployment(
        id=f"{name}#{number}",
        name=name,
        provider=provider,
        target=Target(name, model, bool(params.drop_params), options),
        base_url=base_url(provider, params, options, env),
        keys=_keys(provider, params, env) if additions.aws is None else (),
        defaults=defaults,
        weight=1.0 if params.weight is None else params.weight,
        rpm=params.rpm,
        tpm=params.tpm,
        max_parallel=params.max_parallel_requests,
        timeout=params.timeout,
        stream_timeout=params.stream_timeout or DEFAULT_STREAM_TIMEOUT,
        retries=DEFAULT_RETRIES if params.num_retries is None else params.num_retries,
        input_price=params.input_cost_per_token,
        output_price=params.output_cost_per_token,
        has_weight=params.weight is not None,
        additions=additions,
        credentials=credentials,
    )


def _google(
    provider: Provider, params: ModelParams, env: Mapping[str, str]
) -> tuple[Mapping[str, str], Secret | None]:
    """The options and the credentials of a deployment on Google Cloud."""
    if not isinstance(provider.auth, GoogleToken):
        return {}, None
    from .google import google_credentials, google_options

    return google_options(params, env), google_credentials(params, env)


def _additions(provider: Provider, params: ModelParams, env: Mapping[str, str]) -> Additions:
    headers = extra_headers(provider, params.extra_headers, params.organization)
    body, aws = extra_body(params.extra_body), _aws_login(params, env)
    if aws and not isinstance(provider.auth, SigV4):
        raise ConfigError(f"`{provider.name}` is not called with AWS credentials")
    return Additions(headers, body, aws) if headers or body or aws else NONE


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


def _client_keys(
    general: GeneralSettings, names: Names, routes: Routes, env: Mapping[str, str]
) -> Iterator[ClientKey]:
    more = names.known | routes.aliases.keys() | routes.sets.keys()
    known = Names(frozenset(more) if names.known else more, names.wildcards, names.problems)
    if general.master_key:
        yield ClientKey("master", secret(general.master_key, env))
    for index, key in enumerate(general.keys):
        plain = [name for name in key.models or () if "*" not in name]
        known.check(("general_settings", "keys", index), plain, each=False)
        models = None if key.models is None else frozenset(key.models)
        yield ClientKey(key.name, secret(key.key, env), models)

"""How a deployment is reached: its provider, options, base URL, headers and AWS credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import field

from ..errors import ConfigError
from ..providers import registry
from ..providers.base import Provider
from ..secret import HiddenRepr, Secret
from .model import ModelParams

# A base URL may contain options of the deployment: `https://bedrock-runtime.{region}.…`.
_WITH_VERSION = re.compile(r"(?<=[^/]/)v\d+/?$")  # such an address needs nothing
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def find_provider(params: ModelParams) -> tuple[Provider, str]:
    """The provider of a deployment, and the model's name there; raises `ConfigError`."""
    head, slash, rest = params.model.partition("/")
    if slash and not rest.strip():
        raise ConfigError(
            f"`{params.model}` has no model after the slash: write `{head or 'provider'}/MODEL`"
        )
    on_google = params.vertex_project or params.vertex_location or params.vertex_credentials
    split = registry.split_model(params.model, on_google=bool(on_google))
    if split is None and (instead := registry.other_api(params.model)):
        raise ConfigError(f"`{params.model}`: there is no such provider here: {instead}")
    if params.api_base and (split is None or registry.is_elsewhere(params.model, params.api_base)):
        split = ("openai", params.model)  # any server with OpenAI's API
    if split is None and not registry.is_for_chat(params.model):
        raise ConfigError(
            f"`{params.model}` is not for chat, and there is no other API here: remove the entry"
        )
    if split is None:
        raise ConfigError(
            f"`{params.model}` has no known provider: write `provider/model` with one of "
            f"{', '.join(registry.names())}, or set `api_base`"
        )
    name, model = split
    provider = registry.find(name)
    _check_parts(provider, params, model)
    if model.startswith("responses/") and not provider.has_responses:
        raise ConfigError(
            f"`{params.model}`: `{name}` is called with chat completions; write "
            f"`{name}/{model.removeprefix('responses/')}`"
        )
    return provider, model


def _check_parts(provider: Provider, params: ModelParams, model: str) -> None:
    """
    Raise `ConfigError` for an empty part of a model's name: `openrouter/openai/` names no model.

    A server of the user's own may call a model by the path of its files.
    """
    is_own = provider.path and (params.api_base or provider.key_optional)
    is_path = is_own and model.startswith("/")
    parts = model.strip("/").split("/") if is_path else model.split("/")
    if not all(part.strip() for part in parts):
        raise ConfigError(
            f"`{params.model}` has an empty part: write a name before and after each slash"
        )


def provider_options(params: ModelParams, env: Mapping[str, str]) -> dict[str, str]:
    """Options of a provider besides the model; the environment variables are LiteLLM's."""
    found = {
        "api_base": params.api_base,
        "api_version": params.api_version
        or _version_in(params.api_base)
        or env.get("AZURE_API_VERSION"),
        "base_model": _without_provider(params.base_model),
        "batch_deployment": params.batch_deployment,
        "region": params.region or params.aws_region_name,
    }
    return {name: value for name, value in found.items() if value}


def _version_in(base: str | None) -> str | None:
    if not base or "?" not in base:
        return None
    from .addresses import version_in

    return version_in(base)


def check_batches(provider: Provider, params: ModelParams, model: str) -> None:
    """Raise `ConfigError` for native batches that would be at the deployment for real time."""
    name = params.batch_deployment
    if "batch_deployment" not in provider.settings or params.native_batches is False:
        return
    if name == model.rpartition("/")[2]:
        raise ConfigError(
            f"`batch_deployment` is the same as `model` (`{name}`): a deployment for batches takes "
            "no calls in real time; write the name of one that does in `model`"
        )
    if params.native_batches and name is None:
        raise ConfigError(
            f"`native_batches: true` needs `batch_deployment`, because `{provider.name}` has "
            "deployments of their own for batches: write its name there, and the name of a "
            "deployment for real time in `model`"
        )


def region_of(env: Mapping[str, str]) -> str | None:
    """The environment's region of AWS, by the two variables that boto3 reads."""
    return env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")


def _without_provider(model: str | None) -> str | None:
    """LiteLLM writes `azure/o3-mini` for the model `o3-mini`."""
    head, slash, rest = (model or "").partition("/")
    return rest if slash and registry.is_known(head) else model


def base_url(
    provider: Provider, params: ModelParams, options: Mapping[str, str], env: Mapping[str, str]
) -> str:
    """The address of a deployment, without a slash at its end; raises `ConfigError` without it."""
    given = given_base(provider, params, env)
    base = given or provider.base_url
    if missing := [name for name in _PLACEHOLDER.findall(base) if name not in options]:
        raise ConfigError(_needs(provider, missing[0]))
    base = _PLACEHOLDER.sub(lambda place: options[place[1]], base)
    if "{" in base or "}" in base:
        raise ConfigError("`api_base` must not contain a brace")
    if not _is_address(base):
        raise ConfigError("`api_base` must be an https:// or http:// address")
    if given and not (provider.path and _WITH_VERSION.search(base)):
        from .addresses import complete_base

        return complete_base(provider, base, options)
    return base.rstrip("/")


def given_base(provider: Provider, params: ModelParams, env: Mapping[str, str]) -> str | None:
    """The address in the config or, if there is none, in the environment."""
    return params.api_base or env.get(f"{provider.name.upper()}_API_BASE")


def _needs(provider: Provider, option: str) -> str:
    names = {"region": ("aws_region_name", "AWS_REGION")}
    param, variable = names.get(option, (option, f"{provider.name.upper()}_API_BASE"))
    return f"`{provider.name}` needs `{param}` in litellm_params, or {variable} in the environment"


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


# ---- what is added to each call ----

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110: a token

FRAMING = frozenset(
    {"connection", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade"}
)
"""Headers that belong to the connection, which the HTTP engine sets."""

FIXED_FIELDS = frozenset({"messages", "stream"})
"""Fields of the body that only a request sets."""


class AWSLogin(HiddenRepr, frozen=True):
    """
    A deployment's own AWS credentials: keys, a profile, or a role to assume with them.

    Without keys and profile, the role is assumed with the process's credentials.
    """

    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = None
    role: str | None = None
    session_name: str = "fanout"
    external_id: str | None = None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The keys that are given."""
        given = (self.access_key, self.secret_key, self.session_token)
        return tuple(key for key in given if key is not None)


class Additions(HiddenRepr, frozen=True):
    """
    Headers and body fields that each call gets, and the credentials that sign it.

    `body` counts before the request's own fields; `defaults` are parameters that only the provider
    knows, for requests that do not set them.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    aws: AWSLogin | None = None


NONE = Additions()


def extra_headers(
    provider: Provider,
    headers: Mapping[str, str | None] | None,
    organization: str | list[str] | None,
) -> dict[str, str]:
    """The headers by their lower-case names; raises `ConfigError` if one cannot be sent."""
    found, wrong = {}, []
    for name, value in (headers or {}).items():
        if value is None:
            continue  # as if it were not there
        if name.lower() == "content-type" and value == "application/json":
            continue  # it is sent anyway
        if not HEADER_NAME.fullmatch(name) or name.lower() in FRAMING:
            wrong.append(f"cannot set `{name[:40]}`")
        elif not value.isprintable() or not value.isascii():
            wrong.append(f"has a character that no header may have in `{name}`")
        found[name.lower()] = value
    if wrong:
        raise ConfigError(f"`extra_headers` {', and '.join(wrong)}")
    if isinstance(organization, list):
        raise ConfigError("`organization` is one text here; only an entry can have several")
    if organization:
        if not provider.organization_header:
            raise ConfigError(f"`organization`: `{provider.name}` has no organizations")
        found[provider.organization_header] = organization
    return found


def extra_body(body: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields that are added to each body; raises `ConfigError` if one is the request's."""
    if wrong := FIXED_FIELDS & (body or {}).keys():
        listed = ", ".join(f"`{name}`" for name in sorted(wrong))
        raise ConfigError(f"`extra_body` cannot set {listed}")
    return dict(body or {})

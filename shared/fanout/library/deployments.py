"""
The deployments that a call uses: one for each model and fallback, or those that the caller gives.

Each group has the name under which the gateway knows the model. Deployments of one model get the
suffix `#INDEX`, which responses and errors do not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..config.deployment import Deployment, make_deployment
from ..config.model import ModelParams
from ..config.unknown_keys import DEFAULTABLE, is_litellms, param_problem
from ..errors import ConfigError, RequestError
from ..providers import registry
from ..schema.validation import convert

ADDRESS = (
    "api_base",
    "api_key",
    "api_version",
    "drop_params",
    "model_id",
    "region",
    "aws_region_name",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_profile_name",
    "aws_role_name",
    "aws_session_name",
    "aws_external_id",
    "vertex_project",
    "vertex_location",
    "vertex_credentials",
    "extra_headers",
    "organization",
    "ensure_alternating_roles",
    "supports_system_message",
    "user_continue_message",
    "assistant_continue_message",
    "input_cost_per_token",
    "output_cost_per_token",
    "input_cost_per_token_flex",
    "output_cost_per_token_flex",
    "input_cost_per_token_priority",
    "output_cost_per_token_priority",
)
"""Options that belong to a deployment and not to a request."""

Groups: TypeAlias = dict[str, tuple[Deployment]]


def of_models(
    models: Sequence[str],
    options: Mapping[str, Any],
    address: Mapping[str, Any],
    env: Mapping[str, str],
) -> Groups:
    """A deployment for each model, and for each model in the option `fallbacks`."""
    wanted = {
        name: {**_fallback_address(name, models, address), "model": name}
        for name in _fallbacks(options)
    }
    wanted |= {name: {**address, "model": name} for name in models}
    return {name: (_deployment(name, params, env),) for name, params in wanted.items()}


def of_judge(
    decision: Mapping[str, Any],
    models: Sequence[str],
    address: Mapping[str, Any],
    env: Mapping[str, str],
) -> Groups:
    """
    The deployment of a decision's judge, if it has one.

    It has the models' address if it is of one of their vendors.
    """
    name = decision.get("judge")
    if name is None:
        return {}
    params = {**_fallback_address(name, models, address), "model": name}
    return {name: (_deployment(name, params, env),)}


def of_deployments(
    names: Mapping[str, str],
    deployments: Sequence[Mapping[str, Any]],
    options: dict[str, Any],
    address: Mapping[str, Any],
    env: Mapping[str, str],
) -> Groups:
    """
    A deployment for each of the caller's `litellm_params`; `names` are the groups' and the models'.

    An option that any of them sets is moved from `options` to all others as their default.
    """
    own = {key for params in deployments for key in params if key in DEFAULTABLE}
    shared = {**address, **{key: options.pop(key) for key in own if key in options}}
    return {
        group: (_deployment(model, {**shared, **params}, env),)
        for (group, model), params in zip(names.items(), deployments, strict=True)
    }


def _deployment(name: str, given: Mapping[str, Any], env: Mapping[str, str]) -> Deployment:
    known = frozenset(ModelParams.__struct_fields__)
    for key, value in given.items():
        if wrong := param_problem(key, value):
            raise RequestError(f"`deployments`: {wrong}", key)
    params = {key: value for key, value in given.items() if key in known and value is not None}
    defaults = {
        key: value
        for key, value in given.items()
        if key not in known and not is_litellms(key)  # which asks for nothing
    }
    try:
        return make_deployment(name, convert(params, ModelParams), defaults, env)
    except ConfigError as error:
        raise RequestError(str(error), "model") from None


def _fallback_address(
    name: str, models: Sequence[str], address: Mapping[str, Any]
) -> dict[str, Any]:
    """The address for a fallback: a key is never sent to another vendor."""
    if _vendor(name) in {_vendor(model) for model in models}:
        return dict(address)
    return {option: value for option, value in address.items() if option == "drop_params"}


def _vendor(model: str) -> str:
    return (registry.split_model(model) or ("", ""))[0]


def _fallbacks(options: Mapping[str, Any]) -> Iterator[str]:
    """The names in `fallbacks`: LiteLLM's `["b"]` or `[{"a": ["b"]}]`."""
    fallbacks = options.get("fallbacks")
    for entry in fallbacks if isinstance(fallbacks, list) else ():
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, Mapping):
            for names in entry.values():
                listed = names if isinstance(names, list) else []
                yield from (name for name in listed if isinstance(name, str))

"""
What `check` and `serve` say of a config: other names, missing keys, settings without effect.

Never shows a key's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..config.catalog import Catalog
from ..config.deployment import Deployment
from ..config.routes import ANY
from ..errors import RequestError
from ..providers.base import GoogleToken, SigV4
from ..providers.registry import EMBEDDING, is_chats, is_for_embeddings
from ..schema.validation import parse_chat
from ..secret import Secret
from ..settings import install_command, is_installed

SAMPLE = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
"""A plain request: what a config's own parameters make of it shows whether they fit."""

LITERAL = "(literal)"
"""The name of a key that is written in the config itself."""

OPEN = (
    "there is no `model_list`, so clients may call every model of every provider whose key is in "
    "the environment; `model_list: []` serves none"
)


def other_names(catalog: Catalog) -> dict[str, Any]:
    """Each alias with its model, and each name for several models with them and their mode."""
    sets = {
        name: {"mode": found.mode, "models": list(found.models)}
        for name, found in catalog.routes.sets.items()
    }
    return {**catalog.routes.aliases, **sets}


def remarks(catalog: Catalog) -> list[str]:
    """`other name: fast: race of a, b`, a line for each other name, and the notes."""
    lines = []
    for name, found in other_names(catalog).items():
        several = isinstance(found, dict)
        meaning = f"{found['mode']} of {', '.join(found['models'])}" if several else found
        lines.append(f"other name: {name}: {meaning}")
    lines += [
        f"other name: {one.name}: every model of the provider that the name begins with"
        for one in catalog.routes.wildcards
        if one.params.model == ANY
    ]
    return [*lines, *(f"note: {note}" for note in notes(catalog))]


def notes(catalog: Catalog) -> list[str]:
    """What is no error, but probably not what was meant."""
    found = [note for deployment in catalog.deployments for note in _notes(deployment)]
    return [OPEN, *found] if catalog.is_open else found


def start_notes(catalog: Catalog) -> list[str]:
    """What `fanout serve` says when it starts: missing keys and what depends on them, and notes."""
    needed: dict[str, list[str]] = {}
    for deployment in catalog.deployments:
        for key in missing_of(deployment):
            needed.setdefault(key, []).append(f"`{deployment.name}`")
    lines = [
        f"{key} is not set: calls to {', '.join(dict.fromkeys(names))} fail"
        for key, names in needed.items()
    ]
    lines += [
        f"{name} is not set: requests with this key are rejected"
        for name, is_set in client_keys(catalog).items()
        if not is_set
    ]
    found = (note for deployment in catalog.deployments for note in _notes(deployment))
    return [*lines, *extra_lines(catalog), *(f"note: {note}" for note in found)]


def extra_lines(catalog: Catalog) -> list[str]:
    """A line about the extras that the config needs and that are not installed, if there are."""
    missing = missing_extras(catalog)
    if not missing:
        return []
    command = install_command(*missing)
    if len(missing) == 1:
        [(extra, why)] = missing.items()
        return [f"the extra `{extra}` is not installed, which {why}: {command}"]
    named = ", ".join(f"`{extra}` (which {why})" for extra, why in missing.items())
    return [f"the extras {named} are not installed: {command}"]


def _notes(deployment: Deployment) -> Iterator[str]:
    if why := _rejection(deployment):
        find, target = deployment.provider.pass_through, deployment.target
        passes = any(find(api, target) is not None for api in ("messages", "responses"))
        but = ", but for those that pass through," if passes else ""
        yield f"each request to `{deployment.name}`{but} is rejected: {why}"
    model, provider = deployment.target.model, deployment.provider
    options = deployment.target.options
    is_embedding = options.get("mode") == EMBEDDING
    is_embedding = is_embedding or is_for_embeddings(options.get("base_model", model))
    if not is_chats(provider, deployment.target) and not is_embedding:
        yield f"`{deployment.name}`: `{model}` is not for chat, and there is no other API here"
    if provider.ignores_unknown and deployment.additions.defaults:
        listed = ", ".join(f"`{name}`" for name in deployment.additions.defaults)
        yield f"`{deployment.name}`: `{provider.name}` ignores {listed}; set it at the server"


def _rejection(deployment: Deployment) -> str:
    """Why the parameters in the config let no request through, or nothing."""
    from ..schema.validation import with_defaults
    from ..transport.request_encoding import encode_request

    try:
        encode_request(deployment, with_defaults(SAMPLE, deployment.defaults), stream=False)
    except RequestError as error:
        return str(error)
    return ""


class KeyStatus(Struct, frozen=True):
    """A key's name, and whether it is set."""

    name: str
    present: bool


def auth_of(deployment: Deployment) -> str:
    """
    How requests are authenticated.

    `aws` or `google` for the credentials of that cloud, `optional` if no key is required, else
    `key`.
    """
    if isinstance(deployment.provider.auth, SigV4) and not deployment.own_keys:
        return "aws"
    if isinstance(deployment.provider.auth, GoogleToken) and not deployment.keys:
        return "google"
    return "optional" if deployment.provider.key_optional else "key"


def _credentials(deployment: Deployment) -> Iterator[KeyStatus]:
    """Google's credentials; those of a file are missing if there is no such file."""
    secret = deployment.credentials
    if secret is None or deployment.keys:
        return
    text = secret.reveal() or ""
    is_json = text.startswith("{")
    if is_json and secret.name == "vertex_credentials":
        yield KeyStatus(LITERAL, present=True)
    else:
        yield KeyStatus(secret.name, is_json or (bool(text) and Path(text).is_file()))


def client_keys(catalog: Catalog) -> dict[str, bool]:
    """The gateway's own keys by name, and whether each is set."""
    found = {}
    for client in catalog.client_keys:
        if client.secret is not None:
            name = client.name if client.secret.name == LITERAL else client.secret.name
            found[name] = client.secret.is_known
    return found


def missing_of(deployment: Deployment) -> tuple[str, ...]:
    """The names of the keys that calls to a deployment need and that are not set."""
    return missing_keys(keys_of(deployment), auth_of(deployment))


def keys_of(deployment: Deployment) -> tuple[KeyStatus, ...]:
    return (*map(key_status, deployment.own_keys), *_credentials(deployment))


def key_status(secret: Secret) -> KeyStatus:
    """A secret's name, and whether it is set."""
    return KeyStatus(secret.name, secret.is_known)


def missing_keys(keys: tuple[KeyStatus, ...], auth: str) -> tuple[str, ...]:
    """The names of the keys that are not set, unless none is needed."""
    return () if auth == "optional" else tuple(key.name for key in keys if not key.present)


def missing_extras(catalog: Catalog) -> dict[str, str]:
    """The extras that the config needs and that are not installed, each with what needs it."""
    needed: dict[str, str] = {}
    for deployment in catalog.deployments:
        aws = deployment.additions.aws
        if isinstance(deployment.provider.auth, GoogleToken) and not deployment.keys:
            needed.setdefault("vertex", f"`{deployment.name}` needs for Google's credentials")
        elif aws is not None and (aws.profile or aws.role):
            what = "profile" if aws.profile else "role"
            needed.setdefault("aws", f"`{deployment.name}` needs for its {what}")
    if catalog.general.traces:
        needed["otel"] = "`general_settings.traces` needs"
    return {extra: why for extra, why in needed.items() if not is_installed(extra)}

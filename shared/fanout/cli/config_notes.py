"""What `check` and `serve` say of a config: other names, missing keys, settings without effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..config.catalog import Catalog
from ..config.deployment import Deployment
from ..config.routes import ANY
from ..errors import RequestError
from ..providers.registry import is_for_chat, is_for_embeddings
from ..settings import install_command
from .config_summary import SAMPLE, client_keys, missing_extras, missing_of

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
        yield f"each request to `{deployment.name}` is rejected: {why}"
    model, provider = deployment.target.model, deployment.provider
    if not is_for_chat(model) and not is_for_embeddings(model):
        yield f"`{deployment.name}`: `{model}` is not for chat, and there is no other API here"
    if provider.ignores_unknown and deployment.additions.defaults:
        listed = ", ".join(f"`{name}`" for name in deployment.additions.defaults)
        yield f"`{deployment.name}`: `{provider.name}` ignores {listed}; set it at the server"


def _rejection(deployment: Deployment) -> str:
    """Why the parameters in the config let no request through, or nothing."""
    from ..schema.validation import with_defaults
    from ..transport.client import encode_request

    try:
        encode_request(deployment, with_defaults(SAMPLE, deployment.defaults), stream=False)
    except RequestError as error:
        return str(error)
    return ""

"""
Completes the address of a server: the path of its API is found from what the config says.

An address may have no path, a part of the API's path, the whole of it, or even the endpoint, as it
is in a vendor's example for curl. Loaded only for addresses that do not end with a version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from urllib.parse import parse_qs, urlsplit

from ..errors import ConfigError
from ..providers import registry
from ..providers.base import Provider


def complete_base(provider: Provider, base: str, options: Mapping[str, str]) -> str:
    """The address to which the codec's path is joined; raises `ConfigError`."""
    parts = urlsplit(base)
    if (parts.query and "api_version" not in provider.settings) or parts.fragment:
        raise ConfigError("`api_base` ends with its path, without a query (`?…`) or a fragment")
    path = parts.path.rstrip("/")
    found = re.search(f"(?:{provider.endpoint})$", path) if provider.endpoint else None
    if found:
        _check_place(provider, found[0], options)
        path = path[: found.start()]
    is_exact = found is not None and not found.groupdict().get("other")
    if provider.path and not is_exact:
        path = _complete_path(provider, parts.netloc, path)
    return f"{parts.scheme}://{parts.netloc}{path}"


def version_in(base: str | None) -> str | None:
    """The `api-version` in an address, as Azure's portal shows it."""
    try:
        found = parse_qs(urlsplit(base).query).get("api-version") if base else None
    except ValueError:  # half an IPv6 address, which `base_url` rejects
        return None
    return found[0] if found else None


def _complete_path(provider: Provider, host: str, path: str) -> str:
    """
    The path of an OpenAI-compatible API. `path` may be its beginning.

    A known host has its vendor's path; the servers that people run themselves have `/v1`.
    """
    own = _paths().get(host.lower().removesuffix(":443"))
    if own is not None and f"{own}/".startswith(f"{path}/"):
        return own
    return path or provider.path


@cache
def _paths() -> Mapping[str, str]:
    """The path of each vendor's OpenAI-compatible API, by its host."""
    bases = [urlsplit(base) for base in registry.row_addresses()]
    return {**registry.OPENAI_PATHS, **{base.netloc: base.path for base in bases}}


def _check_place(provider: Provider, end: str, options: Mapping[str, str]) -> None:
    """Raise `ConfigError` if the address names another deployment or project than the config."""
    for name, kind in provider.named_in_address.items():
        found = re.search(f"/{name}/([^/]+)", end)
        if found and options.get(kind, found[1]) != found[1]:
            raise ConfigError(
                f"`api_base` has `{name}/{found[1][:64]}`, but `{kind}` is "
                f"`{options[kind][:64]}`: write the same in both, or only the host in `api_base`"
            )

"""`fanout check`: shows what a config's model names resolve to, and which keys are missing."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from ..config.catalog import Catalog
    from ..config.model import GeneralSettings
    from .config_notes import KeyStatus
    from .config_summary import DeploymentSummary

HEADER = ("MODEL NAME", "PROVIDER", "PROVIDER'S MODEL", "URL", "KEY", "LIMITS", "FALLBACKS")


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help="check a config and show what its model names resolve to",
        description="Read a config like the gateway does and show what each model name resolves "
        "to. Keys are shown by name only. Exit code 2: the config is wrong; 1: a key is missing.",
        formatter_class=Help,
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="the config file (default: FANOUT_CONFIG)"
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="write a config without what is wrong, and list what is moved and left out",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="where --fix writes (FILE.fanout.yaml)"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table and the missing keys."""
    from ..errors import ConfigError
    from .config_choice import select_config
    from .config_notes import client_keys, extra_lines, notes, other_names, remarks
    from .config_summary import missing_names, summarize
    from .printing import show, show_json

    if arguments.fix or arguments.output:
        return _fix(arguments)
    selected = select_config(arguments.file)
    if selected.settings.config is None or (selected.is_local and not arguments.file):
        raise ConfigError("name a config: `fanout check FILE`, or set FANOUT_CONFIG")
    http_client = _http_client(selected.catalog.general)
    _check_origins(selected.catalog)
    rows = summarize(selected.catalog)
    callers = client_keys(selected.catalog)
    missing = missing_names(selected.catalog)
    extras = extra_lines(selected.catalog)
    if arguments.json:
        ok = not (missing or extras)
        result = {"config": str(selected.settings.config), "ok": ok, "missing": missing}
        more = {"names": other_names(selected.catalog), "notes": notes(selected.catalog)}
        result |= {"models": rows, "callers": callers, "http_client": http_client, **more}
        show_json(result)
    else:
        lines = [*remarks(selected.catalog), *extras]
        show(_text(rows, callers, missing, http_client, lines, is_complete=not extras))
    return int(bool(missing or extras))


def _fix(arguments: argparse.Namespace) -> int:
    """Write a config without the problems, and list what was left out."""
    from ..settings import Settings
    from .config_problems import fixed_json, fixed_text, write_fixed
    from .printing import show, show_json

    settings = Settings.read(arguments.file)
    path, fixed = write_fixed(settings, arguments.output)
    if arguments.json:
        show_json(fixed_json(path, fixed))
    else:
        show(fixed_text(settings.config.name if settings.config else "", path, fixed))
    return int(bool(fixed.remaining))


def _check_origins(catalog: Catalog) -> None:
    """Raise the `ConfigError` with which `serve` would refuse the settings for web pages."""
    from ..http.web_origins import WebOrigins

    general = catalog.general
    WebOrigins(general.cors_origins, general.allowed_hosts, is_open=not catalog.client_keys)


def _http_client(general: GeneralSettings) -> dict[str, str | bool | None]:
    """The settings of the HTTP client; raises `ConfigError` if its certificates are wrong."""
    if general.http_client == "default":
        return {"name": "default"}
    from ..transport.httpx_client import make_context, verify_setting

    make_context(general)
    return {
        "name": general.http_client,
        "ssl_verify": verify_setting(general),
        "ssl_certificate": general.ssl_certificate,
    }


def _text(
    rows: list[DeploymentSummary],
    callers: dict[str, bool],
    missing: list[str],
    http_client: dict[str, str | bool | None],
    remarks: list[str],
    *,
    is_complete: bool,
) -> str:
    from .table import columns

    lines = [columns([HEADER, *(_cells(row) for row in rows)]), "", *remarks]
    if callers:
        keys = ", ".join(f"{name}{'' if ok else ' MISSING'}" for name, ok in callers.items())
        lines.append(f"keys of clients: {keys}")
    else:
        lines.append("keys of clients: none, so the gateway serves this machine only")
    if http_client["name"] != "default":
        lines.append(_client_line(http_client))
    if missing:
        lines.append(f"missing: {', '.join(missing)}")
    elif is_complete:
        noun = "deployment" if len(rows) == 1 else "deployments"
        lines.append(f"ok: {len(rows)} {noun}, no missing keys")
    return "\n".join(lines)


def _client_line(client: dict[str, str | bool | None]) -> str:
    trusted = {True: "the system's certificates", False: "EVERY certificate"}
    verify, certificate = client["ssl_verify"], client["ssl_certificate"]
    own = f"; its own certificate is `{certificate}`" if certificate else ""
    trusts = trusted[verify] if isinstance(verify, bool) else f"the certificates in `{verify}`"
    return f"HTTP client: {client['name']}, which trusts {trusts}{own}"


def _cells(row: DeploymentSummary) -> tuple[str, ...]:
    limits = ", ".join(f"{name} {value:g}" for name, value in row.limits.items())
    keys = ", ".join(_key(key, row) for key in row.keys) or _no_key(row)
    fallbacks = ", ".join(row.fallbacks)
    place = ", ".join(f"{name} {value}" for name, value in row.place.items())
    base = f"{row.url} ({place})" if place else row.url
    return (row.name, row.provider, row.model, base, keys, limits or "-", fallbacks or "-")


def _key(key: KeyStatus, row: DeploymentSummary) -> str:
    from .config_notes import LITERAL

    if key.name == LITERAL:
        return "in the config"
    return key.name if key.present else f"{key.name} {_absent(row)}"


def _absent(row: DeploymentSummary) -> str:
    return "(not set, not needed)" if row.auth == "optional" else "MISSING"


def _no_key(row: DeploymentSummary) -> str:
    labels = {
        "aws": "AWS credentials",
        "google": "Google's default credentials",
        "optional": "none needed",
    }
    return labels.get(row.auth, "-")

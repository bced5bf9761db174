"""`fanout check`: what a config's names resolve to, and what is missing."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .shared_arguments import Help, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from ..config.resolve import Catalog
    from .config_summary import DeploymentSummary, KeyStatus

HEADER = ("MODEL NAME", "PROVIDER", "PROVIDER'S MODEL", "BASE URL", "KEY", "LIMITS", "FALLBACKS")


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Its words."""
    parser = commands.add_parser(
        "check",
        help="show what a config resolves to, and what is missing",
        description="Read a config as the gateway would and show what each model name resolves "
        "to. Keys are shown by name only. Exit code 2: the config is wrong; 1: a key is missing.",
        formatter_class=Help,
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="the YAML (else FANOUT_CONFIG)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table, and say what is missing."""
    from ..errors import ConfigError
    from ..wire import json
    from .config_choice import select_config
    from .config_summary import summarize

    selected = select_config(arguments.file)
    if selected.settings.config is None or (selected.is_local and not arguments.file):
        raise ConfigError("say which config: `fanout check FILE`, or set FANOUT_CONFIG")
    rows = summarize(selected.catalog)
    callers = _callers(selected.catalog)
    missing = sorted({*_missing(rows), *(name for name, ok in callers.items() if not ok)})
    if arguments.json:
        said = {"config": str(selected.settings.config), "ok": not missing, "missing": missing}
        print(json.encode(said | {"models": rows, "callers": callers}).decode())
    else:
        print(_text(rows, callers, missing))
    return int(bool(missing))


def _callers(catalog: Catalog) -> dict[str, bool]:
    """The gateway's own keys by name, and whether each is there."""
    from .config_summary import LITERAL

    found = {}
    for caller in catalog.client_keys:
        if caller.secret is not None:
            name = caller.name if caller.secret.name == LITERAL else caller.secret.name
            found[name] = caller.secret.is_known
    return found


def _missing(rows: list[DeploymentSummary]) -> list[str]:
    return [name for row in rows for name in row.missing]


def _text(rows: list[DeploymentSummary], callers: dict[str, bool], missing: list[str]) -> str:
    from .table import columns

    lines = [columns([HEADER, *(_cells(row) for row in rows)]), ""]
    if callers:
        told = ", ".join(f"{name}{'' if ok else ' MISSING'}" for name, ok in callers.items())
        lines.append(f"callers' keys: {told}")
    else:
        lines.append("callers' keys: none, so the gateway serves this machine only")
    if missing:
        lines.append(f"missing: {', '.join(missing)}")
    else:
        lines.append(f"ok: {len(rows)} deployments, nothing is missing")
    return "\n".join(lines)


def _cells(row: DeploymentSummary) -> tuple[str, ...]:
    limits = ", ".join(f"{name} {value:g}" for name, value in row.limits.items())
    keys = ", ".join(_key(key, row) for key in row.keys) or _no_key(row)
    spare = ", ".join(row.fallbacks)
    return (row.name, row.provider, row.model, row.api_base, keys, limits or "-", spare or "-")


def _key(key: KeyStatus, row: DeploymentSummary) -> str:
    from .config_summary import LITERAL

    if key.name == LITERAL:
        return "in the config"
    return key.name if key.present else f"{key.name} {_absent(row)}"


def _absent(row: DeploymentSummary) -> str:
    return "(not set, not needed)" if row.auth == "optional" else "MISSING"


def _no_key(row: DeploymentSummary) -> str:
    told: dict[str, Any] = {"aws": "AWS credentials", "optional": "none needed"}
    return str(told.get(row.auth, "-"))

"""`fanout doctor`: checks the installation, the config, keys and the local model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from msgspec import Struct

from .shared_arguments import Help, add_config, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from ..settings import Settings

DEFAULT_PORT = 4000


class Finding(Struct, frozen=True):
    """The result of one check: `ok`, `absent` (not an error) or `wrong`."""

    what: str
    state: str
    words: str


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="check the installation, the config, keys and the local model",
        description="Check the installation, the config, the keys (by name only), the local "
        "model and the port. Calls no provider. Exit code 1: something is wrong.",
        formatter_class=Help,
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the result of each check."""
    from ..settings import Settings
    from .printing import show, show_json
    from .table import columns

    settings = Settings.read(arguments.config)
    findings = [
        _installed(),
        *_config(settings),
        _keys(settings),
        _engine(),
        *_weights(settings),
        _running(settings),
        _port(),
    ]
    wrong = any(finding.state == "wrong" for finding in findings)
    if arguments.json:
        show_json({"ok": not wrong, "findings": findings})
    else:
        show(columns([(f.state, f.what, f.words) for f in findings]))
    return int(wrong)


def _installed() -> Finding:
    import platform
    from importlib.metadata import version

    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("installation", "ok", f"fanout {version('fanout-gateway')}, {python}")


def _config(settings: Settings) -> list[Finding]:
    from urllib.parse import urlsplit

    from ..errors import ConfigError
    from .config_choice import select_config
    from .config_summary import summarize

    if settings.config is None:
        words = "none (--config or FANOUT_CONFIG); names are `provider/model`"
        return [Finding("config", "absent", words)]
    try:
        rows = summarize(select_config(str(settings.config)).catalog)
    except ConfigError as error:
        return [Finding("config", "wrong", str(error))]
    hosts = {urlsplit(row.api_base).netloc for row in rows}
    names = {row.name for row in rows}
    words = (
        f"`{settings.config}`: {_count(names, 'model name')} on {_count(hosts, 'provider host')}"
    )
    missing = sorted({name for row in rows for name in row.missing})
    lack = Finding("config's keys", "wrong", f"missing: {', '.join(missing)}")
    return [Finding("config", "ok", words), *([lack] if missing else [])]


def _count(found: set[str], what: str) -> str:
    return f"{len(found)} {what}{'' if len(found) == 1 else 's'}"


def _keys(settings: Settings) -> Finding:
    from .config_summary import provider_keys_in

    names = list(provider_keys_in(settings.env).values())
    if not names:
        return Finding("providers' keys", "absent", "none in the environment")
    return Finding("providers' keys", "ok", ", ".join(names))


def _engine() -> Finding:
    from importlib.metadata import version

    from ..local.engine import load_xllamacpp
    from ..local.models import LocalError

    try:
        load_xllamacpp()
    except LocalError as error:
        state = "absent" if "not installed" in str(error) else "wrong"
        return Finding("local engine", state, str(error))
    return Finding("local engine", "ok", f"xllamacpp {version('xllamacpp')}")


def _weights(settings: Settings) -> list[Finding]:
    from ..local.models import MODELS, cache_home, is_complete, weights_path

    found = []
    for model in MODELS.values():
        path = weights_path(model, cache_home(settings.env))
        if not path.exists():
            words = f"{model.title}: run `fanout local install`"
            found.append(Finding("local model", "absent", words))
        elif is_complete(model, path):
            found.append(Finding("local model", "ok", f"{model.title}, hash checked: {path}"))
        else:
            words = f"{path} is not {model.title}: run `fanout local install`"
            found.append(Finding("local model", "wrong", words))
    return found


def _running(settings: Settings) -> Finding:
    from ..local.models import cache_home
    from ..local.running_engine import find_running

    engine = find_running(cache_home(settings.env))
    if engine is None:
        return Finding("running engine", "absent", "none; `fanout local serve` starts it")
    return Finding("running engine", "ok", f"{engine.model} at {engine.base_url}")


def _port() -> Finding:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError as error:
            words = f"{DEFAULT_PORT} of 127.0.0.1 is in use ({error.strerror}): choose another"
            return Finding("port", "absent", words)
    return Finding("port", "ok", f"{DEFAULT_PORT} of 127.0.0.1 is free")

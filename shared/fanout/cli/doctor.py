"""`fanout doctor`: checks the installation, the config and the local model; names the next step."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from msgspec import Struct

from .shared_arguments import Help, add_config, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction
    from collections.abc import Mapping
    from pathlib import Path

    from ..settings import Settings

DEFAULT_PORT = 4000
DATA_FOLDER = "data folder"
PROBE_TIMEOUT = 2.0
"""Seconds that the process on the port has to say whether it is Fanout."""


class Finding(Struct, frozen=True):
    """The result of one check: `ok`, `absent` or `busy` (not errors), or `wrong`."""

    what: str
    state: str
    words: str


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="check the installation, the config, keys and the local model",
        description="Check the installation, the config, the keys (by name only), the folder of "
        "jobs, the local model and the port, and name the next step. Calls no provider. Exit code "
        "1: something is wrong.",
        formatter_class=Help,
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the result of each check."""
    from ..settings import Settings
    from .data_folder import check_data_folder
    from .printing import show, show_json
    from .table import columns

    settings = Settings.read(arguments.config)
    findings = [
        _installed(),
        *_config(settings),
        _keys(settings),
        Finding(DATA_FOLDER, *check_data_folder(settings.env)),
        _engine(),
        *_weights(settings),
        _running(settings),
        port_finding(),
    ]
    wrong = any(finding.state == "wrong" for finding in findings)
    if arguments.json:
        show_json({"ok": not wrong, "findings": findings, "next": next_step(settings, findings)})
    else:
        show(columns([(f.state, f.what, f.words) for f in findings], has_header=False))
        show(f"next: {next_step(settings, findings)}")
    return int(wrong)


def next_step(settings: Settings, findings: list[Finding]) -> str:
    """What to type next, by the findings."""
    states = {finding.what: finding.state for finding in findings}
    if states[DATA_FOLDER] == "wrong":
        return "name another data folder with FANOUT_HOME, or make this one writable, with room"
    if settings.config is not None:
        return _next_step_of(settings.config, states)
    return _next_step_without(states)


def _next_step_without(states: Mapping[str, str]) -> str:
    """What to type next if there is no config."""
    from .printed_commands import command

    if states["local model"] == "wrong":
        return f"`{command(['local', 'install'])}` replaces the damaged model"
    if states["providers' keys"] == "ok":
        return f"`{command(['init'])}` writes a config for these keys"
    if states["running engine"] == "ok":
        return f"`{command(['ask', 'Why is the sky blue?'])}`"
    if states["local engine"] == "ok":
        return f"`{command(['local', 'run'])}` serves a small model; or set a provider's key"
    return f"set a provider's key, such as OPENAI_API_KEY, then `{command(['init'])}`"


def _next_step_of(path: Path, states: Mapping[str, str]) -> str:
    """What to type next for a config."""
    from .printed_commands import command

    config = str(path)
    if not path.exists():
        return f"name a config that is there, or write one: `{command(['init', '-o', config])}`"
    if states["config"] == "wrong":
        check, fixed = command(["check", config]), command(["check", "--fix", config])
        return f"`{check}` lists what is wrong, `{fixed}` writes a config without it"
    if states.get("config's extras") == "wrong":
        return "install the missing extra"
    if states.get("config's keys") == "wrong":
        return "set the missing keys in the environment"
    other = ["--port", str(DEFAULT_PORT + 1)] if states["port"] == "busy" else []
    return f"`{command(['serve', '--config', config, *other])}`"


def _installed() -> Finding:
    import platform
    from importlib.metadata import version

    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("installation", "ok", f"fanout {version('fanout-gateway')}, {python}")


def _config(settings: Settings) -> list[Finding]:
    from urllib.parse import urlsplit

    from ..errors import ConfigError, ConfigProblems
    from .config_choice import select_config
    from .config_notes import extra_lines
    from .config_summary import missing_names, summarize

    if settings.config is None:
        words = "none (--config or FANOUT_CONFIG); names are `provider/model`"
        return [Finding("config", "absent", words)]
    try:
        catalog = select_config(str(settings.config)).catalog
        rows = summarize(catalog)
    except ConfigProblems as error:
        more = f"; and {len(error.lines) - 1} more" if len(error.lines) > 1 else ""
        return [Finding("config", "wrong", f"{error.lines[0]}{more}")]
    except ConfigError as error:
        return [Finding("config", "wrong", str(error))]
    hosts = {urlsplit(row.api_base).netloc for row in rows}
    names = {row.name for row in rows}
    words = (
        f"`{settings.config}`: {_count(names, 'model name')} on {_count(hosts, 'provider host')}"
    )
    missing = missing_names(catalog)
    lack = Finding("config's keys", "wrong", f"missing: {', '.join(missing)}")
    extras = [Finding("config's extras", "wrong", line) for line in extra_lines(catalog)]
    return [Finding("config", "ok", words), *([lack] if missing else []), *extras]


def _count(found: set[str], what: str) -> str:
    return f"{len(found)} {what}{'' if len(found) == 1 else 's'}"


def _keys(settings: Settings) -> Finding:
    from ..providers import registry

    names = list(registry.with_key(settings.env).values())
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


def port_finding(port: int = DEFAULT_PORT) -> Finding:
    """Whether the port is free, and if not, whether Fanout has it."""
    import socket

    from ..server.listener import claim_address

    with socket.socket() as probe:
        claim_address(probe)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            place = f"{port} of 127.0.0.1"
            if _is_fanout(port):
                return Finding("port", "busy", f"{place}: Fanout is running at this address")
            return Finding("port", "busy", f"{place} is in use: choose another with --port")
    return Finding("port", "ok", f"{port} of 127.0.0.1 is free")


def _is_fanout(port: int) -> bool:
    """Whether the process on the port is a gateway of Fanout."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        known = (response.getheader("x-request-id") or "").startswith("req_")
        return known and response.read(100) == b'{"status":"ok"}'
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()

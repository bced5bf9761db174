"""`fanout serve`: the app under uvicorn, on this machine."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..compose import load_catalog, open_gateway
from ..errors import ConfigError
from ..observe import JSONLines, Observer, Silent
from ..settings import Settings

if TYPE_CHECKING:
    from argparse import _SubParsersAction

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Its words."""
    parser = commands.add_parser("serve", help="serve OpenAI's API over the config's models")
    parser.add_argument("--config", metavar="FILE", help="the YAML (else FANOUT_CONFIG, else none)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4000)
    parser.add_argument("--quiet", action="store_true", help="no line for each attempt and request")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal says stop."""
    import uvicorn

    from ..http.app import App

    settings = Settings.read(arguments.config)
    catalog = load_catalog(settings)
    if not catalog.callers:
        if arguments.host not in LOOPBACK:
            raise ConfigError(
                f"without `general_settings.master_key` the gateway serves 127.0.0.1 only, "
                f"not `{arguments.host}`: set a key, or leave out --host"
            )
        print("fanout: no key is set: serving this machine only", file=sys.stderr)
    if catalog.is_open:
        print("fanout: no config: models are resolved by provider prefix", file=sys.stderr)
    observer: Observer = Silent() if arguments.quiet else JSONLines(sys.stderr.write)
    app = App(lambda: open_gateway(settings, catalog=catalog, observer=observer), observer=observer)
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return 0

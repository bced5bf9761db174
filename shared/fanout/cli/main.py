"""
The `fanout` command: its words, and which module does each. A module is imported when it runs.

Exit codes: 0 done, 1 something failed, 2 misuse, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import FanoutError

COMMANDS = ("serve",)
"""Each a module of this folder with `add(subparsers)`; `ask` adds `race` and `all` too."""


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="fanout", description="One prompt to many models, many prompts to one model."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f".{name}", __package__).add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = make_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except FanoutError as error:
        print(f"fanout: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code

"""`fanout completion`: prints a script with which a shell completes commands and options."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help

if TYPE_CHECKING:
    from argparse import _SubParsersAction

SHELLS = {"bash": "fanout.bash", "zsh": "_fanout", "fish": "fanout.fish"}
"""The shells, and the file of each in `completions/`, which `make docs` writes."""

HOW = """\
Print a script with which your shell completes the commands and options of `fanout`.

  bash: add to ~/.bashrc:  eval "$(fanout completion bash)"
  zsh:  add to ~/.zshrc, after compinit:  eval "$(fanout completion zsh)"
  fish: fanout completion fish > ~/.config/fish/completions/fanout.fish
"""


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "completion",
        help="print a script that completes commands and options in your shell",
        description=HOW,
        formatter_class=RawHelp,
    )
    parser.add_argument("shell", choices=sorted(SHELLS), help="the shell")
    parser.set_defaults(run=run)


class RawHelp(Help, argparse.RawDescriptionHelpFormatter):
    """Help whose description keeps its lines."""


def run(arguments: argparse.Namespace) -> int:
    """Print the script of a shell."""
    import sys
    from pathlib import Path

    path = Path(__file__).parent / "completions" / SHELLS[arguments.shell]
    sys.stdout.write(path.read_text(encoding="utf-8"))
    return 0

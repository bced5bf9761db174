"""Commands that are printed for the user, to paste into a shell."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

NAME = "fanout"


def program() -> str:
    """What the user types for `fanout`: the path that was typed, if a shell would not find it."""
    typed = Path(sys.argv[0])
    if typed.name != NAME or shutil.which(NAME) is not None:
        return NAME
    return sys.argv[0]


def same_command() -> str:
    """The command that is running, with all its arguments."""
    return shlex.join([program(), *sys.argv[1:]])


def batch_command(arguments: argparse.Namespace, action: str, job_id: str) -> str:
    """An action on a job, where this command's jobs are."""
    words = [program(), "batch", action, job_id]
    if arguments.stack:
        words += ["--stack", arguments.stack]
        if arguments.region:
            words += ["--region", arguments.region]
    elif getattr(arguments, "config", None):
        words += ["--config", arguments.config]
    return shlex.join(words)

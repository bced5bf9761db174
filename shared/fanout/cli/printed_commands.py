"""Commands that are printed for the user, to paste into a shell."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..wire.terminal_text import without_controls

if TYPE_CHECKING:
    from ..bulk.service.records import Job

NAME = "fanout"
WRITING = frozenset({"resume", "retry", "results"})
"""Actions on jobs that write responses."""

PLAIN = frozenset(map(chr, range(32, 127))) - set("\\%'!")
"""Characters without a meaning to `printf` in single quotes, or to a shell that has a history."""


SAFE_IN_POWERSHELL = re.compile(r"[\w./:=\\-]+", re.ASCII)
"""Words that PowerShell takes as they are."""


def program() -> str:
    """What the user types for `fanout`: the path that was typed, if a shell would not find it."""
    typed = Path(sys.argv[0])
    is_found = typed.name != NAME or shutil.which(NAME) is not None
    return NAME if is_found else sys.argv[0]


def command(words: Sequence[str]) -> str:
    """A command of `fanout`, in one line, with every word quoted as the user's shell needs it."""
    quote = powershell_quoted if sys.platform == "win32" else quoted
    return " ".join(map(quote, [program(), *words]))


def powershell_quoted(word: str) -> str:
    """The word for PowerShell, without control characters, which nothing in single quotes makes."""
    text = without_controls(word)
    if SAFE_IN_POWERSHELL.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def quoted(word: str) -> str:
    """
    The word for a shell.

    What a terminal would not show is written as `printf` has it: a line break would end the line
    that is copied, and control characters are not printed.
    """
    ends = len(word) - len(word.rstrip("\n"))  # `$(…)` takes them away
    text, rest = (word[:-ends], word[-ends:]) if ends else (word, "")
    if without_controls(text) == text and "\n" not in text and "\t" not in text:
        return shlex.quote(word)
    octal = "".join(f"\\{byte:03o}" if _is_odd(byte) else chr(byte) for byte in os.fsencode(text))
    if octal.startswith("-"):  # it is no option of `printf`
        octal = r"\055" + octal[1:]
    printed = f"\"$(printf '{octal}')\""
    return printed + (shlex.quote(rest) if rest else "")


def _is_odd(byte: int) -> bool:
    """Whether `printf` needs its octal number."""
    return chr(byte) not in PLAIN


def same_command() -> str:
    """The command that is running, with all its arguments, but without starting over."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    options = [word for word in words[:end] if not _is_fresh(word)]
    return command([*options, *words[end:]])


def _is_fresh(word: str) -> bool:
    """`--fresh`, also shortened, as argparse takes it."""
    return len(word) > len("--") and "--fresh".startswith(word)


def batch_command(
    arguments: argparse.Namespace, action: str, job: Job, output: str | None = None
) -> str:
    """An action on a job, where this command's jobs are, with the config of this command or job."""
    to = [] if output is None else ["-o", output]
    form = ["--json"] if action == "resume" and getattr(arguments, "json", False) else []
    if action in WRITING and getattr(arguments, "escape_formulas", False):
        form = [*form, "--escape-formulas"]
    config = getattr(arguments, "config", None) or job.config_path
    place = _stack(arguments) if arguments.stack else ["--config", config] if config else []
    return command(["batch", action, job.id, *place, *to, *form])


def list_command(arguments: argparse.Namespace) -> str:
    """Lists the jobs of this machine or of the command's stack."""
    return command(["batch", "status", *(_stack(arguments) if arguments.stack else [])])


def _stack(arguments: argparse.Namespace) -> list[str]:
    """The options that name the stack."""
    region = ["--region", arguments.region] if arguments.region else []
    return ["--stack", arguments.stack, *region]

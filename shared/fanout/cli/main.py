"""
The `fanout` command.

The modules of the commands import what they need when they run, so that `--help` is fast.

Exit codes: 0 success, 1 failure, 2 usage error, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from ..errors import ConfigError, ConfigProblems, FanoutError, RequestError
from ..secret import DOTS, is_like_address
from .shared_arguments import Help

COMMANDS = (
    "init", "serve", "ask", "batch", "check", "models", "local", "key", "team", "keys",
    "doctor", "completion",
)  # fmt: skip
"""Modules of this folder, each with `add(commands)`; `ask` and `team` add more than one."""

MODULES = (
    {name: name for name in COMMANDS}
    | dict.fromkeys(("race", "all", "agree"), "ask")
    | dict.fromkeys(("user", "budget"), "team")
)
"""The module of each command."""

DONE, FAILED, MISUSE, INTERRUPTED = 0, 1, 2, 130

MISSING = "the following arguments are required"
"""How argparse begins its error for a missing argument."""

WRONG_CHOICE = re.compile(r"argument (?:.*, )?(\S+): invalid choice: '(.*)' \(choose from (.*)\)")
"""Its error for a wrong command or value, with the argument, the word, and what there is."""

WRONG_TYPE = re.compile(r"argument (?:.*, )?(\S+): invalid (int|float) value: '(.*)'", re.DOTALL)
"""Its error for a value that is no number, with the option and the value."""

EXCLUSIVE = re.compile(r"argument (?:.*, )?(\S+): not allowed with argument (?:.*/)?(\S+)")
"""Its error for an option that another one excludes, with both."""

NEVER_EMPTY = frozenset({"FILE", "S", "R"})
"""The values that name a file, a stack or its region."""

NUMBERS = {"int": "a whole number", "float": "a number"}

OWN_OPTIONS = frozenset({"-h", "--help", "-V", "--version"})
"""The options that may stand in a command's place."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are safe to show: a file's name may be someone else's."""

    def error(self, message: str) -> NoReturn:
        """Print the error as one line (after the commands, if one is missing), and exit."""
        from ..wire.terminal_text import one_line

        if self._subparsers is not None and message.startswith(MISSING):
            self.print_help(sys.stderr)
            self.exit(MISUSE, f"\n{self.prog}: error: {message}\n")
        if wrong := WRONG_CHOICE.fullmatch(message):
            message = _wrong_choice(wrong[1], wrong[2], re.findall(r"[\w-]+", wrong[3]))
        elif wrong := EXCLUSIVE.fullmatch(message):
            message = f"use {wrong[2]} or {wrong[1]}, not both"
        elif wrong := WRONG_TYPE.fullmatch(message):
            message = f"{wrong[1]} must be {NUMBERS[wrong[2]]}, not `{wrong[3]}`"
        help_command = f"`{self.prog} --help` shows what there is"
        self.exit(MISUSE, f"{self.prog}: error: {one_line(message)} ({help_command})\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Reject what is unknown here: the usage is then that of the command."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            near = _similar(unknown[0].partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(map(_shown, unknown))}{near}")
        self._check_not_empty(found)
        return found, unknown

    def _check_not_empty(self, found: argparse.Namespace) -> None:
        """Reject an empty name of a file or a stack: a script's variable may not be set."""
        for action in self._actions:
            if action.metavar in NEVER_EMPTY and getattr(found, action.dest, None) == "":
                name = "/".join(action.option_strings) or str(action.metavar)
                self.error(f"{name} is empty: leave it out, or name one")


def _shown(word: str) -> str:
    """An unknown word without what may be a secret: an address, a key, an option's value."""
    from ..transport.redaction import redact

    name, equals, _ = word.partition("=")
    return DOTS if is_like_address(name) else f"{redact(name)}{equals}{DOTS if equals else ''}"


def _wrong_choice(argument: str, word: str, names: Sequence[str]) -> str:
    """The error for a word that is none of these names."""
    near = _similar(word, names)
    if argument not in {"COMMAND", "ACTION"}:
        return f"{argument} must be one of {', '.join(names)}, not `{word}`{near}"
    what = argument.lower()
    known = f"; there are {', '.join(names)}"
    return f"there is no {what} `{word}`{near or known}"


def _similar(word: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, list(names), 1)
    return f"; did you mean {near[0]}?" if near else ""


class ShowVersion(argparse.Action):
    """`--version`, which looks the version up when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the version and exit."""
        from importlib.metadata import version

        sys.stdout.write(f"fanout {version('fanout-gateway')}\n")
        parser.exit()


def make_parser(command: str = "") -> argparse.ArgumentParser:
    """The parser with all commands; if `command` is one, only what is needed to parse it."""
    parser = Parser(
        prog="fanout",
        description="Send one prompt to many models, or many prompts to one model.",
        epilog="Run `fanout COMMAND --help` for details. Exit codes: 0 success, 1 failure, "
        "2 usage error, 130 interrupted.",
        formatter_class=Help,
    )
    parser.add_argument(
        "-V", "--version", action=ShowVersion, nargs=0, help="print the version and exit"
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    for name in (MODULES[command],) if command in MODULES else COMMANDS:
        import_module(f".{name}", __package__).add(commands)
    return parser


class _WholeWriter(io.BufferedWriter):
    """Writes all that it is given at once."""

    def write(self, data: Any, /) -> int:
        written = super().write(data)
        self.flush()
        return written


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _open_closed_outputs()
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output has closed it, like `head`
        return _without_output()
    except OSError as error:
        from .printing import show

        where = "the output" if error.filename is None else f"`{error.filename}`"
        show(f"fanout: {where}: {error.strerror or error}", file=sys.stderr)
        return _without_output()
    except KeyboardInterrupt:
        _say_cancelled()
        return INTERRUPTED
    return code


def _open_closed_outputs() -> None:
    """Where a shell has closed an output (`>&-`), Python has none: what is written is lost."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


def _run(words: Sequence[str]) -> int:
    """The command's exit code; its errors are printed."""
    arguments = argparse.Namespace()
    try:
        arguments = _parse(words)
        _write_whole_pieces()
        code: int = arguments.run(arguments)
    except FanoutError as error:
        return _failed(error, as_json=getattr(arguments, "json", False))
    except SystemExit:  # after a help or a version
        sys.stdout.flush()
        raise
    return code


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = make_parser(words[0] if words else "")
    if words and words[0].startswith("-") and words[0] not in OWN_OPTIONS:
        parser.error(
            f"{words[0].partition('=')[0]} is no option of `fanout` itself: first the "
            f"command, then its options, such as `fanout ask PROMPT --model NAME`"
        )
    return parser.parse_args(words)


def _write_whole_pieces() -> None:
    r"""
    Make each write to standard output complete or an error.

    A character that the terminal's encoding lacks is written as its escape, such as `\u2192`. Files
    and pipes have UTF-8 on Windows too, whose own encoding lacks most characters.
    With `PYTHONUNBUFFERED`, as in Docker images of Python, a write to a disk that becomes full may
    write a part of what it is given, and raises nothing.
    """
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            is_ansi = sys.platform == "win32" and not output.isatty()
            encoding = "utf-8" if is_ansi else output.encoding
            output.reconfigure(encoding=encoding, errors="backslashreplace")
    if (
        sys.platform == "win32"
        and isinstance(sys.stdin, io.TextIOWrapper)
        and not sys.stdin.isatty()
    ):
        sys.stdin.reconfigure(encoding="utf-8")
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase) and id(sys.stdout) == id(sys.__stdout__):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = io.TextIOWrapper(_WholeWriter(raw), encoding, errors, write_through=True)


def _say_cancelled() -> None:
    """Say that the command ends because of Ctrl-C, on a line after the `^C` of the terminal."""
    from .printing import show

    with suppress(OSError):  # the terminal may be closed
        show(f"{chr(10) if sys.stderr.isatty() else ''}fanout: cancelled", file=sys.stderr)


def _without_output() -> int:
    """Write nothing more: at its end, Python would try to write what is left of the output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _failed(error: FanoutError, *, as_json: bool) -> int:
    """Print the error on standard error, and with --json also on standard output."""
    from .printing import show, show_json

    if as_json:
        from ..schema.error import error_body
        from .config_problems import problem_json

        body = error_body(error)
        if isinstance(error, ConfigProblems):
            body = {**body, "problems": [problem_json(problem) for problem in error.problems]}
        show_json(body)
    if isinstance(error, ConfigProblems):
        from .config_problems import print_problems

        print_problems(error)
    else:
        show(f"fanout: {error}", file=sys.stderr)
    return MISUSE if isinstance(error, ConfigError | RequestError) else FAILED

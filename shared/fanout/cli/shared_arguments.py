"""The format of help texts, and the arguments that several commands share."""

from __future__ import annotations

import argparse


class Help(argparse.HelpFormatter):
    """Formats help alike on every Python version: `-m, --model NAME` as Python 3.13 does."""

    def __init__(self, prog: str, **_options: object) -> None:
        super().__init__(prog, max_help_position=30)

    def add_argument(self, action: argparse.Action) -> None:
        """Leave room for the names of commands, which are indented more than options."""
        super().add_argument(action)
        for command in self._iter_indented_subactions(action):
            width = len(self._format_action_invocation(command)) + self._current_indent
            self._action_max_length = max(self._action_max_length, width)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        metavar = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {metavar}"


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument("--config", metavar="FILE", help="the config file (default: FANOUT_CONFIG)")


def add_json(parser: argparse.ArgumentParser, what: str = "one JSON object") -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help=f"print {what}")


def add_check(parser: argparse.ArgumentParser, about: str, *, escalates: bool = True) -> None:
    """
    `--response-format FILE`, and how responses are checked by it.

    If the command never `escalates`, `--escalate` is only for the error that says so.
    """
    parser.add_argument("--response-format", metavar="FILE", help=about)
    parser.add_argument(
        "--check",
        action="store_true",
        help="ask again for a response that does not fit the schema of --response-format",
    )
    parser.add_argument(
        "--attempts",
        metavar="N",
        type=int,
        help="with --check: the calls of one model for one response (default: 2)",
    )
    parser.add_argument(
        "--escalate",
        metavar="NAME",
        action="append",
        help="with --check: the model to ask when no response fits; repeat it for several"
        if escalates
        else argparse.SUPPRESS,
    )

"""How help looks, and the words that several commands share."""

from __future__ import annotations

import argparse


class Help(argparse.HelpFormatter):
    """Help that reads the same under every Python: `-m, --model NAME` as of 3.13."""

    def __init__(self, prog: str, **_options: object) -> None:
        super().__init__(prog, max_help_position=30)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        metavar = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {metavar}"


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument(
        "--config", metavar="FILE", help="the YAML of models (else FANOUT_CONFIG, else none)"
    )


def add_json(parser: argparse.ArgumentParser, what: str = "one JSON object") -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help=f"print {what}, for machines")

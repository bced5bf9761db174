"""The words of `fanout ask`, `race` and `all`; `asking` does them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_config, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

ASK = """Ask one model and print its answer. Further models are asked in turn, each only if the
one before it fails."""

RACE = """Ask several models at once: the first complete answer wins, or with --stream the first
word, and the others are cancelled. In a terminal the race is shown while it runs. The answer goes
to standard output, all else to standard error."""

ALL = """Ask several models at once and print every answer as it comes. The exit code is 1 if any
model failed."""

MODELS = """Without -m: the config's only model, or those of the running local model
(`fanout local serve`)."""


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of all three."""
    for name, about, summary in (
        ("ask", ASK, "ask one model"),
        ("race", RACE, "ask several models; the fastest answer wins"),
        ("all", ALL, "ask several models; every answer"),
    ):
        parser = commands.add_parser(
            name, help=summary, description=about, epilog=MODELS, formatter_class=Help
        )
        _add_arguments(parser)
        if name == "race":
            parser.add_argument(
                "--stagger",
                type=float,
                metavar="SECONDS",
                help="start the next model only after so long, or when one fails: a hedge",
            )
        parser.set_defaults(run=run)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", metavar="PROMPT", help="what to ask; `-` reads standard input")
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        dest="models",
        metavar="NAME",
        help="a model's name in the config, or `provider/model`; may be given several times",
    )
    parser.add_argument("--system", metavar="TEXT", help="a system message before the prompt")
    parser.add_argument("--stream", action="store_true", help="print the answer while it comes")
    add_config(parser)
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after so long")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="the longest answer")
    parser.add_argument("--temperature", type=float, metavar="X", help="0 is the least random")
    add_json(parser, "the answer as one JSON object, with --stream one chunk a line")


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print."""
    from .prompt_runner import run_prompt

    return run_prompt(arguments)

"""The arguments of `fanout ask`, `race`, `all` and `agree`; `prompt_runner.py` runs them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_check, add_config, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction

ASK = """Send a prompt to one model and print its response. If you name several models, each is
tried only if the one before it fails."""

RACE = """Send a prompt to several models at once. The first complete response wins, or with
--stream the first model to produce text; the others are cancelled. On a terminal you see the race
while it runs. The response goes to standard output, everything else to standard error."""

ALL = """Send a prompt to several models at once and print every response as it arrives. The exit
code is 1 if a model fails."""

AGREE = """Send a prompt to several models and print the response that enough of them agree on. Only
as many are called as can decide; a disagreement or a failure calls the next one. How the models
voted goes to standard error. The exit code is 1 if they do not agree."""

MODELS = """Without -m, the command uses the config's only model, or the running local model
(`fanout local serve`). With --gateway, the gateway's config counts. Ctrl-C or
SIGTERM cancels the request there, and the gateway also ends it 10 s after this command has gone."""


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the four commands."""
    for name, about, summary in (
        ("ask", ASK, "send a prompt to one model"),
        ("race", RACE, "send a prompt to several models; the fastest response wins"),
        ("all", ALL, "send a prompt to several models; print every response"),
        ("agree", AGREE, "send a prompt to several models; print what enough of them agree on"),
    ):
        parser = commands.add_parser(
            name, help=summary, description=about, epilog=MODELS, formatter_class=Help
        )
        _add_arguments(parser, escalates=name != "agree")
        if name == "race":
            parser.add_argument(
                "--stagger",
                type=_stagger,
                metavar="SECONDS",
                help="wait this long before starting the next model, or until one fails (a hedge); "
                "p95: as long as the model needs in 95 %% of its recent calls (of the gateway)",
            )
        if name == "agree":
            from .agree import add_rules

            add_rules(parser)
        parser.set_defaults(run=run)


def _stagger(given: str) -> float | str:
    """The option's value; raises `ArgumentTypeError`."""
    try:
        return given if given == "p95" else float(given)
    except ValueError:
        message = f"it must be a number of seconds, or `p95`, not `{given:.40}`"
        raise argparse.ArgumentTypeError(message) from None


def _add_arguments(parser: argparse.ArgumentParser, *, escalates: bool) -> None:
    parser.add_argument(
        "prompt", metavar="PROMPT", help="the prompt, after what is piped in; `-`: only that"
    )
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        dest="models",
        metavar="NAME",
        help="a model name of the config, or `provider/model`; repeat it for several models",
    )
    parser.add_argument("--system", metavar="TEXT", help="the system message")
    parser.add_argument("--stream", action="store_true", help="print the response as it arrives")
    add_config(parser)
    parser.add_argument(
        "--gateway",
        metavar="URL",
        help="send the prompt to the gateway at this base URL, with the key in FANOUT_API_KEY",
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after this long")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="the most tokens of a response")
    parser.add_argument("--temperature", type=float, metavar="X", help="0 is the least random")
    about = "a JSON Schema for the response, or a whole `response_format`"
    add_check(parser, about, escalates=escalates)
    add_json(parser, "the response as one JSON object, or with --stream one chunk per line")


def run(arguments: argparse.Namespace) -> int:
    """Send the prompt and print the response."""
    from .prompt_runner import run_prompt

    return run_prompt(arguments)

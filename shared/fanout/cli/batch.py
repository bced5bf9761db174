"""`fanout batch`: a file of prompts to a file of answers, with no server, or in a stack on AWS."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_config, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Its words, and those of its own commands."""
    parser = commands.add_parser(
        "batch",
        help="run a file of prompts as a job that nothing stops for good",
        description="Run a file of prompts as a job. A job that was stopped, by Ctrl-C or worse, "
        "goes on when the same command is given again; no stored answer is asked for twice. With "
        "--stack the job runs in a stack on AWS, by its config, and Ctrl-C leaves it running.",
        formatter_class=Help,
    )
    own = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    _add_run(own)
    _add_quote(own)
    status = _command(own, "status", "show a job, or all of them")
    status.add_argument("job", metavar="JOB", nargs="?")
    add_json(status)
    cancel = _command(own, "cancel", "end a job; what is done is kept")
    cancel.add_argument("job", metavar="JOB")
    add_config(cancel)
    add_json(cancel)
    _add_retry(own)
    _add_results(own)


def _command(
    own: _SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    parser = own.add_parser(
        name, help=what, description=f"{what[:1].upper()}{what[1:]}.", formatter_class=Help
    )
    parser.add_argument("--stack", metavar="S", help="a stack's jobs on AWS, not this machine's")
    parser.add_argument("--region", metavar="R", help="its region (else AWS's usual settings)")
    parser.set_defaults(run=run)
    return parser


def _add_run(own: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(own, "run", "run a file of prompts, or go on with it")
    _add_prompts(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the answers (FILE.output.jsonl beside the input)"
    )
    parser.add_argument("--window", metavar="TIME", default="24h", help="1h to 14d (24h)")
    _add_cap(parser)
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever is stored")
    add_json(parser, "progress as JSON lines")


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help='JSONL: OpenAI batch lines, {"messages": [...]}, or lists of messages',
    )
    parser.add_argument(
        "-m", "--model", metavar="NAME", dest="models", action="append", default=[],
        help="the model of lines that name none; several: `a,b`",
    )  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--text", action="store_true", help="each line of FILE is a prompt")
    form.add_argument("--column", metavar="NAME", help="FILE is CSV, its prompts in this column")
    parser.add_argument("--system", metavar="TEXT", help="with --text or --column: before each")
    add_config(parser)


def _add_cap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-cost", metavar="USD", type=float, help="start no line once so much is spent"
    )


def _add_quote(own: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(own, "quote", "say what a file would take, and send nothing")
    _add_prompts(parser)
    add_json(parser)


def _add_retry(own: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(own, "retry", "run a job's failed lines again, and merge the answers")
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("-o", "--output", metavar="FILE", help="the answers of both")
    _add_cap(parser)
    add_config(parser)
    add_json(parser, "progress as JSON lines")


def _add_results(own: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(own, "results", "print a job's answers")
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("--errors", action="store_true", help="the failed lines instead")
    parser.add_argument("-o", "--output", metavar="FILE", help="to a file")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked."""
    from .batch_actions import run_action

    return run_action(arguments)

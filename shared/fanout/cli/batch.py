"""The arguments of `fanout batch`; `batch_actions.py` runs them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_check, add_config, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction


JOB = "the id of a job, or its beginning or end"


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    parser = commands.add_parser(
        "batch",
        help="run a file of prompts as a resumable job",
        description="Run a file of prompts as a job. If it stops, by Ctrl-C or a crash, run the "
        "same command again to resume; no stored response is requested twice. With --stack, the "
        "job runs in a stack on AWS with the stack's own config, and continues after Ctrl-C.",
        formatter_class=Help,
    )
    own = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    _add_run(own)
    _add_quote(own)
    status = _command(own, "status", "show one job or all jobs")
    status.add_argument("job", metavar="JOB", nargs="?", help=f"{JOB} (default: all)")
    add_json(status)
    cancel = _command(own, "cancel", "cancel a job and keep its responses so far")
    cancel.add_argument("job", metavar="JOB", help=JOB)
    add_config(cancel)
    add_json(cancel)
    _add_resume(own)
    _add_retry(own)
    _add_results(own)
    remove = _command(own, "remove", "delete jobs that do not run, and their responses")
    remove.add_argument("jobs", metavar="JOB", nargs="+", help=JOB)


def _command(
    own: _SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    parser = own.add_parser(
        name, help=what, description=f"{what[:1].upper()}{what[1:]}.", formatter_class=Help
    )
    parser.add_argument("--stack", metavar="S", help="use the jobs of a stack on AWS")
    parser.add_argument(
        "--region", metavar="R", help="the stack's region (default: your AWS settings)"
    )
    parser.set_defaults(run=run)
    return parser


def _add_run(own: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(own, "run", "run a file of prompts, or resume it")
    _add_prompts(parser)
    _add_output(
        parser,
        "where to write responses, by its suffix as csv, tsv, jsonl or parquet; `-` is standard "
        "output (default: beside FILE with its suffix, or `-` if FILE is a pipe)",
    )
    _add_window(parser)
    _add_cap(parser)
    _add_lane(parser)
    _add_webhook(parser)
    _add_cache(parser)
    parser.add_argument(
        "--order",
        metavar="ORDER",
        help="input: JSONL responses in the order of FILE, after those of earlier runs; any: as "
        "they come (default: any; tables are always in order)",
    )
    parser.add_argument("--fresh", action="store_true", help="start over, ignore stored responses")
    add_json(parser, "progress as JSON lines")


def _add_output(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help=about)
    parser.add_argument(
        "--escape-formulas",
        action="store_true",
        help="CSV for a spreadsheet: ' before cells that it would run as formulas",
    )


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help='JSONL lines of OpenAI, Azure, Mistral or Together, {"messages": [...]}, '
        '{"prompt": "..."} or lists of messages; with --prompt or --column a table: CSV, TSV, '
        "JSONL or Parquet; also gzipped; `-` is standard input",
    )
    parser.add_argument(
        "-m", "--model", metavar="NAME", dest="models", action="append", default=[],
        help="the model for lines without one; several: `a,b`",
    )  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--text", action="store_true", help="each line of FILE is a prompt")
    form.add_argument(
        "--prompt", metavar="TEXT", help="the prompt of each row, such as 'Classify: {review}'"
    )
    form.add_argument("--column", metavar="NAME", help="the column of each row's prompt")
    parser.add_argument("--id", metavar="COLUMN", help="the column that names the rows")
    parser.add_argument("--limit", metavar="N", type=int, help="only the first N prompts")
    _add_params(parser)
    parser.add_argument(
        "--separator", metavar="C", help="what separates CSV's cells, or `tab` (default: found)"
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="FILE's encoding (default: UTF-8, UTF-16 or cp1252, found)",
    )
    add_config(parser)


def _add_params(parser: argparse.ArgumentParser) -> None:
    """What each request gets that does not have its own."""
    parser.add_argument(
        "--system",
        metavar="TEXT",
        help="the system message, with --prompt, --column or --text; of a table also a template, "
        "such as 'Respond in {language}'",
    )
    parser.add_argument("--max-tokens", metavar="N", type=int, help="the most tokens of a response")
    parser.add_argument("--temperature", metavar="X", type=float, help="0 is the least random")
    add_check(parser, "a JSON Schema for the responses: a column for each property")


def _add_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--window", metavar="TIME", default="24h", help="expire after 1h to 14d (default: 24h)"
    )


def _add_cap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-cost",
        metavar="USD",
        type=float,
        help="stop starting new lines once this much is spent",
    )


def _add_lane(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lane",
        metavar="LANE",
        help="realtime; flex: the providers' cheaper, slower tier; native: their own batches, in "
        "hours; or auto: flex as far as the window allows (default: auto from 3h)",
    )
    parser.add_argument(
        "--native",
        metavar="CHOICE",
        help="whether lines use the providers' own batches: never; auto: where they are cheaper; "
        "require: all lines, otherwise fail (default: never, with --lane native auto)",
    )


def _add_webhook(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--webhook", metavar="URL", help="send a signed request there when the job ends"
    )
    parser.add_argument(
        "--webhook-secret",
        metavar="NAME",
        help="the variable that has the secret of the signature; with --stack, one of the config's "
        "webhook_secrets",
    )


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache",
        metavar="CHOICE",
        help="order: lines with the same prefix follow each other; auto: also ask providers to "
        "cache it; off: lines as in the file (default: order)",
    )


def _add_quote(own: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        own, "quote", "estimate the cost and time of a file; calls no provider without --sample"
    )
    _add_prompts(parser)
    parser.add_argument(
        "--sample",
        metavar="N",
        type=int,
        help="send N lines, such as 20, and estimate the others by their responses, which are not "
        "paid again",
    )
    _add_window(parser)
    _add_cap(parser)
    _add_lane(parser)
    _add_cache(parser)
    add_json(parser)


def _add_resume(own: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(own, "resume", "go on with a stopped job, or follow one that runs")
    parser.add_argument("job", metavar="JOB", help=JOB)
    _add_output(parser, "where to write all responses")
    add_config(parser)
    add_json(parser, "progress as JSON lines")


def _add_retry(own: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(own, "retry", "run the failed lines of a job again, and merge the responses")
    parser.add_argument("job", metavar="JOB", help=JOB)
    _add_output(parser, "where to write all responses")
    _add_cap(parser)
    add_config(parser)
    add_json(parser, "progress as JSON lines")


def _add_results(own: _SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(own, "results", "print the responses of a job")
    parser.add_argument("job", metavar="JOB", help=JOB)
    parser.add_argument("--errors", action="store_true", help="print the failed lines instead")
    parser.add_argument(
        "--partial", action="store_true", help="the results so far of a job that has not ended"
    )
    _add_output(parser, "write to this file, by its suffix as csv, tsv, jsonl or parquet")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    from .batch_actions import run_action

    return run_action(arguments)

"""Checks what `fanout batch run` and `quote` read, and where `run` writes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from ..bulk.input.csv_reader import checked_separator
from ..bulk.local.input_files import STDIN, open_input
from ..bulk.local.prompt_files import PromptFile
from ..bulk.service.batches import cost_cap, parse_window
from ..errors import RequestError
from .config_choice import pick_models, select_config
from .output_paths import STDOUT, Output, check_output
from .printing import show


class BatchInput(Struct, frozen=True):
    """The prompts, the model for lines without one, and for `run` the cost cap and the output."""

    prompts: PromptFile
    model: str | None
    cap: int | None = None
    output: Output | None = None


@contextmanager
def open_batch_input(arguments: argparse.Namespace) -> Iterator[BatchInput]:
    """Check the arguments, then open the file; a pipe is read to its end."""
    _check_form(arguments)
    model = _model(arguments)
    with ExitStack() as stack:
        cap, output = None, None
        if arguments.action == "run":
            parse_window(arguments.window, "--window")
            cap = cost_cap(arguments.max_cost, "--max-cost")
            inputs = ["/dev/stdin" if arguments.file == STDIN else arguments.file]
            inputs += filter(None, [arguments.config])
            output = stack.enter_context(check_output(_output_path(arguments), inputs))
        file = stack.enter_context(open_input(arguments.file))
        reported: set[str] = set()

        def report(note: str) -> None:
            if note not in reported:  # a file is read more than once
                reported.add(note)
                show(f"fanout: {note}", file=sys.stderr, flush=True)

        prompts = PromptFile(
            file.path,
            arguments.text,
            arguments.column,
            arguments.system,
            arguments.encoding,
            None if arguments.separator is None else checked_separator(arguments.separator),
            file.copy,
            report,
        )
        yield BatchInput(prompts, model, cap, output)


def _check_form(arguments: argparse.Namespace) -> None:
    if arguments.system and not (arguments.text or arguments.column is not None):
        raise RequestError("--system needs --text or --column", "system")
    if arguments.separator is not None:
        checked_separator(arguments.separator)
        if arguments.column is None:
            raise RequestError("--separator needs --column", "separator")


def _model(arguments: argparse.Namespace) -> str | None:
    """The model for lines without one."""
    if arguments.models:
        return ",".join(arguments.models)
    if not arguments.text and arguments.column is None:
        return None
    if arguments.stack:
        raise RequestError("name one of the stack's models: -m NAME", "model")
    return pick_models(select_config(arguments.config), [], several=False)[0]


def _output_path(arguments: argparse.Namespace) -> str:
    """`-o`; without it, beside the input, or standard output if the input is a pipe."""
    if arguments.output:
        return str(arguments.output)
    if arguments.file == STDIN or _is_pipe(Path(arguments.file)):
        return STDOUT
    return f"{arguments.file.removesuffix('.gz').removesuffix('.jsonl')}.output.jsonl"


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo()
    except OSError:
        return False

"""Follows a job to its end and writes its results: to files, pipes or standard output."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from ..bulk.costs import Costs
from ..bulk.input.job_source import JobSource
from ..bulk.local.prompt_jobs import forget_responses
from ..bulk.local.result_tables import TableOptions, WrittenTable, write_table
from ..bulk.service.records import Job
from ..bulk.tables.formats import GZIP, output_format, own_format
from ..bulk.work.partial_results import result_lines
from ..disk.files import Draft, storage_errors
from ..disk.threads import in_thread
from ..errors import SchemaMismatch
from . import job_signals
from .batch_backend import BatchBackend
from .batch_input import BatchInput
from .batch_progress import error_lines
from .batch_view import follow
from .output_paths import STDOUT, Output
from .printed_commands import batch_command, same_command
from .printing import json_lines_writer, show, text_writer

DONE, FAILED, MISUSE, INTERRUPTED = 0, 1, 2, 130


async def run_to_end(
    backend: BatchBackend,
    job: Job,
    arguments: argparse.Namespace,
    output: Output,
    given: BatchInput | None = None,
) -> int:
    """Show the job's progress to its end, then write its results; returns the exit code."""
    events = sys.stderr if output.is_stdout else None
    _show_stored(job)
    rerun = _rerun_command(job, arguments, given)
    cancel = batch_command(arguments, "cancel", job)
    stopped = f"fanout: {backend.interrupted_message(job, rerun, cancel)}"
    try:
        if arguments.json or not job.is_over:
            job = await follow(backend, job, as_json=arguments.json, events=events)
    except asyncio.CancelledError:  # a second Ctrl-C
        show(stopped, file=sys.stderr)
        raise
    if not job.is_over:
        show(stopped, file=sys.stderr)
        return INTERRUPTED
    await _report_webhook(backend, job)
    for error in error_lines(job.errors, unit_of(job)):
        show(f"fanout: {error}", file=sys.stderr)
    if job.is_invalid:  # nothing was sent, and the same command makes it again
        await backend.jobs.delete(job.id, None)
        await forget_responses(backend, job)
        return MISUSE
    is_table = await write_results(backend, job, output, arguments)
    job_signals.action_is_done()  # what is left only says where the results are
    if job.output_file_id and not output.is_stdout:
        show(f"fanout: responses: {output.path}", file=sys.stderr)
    if job.error_file_id:
        where = "the column `error`" if is_table else str(output.errors)
        show(f"fanout: failed lines: {where}", file=sys.stderr)
        if is_table and _has_texts(job):
            errors = [batch_command(arguments, "results", job), "--errors"]
            texts = " ".join(errors) if output.is_stdout else str(output.errors)
            show(f"fanout: texts that do not fit the schema: {texts}", file=sys.stderr)
        has_rows = output_format(_name(output), job.source or JobSource("")) != "responses"
        to = str(output.path) if has_rows and not output.is_stdout else None
        retry = batch_command(arguments, "retry", job, output=to)
        if job.reason == "capped":
            higher = "the same command with a higher --max-cost goes on"
            show(f"fanout: {higher}; a retry has the old cap unless you add one", file=sys.stderr)
        show(f"fanout: to retry them: {retry}", file=sys.stderr)
    clean = job.status == "completed" and job.error_file_id is None
    return DONE if clean else FAILED


async def _report_webhook(backend: BatchBackend, job: Job) -> None:
    """Wait for the first attempt to deliver the job's webhook; say if it has failed."""
    if job.owed_webhook is None:
        return
    webhook = await backend.deliver(job)
    if webhook is not None and webhook.error is not None:
        later = "the same command and `fanout serve` try again"
        end = "it is given up" if webhook.is_ended else later
        show(f"fanout: the webhook is not delivered: {webhook.error}; {end}", file=sys.stderr)


def unit_of(job: Job) -> str:
    """What a line of the job's input is to its user."""
    return "row" if job.source is not None and job.source.kind is not None else "line"


def _show_stored(job: Job) -> None:
    """Say which responses are there before anything is sent."""
    have = "has a response" if job.reused == 1 else "have responses"
    which = f"{job.reused:,} {unit_of(job)}{'' if job.reused == 1 else 's'}"
    if job.is_over and job.reused and not job.total:
        words = f"{'' if job.reused == 1 else 'all '}{which} {have} of an earlier run"
        words += "; nothing is sent"
    elif job.is_over and not job.is_invalid:
        words = f"the job is {job.status} already; nothing is sent"
    elif job.reused:
        words = f"{which} {have} of an earlier run; only the others are sent"
    else:
        return
    show(f"fanout: {words}", file=sys.stderr, flush=True)


def _rerun_command(job: Job, arguments: argparse.Namespace, given: BatchInput | None) -> str:
    """The command that goes on with the job. What came through a pipe is not there again."""
    if given is None or given.prompts.copy is None:
        return same_command()
    return batch_command(arguments, "resume", job, output=arguments.output or STDOUT)


async def write_results(
    backend: BatchBackend,
    job: Job,
    output: Output,
    arguments: argparse.Namespace,
    *,
    only_responses: bool = False,
) -> bool:
    """
    Write the job's results so far; returns whether as a table.

    The errors that an earlier job left beside its output are deleted, and nothing else: responses
    of an earlier job are paid for. With `only_responses`, there is one file.
    """
    form = output_format(_name(output), job.source or JobSource(""))
    has_responses = job.output_file_id is not None or not job.is_over
    is_kept = not (has_responses or only_responses or output.is_stdout) and output.path.is_file()
    if form != "responses" and not is_kept:
        await _write_rows(backend, job, output, TableOptions(form, arguments.escape_formulas))
        if not only_responses:
            await _write_texts(backend, job, output)
        return True
    if not job.is_over:
        await write_lines(backend, job, output, failed=False)
    elif job.output_file_id is not None:
        await _write_file(backend, job.output_file_id, output)
    if only_responses:
        return False
    if job.error_file_id is not None:
        await _write_file(backend, job.error_file_id, Output(output.errors))
    elif job.output_file_id is not None:
        await asyncio.to_thread(output.errors.unlink, missing_ok=True)
    if is_kept and form != "responses":
        kept = f"`{output.path}` stays as it is: no {unit_of(job)} has a response"
        show(f"fanout: {kept}", file=sys.stderr)
    return False


def _has_texts(job: Job) -> bool:
    """Whether failed lines have texts, which are not in a table: they do not fit the schema."""
    return job.totals is not None and SchemaMismatch.code in job.totals.causes


async def _write_texts(backend: BatchBackend, job: Job, output: Output) -> None:
    """Write the failed lines beside a table if they have texts; else delete an earlier job's."""
    if job.error_file_id is not None and _has_texts(job) and not output.is_stdout:
        await _write_file(backend, job.error_file_id, Output(output.errors))
    else:
        await asyncio.to_thread(output.errors.unlink, missing_ok=True)


def default_output(job: Job) -> str:
    """The name of a job's output without `-o`."""
    form = own_format(job.source or JobSource(""))
    return f"{job.id}.output.{'jsonl' if form == 'responses' else form}"


def _name(output: Output) -> str:
    return STDOUT if output.is_stdout else output.path.name


async def _write_rows(
    backend: BatchBackend, job: Job, output: Output, options: TableOptions
) -> None:
    """Write the input's rows with their responses so far."""
    cost = Costs(await backend.catalog(), job.prices).cost_of
    lines = result_lines(job, backend.files, backend.results)
    async with _writer(output) as write:
        written = await write_table(job, backend.files, backend.jobs, lines, cost, options, write)
    _show_formulas(written)


def _show_formulas(written: WrittenTable) -> None:
    if written.formulas:
        rows = (
            "1 row has a response that begins"
            if written.formulas == 1
            else (f"{written.formulas:,} rows have responses that begin")
        )
        show(
            f"fanout: {rows} like a spreadsheet's formula; --escape-formulas makes them text",
            file=sys.stderr,
        )


async def write_lines(backend: BatchBackend, job: Job, output: Output, *, failed: bool) -> None:
    """Write the result lines of a job so far: the responses, or the failures if `failed`."""
    async with _writer(output) as write:
        async for is_failure, line in result_lines(job, backend.files, backend.results):
            if is_failure == failed:
                await in_thread(write, line)


async def _write_file(backend: BatchBackend, file_id: str, output: Output) -> None:
    """Write one of the job's files: whole or not at all, if it is a file."""
    source = backend.files.content(await backend.files.find(file_id, None))
    async with _writer(output, is_json=True) as write:
        async for piece in source:
            await in_thread(write, piece)


@asynccontextmanager
async def _writer(
    output: Output, *, is_json: bool = False
) -> AsyncIterator[Callable[[bytes], object]]:
    """Writes to the output: compressed if its name says so."""
    if output.is_stdout:
        yield json_lines_writer() if is_json else text_writer()
        await in_thread(sys.stdout.flush)
        return
    draft = await _opened_draft(output)
    try:
        if output.path.name.lower().endswith(GZIP):
            packed = gzip.GzipFile(fileobj=cast("Any", draft), mode="wb", mtime=0)
            yield packed.write
            await in_thread(packed.close)
        else:
            yield draft.write
        await in_thread(draft.commit)
    finally:
        await in_thread(draft.discard)


async def _opened_draft(output: Output) -> Draft:
    """The opened draft; if this is cancelled meanwhile, it is discarded."""
    opening = asyncio.ensure_future(in_thread(_open_draft, output))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await in_thread((await opening).discard)
        raise


def _open_draft(output: Output) -> Draft:
    with storage_errors(output.path):
        Path(output.path).parent.mkdir(parents=True, exist_ok=True)
    return output.open()

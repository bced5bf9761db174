"""Follows a job to its end and writes its files: to files, pipes or standard output."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from ..bulk.service.records import Job
from ..disk.files import Draft, storage_errors
from ..disk.threads import in_thread
from .batch_backend import BatchBackend
from .batch_input import BatchInput
from .batch_progress import error_lines, follow
from .output_paths import Output
from .printed_commands import batch_command, same_command, stored_run_command
from .printing import json_lines_writer, show

DONE, FAILED, INTERRUPTED = 0, 1, 130


async def run_to_end(
    backend: BatchBackend,
    job: Job,
    arguments: argparse.Namespace,
    output: Output,
    given: BatchInput | None = None,
) -> int:
    """Show the job's progress to its end, then write its files; returns the exit code."""
    events = sys.stderr if output.is_stdout else None
    job = await follow(backend, job, as_json=arguments.json, events=events)
    if not job.is_over:
        cancel = batch_command(arguments, "cancel", job.id)
        rerun = await _rerun_command(backend, job, arguments, given)
        show(f"fanout: {backend.interrupted_message(job, rerun, cancel)}", file=sys.stderr)
        return INTERRUPTED
    await _write_results(backend, job, output)
    for error in error_lines(job.errors):
        show(f"fanout: {error}", file=sys.stderr)
    if job.output_file_id and not output.is_stdout:
        show(f"fanout: responses: {output.path}", file=sys.stderr)
    if job.error_file_id:
        show(f"fanout: failed lines: {output.errors}", file=sys.stderr)
        retry = batch_command(arguments, "retry", job.id)
        show(f"fanout: to retry them: {retry}", file=sys.stderr)
    clean = job.status == "completed" and job.error_file_id is None
    return DONE if clean else FAILED


async def _rerun_command(
    backend: BatchBackend, job: Job, arguments: argparse.Namespace, given: BatchInput | None
) -> str:
    """The command that goes on with the job. What came through a pipe is not there again."""
    if given is None or given.prompts.copy is None:
        return same_command()
    path = await backend.stored_input(job)
    if path is None:
        return batch_command(arguments, "status", job.id)
    return stored_run_command(arguments, path, given.model)


async def _write_results(backend: BatchBackend, job: Job, output: Output) -> None:
    """
    Write the job's files, and delete the errors that an earlier job left beside its output.

    Nothing else is deleted: responses of an earlier job are paid for.
    """
    if job.output_file_id is not None:
        await write_file(backend, job.output_file_id, output)
        if job.error_file_id is None:
            await asyncio.to_thread(output.errors.unlink, missing_ok=True)
    if job.error_file_id is not None:
        await write_file(backend, job.error_file_id, Output(output.errors))


async def write_file(backend: BatchBackend, file_id: str, output: Output) -> None:
    """Write one of the job's files: whole or not at all, if it is a file."""
    source = backend.files.content(await backend.files.find(file_id, None))
    if output.is_stdout:
        write = json_lines_writer()
        async for piece in source:
            await in_thread(write, piece)
        await in_thread(sys.stdout.flush)
        return
    draft = await in_thread(_open_draft, output)
    try:
        async for piece in source:
            await in_thread(draft.write, piece)
        await in_thread(draft.commit)
    finally:
        await in_thread(draft.discard)


def _open_draft(output: Output) -> Draft:
    with storage_errors(output.path):
        Path(output.path).parent.mkdir(parents=True, exist_ok=True)
    return output.open()

"""Runs the actions of `fanout batch`, in this process or with a stack on AWS."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from msgspec.structs import replace

from ..bulk.input.lines import ENDPOINT
from ..bulk.local.prompt_files import PromptFile, find_or_create_job
from ..bulk.service.batches import NewJob, cost_cap, parse_window
from ..bulk.service.records import Job
from ..config.resolve import Catalog
from ..disk.files import Draft, storage_errors
from ..disk.threads import in_thread
from ..errors import RequestError
from ..settings import Settings
from .batch_backend import BatchBackend, StackBackend, open_local_backend, open_stack_backend
from .batch_progress import follow
from .config_choice import SelectedConfig, pick_models, select_config
from .output_paths import check_output, errors_path
from .printed_commands import batch_command, same_command
from .printing import json_lines_writer, show, show_json
from .stop_signals import stop_signals
from .table import columns

DONE, FAILED, INTERRUPTED = 0, 1, 130
HEADER = ("JOB", "STATUS", "DONE", "FAILED", "TOTAL", "COST", "INPUT")


OpenStack: TypeAlias = Callable[[str, str | None], AbstractAsyncContextManager[StackBackend]]
"""Opens the jobs of a stack by its name and region."""


def run_action(arguments: argparse.Namespace, open_stack: OpenStack = open_stack_backend) -> int:
    """Run the action and return the exit code."""
    actions = {
        "run": _run,
        "quote": _quote,
        "status": _status,
        "cancel": _cancel,
        "retry": _retry,
        "results": _results,
    }
    with stop_signals(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(actions[arguments.action](arguments, open_stack))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop, which saves an eighth of the CPU time per line; not on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@asynccontextmanager
async def _open(
    arguments: argparse.Namespace, open_stack: OpenStack, *, needs_config: bool = False
) -> AsyncIterator[BatchBackend]:
    """The jobs of a machine or of a stack; with `needs_config` they may run in this process."""
    _check_region(arguments)
    if arguments.stack:
        if needs_config and arguments.config:
            raise RequestError("a stack has its own config: leave out --config", "config")
        async with open_stack(arguments.stack, arguments.region) as stack:
            yield stack
        return
    settings = Settings.read()
    selected = (
        select_config(arguments.config)
        if needs_config
        else SelectedConfig(settings, Catalog({}, settings.env))
    )
    async with open_local_backend(selected) as local:
        yield local


def _check_region(arguments: argparse.Namespace) -> None:
    if arguments.region and not arguments.stack:
        raise RequestError("--region needs --stack", "region")


def _prompts(arguments: argparse.Namespace) -> tuple[PromptFile, str | None]:
    """The prompts, and the model for lines without one."""
    if arguments.system and not (arguments.text or arguments.column):
        raise RequestError("--system needs --text or --column", "system")
    prompts = PromptFile(Path(arguments.file), arguments.text, arguments.column, arguments.system)
    if arguments.models:
        return prompts, ",".join(arguments.models)
    if not arguments.text and arguments.column is None:
        return prompts, None
    if arguments.stack:
        raise RequestError("name one of the stack's models: -m NAME", "model")
    return prompts, pick_models(select_config(arguments.config), [], several=False)[0]


# ---- the actions ----


async def _run(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    parse_window(arguments.window, "--window")
    cap = cost_cap(arguments.max_cost, "--max-cost")
    prompts, model = _prompts(arguments)
    new_job = NewJob(
        input_file_id="",
        endpoint=ENDPOINT,
        completion_window=arguments.window,
        model=model,
        max_cost_usd=arguments.max_cost,
    )
    output = Path(arguments.output or f"{arguments.file.removesuffix('.jsonl')}.output.jsonl")
    check_output(output, [arguments.file, *filter(None, [arguments.config])])
    async with _open(arguments, open_stack, needs_config=True) as backend:
        job = await find_or_create_job(backend, prompts, new_job, fresh=arguments.fresh)
        job = await _with_cap(backend, job, cap)
        if not job.is_over:
            await backend.jobs.run(job)
        return await _run_to_end(backend, job, arguments, output)


async def _retry(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    cap = cost_cap(arguments.max_cost, "--max-cost")
    async with _open(arguments, open_stack, needs_config=True) as backend:
        old = await backend.jobs.find(arguments.job, None)
        check_output(Path(arguments.output or f"{old.id}.output.jsonl"))
        job = await backend.jobs.retry(old.id, backend.owner, max_cost=cap)
        output = Path(arguments.output or f"{job.id}.output.jsonl")
        return await _run_to_end(backend, job, arguments, output)


async def _with_cap(backend: BatchBackend, job: Job, cap: int | None) -> Job:
    """A resumed job takes the cost cap of the new command."""
    if job.is_over or job.max_cost == cap:
        return job
    return await backend.jobs.registry.change(job.id, lambda now: replace(now, max_cost=cap))


async def _run_to_end(
    backend: BatchBackend, job: Job, arguments: argparse.Namespace, output: Path
) -> int:
    """Show the job's progress to its end, then write its files."""
    job = await follow(backend, job, as_json=arguments.json)
    if not job.is_over:
        cancel = batch_command(arguments, "cancel", job.id)
        show(f"fanout: {backend.interrupted_message(job, same_command(), cancel)}", file=sys.stderr)
        return INTERRUPTED
    errors = errors_path(output)
    await _write_results(backend, job, output, errors)
    for error in job.errors:
        where = "" if error.line is None else f"line {error.line}: "
        show(f"fanout: {where}{error.message} ({error.code})", file=sys.stderr)
    if job.output_file_id:
        show(f"fanout: responses: {output}", file=sys.stderr)
    if job.error_file_id:
        show(f"fanout: failed lines: {errors}", file=sys.stderr)
        retry = batch_command(arguments, "retry", job.id)
        show(f"fanout: to retry them: {retry}", file=sys.stderr)
    clean = job.status == "completed" and job.error_file_id is None
    return DONE if clean else FAILED


async def _write_results(backend: BatchBackend, job: Job, output: Path, errors: Path) -> None:
    """
    Write the job's files, and delete the errors that an earlier job left beside its output.

    Nothing else is deleted: responses of an earlier job are paid for.
    """
    if job.output_file_id is not None:
        await _copy(backend, job.output_file_id, output)
        if job.error_file_id is None:
            await asyncio.to_thread(errors.unlink, missing_ok=True)
    if job.error_file_id is not None:
        await _copy(backend, job.error_file_id, errors)


async def _copy(backend: BatchBackend, file_id: str, path: Path) -> None:
    """Write the file to `path`, whole or not at all."""
    source = backend.files.content(await backend.files.find(file_id, None))
    draft = await in_thread(_open_draft, path)
    try:
        async for piece in source:
            await in_thread(draft.write, piece)
        await in_thread(draft.commit)
    finally:
        await in_thread(draft.discard)


def _open_draft(path: Path) -> Draft:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return Draft(path)


async def _quote(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    """Print a quote, with the stack's own config unless --config is given."""
    from .batch_quote import print_quote

    prompts, model = _prompts(arguments)
    _check_region(arguments)
    if arguments.stack and not arguments.config:
        async with open_stack(arguments.stack, arguments.region) as stack:
            catalog = await stack.catalog()
    else:
        catalog = select_config(arguments.config).catalog
    return await print_quote(catalog, prompts, model, as_json=arguments.json)


async def _status(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    async with _open(arguments, open_stack) as backend:
        if arguments.job:
            jobs = [await backend.jobs.find(arguments.job, None)]
        else:
            jobs = (await backend.jobs.page(None, after=None, limit=100)).records
        shown = [job.to_dict(await backend.jobs.totals(job)) for job in jobs]
        if arguments.json:
            show_json(shown[0] if arguments.job else shown)
            return DONE
        rows = [HEADER]
        for job in shown:
            counts = job["request_counts"]
            numbers = (counts["completed"], counts["failed"], counts["total"])
            cost = f"${job['cost_usd']:.4f}"
            rows.append((job["id"], job["status"], *map(str, numbers), cost, job["input_file_id"]))
        show(columns(rows))
    return DONE


async def _cancel(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    async with _open(arguments, open_stack, needs_config=True) as backend:
        await backend.jobs.cancel(arguments.job, None)
        await backend.end_cancelled(arguments.job)
        job = await backend.jobs.find(arguments.job, None)
        if arguments.json:
            show_json(job.to_dict(await backend.jobs.totals(job)))
        else:
            show(f"{job.id}: {job.status}")
    return DONE


async def _results(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    if arguments.output:
        check_output(Path(arguments.output))
    async with _open(arguments, open_stack) as backend:
        job = await backend.jobs.find(arguments.job, None)
        file_id = job.error_file_id if arguments.errors else job.output_file_id
        if not job.is_over:
            raise RequestError(
                f"the job is {job.status}; results are available when it has ended", "job"
            )
        if file_id is not None and arguments.output:
            await _copy(backend, file_id, Path(arguments.output))
        elif file_id is not None:
            source = backend.files.content(await backend.files.find(file_id, None))
            write = json_lines_writer()
            async for piece in source:
                await in_thread(write, piece)
            await in_thread(sys.stdout.flush)
    return DONE

"""Runs the actions of `fanout batch`, in this process or with a stack on AWS."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from msgspec.structs import replace

from ..bulk.input.lines import ENDPOINT
from ..bulk.local.prompt_jobs import find_or_create_job
from ..bulk.service.batches import NewJob, cost_cap
from ..bulk.service.records import Job
from ..concurrency.garbage import collecting_rarely
from ..config.resolve import Catalog
from ..errors import NotFound, RequestError
from ..settings import Settings
from .batch_backend import BatchBackend, StackBackend, open_local_backend, open_stack_backend
from .batch_input import BatchInput, open_batch_input
from .batch_output import DONE, run_to_end, write_file
from .batch_progress import error_lines, format_cost, show_activity
from .config_choice import SelectedConfig, select_config
from .output_paths import Output, check_output
from .printed_commands import list_command
from .printing import show, show_json
from .stop_signals import stop_signals
from .table import columns

HEADER = ("JOB", "STATUS", "DONE", "FAILED", "TOTAL", "COST", "INPUT")


OpenStack: TypeAlias = Callable[[str, str | None], AbstractAsyncContextManager[StackBackend]]
"""Opens the jobs of a stack by its name and region."""


def run_action(arguments: argparse.Namespace, open_stack: OpenStack = open_stack_backend) -> int:
    """Run the action and return the exit code."""
    actions = {"status": _status, "cancel": _cancel, "retry": _retry, "results": _results}
    with stop_signals():
        if arguments.action in actions:
            return _in_loop(actions[arguments.action](arguments, open_stack))
        with open_batch_input(arguments) as given:  # before the loop: Ctrl-C ends a blocked read
            action = _run if arguments.action == "run" else _quote
            return _in_loop(action(arguments, open_stack, given))


def _in_loop(action: Coroutine[Any, Any, int]) -> int:
    with collecting_rarely(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(action)


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


# ---- the actions ----


async def _run(arguments: argparse.Namespace, open_stack: OpenStack, given: BatchInput) -> int:
    new_job = NewJob(
        input_file_id="",
        endpoint=ENDPOINT,
        completion_window=arguments.window,
        model=given.model,
        max_cost_usd=arguments.max_cost,
    )
    output = given.output or check_output("-")
    async with _open(arguments, open_stack, needs_config=True) as backend:
        job = await find_or_create_job(backend, given.prompts, new_job, fresh=arguments.fresh)
        job = await _with_cap(backend, job, given.cap)
        if not job.is_over:
            await backend.jobs.run(job)
        return await run_to_end(backend, job, arguments, output, given)


async def _named_job(backend: BatchBackend, arguments: argparse.Namespace) -> Job:
    """The job of the argument JOB; raises `NotFound` with the command that lists the jobs."""
    try:
        return await backend.jobs.find(arguments.job, None)
    except NotFound:
        listed = list_command(arguments)
        raise NotFound(f"there is no job `{arguments.job}`; `{listed}` lists them", "job") from None


async def _retry(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    cap = cost_cap(arguments.max_cost, "--max-cost")
    async with _open(arguments, open_stack, needs_config=True) as backend:
        old = await _named_job(backend, arguments)
        with check_output(arguments.output or f"{old.id}.output.jsonl") as output:
            job = await backend.jobs.retry(old.id, backend.owner, max_cost=cap)
            mine = output if arguments.output else Output(Path(f"{job.id}.output.jsonl"))
            return await run_to_end(backend, job, arguments, mine)


async def _with_cap(backend: BatchBackend, job: Job, cap: int | None) -> Job:
    """A resumed job takes the cost cap of the new command."""
    if job.is_over or job.max_cost == cap:
        return job
    return await backend.jobs.registry.change(job.id, lambda now: replace(now, max_cost=cap))


async def _quote(arguments: argparse.Namespace, open_stack: OpenStack, given: BatchInput) -> int:
    """Print a quote, with the stack's own config unless --config is given."""
    from .batch_quote import print_quote

    _check_region(arguments)
    if arguments.stack and not arguments.config:
        async with open_stack(arguments.stack, arguments.region) as stack:
            catalog = await stack.catalog()
    else:
        catalog = select_config(arguments.config).catalog
    return await print_quote(catalog, given.prompts, given.model, as_json=arguments.json)


async def _status(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    async with _open(arguments, open_stack) as backend:
        if arguments.job:
            jobs = [await _named_job(backend, arguments)]
        else:
            jobs = (await backend.jobs.page(None, after=None, limit=100)).records
        totals = [await backend.jobs.totals(job) for job in jobs]
        shown = [job.to_dict(total) for job, total in zip(jobs, totals, strict=True)]
        if arguments.json:
            show_json(shown[0] if arguments.job else shown)
            return DONE
        rows = [HEADER]
        for one, total in zip(shown, totals, strict=True):
            counts = one["request_counts"]
            numbers = (counts["completed"], counts["failed"], counts["total"])
            cost = format_cost(total)
            rows.append((one["id"], one["status"], *map(str, numbers), cost, one["input_file_id"]))
        show(columns(rows) if shown else "no jobs")
        for job, total in zip(jobs, totals, strict=True):
            show_activity(job, total)
        for error in error_lines(jobs[0].errors) if arguments.job else []:
            show(f"{jobs[0].id}: {error}")
    return DONE


async def _cancel(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    async with _open(arguments, open_stack, needs_config=True) as backend:
        found = await _named_job(backend, arguments)
        await backend.jobs.cancel(found.id, None)
        await backend.end_cancelled(found.id)
        job = await _named_job(backend, arguments)
        if arguments.json:
            show_json(job.to_dict(await backend.jobs.totals(job)))
        else:
            show(f"{job.id}: {job.status}")
    return DONE


async def _results(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    with check_output(arguments.output or "-") as output:
        async with _open(arguments, open_stack) as backend:
            job = await _named_job(backend, arguments)
            file_id = job.error_file_id if arguments.errors else job.output_file_id
            if not job.is_over:
                raise RequestError(
                    f"the job is {job.status}; results are available when it has ended", "job"
                )
            if file_id is not None:
                await write_file(backend, file_id, output)
    return DONE

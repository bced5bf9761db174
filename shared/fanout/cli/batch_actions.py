"""Runs the actions of `fanout batch`, in this process or with a stack on AWS."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from ..bulk.input.lines import ENDPOINT
from ..bulk.lanes import NATIVE, choose_lane
from ..bulk.local.lazy_service import data_home
from ..bulk.local.prompt_jobs import find_or_create_job, finished_job
from ..bulk.local.response_index import INDEX
from ..bulk.service.new_job import BatchOptions, NewJob, cost_cap
from ..bulk.service.records import Job
from ..concurrency.garbage import collecting_rarely
from ..config.catalog import Catalog
from ..errors import RequestError
from .batch_backend import (
    BatchBackend,
    OpenStack,
    check_region,
    open_backend,
    open_local_backend,
    open_stack_backend,
)
from .batch_config import use_config_of_job, with_config
from .batch_input import BatchInput, check_form, check_keys, open_batch_input
from .batch_jobs import STOPPED, named_job, remove_job, show_jobs, state_of
from .batch_options import check_native, checked_webhook, with_higher_cap, with_options
from .batch_output import DONE, default_output, run_to_end, unit_of, write_lines, write_results
from .batch_progress import error_lines, show_activity
from .config_choice import select_config
from .job_signals import JobSignals, job_signals
from .output_paths import Output, check_output
from .printed_commands import batch_command
from .printing import show, show_json


def run_action(arguments: argparse.Namespace, open_stack: OpenStack = open_stack_backend) -> int:
    """Run the action and return the exit code."""
    actions = {
        "status": _status,
        "cancel": _cancel,
        "resume": _resume,
        "retry": _retry,
        "results": _results,
        "remove": _remove,
    }
    with job_signals() as signals:
        if arguments.action in actions:
            return _in_loop(actions[arguments.action](arguments, open_stack), signals)
        with open_batch_input(arguments) as given:  # before the loop: Ctrl-C ends a blocked read
            action = _run if arguments.action == "run" else _quote
            return _in_loop(action(arguments, open_stack, given), signals)


def _in_loop(action: Coroutine[Any, Any, int], signals: JobSignals) -> int:
    """The action's exit code; raises `KeyboardInterrupt` if a signal has cancelled it."""
    try:
        with collecting_rarely(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(signals.run(action))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop, which saves an eighth of the CPU time per line; not on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


# ---- the actions ----


async def _run(arguments: argparse.Namespace, open_stack: OpenStack, given: BatchInput) -> int:
    new_job = NewJob(
        input_file_id="",
        endpoint=ENDPOINT,
        completion_window=arguments.window,
        model=given.model,
        max_cost_usd=arguments.max_cost,
        fanout=BatchOptions(
            lane=given.lane, cache=given.cache, native=given.native, order=given.order
        ),
    )
    output = given.output or check_output("-")
    async with open_backend(arguments, open_stack, needs_config=True) as backend:
        webhook = await checked_webhook(backend, given.webhook)
        check_native(backend, given)
        catalog = None if arguments.stack else await backend.catalog()
        job = await find_or_create_job(
            backend,
            given.prompts,
            new_job,
            fresh=arguments.fresh,
            check=partial(check_keys, catalog, given.model),
        )
        job = await with_config(backend, job, arguments)
        job, cap = await with_higher_cap(backend, job, given.cap)
        job = await with_options(backend, job, cap, given, webhook)
        if not job.is_over:
            await backend.jobs.run(job)
        return await run_to_end(backend, job, arguments, output, given)


async def _resume(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    check_form(arguments.output)
    await use_config_of_job(arguments, open_stack)
    async with open_backend(arguments, open_stack, needs_config=True) as backend:
        job = await with_config(
            backend, await named_job(backend, arguments, arguments.job), arguments
        )
        with check_output(arguments.output or default_output(job)) as output:
            if not job.is_over:
                await backend.jobs.run(job)
            return await run_to_end(backend, job, arguments, output)


async def _retry(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    cap = cost_cap(arguments.max_cost, "--max-cost")
    check_form(arguments.output)
    await use_config_of_job(arguments, open_stack)
    async with open_backend(arguments, open_stack, needs_config=True) as backend:
        old = await named_job(backend, arguments, arguments.job)
        with check_output(arguments.output or default_output(old)) as output:
            job = await backend.jobs.retry(old.id, backend.owner, max_cost=cap)
            job = await with_config(backend, job, arguments)
            mine = output if arguments.output else Output(Path(default_output(job)))
            return await run_to_end(backend, job, arguments, mine)


async def _quote(arguments: argparse.Namespace, open_stack: OpenStack, given: BatchInput) -> int:
    """Print a quote of what would be sent, with the stack's own config unless --config is given."""
    from ..bulk.native.quoted_batches import QuotedJob
    from .batch_quote import check_sample, print_finished, print_quote

    async def quote(
        catalog: Catalog, store: BatchBackend | None = None, sample: int | None = None
    ) -> int:
        prompts, as_json = given.prompts, arguments.json
        if store is not None:
            check_native(store, given)
        if store is not None and (job := await finished_job(store, prompts, given.model)):
            retry = batch_command(arguments, "retry", job)
            return await print_finished(store, job, prompts, retry, as_json=as_json)
        lane = given.lane or choose_lane(None, given.window)
        native = given.native or ("auto" if lane == NATIVE else "never")
        return await print_quote(
            catalog,
            prompts,
            given.model,
            QuotedJob(lane, native, given.window, given.cap),
            as_json=as_json,
            store=store,
            cache=given.cache,
            sample=sample,
        )

    check_region(arguments)
    if arguments.sample is not None:
        check_sample(arguments.sample)
        async with open_backend(arguments, open_stack, needs_config=True) as backend:
            catalog = await backend.catalog()
            return await quote(catalog, store=backend, sample=arguments.sample)
    if arguments.stack and not arguments.config:
        async with open_stack(arguments.stack, arguments.region) as stack:
            return await quote(await stack.catalog(), store=stack)
    selected = select_config(arguments.config)
    if arguments.stack or not (data_home(selected.settings.env) / INDEX).exists():
        return await quote(selected.catalog)
    async with open_local_backend(selected) as local:
        return await quote(selected.catalog, store=local)


async def _status(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    async with open_backend(arguments, open_stack) as backend:
        if arguments.job:
            jobs = [await named_job(backend, arguments, arguments.job)]
        else:
            jobs = (await backend.jobs.page(None, after=None, limit=100)).records
        totals = [await backend.jobs.totals(job) for job in jobs]
        shown = [job.to_dict(total) for job, total in zip(jobs, totals, strict=True)]
        if arguments.json:
            show_json(shown[0] if arguments.job else shown)
            return DONE
        if not jobs:
            show("no jobs")
            return DONE
        await show_jobs(backend, jobs, totals)
        for job, total in zip(jobs, totals, strict=True):
            show_activity(job, total, batch_command(arguments, "resume", job))
        for error in error_lines(jobs[0].errors, unit_of(jobs[0])) if arguments.job else []:
            show(f"{jobs[0].id}: {error}")
    return DONE


async def _cancel(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    await use_config_of_job(arguments, open_stack)
    async with open_backend(arguments, open_stack, needs_config=True) as backend:
        found = await named_job(backend, arguments, arguments.job)
        await backend.jobs.cancel(found.id, None)
        await backend.end_cancelled(found.id)
        job = await named_job(backend, arguments, arguments.job)
        if arguments.json:
            show_json(job.to_dict(await backend.jobs.totals(job)))
        else:
            show(f"{job.id}: {job.status}")
    return DONE


async def _remove(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    async with open_backend(arguments, open_stack) as backend:
        jobs = [await named_job(backend, arguments, given) for given in arguments.jobs]
        for job in {job.id: job for job in jobs}.values():
            await remove_job(backend, job)
    return DONE


async def _not_over(backend: BatchBackend, job: Job, arguments: argparse.Namespace) -> RequestError:
    """What to do about a job whose results are wanted before its end."""
    state = state_of(job, await backend.jobs.totals(job))
    partial = batch_command(arguments, "results", job, output=arguments.output)
    resume = batch_command(arguments, "resume", job, output=arguments.output)
    resumed = f"; to resume it: {resume}" if state == STOPPED else ""
    return RequestError(
        f"the job is {state}{resumed}; for what it has so far: {partial} --partial", "job"
    )


async def _results(arguments: argparse.Namespace, open_stack: OpenStack) -> int:
    check_form(arguments.output)
    with check_output(arguments.output or "-") as output:
        async with open_backend(arguments, open_stack, needs_prices=True) as backend:
            job = await named_job(backend, arguments, arguments.job)
            if not job.is_over and not arguments.partial:
                raise await _not_over(backend, job, arguments)
            if arguments.errors:
                await write_lines(backend, job, output, failed=True)
            else:
                await write_results(backend, job, output, arguments, only_responses=True)
    return DONE

"""What `fanout batch` does, in this process."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from ..bulk.jobs import NewJob
from ..bulk.lines import ENDPOINT
from ..bulk.local.engine import Bulk, data_home, open_local
from ..bulk.local.intake import OWNER, Prompts, find_or_create
from ..bulk.records import Job
from ..compose import open_gateway
from ..config.resolve import Catalog
from ..errors import RequestError
from ..observe import AttemptRecord, RequestRecord
from ..settings import Settings
from ..wire import json
from .batch_follow import follow
from .chosen import Chosen, choose, pick_models
from .table import columns

DONE, FAILED, INTERRUPTED = 0, 1, 130
HEADER = ("JOB", "STATUS", "DONE", "FAILED", "TOTAL", "COST", "INPUT")


class Bugs:
    """Tells of what should not have happened, and of nothing else."""

    def attempt(self, record: AttemptRecord) -> None:
        """Pass over it."""

    def request(self, record: RequestRecord) -> None:
        """Pass over it."""

    def bug(self, request_id: str, error: BaseException) -> None:
        """One line."""
        print(f"fanout: {request_id}: {type(error).__name__}: {error}", file=sys.stderr)


def act(arguments: argparse.Namespace) -> int:
    """Run the action and return the exit code."""
    actions = {
        "run": _run,
        "quote": _quote,
        "status": _status,
        "cancel": _cancel,
        "retry": _retry,
        "results": _results,
    }
    return asyncio.run(actions[arguments.action](arguments))


@asynccontextmanager
async def _open(chosen: Chosen) -> AsyncIterator[Bulk]:
    observer = Bugs()
    async with (
        open_gateway(chosen.settings, catalog=chosen.catalog, observer=observer) as gateway,
        open_local(
            gateway, data_home(chosen.settings.env), name="run", resume=False, observer=observer
        ) as door,
    ):
        yield door.bulk


def _nobody() -> Chosen:
    """For what asks no model."""
    settings = Settings.read()
    return Chosen(settings, Catalog({}, settings.env))


def _prompts(arguments: argparse.Namespace, chosen: Chosen) -> tuple[Prompts, str | None]:
    """The prompts, and the model of those that name none."""
    if arguments.system and not (arguments.text or arguments.column):
        raise RequestError("--system goes with --text or --column", "system")
    prompts = Prompts(Path(arguments.file), arguments.text, arguments.column, arguments.system)
    if arguments.models:
        return prompts, ",".join(arguments.models)
    if arguments.text or arguments.column:
        return prompts, pick_models(chosen, [], several=False)[0]
    return prompts, None


# ---- the actions ----


async def _run(arguments: argparse.Namespace) -> int:
    chosen = choose(arguments.config)
    prompts, model = _prompts(arguments, chosen)
    asked = NewJob(
        input_file_id="",
        endpoint=ENDPOINT,
        completion_window=arguments.window,
        model=model,
        max_cost_usd=arguments.max_cost,
    )
    output = Path(arguments.output or f"{arguments.file.removesuffix('.jsonl')}.output.jsonl")
    async with _open(chosen) as bulk:
        job = await find_or_create(bulk, prompts, asked, fresh=arguments.fresh)
        job = await _with_cap(bulk, job, arguments.max_cost)
        again = " ".join(["fanout", *sys.argv[1:]])
        return await _followed(bulk, job, arguments, output, again)


async def _retry(arguments: argparse.Namespace) -> int:
    async with _open(choose(arguments.config)) as bulk:
        old = await bulk.jobs.find(arguments.job, None)
        job = await bulk.jobs.retry(old.id, OWNER, max_cost_usd=arguments.max_cost)
        output = Path(arguments.output or f"{job.id}.output.jsonl")
        return await _followed(bulk, job, arguments, output, f"fanout batch retry {old.id}")


async def _with_cap(bulk: Bulk, job: Job, cap: float | None) -> Job:
    """The cap may be another one when a job goes on."""
    if job.is_over or job.max_cost_usd == cap:
        return job
    return await bulk.jobs.registry.change(job.id, lambda now: replace(now, max_cost_usd=cap))


async def _followed(
    bulk: Bulk, job: Job, arguments: argparse.Namespace, output: Path, again: str
) -> int:
    """Run the job to its end in sight of the user, and write its files."""
    job = await follow(bulk, job, as_json=arguments.json)
    if not job.is_over:
        print(f"fanout: stopped; to go on: {again}", file=sys.stderr)
        return INTERRUPTED
    errors = output.with_name(f"{output.name.removesuffix('.jsonl')}.errors.jsonl")
    await _copy(bulk, job.output_file_id, output)
    await _copy(bulk, job.error_file_id, errors)
    for error in job.errors:
        place = "" if error.line is None else f"line {error.line}: "
        print(f"fanout: {place}{error.message} ({error.code})", file=sys.stderr)
    if job.output_file_id:
        print(f"fanout: answers: {output}", file=sys.stderr)
    if job.error_file_id:
        print(f"fanout: failed lines: {errors}", file=sys.stderr)
        print(f"fanout: to try them again: fanout batch retry {job.id}", file=sys.stderr)
    clean = job.status == "completed" and job.error_file_id is None
    return DONE if clean else FAILED


async def _copy(bulk: Bulk, file_id: str | None, path: Path) -> None:
    """The file in its place; an older one that it would have replaced is gone."""
    key = None if file_id is None else (await bulk.files.find(file_id, None)).key
    await asyncio.to_thread(_place, None if key is None else bulk.home / key, path)


def _place(source: Path | None, path: Path) -> None:
    if source is None:
        path.unlink(missing_ok=True)
        return
    draft = path.with_name(f".{path.name}.draft")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, draft)
    draft.replace(path)


async def _quote(arguments: argparse.Namespace) -> int:
    from .batch_quote import print_quote

    chosen = choose(arguments.config)
    prompts, model = _prompts(arguments, chosen)
    return await print_quote(chosen, prompts, model, as_json=arguments.json)


async def _status(arguments: argparse.Namespace) -> int:
    async with _open(_nobody()) as bulk:
        if arguments.job:
            jobs = [await bulk.jobs.find(arguments.job, None)]
        else:
            jobs = (await bulk.jobs.page(None, after=None, limit=100)).records
        shown = [job.shown(await bulk.jobs.tally(job)) for job in jobs]
        if arguments.json:
            print(json.encode(shown[0] if arguments.job else shown).decode())
            return DONE
        rows = [HEADER]
        for said in shown:
            counts = said["request_counts"]
            numbers = (counts["completed"], counts["failed"], counts["total"])
            cost = f"${said['cost_usd']:.4f}"
            rows.append(
                (said["id"], said["status"], *map(str, numbers), cost, said["input_file_id"])
            )
        print(columns(rows))
    return DONE


async def _cancel(arguments: argparse.Namespace) -> int:
    """Whoever runs the job will see it; if nobody does, it is ended here."""
    async with _open(choose(arguments.config)) as bulk:
        await bulk.jobs.cancel(arguments.job, None)
        await bulk.run_here(arguments.job)
        job = await bulk.jobs.find(arguments.job, None)
        if arguments.json:
            print(json.encode(job.shown(await bulk.jobs.tally(job))).decode())
        else:
            print(f"{job.id}: {job.status}")
    return DONE


async def _results(arguments: argparse.Namespace) -> int:
    async with _open(_nobody()) as bulk:
        job = await bulk.jobs.find(arguments.job, None)
        file_id = job.error_file_id if arguments.errors else job.output_file_id
        if not job.is_over:
            raise RequestError(f"the job is {job.status}; its results come at its end", "job")
        if arguments.output:
            await _copy(bulk, file_id, Path(arguments.output))
        elif file_id is not None:
            async for piece in bulk.files.content(await bulk.files.find(file_id, None)):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    return DONE

"""
With which config `fanout batch` goes on with a job: the one that it was started with.

Another config, or none, may have other keys for the same model: the rest of the job would be paid
by another account.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from msgspec.structs import replace

from ..bulk.service.records import Job
from ..errors import NotFound, RequestError
from ..settings import Settings
from .batch_backend import BatchBackend, OpenStack, open_backend
from .batch_jobs import named_job


async def use_config_of_job(arguments: argparse.Namespace, open_stack: OpenStack) -> None:
    """
    Without `--config`, set it to the config of the command's job.

    Raises `RequestError` if that is gone, or if `FANOUT_CONFIG` names another one.
    """
    if arguments.stack or arguments.config:
        return
    async with open_backend(arguments, open_stack) as backend:
        try:
            job = await named_job(backend, arguments, arguments.job)
        except NotFound:
            return  # the command says so
    if job.config_path is not None:
        arguments.config = _usable(job, job.config_path)


def _usable(job: Job, path: str) -> str:
    """The path, if its file is there and this process names no other one."""
    if (found := Settings.read().config) is not None and not _is_same(found, path):
        raise other_config(job, f"FANOUT_CONFIG is `{found}`")
    if not Path(path).is_file():
        raise other_config(job, "which is gone")
    return path


async def with_config(backend: BatchBackend, job: Job, arguments: argparse.Namespace) -> Job:
    """
    The job, which is about to be sent with the config of this command.

    A config other than the job's own must be given by `--config`.
    """
    mine, its_own = backend.config_path, job.config_path
    if backend.is_remote or job.is_over or mine == its_own:
        return job
    if its_own is not None and not arguments.config:
        raise other_config(job, "this command has another one" if mine else "this one has none")
    return await backend.jobs.registry.change(job.id, lambda now: replace(now, config_path=mine))


def other_config(job: Job, why: str) -> RequestError:
    """The error of a command that would send the rest of a job with another config."""
    return RequestError(
        f"the job `{job.id}` was started with the config `{job.config_path}`, {why}; "
        "use --config to choose the config to resume with",
        "config",
    )


def _is_same(path: Path, other: str) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False

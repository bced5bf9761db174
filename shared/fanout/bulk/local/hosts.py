"""
Which of the processes over one data folder may run a job.

Each process that runs jobs holds a lock on a file named after the digest of its config's models. A
job belongs to the config that it was created with. While a process with that config lives, another
one with other models leaves the job alone. After that, any process may run it that has its models.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from ...config.catalog import Catalog
from ...disk.file_lock import share_lock, try_lock
from ...disk.files import PRIVATE_FILE, make_private_folder, storage_errors
from ...disk.threads import in_thread
from ...errors import FanoutError
from ...wire import json
from ..service.records import Job


def config_digest(catalog: Catalog) -> str:
    """A hash of what the config's model names stand for, without keys and limits."""
    routes = catalog.routes
    models = [
        [name, *sorted([d.provider.name, d.target.model, d.base_url] for d in group)]
        for name, group in sorted(catalog.groups.items())
    ]
    names = [sorted(routes.aliases.items()), sorted(routes.sets)]
    wildcards = sorted([one.name, str(one.params.model)] for one in routes.wildcards)
    value = json.encode([models, names, wildcards, catalog.is_open])
    return hashlib.blake2b(value, digest_size=16).hexdigest()


class Hosts:
    """The locks of the processes over a folder, and what this one may run."""

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self._folder = folder
        self._catalog = catalog
        self.config = config_digest(catalog)

    @contextmanager
    def present(self) -> Iterator[None]:
        """For the block, this process is one with its config."""
        with file_lock(self._path(self.config), shared=True):
            yield

    async def is_foreign(self, job: Job) -> bool:
        """Whether the job was created with other models, and a process that has them lives."""
        if job.config is None or job.config == self.config:
            return False
        return await in_thread(_is_locked, self._path(job.config))

    def missing_models(self, job: Job) -> list[str]:
        """The models of a job's lines that this process does not have."""
        return sorted(name for name in job.models if not self._has(name))

    def _has(self, name: str) -> bool:
        try:
            self._catalog.check_name(name)
        except FanoutError:
            return False
        return True

    def _path(self, config: str) -> Path:
        return self._folder / config


@contextmanager
def file_lock(path: Path, *, shared: bool = False) -> Iterator[bool]:
    """
    Lock the file for the block; yields `False` if another process has it. A kill releases it.

    Several processes may have a `shared` lock, which is waited for: no other one is held for long.
    """
    with storage_errors(path):
        make_private_folder(path.parent)
        file = open(path, "a", opener=_private)  # noqa: SIM115 -- closed below
    with file:
        if shared:
            share_lock(file.fileno())
        yield shared or try_lock(file.fileno())


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with file_lock(path) as is_free:
        return not is_free


@asynccontextmanager
async def file_lock_in_thread(path: Path) -> AsyncIterator[bool]:
    """`file_lock` for a block of the event loop, which does not wait for the disk."""
    lock = ExitStack()
    try:
        yield await in_thread(lock.enter_context, file_lock(path))
    finally:
        await in_thread(lock.close)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE_FILE)

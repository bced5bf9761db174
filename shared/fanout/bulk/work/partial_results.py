"""Reads the results of a job so far, also while it runs or after it was stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from ..service.files import FileService
from ..service.records import Job
from ..store import ResultStore
from .manifest import read_manifest


async def result_lines(
    job: Job, files: FileService, results: Callable[[Job], ResultStore]
) -> AsyncIterator[tuple[bool, bytes]]:
    """
    Each result line with its line break, and whether it is a failure; the responses come first.

    Of a job that is not over, they are those that are stored at this moment.
    """
    found = _files(job) if job.is_over else await _keys(job, files, results)
    for failed, key in found:
        chunks = files.blobs.read(key)
        if job.is_over:
            chunks = files.content(await files.find(key, None))
        async for line in _lines(chunks):
            yield failed, line


def _files(job: Job) -> list[tuple[bool, str]]:
    """The ids of the files of a job that is over."""
    ids = ((False, job.output_file_id), (True, job.error_file_id))
    return [(failed, file_id) for failed, file_id in ids if file_id is not None]


async def _keys(
    job: Job, files: FileService, results: Callable[[Job], ResultStore]
) -> list[tuple[bool, str]]:
    """The keys of the results so far."""
    stored = results(job)
    found = [(False, key) for key in job.earlier_outputs if await files.blobs.size(key)]
    failures: list[tuple[bool, str]] = []
    async for shard in read_manifest(files.blobs, job.manifest_key):
        keys = await stored.keys(shard.index)
        found += [(False, key) for key in keys.responses]
        failures += [(True, key) for key in keys.failures]
    return found + failures


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines; one that is being written is left out."""
    rest: list[bytes] = []
    async for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for line in whole:
            yield b"".join([*rest, line, b"\n"])
            rest = []
        rest.append(last)

"""Reads the results of a job so far, also while it runs or after it was stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from ..service.files import FileService
from ..service.records import Job
from ..store import ResultStore
from .manifest import read_manifest

PIECE = 1 << 16
"""Bytes of lines that are sent together."""


async def result_lines(
    job: Job, files: FileService, results: Callable[[Job], ResultStore]
) -> AsyncIterator[tuple[bool, bytes]]:
    """
    Each result line with its line break, and whether it is a failure.

    A request's response comes before its failure. Of a job that is not over, the lines are those
    that are stored at this moment.
    """
    if job.is_over:
        for failed, file_id in _files(job):
            async for line in whole_lines(files.content(await files.find(file_id, None))):
                yield failed, line
        return
    for key in job.earlier_outputs:
        if await files.blobs.size(key):
            async for line in whole_lines(files.blobs.read(key)):
                yield False, line
    stored = results(job)
    async for shard in read_manifest(files.blobs, job.manifest_key):
        async for failed, line in stored.lines(shard.index):
            yield failed, line


async def responses_so_far(
    job: Job, files: FileService, results: Callable[[Job], ResultStore]
) -> AsyncIterator[bytes]:
    """The response lines of a job that is not over, as they are stored now, in pieces."""
    piece = bytearray()
    async for failed, line in result_lines(job, files, results):
        if not failed:
            piece += line
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _files(job: Job) -> list[tuple[bool, str]]:
    """The ids of the files of a job that is over."""
    ids = ((False, job.output_file_id), (True, job.error_file_id))
    return [(failed, file_id) for failed, file_id in ids if file_id is not None]


async def whole_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines; one that is being written is left out."""
    rest: list[bytes] = []
    async for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for line in whole:
            yield b"".join([*rest, line, b"\n"])
            rest = []
        rest.append(last)

"""The lines of a job that failed, as the input of the job that retries them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ...wire import json
from ..input.line_parser import batch_line, parse_line
from ..input.splitter import iter_lines
from .file_records import FileRecord
from .files import FileService
from .records import Job


async def failed_lines(files: FileService, job: Job) -> AsyncIterator[bytes]:
    """The lines of the job's input that are in its error file."""
    errors = await files.find(str(job.error_file_id), None)
    failed = {custom_id async for custom_id in _custom_ids(files, errors)}
    source = files.blobs.read(job.input_key)
    async for number, _, _, data in iter_lines(source):
        if data:
            line = parse_line(data, number, job.model)
            if line.custom_id in failed:
                yield batch_line(line) if line.parse_error is None else data + b"\n"


async def _custom_ids(files: FileService, errors: FileRecord) -> AsyncIterator[str]:
    async for _, _, _, line in iter_lines(files.content(errors)):
        yield json.decode(line)["custom_id"]

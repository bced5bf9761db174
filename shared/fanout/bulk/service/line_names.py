"""
The names of all lines of a job whose own input is only a part of them, in their order.

A retry sends the failed lines alone, and `fanout batch run` only those that have no response yet.
The names put the results of all runs in one order. They are a JSON string a line, in a blob of the
job's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from ...wire import json
from ..input.line_parser import parse_line
from ..input.splitter import iter_lines
from .files import FileService
from .records import Job


async def names_for_retry(files: FileService, old: Job) -> str | None:
    """The key of the names of a job and of those before it; `None` if its input is gone."""
    key = names_key(files.new_key())
    if old.names is not None and await files.blobs.size(old.names) is not None:
        await files.blobs.join([old.names], key)
        return key
    if old.names is not None or await files.blobs.size(old.input_key) is None:
        return None
    await files.blobs.write(key, _names_in(files, old))
    return key


async def _names_in(files: FileService, job: Job) -> AsyncIterator[bytes]:
    async for number, _, _, data in iter_lines(files.blobs.read(job.input_key)):
        if data:
            yield name_line(parse_line(data, number, job.model).custom_id)


def names_key(input_key: str) -> str:
    """The key of the names that belong to an input."""
    return f"{input_key}.names"


def name_line(custom_id: str) -> bytes:
    """A line of the blob."""
    return json.encode(custom_id) + b"\n"

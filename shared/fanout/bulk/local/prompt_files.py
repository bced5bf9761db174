"""
A file of prompts to a job's input: JSONL as it is, plain text or a CSV's column line by line.

The same prompts for the same model are the same job, so whoever repeats a command goes on with it.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from msgspec import Struct

from ...errors import NotFound, RequestError
from ...wire import json
from ..input.lines import ENDPOINT, MAX_LINE
from ..service.batches import JobService, NewJob
from ..service.files import FileService
from ..service.records import FileRecord, Job
from ..store import RecordStore

PIECE = 1 << 20


class Desk(Protocol):
    """Where jobs are made, and whose they are: this machine, or a stack."""

    @property
    def files(self) -> FileService: ...

    @property
    def jobs(self) -> JobService: ...

    @property
    def table(self) -> RecordStore: ...

    @property
    def owner(self) -> str: ...


class Prompts(Struct, frozen=True):
    """Where prompts are, and in which form; `column` is a CSV's."""

    path: Path
    is_text: bool = False
    column: str | None = None
    system: str | None = None

    def pieces(self) -> Iterator[bytes]:
        """The job's input."""
        if not self.path.is_file():
            raise RequestError(f"there is no file `{self.path}`", "file")
        with self.path.open("rb") as file:
            if self.column is not None:
                yield from self._rows(file, self.column)
            elif self.is_text:
                yield from self._texts(file)
            else:
                while data := file.read(PIECE):
                    yield data

    def _texts(self, file: BinaryIO) -> Iterator[bytes]:
        for number, raw in enumerate(file, 1):
            start = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            try:
                text = start.decode().rstrip("\r\n")
            except UnicodeDecodeError:
                raise RequestError(f"line {number} is not valid UTF-8", "file") from None
            yield (json.encode(self._chat(text)) if text.strip() else b"") + b"\n"

    def _rows(self, file: BinaryIO, column: str) -> Iterator[bytes]:
        csv.field_size_limit(MAX_LINE)
        reader = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""))
        number = 0
        try:
            if column not in (reader.fieldnames or ()):
                have = ", ".join(f"`{name}`" for name in reader.fieldnames or ())
                raise RequestError(f"there is no column `{column}`; there is {have}", "column")
            for number, row in enumerate(reader, 1):
                text = row[column] or ""
                said = {"custom_id": f"row-{number}", "messages": self._chat(text)}
                yield (json.encode(said) if text.strip() else b"") + b"\n"
        except UnicodeDecodeError:
            raise RequestError(f"after row {number}: not valid UTF-8", "file") from None
        except csv.Error as error:
            raise RequestError(f"after row {number}: {error}", "file") from None

    def _chat(self, text: str) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": text}]


def mark_of(prompts: Prompts, salt: str) -> str:
    """The mark of what the prompts are; `salt` belongs to it."""
    digest = hashlib.blake2b(json.encode([salt]), digest_size=16)
    for piece in prompts.pieces():
        digest.update(piece)
    return digest.hexdigest()


async def find_or_create(desk: Desk, prompts: Prompts, asked: NewJob, *, fresh: bool) -> Job:
    """The job of these prompts, if there is one that has not failed; else a new one, not begun."""
    mark = await asyncio.to_thread(mark_of, prompts, asked.model or "")
    known = await desk.table.get("run", mark)
    if known is not None and not fresh:
        try:
            job = await desk.jobs.find(known.decode(), None)
        except NotFound:
            job = None
        if job is not None and job.status != "failed":
            return job
    file = await _take_in(desk, prompts)
    new = NewJob(
        input_file_id=file.id,
        endpoint=ENDPOINT,
        completion_window=asked.completion_window,
        model=asked.model,
        max_cost_usd=asked.max_cost_usd,
    )
    job = desk.jobs.draft(new, file, desk.owner)
    await desk.table.put("run", mark, job.id.encode(), known)
    await desk.jobs.registry.create(job.id, job)
    return job


async def _take_in(desk: Desk, prompts: Prompts) -> FileRecord:
    """The prompts as a file of ours."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in prompts.pieces():
            yield piece

    key = desk.files.new_key()
    await desk.files.blobs.write(key, pieces())
    return await desk.files.register(key, prompts.path.name, "batch", desk.owner)

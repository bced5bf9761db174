"""
Makes a job of a file of prompts: JSONL, plain text with a prompt a line, or a column of a CSV file.

The same prompts for the same model give the same job, so that repeating a command resumes it.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

from msgspec import Struct

from ...errors import NotFound, RequestError
from ...wire import json
from ..input.lines import ENDPOINT, MAX_LINE
from ..service.batches import JobService, NewJob
from ..service.files import FileService
from ..service.records import FileRecord, Job
from ..store import Change, RecordStore

CHUNK = 1 << 20


class JobStore(Protocol):
    """Where jobs are created, and the owner they get: on this machine, or in a stack."""

    @property
    def files(self) -> FileService: ...

    @property
    def jobs(self) -> JobService: ...

    @property
    def table(self) -> RecordStore: ...

    @property
    def owner(self) -> str: ...


class PromptFile(Struct, frozen=True):
    """A file of prompts and its form; `column` is that of a CSV, `system` a system message."""

    path: Path
    is_text: bool = False
    column: str | None = None
    system: str | None = None

    def chunks(self) -> Iterator[bytes]:
        """The job's input as JSONL; raises `RequestError` for a file that cannot be read."""
        try:
            is_file = self.path.is_file()
        except OSError as error:
            raise RequestError(f"`{self.path}`: {error.strerror}", "file") from None
        if not is_file:
            raise RequestError(f"there is no file `{self.path}`", "file")
        if self.column is not None:
            with self.path.open(encoding="utf-8-sig", newline="") as text:
                yield from self._rows(text, self.column)
            return
        with self.path.open("rb") as file:
            if self.is_text:
                yield from self._texts(file)
            else:
                while data := file.read(CHUNK):
                    yield data

    def _texts(self, file: BinaryIO) -> Iterator[bytes]:
        for number, raw in enumerate(file, 1):
            text_bytes = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            try:
                text = text_bytes.decode().rstrip("\r\n")
            except UnicodeDecodeError:
                raise RequestError(f"line {number} is not valid UTF-8", "file") from None
            yield (json.encode(self._chat(text)) if text.strip() else b"") + b"\n"

    def _rows(self, file: TextIO, column: str) -> Iterator[bytes]:
        csv.field_size_limit(MAX_LINE)
        number = 0
        try:
            separator = _separator(file.readline())
            file.seek(0)
            reader = filter(None, csv.reader(file, delimiter=separator, strict=True))
            header = next(reader, [])
            if column not in header:
                columns = ", ".join(f"`{name}`" for name in header)
                raise RequestError(f"there is no column `{column}`; there is {columns}", "column")
            at = header.index(column)
            for number, row in enumerate(reader, 1):
                if len(row) != len(header):
                    cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
                    found = f"row {number} has {cells}, the header {len(header)}"
                    raise RequestError(found, "file")
                text = row[at]
                line = {"custom_id": f"row-{number}", "messages": self._chat(text)}
                yield (json.encode(line) if text.strip() else b"") + b"\n"
        except UnicodeDecodeError:
            raise RequestError(f"after row {number}: not valid UTF-8", "file") from None
        except csv.Error as error:
            is_open = "unexpected end of data" in str(error)
            reason = "a quoted cell is never closed" if is_open else str(error)
            raise RequestError(f"row {number + 1}: {reason}", "file") from None

    def _chat(self, text: str) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": text}]


def _separator(header: str) -> str:
    """The separator that occurs most often in a CSV's header."""
    return max(",;\t|", key=header.count)


def fingerprint(prompts: PromptFile, model: str) -> str:
    """A hash of the prompts and the model."""
    digest = hashlib.blake2b(json.encode([model]), digest_size=16)
    for chunk in prompts.chunks():
        digest.update(chunk)
    return digest.hexdigest()


async def find_or_create_job(
    store: JobStore, prompts: PromptFile, options: NewJob, *, fresh: bool
) -> Job:
    """
    The latest job of these prompts, unless it failed; otherwise a new one, not yet started.

    Of several processes that look for it at the same time, one creates it and all return it.
    """
    key = await asyncio.to_thread(fingerprint, prompts, options.model or "")
    ignored = await store.table.get("run", key) if fresh else None
    job: Job | None = None
    while True:
        known = await store.table.get("run", key)
        found = None if known is None or known == ignored else await _find(store, known.decode())
        if found is None:
            job = job or await _draft(store, prompts, options)
            pointer = Change("run", key, job.id.encode(), known)
            if await store.jobs.registry.create_with(job.id, job, pointer):
                return job
        else:
            if job is not None:
                await store.files.delete(job.input_file_id, store.owner)
            return found


async def _find(store: JobStore, job_id: str) -> Job | None:
    """The job, unless it failed: such a job is created again."""
    try:
        job = await store.jobs.find(job_id, None)
    except NotFound:
        return None
    return None if job.status == "failed" else job


async def _draft(store: JobStore, prompts: PromptFile, options: NewJob) -> Job:
    """A new job, whose file is stored."""
    file = await _upload(store, prompts)
    new = NewJob(
        input_file_id=file.id,
        endpoint=ENDPOINT,
        completion_window=options.completion_window,
        model=options.model,
        max_cost_usd=options.max_cost_usd,
    )
    return store.jobs.draft(new, file, store.owner)


async def _upload(store: JobStore, prompts: PromptFile) -> FileRecord:
    """Store the prompts as a file."""

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in prompts.chunks():
            yield chunk

    key = store.files.new_key()
    await store.files.blobs.write(key, chunks())
    return await store.files.register(key, prompts.path.name, "batch", store.owner)

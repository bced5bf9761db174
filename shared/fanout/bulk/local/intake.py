"""
A file of prompts to a job's input: JSONL as it is, plain text or a CSV's column line by line.

The same prompts for the same model are the same job, so whoever repeats a command goes on with it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from ...errors import NotFound, RequestError
from ...wire import json
from ..jobs import NewJob
from ..lines import ENDPOINT, MAX_LINE
from ..records import FileRecord, Job
from .engine import Bulk

PIECE = 1 << 20
OWNER = "anyone"


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


async def take_in(bulk: Bulk, prompts: Prompts, salt: str) -> tuple[FileRecord, str]:
    """The prompts as a file of ours, and the mark of what they are; `salt` belongs to the mark."""
    digest = hashlib.blake2b(json.encode([salt]), digest_size=16)

    async def pieces() -> AsyncIterator[bytes]:
        for piece in prompts.pieces():
            digest.update(piece)
            yield piece

    key = bulk.files.new_key()
    await bulk.files.blobs.write(key, pieces())
    record = await bulk.files.keep(key, prompts.path.name, "batch", OWNER)
    return record, digest.hexdigest()


async def find_or_create(bulk: Bulk, prompts: Prompts, asked: NewJob, *, fresh: bool) -> Job:
    """The job of these prompts, if there is one that has not failed; else a new one."""
    file, mark = await take_in(bulk, prompts, asked.model or "")
    known = await bulk.database.get("run", mark)
    if known is not None and not fresh:
        try:
            job = await bulk.jobs.find(known.decode(), None)
        except NotFound:
            job = None
        if job is not None and job.status != "failed":
            await bulk.files.delete(file.id, OWNER)
            return job
    new = NewJob(
        input_file_id=file.id,
        endpoint=ENDPOINT,
        completion_window=asked.completion_window,
        model=asked.model,
        max_cost_usd=asked.max_cost_usd,
    )
    job = bulk.jobs.draft(new, file, OWNER)
    await bulk.database.put("run", mark, job.id.encode(), known)
    return await bulk.jobs.add(job)

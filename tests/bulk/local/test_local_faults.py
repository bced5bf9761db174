"""A fault of the store stays with the request or job that it concerns."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from fanout.bulk.local import sqlite
from fanout.errors import DamagedRecord, StorageError
from tests.bulk.conftest import serve_jobs
from tests.bulk.local_jobs import jsonl, line, open_jobs, run
from tests.bulk.service.test_openai_client import create, output, wait
from tests.support.blocking_calls import blocking_calls
from tests.support.gateway_server import RunningGateway, entry
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

ALLOWED = {
    "disk.files.write_all: write",  # a result, while writes are fast: `FolderShardResults` says why
    "disk.files.make_private_folder: stat",  # of the process's lock, once a process
    "disk.files.make_private_folder: mkdir",
    "bulk.local.hosts.file_lock: open",
    "bulk.local.hosts._private: open",
    "disk.file_lock.share_lock: flock",
    # a provider's prices, a file of the package that is read once, as a module is
    "telemetry.prices._read: stat",
    "telemetry.prices._read: open",
    "telemetry.prices._read: read",
}


UPLOADS, BUSY_SECONDS = 6, 4.0
"""The seconds are more than usual: a busy machine needs some for the requests themselves."""


@contextmanager
def serving(upstream: Upstream, home: Path) -> Iterator[tuple[RunningGateway, openai.OpenAI]]:
    upstream.script("a", answers("Hello"))
    with (
        serve_jobs({"model_list": [entry(upstream, "a")]}, home) as server,
        openai.OpenAI(api_key="any", base_url=f"{server.url}/v1", max_retries=0) as client,
    ):
        yield server, client


def chat(client: openai.OpenAI) -> str | None:
    made = client.chat.completions.create(model="a", messages=[{"role": "user", "content": "x"}])
    return made.choices[0].message.content


def bugs_of(server: RunningGateway) -> list[BaseException]:
    """The logged errors, which are forgotten: they were expected."""
    found = list(server.observer.unexpected_errors)
    server.observer.unexpected_errors.clear()
    return found


def test_a_locked_database_is_a_503_and_no_other_request_waits(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", BUSY_SECONDS)
    with serving(upstream, tmp_path) as (_, client):
        file = client.files.create(file=("in.jsonl", jsonl([line("x")])), purpose="batch")

        async def upload() -> None:
            data = jsonl([line("x")])
            with pytest.raises(openai.InternalServerError) as raised:
                await asyncio.to_thread(
                    client.files.create, file=("in.jsonl", data), purpose="batch"
                )
            assert (raised.value.status_code, raised.value.code) == (503, "storage_busy")
            assert raised.value.response.headers["retry-after"] == "1"

        async def main() -> None:
            one_after_the_other = UPLOADS * BUSY_SECONDS
            async with asyncio.timeout(one_after_the_other), asyncio.TaskGroup() as group:
                for _ in range(UPLOADS):
                    group.create_task(upload())
                assert [await asyncio.to_thread(chat, client) for _ in range(5)] == ["Hello"] * 5
            assert await asyncio.to_thread(client.files.retrieve, file.id) == file

        with closing(sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            asyncio.run(main())
            other.execute("ROLLBACK")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        assert wait(client, batch).status == "completed"


DAMAGED = [
    b'{"id":"batch_0","status":"dreaming","host":"serve","owner":"anyone"}',
    b"{oops",
    b"\xff\x00",
    b"[]",
]


@pytest.mark.parametrize("raw", DAMAGED, ids=["newer", "cut", "binary", "list"])
def test_a_record_that_cannot_be_read_fails_alone(
    upstream: Upstream, tmp_path: Path, raw: bytes
) -> None:
    with serving(upstream, tmp_path) as (_, client):
        done = wait(client, create(client, jsonl([line("x")])))
        file = client.files.create(file=("in.jsonl", jsonl([line("x")])), purpose="batch")
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as database:
        for kind, key in (("batch", "batch_zz"), ("file", file.id)):
            database.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, key, raw))
        database.commit()
    with serving(upstream, tmp_path) as (server, client):
        assert [one.id for one in client.batches.list()] == [done.id]
        assert set(output(client, done.output_file_id)) == {"x"}
        assert file.id not in {one.id for one in client.files.list()}
        for read in (
            lambda: client.batches.retrieve("batch_zz"),
            lambda: client.files.content(file.id),
        ):
            with pytest.raises(openai.InternalServerError) as raised:
                read()
            assert (raised.value.status_code, raised.value.code) == (500, "record_damaged")
        assert wait(client, create(client, jsonl([line("y")]))).status == "completed"
        assert client.files.delete(file.id).deleted
        assert client.delete("/batches/batch_zz", cast_to=httpx.Response).status_code == 200
        for gone in (
            lambda: client.batches.retrieve("batch_zz"),
            lambda: client.files.content(file.id),
        ):
            with pytest.raises(openai.NotFoundError):
                gone()
        bugs = bugs_of(server)
        assert {type(bug) for bug in bugs} == {DamagedRecord}
        assert {name for bug in bugs for name in ("batch_zz", file.id) if name in str(bug)} == {
            "batch_zz",
            file.id,
        }


def test_a_damaged_database_is_an_error_of_jobs_and_files_only(
    upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(b"This is no database. " * 1000)
    with serving(upstream, tmp_path) as (server, client):
        assert chat(client) == "Hello"
        with pytest.raises(openai.InternalServerError) as raised:
            client.files.list()
        assert (raised.value.status_code, raised.value.code) == (500, "storage_error")
        bugs = bugs_of(server)
        assert {type(bug) for bug in bugs} == {StorageError}
        assert "jobs.sqlite" in str(bugs[0])


def test_nothing_blocks_the_event_loop(tmp_path: Path) -> None:
    async def main() -> None:
        with blocking_calls() as found:
            async with open_jobs(tmp_path) as jobs:
                job = await jobs.wait(
                    await jobs.create(jsonl(line(f"n{n}", model="a") for n in range(20)))
                )
                assert len(await jobs.responses(job)) == 20
                await jobs.service.files.delete(job.output_file_id or "", "master")
            async with open_jobs(tmp_path):
                await asyncio.sleep(0.1)
        assert set(found) - ALLOWED == set()
        assert set(found) & ALLOWED, "the detector sees nothing"

    run(main())


def modes(home: Path) -> dict[str, int]:
    """
    What other users may do with each file and folder, if anything.

    A job that has ended may still be removing its work files, so a path may be gone.
    """
    found = [home]
    for folder, folders, files in os.walk(home):  # it passes over a folder that is gone
        found += [Path(folder, name) for name in (*folders, *files)]
    rights = {}
    for path in found:
        with suppress(FileNotFoundError):
            rights[str(path)] = stat.S_IMODE(path.stat().st_mode) & 0o077
    return {path: right for path, right in rights.items() if right}


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_the_store_is_private_to_the_user_and_an_earlier_one_becomes_so(tmp_path: Path) -> None:
    home = tmp_path / "data" / "fanout"

    async def main() -> Any:
        async with open_jobs(home) as jobs:
            job = await jobs.wait(await jobs.create(jsonl([line("x")])))
            assert (home / "jobs.sqlite-wal").exists()
            assert modes(home) == {}
        for path in [home, *home.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        async with open_jobs(home) as jobs:
            assert (await jobs.job(job)).id == job.id
            assert modes(home) == {}

    run(main())


def test_an_error_while_jobs_are_open_keeps_its_cause(tmp_path: Path) -> None:
    cause = OSError("no such disk")

    async def main() -> None:
        async with open_jobs(tmp_path):
            raise RuntimeError("stopped") from cause

    with pytest.raises(RuntimeError, match="stopped") as raised:
        run(main())
    assert raised.value.__cause__ is cause

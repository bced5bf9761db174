"""Faults of the data folder: a full disk, a locked database, damaged records, a second server."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from tests.faults.gateway_process import Gateway, gateway, model_list
from tests.support.provider_steps import answers, pause
from tests.support.scripted_provider import Upstream, open_upstream

from .attack import HI, KEY, Attack, count, form, others, until, watched
from .keys import create_job, line, wait_for_job

LINES = 300
ROOM = 100_000
"""Bytes that a file may have on the full disk."""

LONG = "word " * 4_000


def measure(folder: Path) -> Iterator[Attack]:
    """All of them, each in a folder of its own."""
    with open_upstream() as upstream:
        for attack in (
            _locked,
            _damaged,
            _full_upload,
            _full_job,
            _two_servers,
            _private,
            _expired,
        ):
            mine = folder / attack.__name__
            mine.mkdir()
            upstream.reset()
            upstream.script("ok", answers("Hello"))
            upstream.script("slow", [pause(0.03), *answers("Hello")])
            upstream.script("long", [pause(0.03), *answers(LONG)])
            yield attack(mine, upstream)


def config(upstream: Upstream, *names: str) -> dict[str, Any]:
    """A gateway with these models, 8 calls at a time each."""
    params = {"api_key": "none", "max_parallel_requests": 8, "num_retries": 0}
    return {
        "model_list": model_list([(name, upstream.url, params) for name in names]),
        "general_settings": {"master_key": "sk-master"},
    }


def prompts(upstream: Upstream) -> Counter[str]:
    """How often each line was sent."""
    return Counter(call.body["messages"][-1]["content"] for call in upstream.calls)


def lines_of(model: str, number: int = LINES) -> bytes:
    """Lines whose prompts are different."""
    hi = [{"role": "user", "content": ""}]
    return b"".join(
        line(f"n{index}", model, messages=[{**hi[0], "content": f"n{index}"}])
        for index in range(number)
    )


def _database(folder: Path) -> Path:
    return folder / "fanout" / "jobs.sqlite"


def _locked(folder: Path, upstream: Upstream) -> Attack:
    body, content = form(lines_of("ok", 1))
    found: list[int] = []
    with gateway(config(upstream, "ok"), folder, quiet=True) as served:
        create_job(served, lines_of("ok", 1), KEY)

        def upload() -> None:
            found.append(served.json(body, "/v1/files", headers={**KEY, **content})[0])

        with closing(sqlite3.connect(_database(folder), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with watched(served) as usage:
                uploads = [Thread(target=upload) for _ in range(6)]
                for one in uploads:
                    one.start()
                for one in uploads:
                    one.join()
                chats = [served.chat({"model": "ok", "messages": HI}, KEY).status for _ in range(5)]
            other.execute("ROLLBACK")
        upload()
    return Attack(
        "a locked database",
        "another process locks `jobs.sqlite` during 6 uploads and 5 chats",
        [
            count("uploads other than 503", others(found[:6], 503)),
            count("chats other than 200", others(chats, 200)),
            count("uploads that fail afterwards", others(found[6:], 200)),
            *usage.figures(30),
        ],
    )


def _damaged(folder: Path, upstream: Upstream) -> Attack:
    with gateway(config(upstream, "ok"), folder, quiet=True) as served:
        _, job = create_job(served, lines_of("ok", 3), KEY)
        done = wait_for_job(served, job, KEY)
    with closing(sqlite3.connect(_database(folder))) as database:
        record = b'{"id":"batch_x","status":"dreaming"}'
        database.execute("INSERT INTO records VALUES ('batch', 'batch_x', ?)", (record,))
        database.execute("INSERT INTO records VALUES ('batch', 'batch_y', ?)", (b"\xff{",))
        database.commit()
    with gateway(config(upstream, "ok"), folder, quiet=True, name="again") as served:
        path = f"/v1/files/{done['output_file_id']}/content"
        with served.ask(None, path, "GET", KEY) as response:
            content = response.read()
        listed = served.json(None, "/v1/batches", "GET", KEY)
        damaged = served.json(None, "/v1/batches/batch_x", "GET", KEY)
        _, job = create_job(served, lines_of("ok", 3), KEY)
        again = wait_for_job(served, job, KEY)
    return Attack(
        "damaged records",
        "a job's record of a newer version and one that is no JSON, then a restart",
        [
            count("responses of the other job that are lost", 3 - len(content.splitlines())),
            count("lists of jobs that fail", others([listed[0]], 200)),
            count("new jobs that fail", int(again["status"] != "completed")),
            count(
                "the damaged one is no 500 `record_damaged`",
                int((damaged[0], damaged[2]["error"]["code"]) != (500, "record_damaged")),
            ),
        ],
    )


@contextmanager
def full_disk(served: Gateway) -> Iterator[None]:
    """No file of the process may grow over `ROOM` bytes: writes fail as on a full disk (Linux)."""
    limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (ROOM, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, limits)


def _full_upload(folder: Path, upstream: Upstream) -> Attack:
    body, content = form(lines_of("ok", 2_000))
    with gateway(config(upstream, "ok"), folder, quiet=True) as served:
        with full_disk(served):
            first = served.json(body, "/v1/files", headers={**KEY, **content})
            chat = served.chat({"model": "ok", "messages": HI}, KEY).status
            left = [one for one in (folder / "fanout" / "files").rglob("*") if one.is_file()]
        second = served.json(body, "/v1/files", headers={**KEY, **content})
    return Attack(
        "an upload on a full disk",
        f"{len(body) / 1000:.0f} kB, with room for {ROOM / 1000:.0f} kB",
        [
            count("responses other than 507", others([first[0]], 507)),
            count("incomplete files", len(left)),
            count("chats that fail", others([chat], 200)),
            count("uploads that fail when there is room", others([second[0]], 200)),
        ],
    )


def _full_job(folder: Path, upstream: Upstream) -> Attack:
    with gateway(config(upstream, "long"), folder, quiet=True) as served:
        _, job = create_job(served, lines_of("long", 60), KEY)
        path = f"/v1/batches/{job['id']}"

        def is_full() -> bool:
            found = served.json(None, path, "GET", KEY)[2]["errors"] or {"data": []}
            return [one["code"] for one in found["data"]] == ["storage_full"]

        until(lambda: len(upstream.calls) >= 5)
        with full_disk(served):
            until(is_full)
            time.sleep(0.2)  # calls in flight end
            before = len(upstream.calls)
            time.sleep(3)
            more = len(upstream.calls) - before
        done = wait_for_job(served, job, KEY)
    sent = prompts(upstream)
    return Attack(
        "a job on a full disk",
        "60 lines with responses of 20 kB; the disk is full after 5 calls, for 3 s",
        [
            count("calls while it is full", more),
            count("lines without a response at the end", 60 - done["request_counts"]["completed"]),
            count("lines paid twice", sum(number > 1 for number in sent.values())),
        ],
    )


def _two_servers(folder: Path, upstream: Upstream) -> Attack:
    with gateway(config(upstream, "slow"), folder, quiet=True, name="first") as first:
        _, job = create_job(first, lines_of("slow"), KEY)
        until(lambda: len(upstream.calls) >= 30)
        with gateway(config(upstream, "ok"), folder, quiet=True, name="second"):
            done = wait_for_job(first, job, KEY)
    sent = prompts(upstream)
    return Attack(
        "a second server with another config",
        f"over the same data folder, during a job of {LINES} lines whose model it lacks",
        [
            count("lines that fail", done["request_counts"]["failed"]),
            count("lines without a response", LINES - done["request_counts"]["completed"]),
            count("lines paid twice", sum(number > 1 for number in sent.values())),
        ],
    )


def _private(folder: Path, upstream: Upstream) -> Attack:
    before = os.umask(0)
    try:
        with gateway(config(upstream, "slow"), folder, quiet=True) as served:
            _, job = create_job(served, lines_of("slow", 60), KEY)
            until(lambda: len(upstream.calls) >= 30)
            home = folder / "fanout"
            paths = [home, *home.rglob("*")]
            seen = [
                one for one in paths if one.exists() and stat.S_IMODE(one.stat().st_mode) & 0o77
            ]
            wait_for_job(served, job, KEY)
    finally:
        os.umask(before)
    return Attack(
        "other users of the machine",
        "a job in progress, started with a umask of 0",
        [count(f"files and folders that others may read (of {len(paths)})", len(seen))],
    )


def _expired(folder: Path, upstream: Upstream) -> Attack:
    body, content = form(lines_of("ok", 3))
    with gateway(config(upstream, "ok"), folder, quiet=True) as served:
        file = served.json(body, "/v1/files", headers={**KEY, **content})[2]
    files = folder / "fanout" / "files"
    kept = [one for one in files.iterdir() if one.is_file()]
    draft = files / ".draft-old"
    draft.write_bytes(b"half")
    os.utime(draft, (0, 0))
    with closing(sqlite3.connect(_database(folder))) as database:
        (raw,) = database.execute(
            "SELECT value FROM records WHERE key = ?", (file["id"],)
        ).fetchone()
        record = json.loads(raw) | {"expires_at": 1}
        database.execute(
            "UPDATE records SET value = ? WHERE key = ?", (json.dumps(record).encode(), file["id"])
        )
        database.commit()
    with gateway(config(upstream, "ok"), folder, quiet=True, name="again"):
        end = time.perf_counter() + 5
        while (left := [one for one in files.iterdir() if one.is_file()]) and (
            time.perf_counter() < end
        ):
            time.sleep(0.02)
    return Attack(
        "expired files",
        "a file whose time is over and a draft of 1970, that no client asks for, then a restart",
        [
            count("of them on the disk", len(left)),
            count("files that were not there before", int(len(kept) != 1)),
        ],
    )

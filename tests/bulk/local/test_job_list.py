"""`fanout batch status`, `results` and `remove`: jobs by file, model, time and short id."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from fanout.cli.batch_jobs import short_ids, short_time
from tests.bulk.local.test_batch_command import BatchCommand, batch, prompts_sent
from tests.bulk.local.test_tables import PROMPT, echo, folder
from tests.bulk.local_jobs import jsonl, line
from tests.cli.commands import spawned
from tests.support.patience import PATIENCE
from tests.support.provider_steps import hang, pause, stop
from tests.support.scripted_provider import Upstream

__all__ = ["batch", "folder"]


def stopped_job(folder: BatchCommand, upstream: Upstream, *words: str, **options: Any) -> str:
    """Run the command, stop it in the middle, and return what it printed."""
    with spawned("batch", "run", *words, cwd=folder.folder, **options) as process:
        upstream.wait(lambda: len(upstream.calls) >= 50)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    return str(err)


def test_jobs_are_listed_with_file_model_time_and_state(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b"review\ngood\n", "reviews.csv")
    assert folder.run("run", "reviews.csv", *PROMPT).code == 0
    upstream.script("b", [pause(0.02), stop])
    folder.write(jsonl(line(f"n{i}", "b") for i in range(300)), "many.jsonl")
    stopped_job(folder, upstream, "many.jsonl")
    first, second, third, *_ = folder.run("status").out.splitlines()
    assert first.split() == [
        "JOB", "FILE", "MODEL", "CREATED", "STATUS", "DONE", "FAILED", "COST",
    ]  # fmt: skip
    newest, oldest = folder.run("status", "--json").json
    assert second.split()[:3] == [newest["id"][-6:], "many.jsonl", "b"]
    assert second.split()[3] == short_time(newest["created_at"])
    done = newest["request_counts"]["completed"]
    assert second.split()[4:6] == ["stopped", f"{done}/300"]
    assert third.split()[:3] == [oldest["id"][-6:], "reviews.csv", "a"]
    assert third.split()[4:7] == ["completed", "1/1", "0"]


def test_a_time_is_short() -> None:
    noon = time.mktime((*time.localtime()[:3], 12, 5, 0, 0, 0, -1))
    assert short_time(noon) == "12:05"
    assert short_time(noon - 86_400 * 365) == time.strftime(
        "%Y-%m-%d", time.localtime(noon - 86_400 * 365)
    )


def test_a_job_is_named_by_a_part_of_its_id(folder: BatchCommand) -> None:
    folder.write(b"review\ngood\n", "r.csv")
    for model in ("a", "b"):
        assert folder.run("run", "r.csv", "--column", "review", "-m", model).code == 0
    newest, oldest = (one["id"] for one in folder.run("status", "--json").json)
    for part in (oldest, oldest[-6:], oldest[:-4], oldest.removeprefix("batch_")[:-4]):
        assert folder.run("status", part, "--json").json["id"] == oldest
    ran = folder.run("results", "batch_")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"fanout: `batch_` may be `{newest}`, `{oldest}`: give more of it\n"
    assert folder.run("results", "").code == 2


def test_short_ids_are_as_long_as_they_must_be() -> None:
    ids = ["batch_00000001aaaaaa", "batch_00000002aaaaaa", "batch_00000001bbbbbb"]
    assert short_ids(ids) == {ids[0]: "000001aaaaaa", ids[1]: "000002aaaaaa", ids[2]: "bbbbbb"}


def test_results_are_read_before_the_end(folder: BatchCommand, upstream: Upstream) -> None:
    async def never(call: object) -> None:
        await hang(call)  # type: ignore[arg-type]

    upstream.script("b", *[[stop]] * 60, [never])
    text = "".join(f"{number},text {number}\n" for number in range(200))
    folder.write(f"n,review\n{text}".encode(), "r.csv")
    words = ("r.csv", "--prompt", "{review}", "-m", "b")
    with spawned("batch", "run", *words, cwd=folder.folder) as process:
        upstream.wait(lambda: len(upstream.calls) >= 68)  # 60 and those that hang
        job = folder.run("status", "--json").json[0]["id"]
        ran = folder.run("results", job)
        assert ran.code == 2
        config = os.environ["FANOUT_CONFIG"]
        assert f" batch results {job} --config {config} --partial" in ran.err
        while True:
            assert folder.run("results", job, "--partial", "-o", "part.csv").code == 0
            with Path("part.csv").open() as file:
                rows = list(csv.DictReader(file))
            if len(rows) == 60:
                break
        assert [row["n"] for row in rows] == sorted((row["n"] for row in rows), key=int)
        assert all(row["model"] == "b" for row in rows)
        ran = folder.run("results", job, "--partial", "-o", "part.jsonl")
        assert len(Path("part.jsonl").read_text().splitlines()) == 60
        ran = folder.run("remove", job)
        assert (ran.code, ran.err) == (
            2,
            f"fanout: the job `{job}` is in_progress; cancel it first\n",
        )
        process.kill()
    upstream.script("b", [stop])
    assert folder.run("run", *words, "-o", "out.csv").code == 0
    with Path("out.csv").open() as file:
        assert [row["n"] for row in csv.DictReader(file)] == list(map(str, range(200)))


def test_a_removed_job_leaves_nothing(folder: BatchCommand, upstream: Upstream) -> None:
    folder.write(b"review\ngood\nbad\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT).code == 0
    job = folder.run("status", "--json").json[0]["id"]
    ran = folder.run("remove", job[-6:])
    assert (ran.code, ran.out) == (0, f"{job}: removed\n")
    assert folder.run("status").out == "no jobs\n"
    home = Path(os.environ["FANOUT_HOME"])
    assert [path for path in (home / "files").rglob("*") if path.is_file()] == []
    assert not (home / "jobs" / job).exists()
    upstream.calls.clear()
    assert folder.run("run", "r.csv", *PROMPT).code == 0
    assert len(prompts_sent(upstream)) == 2, "its responses are gone"


def test_a_stopped_job_can_be_removed(folder: BatchCommand, upstream: Upstream) -> None:
    upstream.script("b", [pause(0.02), stop])
    folder.write(jsonl(line(f"n{i}", "b") for i in range(300)), "many.jsonl")
    stopped_job(folder, upstream, "many.jsonl")
    job = folder.run("status", "--json").json[0]["id"]
    assert folder.run("remove", job).code == 0
    assert folder.run("status", "--json").json == []


def test_a_retry_keeps_the_rows_of_the_job_that_is_removed(
    folder: BatchCommand, upstream: Upstream
) -> None:
    from tests.support.provider_steps import refuse

    upstream.script("a", [refuse(400, "no")], [stop])
    folder.write(b"review\ngood\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT).code == 1
    first = folder.run("status", "--json").json[0]["id"]
    assert folder.run("retry", first, "-o", "out.csv").code == 0
    assert folder.run("remove", first).code == 0
    retry = folder.run("status", "--json").json[0]["id"]
    assert folder.run("results", retry).out == Path("out.csv").read_text()


def test_a_second_ctrl_c_prints_how_to_resume(folder: BatchCommand, upstream: Upstream) -> None:
    upstream.script("b", [hang])
    path = folder.write(jsonl(line(f"n{i}", "b") for i in range(20)), "many.jsonl")
    with spawned("batch", "run", path) as process:
        upstream.wait(lambda: len(upstream.calls) >= 8)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "press Ctrl-C again" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert f"to resume: fanout batch run {path}" in err


@pytest.mark.parametrize("text", ["{", '{"prompt": "x"}'])
def test_a_file_with_errors_leaves_no_job(folder: BatchCommand, text: str) -> None:
    folder.write(f"{text}\n".encode() * 200, "p.jsonl")
    ran = folder.run("run", "p.jsonl")
    assert ran.code == 2
    assert len(ran.err.splitlines()) <= 3
    assert json.loads(folder.run("status", "--json").out) == []
    home = Path(os.environ["FANOUT_HOME"])
    assert [path for path in (home / "files").rglob("*") if path.is_file()] == []


def test_a_table_from_a_pipe_is_resumed_by_its_id(folder: BatchCommand, upstream: Upstream) -> None:
    upstream.script("a", [pause(0.02), echo, stop])
    text = "".join(f"{number},text {number}\n" for number in range(300))
    path = folder.write(f"n,review\n{text}".encode(), "r.csv")
    with path.open() as source:
        err = stopped_job(folder, upstream, "-", *PROMPT, "-o", "out.csv", stdin=source)
    (job,) = folder.run("status", "--json").json
    config = os.environ["FANOUT_CONFIG"]
    assert f"batch resume {job['id']} --config {config} -o out.csv" in err
    assert folder.run("resume", job["id"][-6:], "-o", "out.csv").code == 0
    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["n"] for row in rows] == list(map(str, range(300)))
    assert all(row["answer"] == row["review"].upper() for row in rows)
    assert len(prompts_sent(upstream)) == 300
    assert folder.run("resume", job["id"]).code == 0
    assert Path(f"{job['id']}.output.csv").read_bytes() == Path("out.csv").read_bytes()

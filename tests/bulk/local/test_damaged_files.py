"""A damaged file of the store affects only what is in it, and its errors say which it is."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fanout.bulk.input.planner import ShardSize
from fanout.bulk.service.records import Job
from fanout.errors import DamagedRecord, FanoutError
from tests.bulk.local_jobs import EchoProvider, LocalJobs, jsonl, line, open_jobs, run

LINES, FIRST = 12, 9
LATER = {f"n{number}" for number in range(FIRST, LINES)}
SHARDS = ShardSize(5, 1 << 20)


class Store:
    """A folder with a finished job, and one that was stopped after some lines."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.provider = EchoProvider()

    async def fill(self) -> None:
        async with open_jobs(self.home, shard_size=SHARDS) as jobs:
            done = jsonl(line(f"d{number}") for number in range(3))
            self.finished = await jobs.wait(await jobs.create(done))
            self.kept = await jobs.upload(done)
        provider = EchoProvider()

        async def hang(_model: str, text: str) -> None:
            if text in LATER:  # not the last calls: lines are read in any order
                await asyncio.Event().wait()

        provider.before = hang
        async with open_jobs(self.home, provider, shard_size=SHARDS) as jobs:
            self.job = await jobs.create(jsonl(line(f"n{number}") for number in range(LINES)))

            async def is_under_way() -> bool:
                job = await jobs.job(self.job)
                totals = await jobs.service.jobs.totals(job)
                return totals.done == FIRST

            await jobs.wait_until(is_under_way)

    @property
    def results(self) -> Path:
        """Those of the shard that is not complete."""
        paths = self.home.glob(f"jobs/{self.job.id}/results/*.answers.jsonl")
        return max(path for path in paths if path.stat().st_size)

    @property
    def complete(self) -> Path:
        """The results of a shard that is complete."""
        return min(self.home.glob(f"jobs/{self.job.id}/results/*.answers.jsonl"))

    @property
    def manifest(self) -> Path:
        return self.home / f"jobs/{self.job.id}/manifest.jsonl"

    @property
    def input(self) -> Path:
        return self.home / self.job.input_key


async def check_others(store: Store, jobs: LocalJobs) -> None:
    """The finished job and its output are as they were, and a new job runs."""
    assert len(await jobs.responses(await jobs.job(store.finished))) == 3
    new = await jobs.wait(await jobs.create(jsonl([line("new")])))
    assert (new.status, set(await jobs.responses(new))) == ("completed", {"new"})


def after(store: Store, *, missing: int = 0) -> Job:
    """The job, which another process resumes, at its end; nothing else is affected."""
    ended: list[Job] = []

    async def main() -> None:
        async with open_jobs(store.home, store.provider, shard_size=SHARDS) as jobs:
            await check_others(store, jobs)
            job = await jobs.wait(store.job)
            ended.append(job)
            if job.status == "completed":
                names = {f"n{number}" for number in range(LINES - missing)}
                assert set(await jobs.responses(job)) == names
            jobs.observer.unexpected_errors.clear()

    run(main())
    return ended[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    run(made.fill())
    return made


def cut(path: Path, at: int) -> None:
    path.write_bytes(path.read_bytes()[:at])


def flip(path: Path, at: int, bits: int = 0xFF) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= bits
    path.write_bytes(data)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_results_are_removed_and_only_their_lines_are_sent_again(
    store: Store, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311
    data = store.results.read_bytes()
    lines = data.splitlines(keepends=True)
    number = rng.randrange(len(lines))
    at = sum(map(len, lines[:number])) + rng.randrange(len(lines[number]) - 1)
    flip(store.results, at) if seed % 2 else cut(store.results, at)
    assert after(store).status == "completed"
    lost = 1 if seed % 2 else len(lines) - number
    assert sum(n for (_, text), n in store.provider.calls.items() if text != "new") <= (
        LINES - FIRST + lost
    )


def test_results_that_are_json_but_no_results_are_removed(store: Store) -> None:
    with store.results.open("ab") as file:
        file.write(b'[]\n"x"\n{}\n{"custom_id":7}\n{"custom_id":"n0","response":{}}\nnull\n')
    assert after(store).status == "completed"


DAMAGE: dict[str, tuple[int, Callable[[Path], object]]] = {
    "a byte": (1, lambda path: flip(path, 3)),
    "cut in a line": (1, lambda path: cut(path, path.stat().st_size - 30)),
    "cut between lines": (
        2,
        lambda path: path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:3])),
    ),
    "gone": (5, lambda path: path.unlink()),
    "a line twice": (
        1,
        lambda path: path.write_bytes(
            b"".join(path.read_bytes().splitlines(True)[number] for number in (0, 0, 2, 3, 4))
        ),
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_lines_of_a_complete_shard_that_are_lost_are_sent_again(store: Store, kind: str) -> None:
    lost, damage = DAMAGE[kind]
    damage(store.complete)
    assert after(store).status == "completed"
    sent = sum(count for (_, text), count in store.provider.calls.items() if text != "new")
    assert sent == LINES - FIRST + lost


@pytest.mark.parametrize("kind", DAMAGE)
def test_lines_that_are_lost_after_the_last_call_are_errors(tmp_path: Path, kind: str) -> None:
    lost, damage = DAMAGE[kind]
    provider = EchoProvider()

    def damage_first() -> None:
        damage(min(tmp_path.glob("jobs/*/results/*.answers.jsonl")))

    async def damage_before_last(_model: str, text: str) -> None:
        if text == "last":
            damage_first()

    async def main() -> None:
        provider.before = damage_before_last
        names = [*(f"n{number}" for number in range(5)), "last"]
        async with open_jobs(tmp_path, provider, shard_size=SHARDS, max_concurrency=1) as jobs:
            job = await jobs.wait(await jobs.create(jsonl(map(line, names))))
            errors = await jobs.error_codes(job)
            assert set(errors.values()) == {"result_damaged"}
            assert len(errors) == lost
            assert {*errors, *await jobs.responses(job)} == set(names)
            assert job.totals is not None
            assert (job.totals.done, job.totals.failed) == (len(names) - lost, lost)

    run(main())


MANIFESTS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: cut(path, 0),
    "cut in a line": lambda path: cut(path, 90),
    "cut between lines": lambda path: path.write_bytes(path.read_bytes().splitlines(True)[0]),
    "no JSON": lambda path: flip(path, 3),
    "another number": lambda path: path.write_bytes(
        path.read_bytes().replace(b'"lines":5', b'"lines":3', 1)
    ),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_damaged_manifest_is_written_again(store: Store, kind: str) -> None:
    MANIFESTS[kind](store.manifest)
    assert after(store).status == "completed"
    assert sum(store.provider.calls.values()) == LINES - FIRST + 1  # and `new`


INPUTS: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: cut(path, 0),
    "cut in a line": lambda path: cut(path, path.stat().st_size - 30),
    "cut between lines": lambda path: path.write_bytes(
        b"".join(path.read_bytes().splitlines(True)[:-2])
    ),
}


@pytest.mark.parametrize("is_planned", [True, False])
@pytest.mark.parametrize("kind", INPUTS)
def test_a_job_whose_input_is_damaged_says_so_and_keeps_its_results(
    store: Store,
    kind: str,
    is_planned: bool,  # noqa: FBT001
) -> None:
    INPUTS[kind](store.input)
    if not is_planned:
        cut(store.manifest, 0)
    is_a_line = kind == "cut in a line" and is_planned
    job = after(store, missing=int(is_a_line))
    if is_a_line:  # which is one that is no JSON
        assert (job.status, job.totals and job.totals.causes) == ("completed", {"invalid_value": 1})
        return
    assert (job.status, [error.code for error in job.errors]) == ("failed", ["input_damaged"])
    assert job.totals is not None
    assert job.totals.done >= (FIRST if is_planned else 0)


def test_files_whose_bytes_are_gone_or_cut_are_errors_that_name_them(store: Store) -> None:
    output = store.home / "files" / str(store.finished.output_file_id)
    kept = store.home / "files" / store.kept

    async def main() -> None:
        async with open_jobs(store.home, store.provider, shard_size=SHARDS) as jobs:
            await jobs.wait(store.job)
            for path in (output, kept):
                for damage in (lambda path=path: cut(path, 20), path.unlink):
                    damage()
                    record = await jobs.service.files.find(path.name, None)
                    with pytest.raises(DamagedRecord, match=path.name):
                        _ = [chunk async for chunk in jobs.service.files.content(record)]
            with pytest.raises(DamagedRecord, match=store.kept):
                await jobs.create_from(store.kept)
            new = await jobs.wait(await jobs.create(jsonl([line("new")])))
            assert new.status == "completed"

    run(main())


def test_damaged_totals_limits_and_locks_stop_nothing(store: Store) -> None:
    with closing(sqlite3.connect(store.home / "jobs.sqlite")) as database:
        database.execute("UPDATE shards SET tally = ?, complete = 'x'", (b"{oops",))
        for kind, mark in [("requests", "x"), ("pause", b"x"), ("learned 1", 1e300), (b"x", 1.0)]:
            database.execute("INSERT OR REPLACE INTO marks VALUES ('a', ?, ?)", (kind, mark))
        database.execute("INSERT INTO records VALUES ('batch', 'batch_zz', 7)")
        database.commit()
    for lock in (store.home / "locks").iterdir():
        lock.write_bytes(b"\xff\x00")
    assert after(store).status == "completed"


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_database_fails_with_errors_that_say_so(store: Store, seed: int) -> None:
    """Random bytes of it change; what can be read is right, and nothing hangs."""
    rng, codes = random.Random(seed), set[str | None]()  # noqa: S311
    path = store.home / "jobs.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for _ in range(20):
        flip(path, rng.randrange(path.stat().st_size), rng.randrange(1, 256))

    async def main() -> None:
        async with open_jobs(store.home, store.provider, shard_size=SHARDS) as jobs:
            for call in (
                lambda: jobs.job(store.finished),
                lambda: jobs.job(store.job),
                lambda: jobs.create(jsonl([line("new")])),
                lambda: jobs.service.jobs.page(None, after=None, limit=10),
            ):
                try:
                    await call()
                except FanoutError as error:
                    codes.add(error.detail.code)
            await asyncio.sleep(0.2)
            jobs.observer.unexpected_errors.clear()

    run(main())
    assert codes <= {"storage_error", "record_damaged", "not_found"}

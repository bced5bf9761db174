"""Every write is complete or an error: each path that writes, with too little room for it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from fanout.disk.files import Draft, replace_file, write_all
from fanout.errors import StorageError, StorageFull
from tests.bulk.local.test_batch_command import BatchCommand, batch
from tests.bulk.local_jobs import jsonl, line
from tests.cli.commands import code_of, write_config
from tests.support.file_size_limit import file_size_limit, limited, run_limited
from tests.support.gateway_server import entry
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

__all__ = ["batch"]

ROOM = 100_000
LINES = 30


class Short:
    """A file that takes at most 3 bytes at once, and `room` bytes in all."""

    def __init__(self, room: int) -> None:
        self.room, self.data = room, b""

    def write(self, data: memoryview) -> int:
        taken = bytes(data[: min(3, self.room - len(self.data))])
        self.data += taken
        return len(taken)


def test_a_file_that_takes_less_than_it_is_given_gets_the_rest(tmp_path: Path) -> None:
    file: Any = Short(100)
    write_all(file, b"0123456789")
    assert file.data == b"0123456789"
    with pytest.raises(OSError, match="No space left"):
        write_all(Short(8), b"0123456789")  # type: ignore[arg-type]


def test_a_draft_leaves_the_old_file_until_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    with Draft(link) as draft:
        draft.write(b"half")
    assert path.read_bytes() == b"old"
    replace_file(link, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777, link.is_symlink()) == (
        b"new",
        0o640,
        True,
    )
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "out"]


def test_what_is_no_regular_file_is_written_to(tmp_path: Path) -> None:
    replace_file(Path("/dev/null"), b"new")
    with pytest.raises(StorageFull, match="cannot write `/dev/full`: No space left"):
        replace_file(Path("/dev/full"), b"new")
    with pytest.raises(StorageError, match="Is a directory"):
        replace_file(tmp_path, b"new")


@pytest.fixture
def finished(batch: BatchCommand, upstream: Upstream) -> tuple[BatchCommand, str]:
    """A job that has ended, with 300 kB of responses, and its id."""
    upstream.script("a", answers("x" * 10_000))
    batch.write(jsonl(line(f"n{number}") for number in range(LINES)))
    ran = batch.run("run", batch.folder / "prompts.jsonl", "--json")
    assert ran.code == 0, ran
    return batch, json.loads(ran.out.splitlines()[-1])["job"]


@pytest.mark.parametrize("action", ["run", "results"])
def test_an_output_without_room_is_an_error_and_the_old_one_stays(
    finished: tuple[BatchCommand, str], action: str
) -> None:
    batch, job = finished
    output = batch.folder / "out" / "all.jsonl"
    what = batch.folder / "prompts.jsonl" if action == "run" else job
    for old in (None, b"old"):
        if old:
            output.write_bytes(old)
        with file_size_limit(ROOM):
            ran = batch.run(action, what, "-o", output)
        assert ran.code == 1
        assert f"fanout: cannot write `{output}`: File too large\n" in ran.err
        assert "Traceback" not in ran.err
        assert [one.read_bytes() for one in output.parent.iterdir()] == ([old] if old else [])
    with file_size_limit(10 * ROOM):
        ran = batch.run(action, what, "-o", output)
    assert (ran.code, len(output.read_bytes().splitlines())) == (0, LINES)


def test_an_error_file_without_room_is_an_error_and_the_old_one_stays(
    batch: BatchCommand, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(400, "no " * 1_000)])
    count = 150
    batch.write(jsonl(line(f"n{number}") for number in range(count)))
    ran = batch.run("run", batch.folder / "prompts.jsonl", "--json")
    job = json.loads(ran.out.splitlines()[-1])["job"]
    output = batch.folder / "out" / "failed.jsonl"
    words = ("results", job, "--errors", "-o", output)
    for old in (None, b"old"):
        if old:
            output.write_bytes(old)
        with file_size_limit(ROOM):
            ran = batch.run(*words)
        assert (ran.code, ran.err) == (1, f"fanout: cannot write `{output}`: File too large\n")
        assert [one.read_bytes() for one in output.parent.iterdir()] == ([old] if old else [])
    with file_size_limit(10 * ROOM):
        ran = batch.run(*words)
    assert (ran.code, len(output.read_bytes().splitlines())) == (0, count)


def test_a_standard_output_without_room_is_an_error(finished: tuple[BatchCommand, str]) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, err = run_limited(ROOM, "batch", "results", finished[1], stdout=full)
    assert (code, err) == (1, "fanout: the output: No space left on device\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["results", "JOB"], ["results", "JOB", "-o", "-"]])
def test_a_standard_output_that_becomes_full_is_an_error(
    finished: tuple[BatchCommand, str], unbuffered: str, words: list[str]
) -> None:
    batch, job = finished
    batch.set_env(PYTHONUNBUFFERED=unbuffered)
    words = [job if word == "JOB" else word for word in words]
    with (batch.folder / "r.jsonl").open("wb") as file:
        code, _, err = run_limited(ROOM, "batch", *words, stdout=file)
    assert (code, err) == (1, "fanout: the output: File too large\n")
    with (batch.folder / "r.jsonl").open("wb") as file:
        code, _, err = run_limited(10 * ROOM, "batch", *words, stdout=file)
    assert code == 0, err
    assert len((batch.folder / "r.jsonl").read_bytes().splitlines()) == LINES


def test_a_fixed_config_without_room_is_an_error_and_the_old_one_stays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config, output = tmp_path / "a.yaml", tmp_path / "fixed.yaml"
    models = [{"model_name": f"m{n}", "litellm_params": {"model": "openai/m"}} for n in range(99)]
    config.write_text(json.dumps({"model_list": models, "wrong": 1}))
    output.write_text("old")
    with file_size_limit(1_000):
        code = code_of("check", "--fix", config, "-o", output)
    assert (code, output.read_text()) == (1, "old")
    assert f"cannot write `{output}`: File too large" in capfd.readouterr().err


@contextmanager
def serving(room: int, upstream: Upstream, folder: Path) -> Iterator[openai.OpenAI]:
    """A client of `fanout serve`, whose files may not grow over `room` bytes."""
    config = write_config(folder, {"model_list": [entry(upstream, "a")]})
    env = {**os.environ, "FANOUT_HOME": str(folder / "home")}
    with limited(room, "serve", "--port", "0", "--quiet", "--config", config, env=env) as process:
        assert process.stderr is not None
        found = (re.search(r"serving (http\S+)", text) for text in process.stderr)
        url = next(one[1] for one in found if one)
        with openai.OpenAI(api_key="any", base_url=url, max_retries=0) as client:
            yield client


def check_full(raised: Any, folder: Path) -> None:
    """OpenAI's error object with status 507, and no incomplete file."""
    error = raised.value
    assert (error.status_code, error.code, error.type) == (507, "storage_full", "server_error")
    assert "storage is full" in error.message
    assert str(folder) not in error.message
    assert [path for path in folder.rglob("*") if path.name.startswith(".draft-")] == []


def test_uploads_without_room_are_507_and_leave_nothing(upstream: Upstream, tmp_path: Path) -> None:
    upstream.script("a", answers("Hello"))
    data = jsonl(line(f"n{n}", text="x" * 2_000) for n in range(100))
    assert len(data) > 2 * ROOM
    with serving(ROOM, upstream, tmp_path) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            client.files.create(file=("in.jsonl", data), purpose="batch")
        check_full(raised, tmp_path)
        upload = client.uploads.create(
            filename="in.jsonl", purpose="batch", bytes=len(data), mime_type="text/jsonl"
        )
        with pytest.raises(openai.InternalServerError) as raised:
            client.uploads.parts.create(upload.id, data=data)
        check_full(raised, tmp_path)
        parts = [
            client.uploads.parts.create(upload.id, data=data[at : at + ROOM // 2]).id
            for at in range(0, len(data), ROOM // 2)
        ]
        with pytest.raises(openai.InternalServerError) as raised:
            client.uploads.complete(upload.id, part_ids=parts)
        check_full(raised, tmp_path)
        assert client.files.list().data == []
        assert client.files.create(file=("in.jsonl", data[:2100]), purpose="batch").bytes == 2100
        chat = client.chat.completions.create(
            model="a", messages=[{"role": "user", "content": "x"}]
        )
        assert chat.choices[0].message.content == "Hello"


def test_a_database_without_room_is_507_and_chats_go_on(upstream: Upstream, tmp_path: Path) -> None:
    upstream.script("a", answers("Hello"))
    name = "x" * 8_000 + ".jsonl"
    with serving(ROOM, upstream, tmp_path) as client:

        def create_uploads() -> None:
            for _ in range(100):
                client.uploads.create(
                    filename=name, purpose="batch", bytes=9, mime_type="text/jsonl"
                )

        with pytest.raises(openai.InternalServerError) as raised:
            create_uploads()
        check_full(raised, tmp_path)
        chat = client.chat.completions.create(
            model="a", messages=[{"role": "user", "content": "x"}]
        )
        assert chat.choices[0].message.content == "Hello"


@pytest.mark.parametrize("room", [0, 10_000])
def test_a_command_without_room_for_its_database_ends_with_a_sentence(
    batch: BatchCommand, upstream: Upstream, room: int
) -> None:
    upstream.script("a", answers("Hello"))
    batch.write(jsonl(line(f"n{number}") for number in range(3)))
    code, _, err = run_limited(room, "batch", "run", batch.folder / "prompts.jsonl", "--json")
    assert code == 1
    assert err.splitlines()[-1].startswith("fanout: cannot write `")
    assert "Traceback" not in err
    assert upstream.calls == []

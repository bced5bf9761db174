"""Where a job's responses go is checked before anything is sent; every bad path is one sentence."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Command
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

LINE = {"model": "a", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def folder(
    upstream: Upstream, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder: an input, names of it, and what is no file."""
    upstream.script("a", answers("Hello"))
    monkeypatch.setenv("FANOUT_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(json.dumps(LINE) + "\n")
    (tmp_path / "link").symlink_to("in.jsonl")
    (tmp_path / "hard").hardlink_to("in.jsonl")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-folder").symlink_to("folder")
    (tmp_path / "busy.errors.jsonl").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


BAD = {
    "in.jsonl": "it is the input `in.jsonl`",
    "./folder/../in.jsonl": "it is the input `in.jsonl`",
    "link": "it is the input `in.jsonl`",
    "hard": "it is the input `in.jsonl`",
    "folder": "it is a folder",
    "folder/": "it is a folder",
    "to-folder": "it is a folder",
    "busy.jsonl": "it is a folder",
    "in.jsonl/out": "is not a folder",
    "in.jsonl/deep/out": "is not a folder",
    "loop": "Too many levels of symbolic links",
    "/proc/out.jsonl": "no file can be created in the folder `/proc`",
    "/proc/new/deep/out.jsonl": "no file can be created in the folder `/proc`",
    "/sys/out.jsonl": "the folder `/sys`",
    "n" * 300: "File name too long",
    "n" * 250: "File name too long",
}


@pytest.mark.parametrize(("output", "reason"), BAD.items(), ids=[name[:20] for name in BAD])
def test_a_bad_output_is_one_sentence_before_the_first_call(
    fanout: Command, upstream: Upstream, folder: Path, output: str, reason: str
) -> None:
    before = (folder / "in.jsonl").read_bytes()
    ran = fanout("batch", "run", "in.jsonl", "-o", output)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("fanout: the output `")
    assert reason in ran.err
    assert ran.err.count("\n") == 1
    assert not upstream.calls
    assert (folder / "in.jsonl").read_bytes() == before
    assert not list(folder.glob("**/.draft-*"))


def test_a_config_is_no_output(fanout: Command, folder: Path, config: Path) -> None:
    ran = fanout("batch", "run", "in.jsonl", "--config", config, "-o", config.name)
    assert ran.code == 2
    assert "it is the input" in ran.err


def test_missing_folders_are_created_and_a_link_is_followed(fanout: Command, folder: Path) -> None:
    assert fanout("batch", "run", "in.jsonl", "-o", "new/deep/out.jsonl").code == 0
    assert b"Hello" in (folder / "new/deep/out.jsonl").read_bytes()
    (folder / "to-new").symlink_to("new/late.jsonl")
    assert fanout("batch", "run", "in.jsonl", "-o", "to-new").code == 0
    assert (folder / "to-new").is_symlink()
    assert b"Hello" in (folder / "new/late.jsonl").read_bytes()


def test_a_folder_at_the_top_of_the_file_system_is_not_created(
    fanout: Command, upstream: Upstream, folder: Path
) -> None:
    """Its name is mistyped, and root could create it."""
    for output in ("/no-such-folder-here/out.jsonl", "/no-such-folder-here/a/b/out.jsonl"):
        ran = fanout("batch", "run", "in.jsonl", "-o", output)
        assert ran.code == 2
        assert "there is no folder `/no-such-folder-here`; create it first" in ran.err
    assert not Path("/no-such-folder-here").exists()
    assert not upstream.calls


@pytest.mark.parametrize("output", ["/dev/stdout", "/dev/null"])
def test_a_device_is_written_into(folder: Path, output: str) -> None:
    command = [sys.executable, "-m", "fanout", "batch", "run", "in.jsonl", "-o", output]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.returncode == 0, ran.stderr
    assert ("Hello" in ran.stdout) == (output == "/dev/stdout")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116


BAD_PATHS = ["folder", "loop", "n" * 300, "in.jsonl/x", "missing"]


@pytest.mark.parametrize("path", BAD_PATHS, ids=[name[:20] for name in BAD_PATHS])
@pytest.mark.parametrize(
    "words",
    [
        ("batch", "run", ...),
        ("batch", "quote", ...),
        ("batch", "run", ..., "--text", "-m", "a"),
        ("batch", "run", ..., "--column", "x", "-m", "a"),
        ("batch", "run", "in.jsonl", "--config", ...),
        ("ask", "Hi", "-m", "a", "--config", ...),
        ("check", ...),
        ("models", "--config", ...),
    ],
    ids=lambda words: "-".join("PATH" if word is ... else word for word in words),
)
def test_a_bad_path_is_one_sentence_at_every_command(
    fanout: Command, upstream: Upstream, folder: Path, words: tuple[object, ...], path: str
) -> None:
    ran = fanout(*(path if word is ... else word for word in words))
    assert ran.code in {1, 2}
    assert ran.err.startswith("fanout: ")
    assert ran.err.count("\n") == 1
    assert not upstream.calls


def test_standard_input_that_is_no_text_is_one_sentence(folder: Path) -> None:
    command = [sys.executable, "-m", "fanout", "ask", "-", "-m", "a"]
    ran = subprocess.run(command, input=b"caf\xe9", capture_output=True, check=False)  # noqa: S603
    assert ran.returncode == 2
    assert ran.stderr == b"fanout: standard input is not valid UTF-8\n"

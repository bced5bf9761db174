"""What is said to work on Windows, in a Python without what Windows lacks (`like_windows.py`)."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import json

from fanout.cli.printed_commands import powershell_quoted
from tests.bulk.local_jobs import jsonl, line
from tests.cli.test_serve import HI, port_of
from tests.support.patience import PATIENCE
from tests.support.processes import started
from tests.support.provider_steps import answers, stalls
from tests.support.scripted_provider import Upstream

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.support.like_windows"]
PACKAGE = ROOT / "shared" / "fanout"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's /proc and locks")


def run(*words: object, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run `fanout`, or code with `-c`."""
    return subprocess.run(  # noqa: S603 -- our own words
        [*COMMAND, *map(str, words)],
        input=given,
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=ROOT,
        timeout=PATIENCE,
    )


def answered(upstream: Upstream, *names: str) -> None:
    for name in names:
        upstream.script(name, answers(f"Grüße von {name} →"))


def test_every_module_of_the_package_can_be_imported() -> None:
    names = [
        ".".join(("fanout", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.stem not in {"__init__", "__main__"}
    ]
    done = run("-c", "import importlib, sys; [*map(importlib.import_module, sys.argv[1:])]", *names)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(names) > 300


@pytest.mark.parametrize("words", [("ask",), ("race", "-m", "b"), ("all", "-m", "b")])
def test_prompts_are_answered(upstream: Upstream, config: Path, words: Sequence[str]) -> None:
    answered(upstream, "a", "b")
    done = run(*words, "-m", "a", "--config", config, "Hi", given="more")
    assert done.returncode == 0, done.stderr
    assert "Grüße von " in done.stdout
    assert "→" in done.stdout


def test_the_python_functions_work(upstream: Upstream, tmp_path: Path) -> None:
    answered(upstream, "a")
    code = (
        "import fanout, sys; hi = [{'role': 'user', 'content': 'Hi'}];"
        "both = fanout.batch_completion('openai/a', [hi, hi], api_base=sys.argv[1], api_key='k',"
        "checkpoint=sys.argv[2]); print(len([one.choices[0].message.content for one in both]))"
    )
    for _ in range(2):
        done = run("-c", code, f"{upstream.url}/v1", tmp_path / "run.jsonl")
        assert (done.stdout, done.stderr) == ("2\n", "")
    assert len(upstream.calls_to("a")) == 2


def test_a_table_becomes_a_table_and_only_changed_rows_are_sent(
    upstream: Upstream, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FANOUT_HOME")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "AppData"))
    answered(upstream, "a")
    table, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    table.write_text("id,text\n1,eins\n2,zwölf\n", "utf-8")
    words = ("--prompt", "{text}", "-m", "a", "--config", config, "-o", out)
    done = run("batch", "run", table, *words)
    assert done.returncode == 0, done.stderr
    assert "2,zwölf,Grüße von a →,," in out.read_text("utf-8")
    table.write_text("id,text\n1,eins\n2,zwölf\n3,drei\n", "utf-8")
    done = run("batch", "run", table, *words)
    assert done.returncode == 0, done.stderr
    assert len(upstream.calls_to("a")) == 3
    assert (tmp_path / "AppData" / "fanout" / "jobs.sqlite").is_file()
    listed = run("batch", "status").stdout.splitlines()
    assert [one.split()[1:3] for one in listed[1:]] == [["rows.csv", "a"]] * 2
    for job in listed[1:]:
        assert run("batch", "remove", job.split()[0]).returncode == 0
    assert run("batch", "status").stdout == "no jobs\n"


def test_what_is_piped_is_utf_8(upstream: Upstream, config: Path) -> None:
    answered(upstream, "a")
    words = ("batch", "run", "-", "--text", "-m", "a", "--config", config, "-o", "-")
    done = run(*words, given="Hi\n")
    assert "Grüße von a →" in done.stdout, done.stderr


def test_ctrl_c_stops_a_job_which_is_then_stopped_and_resumed(
    upstream: Upstream, config: Path, tmp_path: Path
) -> None:
    upstream.script("a", stalls())
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_bytes(jsonl([line(f"{number}") for number in range(3)]))
    words = ["batch", "run", str(prompts), "-m", "a", "--config", str(config)]
    with started([*COMMAND, *words], cwd=ROOT) as process:
        upstream.wait(lambda: upstream.calls_to("a"))
        running = run("batch", "status").stdout
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "stopped; to resume: " in err
    assert "in_progress" in running
    assert " stopped " in run("batch", "status").stdout
    answered(upstream, "a")
    assert run(*words).returncode == 0


def test_the_gateway_serves_chats_files_and_jobs(upstream: Upstream, config: Path) -> None:
    answered(upstream, "a")
    with started([*COMMAND, "serve", "--config", str(config), "--port", "0"], cwd=ROOT) as process:
        port = port_of(process)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("POST", "/v1/chat/completions", HI)
        assert "Grüße" in connection.getresponse().read().decode()
        connection.request("GET", "/v1/batches")
        assert json.decode(connection.getresponse().read())["data"] == []
        connection.request("GET", "/")
        assert b"<title>" in connection.getresponse().read()
        connection.close()
        taken = run("serve", "--config", config, "--port", port)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert taken.returncode == 2
    assert "cannot listen on" in taken.stderr


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("--prompt", "--prompt"),
        (r"C:\Users\me\a.csv", r"C:\Users\me\a.csv"),
        ("Classify: {review}", "'Classify: {review}'"),
        ("it's $5", "'it''s $5'"),
        ("a\x1bb", "ab"),
        ("", "''"),
    ],
)
def test_printed_commands_are_for_powershell(word: str, quoted: str) -> None:
    assert powershell_quoted(word) == quoted

"""`fanout batch` pays nothing twice: several at once, stopped, retried, after a wrong input."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.bulk.local_jobs import KNOWN_LIMIT, jsonl, line
from tests.cli.commands import CommandResult, code_of, spawned, write_config
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, pause, refuse
from tests.support.scripted_provider import Upstream

PARALLEL = 8
AWKWARD = """it's a "folder" & $HOME; #1 `x` \\ ü"""


class Shell:
    """
    A folder with an awkward name, a config, and a shell that finds `fanout`.

    What it finds prints its arguments: the command itself then runs in this process.
    """

    def __init__(
        self,
        folder: Path,
        upstream: Upstream,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd
        self.folder = folder / AWKWARD
        self.folder.mkdir()
        known = {"max_parallel_requests": PARALLEL, **KNOWN_LIMIT}
        models = [entry(upstream, name, **known) for name in ("a", "b")]
        router = {"num_retries": 0}
        self.config = write_config(self.folder, {"model_list": models, "router_settings": router})
        binaries = folder / "bin"
        binaries.mkdir()
        script = binaries / "fanout"
        script.write_text('#!/bin/sh\nprintf "%s\\0" "$@"\n')
        script.chmod(0o755)
        monkeypatch.setenv("FANOUT_HOME", str(folder / "home"))
        monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
        monkeypatch.chdir(self.folder)

    def write(self, data: bytes, name: str = "in.jsonl") -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def spawn(self, *words: object, **options: Any) -> Any:
        return spawned("batch", *words, **options)

    def run(self, *words: object) -> CommandResult:
        """Run `fanout` with these arguments in this process."""
        self._monkeypatch.setattr(sys, "argv", ["fanout", *map(str, words)])
        self._capfd.readouterr()
        return CommandResult(code_of(*words), *self._capfd.readouterr())

    def paste(self, command: str) -> CommandResult:
        """Run a command that was printed, with the arguments that a shell makes of it."""
        done = subprocess.run(command, shell=True, capture_output=True, check=True)  # noqa: S602 -- that is what users do
        assert done.stderr == b""
        return self.run(*os.fsdecode(done.stdout).split("\0")[:-1])

    def jobs(self) -> list[Any]:
        return list(self.run("batch", "status", "--json").json)


@pytest.fixture
def shell(
    tmp_path: Path,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Shell:
    upstream.script("a", [pause(0.02), *answers("Hello")])
    return Shell(tmp_path, upstream, monkeypatch, capfd)


def sent(upstream: Upstream) -> Counter[str]:
    return Counter(call.body["messages"][-1]["content"] for call in upstream.calls)


def ids(path: Path) -> Counter[str]:
    return Counter(json.loads(one)["custom_id"] for one in path.read_bytes().splitlines())


def printed(err: str, before: str) -> str:
    """The command that was printed after these words."""
    return err.rsplit(before, maxsplit=1)[-1].splitlines()[0]


NAMES = [f"n{i}" for i in range(200)]


def test_commands_that_start_at_the_same_time_run_one_job(shell: Shell, upstream: Upstream) -> None:
    path = shell.write(jsonl(line(name, pad="x" * 4_000) for name in NAMES))
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                shell.spawn("run", path, "--config", shell.config, "-o", f"out{number}.jsonl")
            )
            for number in range(3)
        ]
        ended = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    assert sent(upstream) == dict.fromkeys(NAMES, 1)
    assert len(shell.jobs()) == 1
    for number in range(3):
        assert ids(shell.folder / f"out{number}.jsonl") == dict.fromkeys(NAMES, 1)
    uploads = [one for one in (shell.folder.parent / "home" / "files").iterdir() if one.is_file()]
    assert len(uploads) == 2  # the input and the output


def test_a_command_that_follows_a_job_goes_on_when_its_process_is_killed(
    shell: Shell, upstream: Upstream
) -> None:
    upstream.script("a", [pause(0.2), *answers("Hello")])
    path = shell.write(jsonl(map(line, NAMES)))
    with (
        shell.spawn("run", path, "--config", shell.config) as first,
        ExitStack() as stack,
    ):
        upstream.wait(lambda: len(upstream.calls) >= 10)
        words = ("run", path, "--config", shell.config, "-o", "second.jsonl", "--json")
        second = stack.enter_context(shell.spawn(*words))
        second.stdout.readline()  # it has found the job
        assert second.poll() is None
        first.kill()
        second.communicate(timeout=PATIENCE)
    assert first.wait() == -signal.SIGKILL
    assert second.returncode == 0
    assert ids(shell.folder / "second.jsonl") == dict.fromkeys(NAMES, 1)
    assert sum(sent(upstream).values()) <= len(NAMES) + PARALLEL


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_stopped_retry_goes_on_with_the_command_that_is_printed(
    shell: Shell, upstream: Upstream, name: str
) -> None:
    upstream.script("a", *[[refuse(400, "no")]] * len(NAMES), [pause(0.02), *answers("Hello")])
    path = shell.write(jsonl([*map(line, NAMES), line("good", "b")]))
    upstream.script("b", answers("Hello"))
    first = shell.run("batch", "run", path, "--config", shell.config)
    assert first.code == 1
    retry = printed(first.err, "to retry them: ")
    upstream.calls.clear()
    words = shlex.split(retry)
    with shell.spawn(*words[2:], "-o", "all.jsonl") as process:
        upstream.wait(lambda: len(upstream.calls) >= 50)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=PATIENCE)
    assert len(upstream.calls) < len(NAMES)
    killed = name == "SIGKILL"
    again = f"{retry} -o all.jsonl" if killed else printed(err, "to resume: ")
    assert shlex.split(again) == [*words, "-o", "all.jsonl"]
    done = shell.paste(again)
    assert done.code == 0, done.err
    assert ids(shell.folder / "all.jsonl") == dict.fromkeys([*NAMES, "good"], 1)
    calls = sent(upstream)
    assert set(calls) == set(NAMES)
    assert calls.total() <= len(NAMES) + (PARALLEL if killed else 0)
    assert len(shell.jobs()) == 2
    upstream.calls.clear()
    assert shell.paste(again).code == 0  # it has ended: its responses are written again
    assert not upstream.calls


def test_commands_to_paste_name_the_config_and_awkward_paths(
    shell: Shell, upstream: Upstream
) -> None:
    path = shell.write(jsonl([*map(line, NAMES), line("bad", "b")]), "my 'prompts'.jsonl")
    upstream.script("b", [refuse(400, "no")], answers("Hello"))
    words = ("run", path, "--config", shell.config, "-o", "$(out) 1.jsonl")
    with shell.spawn(*words) as process:
        upstream.wait(lambda: len(upstream.calls) >= 50)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    resumed = shell.paste(printed(err, "to resume: "))
    assert resumed.code == 1, resumed.err
    assert ids(shell.folder / "$(out) 1.jsonl") == dict.fromkeys(NAMES, 1)
    retried = shell.paste(printed(resumed.err, "to retry them: "))
    assert retried.code == 0, retried.err
    assert max(sent(upstream).values()) == 2  # the failed line
    assert sent(upstream).total() == len(NAMES) + 2


def test_a_job_that_has_no_responses_leaves_those_of_an_earlier_one(
    shell: Shell, upstream: Upstream
) -> None:
    upstream.script("a", answers("Hello"))
    path = shell.write(jsonl([line("x")]))
    run = ("batch", "run", path, "--config", shell.config)
    output = shell.folder / "in.output.jsonl"
    assert shell.run(*run).code == 0
    stored = output.read_bytes()
    path.write_bytes(path.read_bytes() + b"{oops\n")
    assert shell.run(*run).code == 2
    assert output.read_bytes() == stored
    upstream.script("a", [refuse(400, "no")])
    path.write_bytes(jsonl([line("y")]))
    assert shell.run(*run).code == 1
    assert output.read_bytes() == stored
    assert ids(shell.folder / "in.output.errors.jsonl") == {"y": 1}
    upstream.script("a", answers("Hello"))
    path.write_bytes(jsonl([line("z")]))
    assert shell.run(*run).code == 0
    assert ids(output) == {"z": 1}
    assert not (shell.folder / "in.output.errors.jsonl").exists()


def test_a_command_that_ignores_a_hangup_goes_on_after_it(shell: Shell, upstream: Upstream) -> None:
    path = shell.write(jsonl(map(line, NAMES)))

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does

    command = [sys.executable, "-m", "fanout", "batch", "run", str(path)]
    with subprocess.Popen(  # noqa: S603
        [*command, "--config", str(shell.config)],
        preexec_fn=ignore,  # noqa: PLW1509
    ) as process:
        upstream.wait(lambda: len(upstream.calls) >= 50)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=PATIENCE) == 0
    assert sent(upstream) == dict.fromkeys(NAMES, 1)

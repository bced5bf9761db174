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

from tests.bulk.local_jobs import jsonl, line
from tests.cli.commands import spawned, write_config
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, pause, refuse
from tests.support.scripted_provider import Upstream

ROOT = Path(__file__).parents[3]
PARALLEL = 8
AWKWARD = """it's a "folder" & $HOME; #1 `x` \\ ü"""


class Shell:
    """A folder with an awkward name, a config, and a shell that finds `fanout`."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.folder = folder / AWKWARD
        self.folder.mkdir()
        models = [entry(upstream, name, max_parallel_requests=PARALLEL) for name in ("a", "b")]
        router = {"num_retries": 0}
        self.config = write_config(self.folder, {"model_list": models, "router_settings": router})
        binaries = folder / "bin"
        binaries.mkdir()
        script = binaries / "fanout"
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fanout "$@"\n')
        script.chmod(0o755)
        self.env = {
            **os.environ,
            "FANOUT_HOME": str(folder / "home"),
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "shared"),
        }

    def write(self, data: bytes, name: str = "in.jsonl") -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def spawn(self, *words: object, **options: Any) -> Any:
        return spawned("batch", *words, env=self.env, cwd=self.folder, **options)

    def paste(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command that was printed."""
        return subprocess.run(  # noqa: S602 -- that is what users do
            command, shell=True, env=self.env, cwd=self.folder, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip

    def jobs(self) -> list[Any]:
        return list(json.loads(self.paste("fanout batch status --json").stdout))


@pytest.fixture
def shell(tmp_path: Path, upstream: Upstream) -> Shell:
    upstream.script("a", [pause(0.02), *answers("Hello")])
    return Shell(tmp_path, upstream)


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
    with shell.spawn("run", path, "--config", shell.config) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    retry = printed(err, "to retry them: ")
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
    assert done.returncode == 0, done.stderr
    assert ids(shell.folder / "all.jsonl") == dict.fromkeys([*NAMES, "good"], 1)
    calls = sent(upstream)
    assert set(calls) == set(NAMES)
    assert calls.total() <= len(NAMES) + (PARALLEL if killed else 0)
    assert len(shell.jobs()) == 2
    upstream.calls.clear()
    assert shell.paste(again).returncode == 0  # it has ended: its responses are written again
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
    assert resumed.returncode == 1, resumed.stderr
    assert ids(shell.folder / "$(out) 1.jsonl") == dict.fromkeys(NAMES, 1)
    retried = shell.paste(printed(resumed.stderr, "to retry them: "))
    assert retried.returncode == 0, retried.stderr
    assert max(sent(upstream).values()) == 2  # the failed line
    assert sent(upstream).total() == len(NAMES) + 2


def test_a_job_that_has_no_responses_leaves_those_of_an_earlier_one(
    shell: Shell, upstream: Upstream
) -> None:
    upstream.script("a", answers("Hello"))
    path = shell.write(jsonl([line("x")]))
    run = shlex.join(["fanout", "batch", "run", str(path), "--config", str(shell.config)])
    output = shell.folder / "in.output.jsonl"
    assert shell.paste(run).returncode == 0
    stored = output.read_bytes()
    path.write_bytes(path.read_bytes() + b"{oops\n")
    assert shell.paste(run).returncode == 2
    assert output.read_bytes() == stored
    upstream.script("a", [refuse(400, "no")])
    path.write_bytes(jsonl([line("y")]))
    assert shell.paste(run).returncode == 1
    assert output.read_bytes() == stored
    assert ids(shell.folder / "in.output.errors.jsonl") == {"y": 1}
    upstream.script("a", answers("Hello"))
    path.write_bytes(jsonl([line("z")]))
    assert shell.paste(run).returncode == 0
    assert ids(output) == {"z": 1}
    assert not (shell.folder / "in.output.errors.jsonl").exists()


def test_a_command_that_ignores_a_hangup_goes_on_after_it(shell: Shell, upstream: Upstream) -> None:
    path = shell.write(jsonl(map(line, NAMES)))

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does

    command = [sys.executable, "-m", "fanout", "batch", "run", str(path)]
    with subprocess.Popen(  # noqa: S603
        [*command, "--config", str(shell.config)],
        env=shell.env,
        preexec_fn=ignore,  # noqa: PLW1509
    ) as process:
        upstream.wait(lambda: len(upstream.calls) >= 50)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=PATIENCE) == 0
    assert sent(upstream) == dict.fromkeys(NAMES, 1)

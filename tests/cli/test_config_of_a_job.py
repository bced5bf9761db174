"""A job goes on with the config that it was started with, or says which one that is."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.bulk.local.test_paid_once import NAMES, Shell, printed, sent, shell
from tests.bulk.local_jobs import jsonl, line
from tests.cli.commands import CommandResult, write_config
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

__all__ = ["shell"]

OWN = "Bearer sk-provider-a"


@pytest.fixture
def config(shell: Shell) -> Path:
    """The job's config, which the command names by a path of its folder."""
    return shell.config.rename(shell.folder / "the config's.yaml")


@pytest.fixture
def other(shell: Shell, upstream: Upstream) -> Path:
    """A config with the same model and the key of another account."""
    model = entry(upstream, "a")
    model["litellm_params"]["api_key"] = "sk-another-account"
    folder = shell.folder / "other"
    folder.mkdir()
    return write_config(folder, {"model_list": [model]})


def stopped(shell: Shell, upstream: Upstream, config: Path, **options: Any) -> str:
    """Stop a job with this config amid its lines; returns its id."""
    path = shell.write(jsonl(map(line, NAMES)))
    named = ["--config", config.name] if not options else []
    with shell.spawn("run", path, *named, **options) as process:
        upstream.wait(lambda: len(upstream.calls) >= 50)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    return str(shell.jobs()[0]["id"])


def accounts(upstream: Upstream) -> set[str]:
    return {call.headers["authorization"] for call in upstream.calls}


def test_the_command_that_status_prints_names_the_config(
    shell: Shell, upstream: Upstream, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = stopped(shell, upstream, config)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    for words in (["status"], ["status", job], ["status", job[-6:]]):
        shown = shell.run("batch", *words)
        resume = printed(shown.out, "to resume: ")
        assert shlex.split(resume)[2:] == ["resume", job, "--config", str(config)]
    results = shell.run("batch", "results", job)
    assert results.code != 0
    first, second = (printed(results.err, at) for at in ("to resume it: ", "so far: "))
    assert shlex.split(first.partition("; for what")[0])[4:] == ["--config", str(config)]
    assert shell.paste(second).code == 0
    monkeypatch.chdir(shell.folder / "..")
    assert shell.paste(resume).code == 0
    assert set(sent(upstream).values()) == {1}
    assert accounts(upstream) == {OWN}


@pytest.mark.parametrize("action", ["resume", "retry", "run"])
def test_without_a_config_it_is_that_of_the_job_or_an_error(
    shell: Shell,
    upstream: Upstream,
    config: Path,
    other: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
) -> None:
    if action == "retry":
        upstream.script("a", [refuse(400, "no")])
        path = shell.write(jsonl(map(line, NAMES[:5])))
        assert shell.run("batch", "run", path, "--config", config.name).code == 1
        job = shell.jobs()[0]["id"]
        upstream.script("a", answers("Hello"))
    else:
        job = stopped(shell, upstream, config)
    before = len(upstream.calls)

    def go_on(*more: object) -> CommandResult:
        what = shell.folder / "in.jsonl" if action == "run" else job
        return shell.run("batch", action, what, *more)

    def refused(*words: str) -> None:
        found = go_on()
        assert found.code == 2, found.err
        assert all(word in found.err for word in (str(config), "--config", *words)), found.err
        assert len(upstream.calls) == before

    monkeypatch.setenv("FANOUT_CONFIG", str(other))
    refused()
    monkeypatch.delenv("FANOUT_CONFIG")
    if action == "run":
        monkeypatch.setenv("FANOUT_CONFIG", "")
        refused()
    else:
        config.rename(shell.folder / "moved.yaml")
        refused("gone")
        (shell.folder / "moved.yaml").rename(config)
        assert go_on().code == 0
        assert accounts(upstream) == {OWN}
        return
    assert go_on("--config", other).code == 0  # it was asked for
    assert accounts(upstream) == {OWN, "Bearer sk-another-account"}


def test_the_config_of_the_environment_is_that_of_the_job_too(
    shell: Shell, upstream: Upstream, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANOUT_CONFIG", str(config))
    job = stopped(shell, upstream, config, stdin=None)
    link = shell.folder / "link.yaml"
    link.symlink_to(config)
    monkeypatch.setenv("FANOUT_CONFIG", str(link))
    assert shell.run("batch", "cancel", job).code == 0
    monkeypatch.delenv("FANOUT_CONFIG")
    ended = shell.run("batch", "resume", job)
    assert ended.code == 1
    assert shell.paste(printed(ended.err, "to retry them: ")).code == 0
    assert accounts(upstream) == {OWN}

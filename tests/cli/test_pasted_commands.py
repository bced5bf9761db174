"""A command that is printed for the user does what it says when it is pasted into a shell."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from typing import Any

import pytest

from fanout.cli.printed_commands import quoted
from tests.bulk.local.test_paid_once import NAMES, Shell, ids, printed, sent, shell
from tests.bulk.local_jobs import jsonl, line
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, pause, refuse
from tests.support.scripted_provider import Upstream

__all__ = ["shell"]

WORDS = [
    "",
    "plain",
    "two words",
    "it's",
    '"',
    "$HOME `id` $(id) \\ \\n %s %% ! # ~ * ? [a] {a,b} ; & | < >",
    "a\nb",
    "-in\nb",
    "\n",
    "a\n\nb's\n\n",
    "tab\there",
    "\x1b]0;title\x07",
    "\x7f\x01\r",
    "\u202eright to left",
    "ünïcödé 日本 😀",
    "bytes \udcff\udc80 that are no text",
    "-x",
]


@pytest.mark.parametrize("name", ["sh", "bash", "zsh"])
def test_every_word_is_quoted_for_a_shell(name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    script = "\n".join(f"printf '%s\\0' {quoted(word)}" for word in WORDS)
    ran = subprocess.run(  # noqa: S603
        [name, "-c", script], capture_output=True, check=True, timeout=PATIENCE
    )
    found = ran.stdout.decode(errors="surrogateescape").split("\0")
    assert found == [*WORDS, ""]


@pytest.mark.parametrize("word", [word for word in WORDS if not word.endswith("\n")])
def test_a_quoted_word_is_one_line_without_control_characters(word: str) -> None:
    assert all(char.isprintable() for char in quoted(word))


def stop(running: Shell, upstream: Upstream, *words: object, **options: Any) -> str:
    """Run the command, stop it while lines are in flight, and return what it printed."""
    with running.spawn(*words, **options) as process:
        upstream.wait(lambda: len(upstream.calls) >= 50)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    return str(err)


def test_names_of_files_may_have_any_character(shell: Shell, upstream: Upstream) -> None:
    path = shell.write(jsonl([*map(line, NAMES), line("bad", "b")]), "a\n'b'\t$(c) \x1b[1m!.jsonl")
    config = shell.folder / "con\nfig's.yaml"
    shell.config.rename(config)
    upstream.script("b", [refuse(400, "no")], answers("Hello"))
    err = stop(shell, upstream, "run", path.name, "--config", config.name, "-o", "out\n$x.jsonl")
    resumed = shell.paste(printed(err, "to resume: "))
    assert resumed.code == 1, resumed.err
    assert ids(shell.folder / "out\n$x.jsonl") == dict.fromkeys(NAMES, 1)
    retried = shell.paste(printed(resumed.err, "to retry them: "))
    assert retried.code == 0, retried.err
    assert sent(upstream).total() == len(NAMES) + 2


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_job_from_standard_input_is_resumed_by_its_own_copy(
    shell: Shell,
    upstream: Upstream,
    form: str,
) -> None:
    words = ["run", "-", "--config", shell.config, "-o", "all.jsonl"]
    if form == "text":
        given, words = (
            "".join(f"{name}\n" for name in NAMES).encode(),
            [*words, "--text", "-m", "a"],
        )
    else:
        given = jsonl(map(line, NAMES))
    (shell.folder / "given").write_bytes(given)
    command = shlex.join(["fanout", "batch", *map(str, words)])
    with (shell.folder / "given").open() as source:
        err = stop(shell, upstream, *words, stdin=source)
    resume = printed(err, "to resume: ")
    assert resume != command
    resumed = shell.paste(resume)
    assert resumed.code == 0, resumed.err
    assert len(ids(shell.folder / "all.jsonl")) == len(NAMES)
    assert len(shell.jobs()) == 1
    assert set(sent(upstream).values()) == {1}


def test_a_fresh_job_is_resumed_and_not_started_over(
    shell: Shell,
    upstream: Upstream,
) -> None:
    upstream.script("a", [pause(0.02), *answers("Hello")])
    path = shell.write(jsonl(map(line, NAMES)))
    err = stop(shell, upstream, "run", "--fre", path, "--config", shell.config)
    resumed = shell.paste(printed(err, "to resume: "))
    assert resumed.code == 0, resumed.err
    assert len(shell.jobs()) == 1
    assert set(sent(upstream).values()) == {1}

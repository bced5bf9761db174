"""`fanout batch` as a process: stopped, started twice, without room, with wrong outputs."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.faults.gateway_process import environment, fanout
from tests.faults.report import Figure
from tests.support.provider_steps import answers, pause, raw, refuse
from tests.support.scripted_provider import Upstream, open_upstream

from .attack import Attack, count, named, until
from .storage import config, lines_of, prompts

LINES = 400
PARALLEL = 8
"""Calls in flight: so many lines may be paid twice by a kill."""

ROOM = 300_000
PRICES = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.001}
TOKENS = 12
"""Of each line in the scripted provider's responses."""


class Shell(Struct, frozen=True):
    """A folder with a config, an input of `LINES` lines, and commands that run in it."""

    folder: Path

    @property
    def input(self) -> Path:
        return self.folder / "in.jsonl"

    def start(self, *words: str, room: int | None = None) -> subprocess.Popen[str]:
        """Start a `fanout` command; its files may have `room` bytes each."""
        limit = [] if room is None else ["prlimit", f"--fsize={room}"]
        return subprocess.Popen(  # noqa: S603 -- our own
            [*limit, *fanout(*words)],
            env=self.env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, room: int | None = None) -> tuple[int, str, str]:
        """The exit code and the output of a command."""
        with self.start(*words, room=room) as process:
            out, err = process.communicate(timeout=60)
            return process.returncode, out, err

    @property
    def env(self) -> dict[str, str]:
        return {**environment(self.folder), "FANOUT_CONFIG": str(self.folder / "fanout.yaml")}

    def ids(self, name: str = "in.output.jsonl") -> list[str]:
        """The lines in an output."""
        path = self.folder / name
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [json.loads(one)["custom_id"] for one in lines]


def measure(folder: Path) -> Iterator[Attack]:
    """All of them, each in a folder of its own."""
    with open_upstream() as upstream:
        for attack in (_stopped, _at_once, _retried, _capped, _no_room, _outputs, _kept, _odd):
            shell = Shell(folder / attack.__name__)
            shell.folder.mkdir()
            upstream.reset()
            upstream.script("slow", [pause(0.06), *answers("Hello")])
            value = config(upstream, "slow", "fails", "odd", "long")
            for one in value["model_list"]:
                one["litellm_params"] |= PRICES
            (shell.folder / "fanout.yaml").write_text(json.dumps(value))
            shell.input.write_bytes(lines_of("slow", LINES))
            yield attack(shell, upstream)


def _twice(upstream: Upstream) -> int:
    """Calls beyond one for each line."""
    return sum(number - 1 for number in prompts(upstream).values())


def _complete(shell: Shell, upstream: Upstream, name: str = "in.output.jsonl") -> list[Figure]:
    ids = shell.ids(name)
    return [
        count("lines without a response", LINES - len(set(ids))),
        count("lines with two responses", len(ids) - len(set(ids))),
        count("lines paid twice", _twice(upstream)),
    ]


def _stopped(shell: Shell, upstream: Upstream) -> Attack:
    """Stop one run with each signal, three times with SIGKILL, and let it end."""
    stops = ["SIGTERM", "SIGHUP", "SIGINT", *["SIGKILL"] * 3]
    for name in stops:
        before = len(upstream.calls)
        with shell.start("batch", "run", str(shell.input)) as process:
            until(lambda: len(upstream.calls) >= before + 15)  # noqa: B023 -- used at once
            process.send_signal(getattr(signal, name))
            process.communicate(timeout=20)
    code = shell.run("batch", "run", str(shell.input))[0]
    figures = _complete(shell, upstream)
    paid = Figure("lines paid twice", figures[-1].value, 3 * PARALLEL)
    return Attack(
        "a run that is stopped six times",
        f"{LINES} lines; {', '.join(stops)}; then the same command again",
        [count("exit code", code), *figures[:-1], paid],
    )


def _at_once(shell: Shell, upstream: Upstream) -> Attack:
    names = [f"out{number}.jsonl" for number in range(3)]
    processes = [shell.start("batch", "run", str(shell.input), "-o", name) for name in names]
    codes = [process.communicate(timeout=60) and process.returncode for process in processes]
    jobs = json.loads(shell.run("batch", "status", "--json")[1])
    missing = sum(LINES - len(set(shell.ids(name))) for name in names)
    return Attack(
        "three runs of one file at once",
        f"{LINES} lines, three outputs",
        [
            count("commands that fail", sum(code != 0 for code in codes)),
            count("jobs", len(jobs), 1),
            count("lines without a response, in all outputs", missing),
            count("lines paid twice", _twice(upstream)),
        ],
    )


def _retried(shell: Shell, upstream: Upstream) -> Attack:
    """The command that is printed for a retry is stopped; the one printed then is pasted."""
    upstream.script("slow", *[[refuse(400, "no")]] * LINES, [pause(0.06), *answers("Hello")])
    _, _, err = shell.run("batch", "run", str(shell.input))
    words = shlex.split(err.rsplit("to retry them: ", maxsplit=1)[-1].splitlines()[0])
    upstream.calls.clear()
    with shell.start(*words[1:], "-o", "all.jsonl") as process:
        until(lambda: len(upstream.calls) >= 50)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    words = shlex.split(err.rsplit("to resume: ", maxsplit=1)[-1].splitlines()[0])
    code = shell.run(*words[1:])[0]
    return Attack(
        "a retry that is stopped, by the printed commands",
        f"{LINES} failed lines; `retry`, SIGTERM after 50 calls; the command that it prints",
        [count("exit code", code), *_complete(shell, upstream, "all.jsonl")],
    )


def _capped(shell: Shell, upstream: Upstream) -> Attack:
    began = time.perf_counter()
    code, out, _ = shell.run("batch", "run", str(shell.input), "--max-cost", "0.5", "--json")
    took = time.perf_counter() - began
    last: dict[str, Any] = json.loads(out.splitlines()[-1])
    spent = len(upstream.calls) * TOKENS * 0.001
    return Attack(
        "a cost cap",
        f"{LINES} lines at $0.001 a token, which cost less than their estimates; at most $0.50",
        [
            count("it does not end as `cancelled`", int((code, last.get("status")) == (0, ""))),
            Figure("the job ends after", took, 20, "s", timed=True),
            Figure("dollars spent", spent, 0.5 + PARALLEL * TOKENS * 0.001),
            count("responses that are lost", len(upstream.calls) - len(shell.ids())),
        ],
    )


def _no_room(shell: Shell, upstream: Upstream) -> Attack:
    """An output without room, of a job that has ended."""
    upstream.script("slow", answers("word " * 4_000))
    shell.run("batch", "run", str(shell.input))
    old, output = b"old\n", shell.folder / "small.jsonl"
    output.write_bytes(old)
    code, _, err = shell.run("batch", "run", str(shell.input), "-o", str(output), room=ROOM)
    return Attack(
        "an output without room",
        f"4 MB of responses, with room for {ROOM / 1000:.0f} kB",
        [
            count("exit code 0", int(code == 0)),
            count("messages that do not name the file", int(str(output) not in err)),
            count("the old file is changed", int(output.read_bytes() != old)),
            count("tracebacks", err.count("Traceback")),
            count("lines paid twice", _twice(upstream)),
        ],
    )


def _outputs(shell: Shell, upstream: Upstream) -> Attack:
    link = shell.folder / "link.jsonl"
    link.symlink_to(shell.input)
    (shell.folder / "folder").mkdir()
    before = shell.input.read_bytes()
    tried = ["in.jsonl", "./in.jsonl", "link.jsonl", "folder", "in.jsonl/out", "/dev/null/out"]
    wrong = []
    for output in tried:
        code, _, err = shell.run("batch", "run", str(shell.input), "-o", output)
        if code != 2 or "Traceback" in err:
            wrong.append(output)
    return Attack(
        "outputs that cannot be",
        "the input itself, a link to it, a folder, a path that cannot be written",
        [
            count("exit codes other than 2" + named(wrong), len(wrong)),
            count("calls to the provider", len(upstream.calls)),
            count("the input is changed", int(shell.input.read_bytes() != before)),
        ],
    )


def _kept(shell: Shell, upstream: Upstream) -> Attack:
    shell.run("batch", "run", str(shell.input))
    before = shell.ids()
    shell.input.write_bytes(shell.input.read_bytes() + b"{oops\n")
    code, _, _ = shell.run("batch", "run", str(shell.input))
    return Attack(
        "a broken line is added to a file that has run",
        f"{LINES} lines, then the same file with `{{oops`",
        [
            count("exit code 0", int(code == 0)),
            count("earlier responses that are lost", len(set(before) - set(shell.ids()))),
            count("lines paid twice", _twice(upstream)),
        ],
    )


def _odd(shell: Shell, upstream: Upstream) -> Attack:
    """Responses of which a strict reader would read nothing."""
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    choice = {"index": 0, "finish_reason": "length", "message": {"role": "assistant"}}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "odd", "usage": usage}
    body = json.dumps({**whole, "choices": [choice]}).replace(
        '"assistant"', '"assistant", "content": "half \\ud83d"'
    )
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    data = f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()
    upstream.script("odd", [raw(data)])
    shell.input.write_bytes(lines_of("odd", 20))
    code = shell.run("batch", "run", str(shell.input))[0]
    return Attack(
        "half an emoji in responses",
        "20 responses that were cut in the middle of a character (`\\ud83d`)",
        [
            count("exit code", code),
            count("lines without a response", 20 - len(set(shell.ids()))),
            count("lines paid twice", _twice(upstream)),
        ],
    )

"""`fanout batch` as people run it: a process, a file of prompts, no server."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.bulk.local_jobs import jsonl, line
from tests.cli.commands import Ran, spawned, write_config
from tests.cli.terminal import read_all
from tests.support.gateway_server import entry
from tests.support.provider_steps import answers, pause, refuse
from tests.support.scripted_provider import Upstream

PRICES: dict[str, Any] = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}
COST = 0.019


class Desk:
    """A folder, a config of the models `a` and `b`, and the command."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.folder = folder
        models = [entry(upstream, name, max_parallel_requests=8, **PRICES) for name in ("a", "b")]
        router = {"num_retries": 0}
        self.config = write_config(folder, {"model_list": models, "router_settings": router})
        self.env = {**os.environ, "FANOUT_HOME": str(folder / "home"), "COLUMNS": "200"}
        self.env["FANOUT_CONFIG"] = str(self.config)

    def write(self, data: bytes, name: str = "prompts.jsonl") -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def run(self, *words: object) -> Ran:
        command = [sys.executable, "-m", "fanout", "batch", *map(str, words)]
        ran = subprocess.run(command, capture_output=True, text=True, env=self.env, check=False)  # noqa: S603
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def texts(self, name: str = "prompts.output.jsonl") -> dict[str, str]:
        """What was answered, by name; each name once."""
        said = [json.loads(one) for one in (self.folder / name).read_bytes().splitlines()]
        found = {
            one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"]
            for one in said
        }
        assert len(found) == len(said)
        return found


@pytest.fixture
def desk(upstream: Upstream, tmp_path: Path) -> Desk:
    upstream.script("a", answers("Hello"))
    upstream.script("b", answers("Salut"))
    return Desk(tmp_path, upstream)


def asked(upstream: Upstream) -> list[str]:
    return [call.body["messages"][-1]["content"] for call in upstream.calls]


def test_a_file_becomes_a_file_of_answers(desk: Desk) -> None:
    path = desk.write(jsonl([line("x"), line("y", "b")]))
    ran = desk.run("run", path)
    assert (ran.code, ran.out) == (0, "")
    assert desk.texts() == {"x": "Hello", "y": "Salut"}
    assert "2/2 lines" in ran.err
    assert f"${2 * COST:.4f}" in ran.err
    assert f"answers: {desk.folder / 'prompts.output.jsonl'}" in ran.err


def test_the_same_command_again_asks_nobody(desk: Desk, upstream: Upstream) -> None:
    path = desk.write(jsonl([line("x")]))
    assert desk.run("run", path).code == 0
    (desk.folder / "prompts.output.jsonl").unlink()
    assert desk.run("run", path).code == 0
    assert desk.texts() == {"x": "Hello"}
    assert len(upstream.calls) == 1
    assert desk.run("run", path, "--fresh").code == 0
    assert len(upstream.calls) == 2


def test_plain_text_is_a_prompt_a_line(desk: Desk, upstream: Upstream) -> None:
    path = desk.write("\ufeffOne\r\n\r\nZwölf\r\n".encode(), "prompts.txt")
    output = desk.folder / "said.jsonl"
    assert (
        desk.run("run", path, "--text", "-m", "a", "--system", "Be brief.", "-o", output).code == 0
    )
    assert desk.texts("said.jsonl") == {"line-1": "Hello", "line-3": "Hello"}
    assert sorted(asked(upstream)) == ["One", "Zwölf"]
    assert upstream.calls[0].body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_csv_gives_the_prompts_of_one_column(desk: Desk, upstream: Upstream) -> None:
    path = desk.write(b'id,text\n1,"Two\nlines, quoted"\n2,Plain\n3,\n', "prompts.csv")
    assert desk.run("run", path, "--column", "text", "-m", "b").code == 0
    assert desk.texts("prompts.csv.output.jsonl") == {"row-1": "Salut", "row-2": "Salut"}
    assert sorted(asked(upstream)) == ["Plain", "Two\nlines, quoted"]


@pytest.mark.parametrize(
    ("name", "data", "words", "code", "said"),
    [
        (
            "p.csv",
            b"a,b\n1,2\n",
            ["--column", "c", "-m", "a"],
            2,
            "no column `c`; there is `a`, `b`",
        ),
        ("p.txt", b"ok\n\xff\n", ["--text", "-m", "a"], 2, "line 2 is not valid UTF-8"),
        ("p.jsonl", b"", ["--system", "x"], 2, "--system goes with --text or --column"),
        ("p.jsonl", b"", ["--region", "eu-west-1"], 2, "--region goes with --stack"),
        ("p.jsonl", b"", ["--window", "1y"], 2, "completion_window"),
        ("p.jsonl", b"", ["--max-cost", "-1"], 2, "max_cost_usd"),
        ("p.jsonl", b"{\n", [], 1, "line 1: This line is not parseable as valid JSON"),
        ("p.jsonl", b"", [], 1, "The input file has no lines. (empty_file)"),
        ("p.jsonl", jsonl([line("x", None)]), [], 1, "line 1: `body.model` is missing"),
        ("p.txt", b"Hi\n", ["--text"], 2, "say which model"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_paid_for(
    desk: Desk, upstream: Upstream, name: str, data: bytes, words: list[str], code: int, said: str
) -> None:
    ran = desk.run("run", desk.write(data, name), *words)
    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert not upstream.calls


def test_failed_lines_are_a_file_of_their_own_and_are_tried_again_alone(
    desk: Desk, upstream: Upstream
) -> None:
    upstream.script("b", [refuse(400, "no")], answers("Salut"))
    path = desk.write(jsonl([line("x"), line("y", "b")]))
    ran = desk.run("run", path)
    assert ran.code == 1
    assert desk.texts() == {"x": "Hello"}
    (fault,) = (desk.folder / "prompts.output.errors.jsonl").read_text().splitlines()
    assert json.loads(fault)["custom_id"] == "y"
    job = ran.err.split("fanout batch retry ")[1].split()[0]
    assert desk.run("results", job, "--errors").out.strip() == fault
    again = desk.run("retry", job, "-o", desk.folder / "again.jsonl")
    assert again.code == 0
    assert desk.texts("again.jsonl") == {"x": "Hello", "y": "Salut"}
    assert Counter(asked(upstream)) == {"x": 1, "y": 2}


def test_json_is_one_event_a_line(desk: Desk) -> None:
    ran = desk.run("run", desk.write(jsonl([line("x"), line("y", "b")])), "--json")
    events = [json.loads(one) for one in ran.out.splitlines()]
    assert [event["event"] for event in events[-1:]] == ["end"]
    assert events[-1]["status"] == "completed"
    assert (events[-1]["total"], events[-1]["completed"], events[-1]["failed"]) == (2, 2, 0)
    assert events[-1]["cost_usd"] == round(2 * COST, 6)
    listed = json.loads(desk.run("status", "--json").out)
    assert [job["id"] for job in listed] == [events[-1]["job"]]
    assert events[-1]["job"] in desk.run("status").out


@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", 130), ("SIGKILL", -9)], ids=["ctrl-c", "kill"]
)
def test_a_stopped_run_goes_on_with_the_same_command(
    desk: Desk, upstream: Upstream, name: str, code: int
) -> None:
    upstream.script("a", [pause(0.02), *answers("Hello")])
    names = [f"n{i}" for i in range(300)]
    path = desk.write(jsonl(map(line, names)))
    with spawned("batch", "run", path, env=desk.env) as process:
        upstream.wait(lambda: len(upstream.calls) >= 100)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=10)
    assert process.returncode == code
    if name == "SIGINT":
        assert f"to go on: fanout batch run {path}" in err
    first = Counter(asked(upstream))
    upstream.calls.clear()
    assert desk.run("run", path).code == 0
    again = Counter(asked(upstream))
    assert desk.texts() == dict.fromkeys(names, "Hello")
    assert 100 <= len(first) < 300
    twice = set(first) & set(again)
    assert len(twice) <= (0 if name == "SIGINT" else 8), "more than the lines under way"
    assert max((first + again).values()) <= 2


def test_a_cap_ends_the_job_with_what_is_done_and_a_retry_goes_on(
    desk: Desk, upstream: Upstream
) -> None:
    path = desk.write(jsonl(line(f"n{i}", max_tokens=50) for i in range(20)))
    ran = desk.run("run", path, "--max-cost", 5 * COST)
    assert ran.code == 1
    assert "was reached; finished lines are kept" in ran.err
    done = len(desk.texts())
    assert done == len(upstream.calls)
    assert 5 <= done <= 6
    job = ran.err.split("fanout batch retry ")[1].split()[0]
    assert desk.run("retry", job, "--max-cost", 1, "-o", desk.folder / "all.jsonl").code == 0
    assert len(desk.texts("all.jsonl")) == 20
    assert max(Counter(asked(upstream)).values()) == 1


def test_another_process_may_cancel_and_so_may_one_when_nobody_runs_it(
    desk: Desk, upstream: Upstream
) -> None:
    upstream.script("a", [pause(0.05), *answers("Hello")])
    path = desk.write(jsonl(line(f"n{i}") for i in range(2_000)))

    def job_id() -> str:
        return str(json.loads(desk.run("status", "--json").out)[0]["id"])

    with spawned("batch", "run", path, env=desk.env) as process:
        upstream.wait(lambda: len(upstream.calls) >= 20)
        assert desk.run("cancel", job_id()).code == 0
        process.communicate(timeout=20)
        assert process.returncode == 1
    (only,) = json.loads(desk.run("status", "--json").out)
    assert only["status"] == "cancelled"
    assert only["request_counts"]["completed"] + only["request_counts"]["failed"] == 2_000
    path.write_bytes(path.read_bytes()[:-1])
    upstream.calls.clear()
    with spawned("batch", "run", path, env=desk.env) as process:
        upstream.wait(lambda: len(upstream.calls) >= 20)
        process.kill()
        process.communicate()
    newest = job_id()
    assert newest != only["id"]
    assert desk.run("cancel", newest).out == f"{newest}: cancelled\n"


class NoStacks(BaseHTTPRequestHandler):
    """CloudFormation, where there is no stack."""

    def do_POST(self) -> None:
        said = b"<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>"
        said += b"<Message>Stack does not exist</Message></Error></ErrorResponse>"
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(400)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_stack_is_looked_for_with_the_users_own_rights(desk: Desk) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), NoStacks) as server:
        threading.Thread(target=server.serve_forever).start()
        keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}
        desk.env |= keys | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        ran = desk.run("status", "--stack", "Mine", "--region", "eu-west-1")
        server.shutdown()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "fanout: there is no stack `Mine` here: is it another region?\n"


def test_a_terminal_shows_a_bar_that_moves(desk: Desk) -> None:
    path = desk.write(jsonl([line("x")]))
    ours, theirs = pty.openpty()
    with spawned("batch", "run", path, env=desk.env, stderr=theirs) as process:
        os.close(theirs)
        drawn = read_all(ours)
        assert process.wait(timeout=20) == 0
    os.close(ours)
    assert "━" in drawn
    assert "1/1 lines" in drawn


def test_a_quote_says_what_a_file_would_take_and_sends_nothing(
    desk: Desk, upstream: Upstream
) -> None:
    path = desk.write(jsonl([line("x", text="t" * 400, max_tokens=100), line("y", "a,b")]))
    said = desk.run("quote", path, "--json").json
    assert (said["lines"], said["errors"]) == (2, [])
    a, b = said["models"]["a"], said["models"]["b"]
    assert (a["lines"], a["tokens_in"], b["tokens_in"]) == (2, 108, 4)
    assert (a["tokens_out_low"], a["tokens_out_high"]) == (10 + 50, 100 + 1_000)
    assert a["cost_high"] == pytest.approx(108 * 1.3 * 0.001 + 1_100 * 0.002)
    assert said["cost_low"] == pytest.approx(a["cost_low"] + b["cost_low"])
    assert "within 30 %" in said["note"]
    chats = [[{"role": "user", "content": "t" * 40}]] * 3
    several = desk.write(jsonl([line("z", messages=chats, max_tokens=100)]), "several.jsonl")
    of_several = desk.run("quote", several, "--json").json["models"]["a"]
    assert (of_several["lines"], of_several["calls"], of_several["tokens_in"]) == (1, 3, 42)
    assert of_several["tokens_out_high"] == 300
    assert desk.run("quote", path).out.splitlines()[0].split()[0] == "MODEL"
    assert desk.run("quote", desk.write(b"{", "bad.jsonl")).code == 1
    assert not upstream.calls

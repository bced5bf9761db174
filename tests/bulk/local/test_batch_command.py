"""`fanout batch` as users run it: the command and a file of prompts, without a server."""

from __future__ import annotations

import json
import os
import pty
import signal
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fanout.schema.token_estimate import estimate_tokens
from tests.bulk.local_jobs import KNOWN_LIMIT, jsonl, line
from tests.cli.commands import CommandResult, code_of, spawned, write_config
from tests.cli.terminal import read_all
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, pause, refuse
from tests.support.scripted_provider import Upstream
from tests.support.webhook_receiver import SECRET, open_receiver

PRICES: dict[str, Any] = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}
COST = 0.019


class BatchCommand:
    """
    A folder with a config of the models `a` and `b`, and the command.

    A job finds the limit of `a`. That of `b` is known, so a test need not wait for its first calls.
    """

    def __init__(
        self,
        folder: Path,
        upstream: Upstream,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        self.folder = folder
        self._capfd = capfd
        models = [
            entry(upstream, "a", max_parallel_requests=8, **PRICES),
            entry(upstream, "b", max_parallel_requests=8, **PRICES, **KNOWN_LIMIT),
        ]
        router = {"num_retries": 0}
        config = write_config(folder, {"model_list": models, "router_settings": router})
        self._monkeypatch = monkeypatch
        self.set_env(FANOUT_HOME=folder / "home", FANOUT_CONFIG=config, COLUMNS=200)

    def set_env(self, **values: object) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(name, str(value))

    def write(self, data: bytes, name: str = "prompts.jsonl") -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def run(self, *words: object) -> CommandResult:
        """Run the command in this process."""
        code = code_of("batch", *words)
        return CommandResult(code, *self._capfd.readouterr())

    def responses(self, name: str = "prompts.output.jsonl") -> dict[str, str]:
        """The text of each response, by `custom_id`; each appears once."""
        output = [json.loads(one) for one in (self.folder / name).read_bytes().splitlines()]
        found = {
            one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"]
            for one in output
        }
        assert len(found) == len(output)
        return found


@pytest.fixture
def batch(
    upstream: Upstream,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> BatchCommand:
    upstream.script("a", answers("Hello"))
    upstream.script("b", answers("Salut"))
    return BatchCommand(tmp_path, upstream, monkeypatch, capfd)


def prompts_sent(upstream: Upstream) -> list[str]:
    return [call.body["messages"][-1]["content"] for call in upstream.calls]


def test_a_file_of_prompts_gives_a_file_of_responses(batch: BatchCommand) -> None:
    path = batch.write(jsonl([line("x"), line("y", "b")]))
    ran = batch.run("run", path)
    assert (ran.code, ran.out) == (0, "")
    assert batch.responses() == {"x": "Hello", "y": "Salut"}
    assert "2/2 lines" in ran.err
    assert f"${2 * COST:.4f}" in ran.err
    assert f"responses: {batch.folder / 'prompts.output.jsonl'}" in ran.err


def test_azures_lines_are_requests(batch: BatchCommand) -> None:
    path = batch.write(jsonl([line("x")]).replace(b"/v1/chat/completions", b"/chat/completions"))
    assert batch.run("run", path).code == 0
    assert batch.responses() == {"x": "Hello"}


def test_repeating_a_command_sends_nothing_again(batch: BatchCommand, upstream: Upstream) -> None:
    path = batch.write(jsonl([line("x")]))
    assert batch.run("run", path).code == 0
    (batch.folder / "prompts.output.jsonl").unlink()
    assert batch.run("run", path).code == 0
    assert batch.responses() == {"x": "Hello"}
    assert len(upstream.calls) == 1
    assert batch.run("run", path, "--fresh").code == 0
    assert len(upstream.calls) == 2


def test_each_line_of_a_text_file_is_a_prompt(batch: BatchCommand, upstream: Upstream) -> None:
    path = batch.write("\ufeffOne\r\n\r\nZwölf\r\n".encode(), "prompts.txt")
    output = batch.folder / "responses.jsonl"
    assert (
        batch.run("run", path, "--text", "-m", "a", "--system", "Be brief.", "-o", output).code == 0
    )
    assert batch.responses("responses.jsonl") == {"line-1": "Hello", "line-3": "Hello"}
    assert sorted(prompts_sent(upstream)) == ["One", "Zwölf"]
    assert upstream.calls[0].body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_one_column_of_a_csv_file_gives_the_prompts(
    batch: BatchCommand, upstream: Upstream
) -> None:
    path = batch.write(b'id,text\n1,"Two\nlines, quoted"\n2,Plain\n3,\n', "prompts.csv")
    words = ("--column", "text", "-m", "b", "-o", batch.folder / "prompts.csv.output.jsonl")
    assert batch.run("run", path, *words).code == 0
    written = (batch.folder / "prompts.csv.output.jsonl").read_bytes().splitlines()
    assert [json.loads(one)["answer"] for one in written] == ["Salut", "Salut", None]
    assert sorted(prompts_sent(upstream)) == ["Plain", "Two\nlines, quoted"]


@pytest.mark.parametrize(
    ("name", "data", "words", "code", "message"),
    [
        (
            "p.csv",
            b"a,b\n1,2\n",
            ["--column", "c", "-m", "a"],
            2,
            "no column `c`; there is `a`, `b`",
        ),
        ("p.txt", b"ok\n\xff\n", ["--text", "-m", "a"], 2, "line 2 is not valid UTF-8"),
        ("p.jsonl", b"", ["--system", "x"], 2, "--system needs --text, --column or --prompt"),
        ("p.jsonl", b"", ["--region", "eu-west-1"], 2, "--region needs --stack"),
        ("p.jsonl", b"", ["--window", "1y"], 2, "`--window` must be"),
        ("p.jsonl", b"", ["--window", "99d"], 2, "`--window` must be"),
        ("p.jsonl", b"", ["--max-cost", "-1"], 2, "`--max-cost` must be"),
        ("p.jsonl", b"", ["--max-cost", "nan"], 2, "`--max-cost` must be"),
        ("p.jsonl", b"", ["--max-cost", "0"], 2, "`--max-cost` must be above 0"),
        ("p.jsonl", b"", ["--max-cost", "inf"], 2, "`--max-cost` must be at most"),
        ("p.jsonl", b"{x\n", [], 2, "line 1: This line is not parseable as valid JSON"),
        ("p.jsonl", b"", [], 2, "The input file has no lines (empty_file)"),
        ("p.jsonl", jsonl([line("x", None)]), [], 2, "line 1: `body.model` is missing"),
        ("p.jsonl", b"x\n\n{\n", [], 2, "line 1 and 1 other: This line is not parseable"),
        ("p.jsonl", b"Hi\n" * 500, [], 2, "line 1 and 99 others: This line is not parseable"),
        ("p.txt", b"Hi\n", ["--text"], 2, "name a model"),
        ("p.txt", b"\nHi\n" * 500, ["-m", "a"], 2, "add --text if each of its lines is a prompt"),
        ("prompts", b'"Hi"\n', ["-m", "a"], 2, "add --text if each of its lines is a prompt"),
    ],
)
def test_errors_are_reported_before_anything_is_sent(
    batch: BatchCommand,
    upstream: Upstream,
    name: str,
    data: bytes,
    words: list[str],
    code: int,
    message: str,
) -> None:
    ran = batch.run("run", batch.write(data, name), *words)
    assert (ran.code, message in ran.err) == (code, True), ran.err
    assert len(ran.err.splitlines()) <= 3
    assert not upstream.calls


def test_equal_errors_are_one_line(batch: BatchCommand) -> None:
    lines = [line("a", "nope"), line("b", "nope"), line("c", "nil"), line("d", "nope")]
    path = batch.write(jsonl(lines))
    expected = [
        "line 1 and 2 others: there is no model `nope`",
        "line 3: there is no model `nil`",
    ]
    ran = batch.run("run", path)
    shown = [text.removeprefix("fanout: ") for text in ran.err.splitlines()[-2:]]
    assert [text.partition(";")[0] for text in shown] == expected, ran.err
    texts = batch.run("quote", path).out.splitlines()[-2:]
    assert [text.partition(";")[0] for text in texts] == expected
    assert batch.run("status", "--json").json == []


def test_failed_lines_have_a_file_of_their_own_and_only_they_are_retried(
    batch: BatchCommand, upstream: Upstream
) -> None:
    upstream.script("b", [refuse(400, "no")], answers("Salut"))
    path = batch.write(jsonl([line("x"), line("y", "b")]))
    ran = batch.run("run", path)
    assert ran.code == 1
    assert batch.responses() == {"x": "Hello"}
    (fault,) = (batch.folder / "prompts.output.errors.jsonl").read_text().splitlines()
    assert json.loads(fault)["custom_id"] == "y"
    job = ran.err.split("fanout batch retry ")[1].split()[0]
    assert batch.run("results", job, "--errors").out.strip() == fault
    again = batch.run("retry", job, "-o", batch.folder / "again.jsonl")
    assert again.code == 0
    assert batch.responses("again.jsonl") == {"x": "Hello", "y": "Salut"}
    assert Counter(prompts_sent(upstream)) == {"x": 1, "y": 2}


def test_json_output_is_one_event_a_line(batch: BatchCommand) -> None:
    ran = batch.run("run", batch.write(jsonl([line("x"), line("y", "b")])), "--json")
    events = [json.loads(one) for one in ran.out.splitlines()]
    assert [event["event"] for event in events[-1:]] == ["end"]
    assert events[-1]["status"] == "completed"
    assert (events[-1]["total"], events[-1]["completed"], events[-1]["failed"]) == (2, 2, 0)
    assert events[-1]["cost_usd"] == round(2 * COST, 6)
    listed = json.loads(batch.run("status", "--json").out)
    assert [job["id"] for job in listed] == [events[-1]["job"]]
    assert events[-1]["job"][-6:] in batch.run("status").out


@pytest.mark.parametrize(
    ("names", "known", "shown"),
    [
        ("unpriced", 0.0, "price unknown"),
        ("a unpriced", COST, f"over ${COST:.4f}"),
        ("free", None, "$0.0000"),
        ("a free", None, f"${COST:.4f}"),
    ],
)
def test_a_cost_is_a_number_only_if_each_price_is_known(
    batch: BatchCommand, upstream: Upstream, names: str, known: float | None, shown: str
) -> None:
    free: dict[str, Any] = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    models = [entry(upstream, "a", **PRICES), entry(upstream, "free", **free)]
    config = {"model_list": [*models, entry(upstream, "unpriced")]}
    batch.set_env(FANOUT_CONFIG=write_config(batch.folder, config))
    for name in ("free", "unpriced"):
        upstream.script(name, answers("Hello"))
    path = batch.write(jsonl(line(name, name) for name in names.split()))
    assert shown in batch.run("run", path).err
    assert shown in batch.run("status").out
    (job,) = batch.run("status", "--json").json
    event = json.loads(batch.run("run", path, "--json").out.splitlines()[-1])
    for one in (job, event):
        assert (one["cost_usd"] is None) == (known is not None)
    for one in (job["fanout"], event):
        assert one["unpriced_lines"] == (0 if known is None else 1)
        assert known in {None, one["known_cost_usd"]}


@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", 130), ("SIGTERM", 130), ("SIGHUP", 130), ("SIGKILL", -9)]
)
def test_the_same_command_resumes_a_stopped_run(
    batch: BatchCommand, upstream: Upstream, name: str, code: int
) -> None:
    upstream.script("a", [pause(0.02), *answers("Hello")])
    names = [f"n{i}" for i in range(300)]
    path = batch.write(jsonl(map(line, names)))
    with spawned("batch", "run", path) as process:
        upstream.wait(lambda: len(upstream.calls) >= 100)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    if name != "SIGKILL":
        assert f"to resume: fanout batch run {path}" in err
    first = Counter(prompts_sent(upstream))
    upstream.calls.clear()
    assert batch.run("run", path).code == 0
    again = Counter(prompts_sent(upstream))
    assert batch.responses() == dict.fromkeys(names, "Hello")
    assert 100 <= len(first) < 300
    twice = set(first) & set(again)
    most = 8 if name == "SIGKILL" else 0
    assert len(twice) <= most, "more than the lines in flight"
    assert max((first + again).values()) <= 2


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_after_a_signal_no_call_begins(batch: BatchCommand, upstream: Upstream, name: str) -> None:
    upstream.script("a", [pause(0.5), *answers("Hello")])
    path = batch.write(jsonl(line(f"n{i}") for i in range(1_000)))
    with spawned("batch", "run", path) as process:
        upstream.wait(lambda: len(upstream.calls) >= 9)
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=PATIENCE)
    upstream.wait_closed()
    assert len(upstream.calls) < 500, "more than those that began until the signal was handled"
    job = batch.run("status", "--json").json[0]
    assert job["request_counts"]["completed"] == len(upstream.calls)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_job_whose_lines_all_wait_for_a_slot_is_stopped_and_resumed(
    batch: BatchCommand, upstream: Upstream, name: str
) -> None:
    """All of the file is read then, and no line is left in it."""
    config = {"model_list": [entry(upstream, "a", max_parallel_requests=2)]}
    batch.set_env(FANOUT_CONFIG=write_config(batch.folder, config))
    upstream.script("a", [pause(0.1), *answers("Hello")])
    path = batch.write(jsonl(line(f"n{i}") for i in range(20)))
    with spawned("batch", "run", path) as process:
        upstream.wait(lambda: len(upstream.calls) >= 4)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert batch.run("run", path).code == 0
    assert max(Counter(prompts_sent(upstream)).values()) == 1
    assert len(batch.run("status", "--json").json) == 1


def test_a_cost_cap_ends_the_job_with_the_finished_lines_and_a_retry_sends_the_rest(
    batch: BatchCommand, upstream: Upstream
) -> None:
    path = batch.write(jsonl(line(f"n{i}", max_tokens=50) for i in range(20)))
    ran = batch.run("run", path, "--max-cost", 5 * COST)
    assert ran.code == 1
    assert "was reached; finished lines are kept" in ran.err
    done = len(batch.responses())
    assert done == len(upstream.calls)
    assert 5 <= done <= 6
    job = ran.err.split("fanout batch retry ")[1].split()[0]
    assert "the same command with a higher --max-cost goes on" in ran.err
    quoted = batch.run("quote", path)
    assert quoted.out.startswith(f"the job {job} of this file is cancelled already")
    assert f"{20 - done} lines failed; to send them again: " in quoted.out
    assert batch.run("quote", path, "--json").json["lines"] == 0
    assert batch.run("retry", job, "--max-cost", 1, "-o", batch.folder / "all.jsonl").code == 0
    assert len(batch.responses("all.jsonl")) == 20
    assert max(Counter(prompts_sent(upstream)).values()) == 1


def test_the_same_command_with_a_higher_cap_goes_on_and_counts_what_was_spent(
    batch: BatchCommand, upstream: Upstream
) -> None:
    path = batch.write(jsonl(line(f"n{i}", max_tokens=50) for i in range(20)))
    assert batch.run("run", path, "--max-cost", 5 * COST).code == 1
    done = len(upstream.calls)
    assert batch.run("run", path, "--max-cost", 5 * COST).code == 1
    assert batch.run("run", path).code == 1  # the cap stays
    assert len(upstream.calls) == done
    assert batch.run("run", path, "--max-cost", 12 * COST).code == 1
    assert 11 <= len(upstream.calls) <= 13
    assert batch.run("run", path, "--max-cost", 30 * COST).code == 0
    assert len(batch.responses()) == 20
    assert max(Counter(prompts_sent(upstream)).values()) == 1


def test_another_process_can_cancel_a_job_whether_it_is_running_or_not(
    batch: BatchCommand, upstream: Upstream
) -> None:
    upstream.script("a", [pause(0.1), *answers("Hello")])
    path = batch.write(jsonl(line(f"n{i}") for i in range(3_000)))

    def job_id() -> str:
        return str(json.loads(batch.run("status", "--json").out)[0]["id"])

    with spawned("batch", "run", path) as process:
        upstream.wait(lambda: len(upstream.calls) >= 20)
        assert batch.run("cancel", job_id()).code == 0
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
    (only,) = json.loads(batch.run("status", "--json").out)
    assert only["status"] == "cancelled"
    assert only["request_counts"]["completed"] + only["request_counts"]["failed"] == 3_000
    path.write_bytes(path.read_bytes()[:-1])
    upstream.calls.clear()
    with spawned("batch", "run", path) as process:
        upstream.wait(lambda: len(upstream.calls) >= 20)
        process.kill()
        process.communicate()
    newest = job_id()
    assert newest != only["id"]
    assert batch.run("cancel", newest).out == f"{newest}: cancelled\n"


class NoStacks(BaseHTTPRequestHandler):
    """CloudFormation without any stack."""

    def do_POST(self) -> None:
        body = b"<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>"
        body += b"<Message>Stack does not exist</Message></Error></ErrorResponse>"
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(400)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.mark.parametrize("action", ["status", "cancel", "retry", "results"])
def test_a_job_that_is_not_there_is_an_error_with_the_command_that_lists_them(
    batch: BatchCommand, action: str
) -> None:
    ran = batch.run(action, "batch_none")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith("fanout: there is no job `batch_none`; `")
    assert ran.err.endswith(" batch status` lists them\n")


def test_a_stack_is_looked_up_with_the_users_own_credentials(batch: BatchCommand) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), NoStacks) as server:
        threading.Thread(target=server.serve_forever).start()
        batch.set_env(
            AWS_ACCESS_KEY_ID="AKIA",
            AWS_SECRET_ACCESS_KEY="s",
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}",
        )
        ran = batch.run("status", "--stack", "Mine", "--region", "eu-west-1")
        server.shutdown()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "fanout: there is no stack `Mine` here: is it another region?\n"


def test_a_terminal_shows_a_progress_bar(batch: BatchCommand) -> None:
    path = batch.write(jsonl([line("x")]))
    ours, theirs = pty.openpty()
    with spawned("batch", "run", path, stderr=theirs) as process:
        os.close(theirs)
        drawn = read_all(ours)
        assert process.wait(timeout=PATIENCE) == 0
    os.close(ours)
    assert "━" in drawn
    assert "1/1 lines" in drawn


def test_a_quote_estimates_a_file_and_sends_nothing(
    batch: BatchCommand, upstream: Upstream
) -> None:
    path = batch.write(jsonl([line("x", text="t" * 400, max_tokens=100), line("y", "a,b")]))
    quote = batch.run("quote", path, "--json").json
    assert (quote["lines"], quote["errors"]) == (2, [])
    a, b = quote["models"]["a"], quote["models"]["b"]
    sent, word = estimate_tokens("t" * 400), 4 + estimate_tokens("Hi")
    assert (a["lines"], a["tokens_in"], b["tokens_in"]) == (2, sent + 4 + word, word)
    assert (a["tokens_out_low"], a["tokens_out_high"]) == (10 + 50, 100 + 1_000)
    assert a["cost_high"] == pytest.approx((sent + 4 + word) * 1.6 * 0.001 + 1_100 * 0.002)
    assert quote["cost_low"] == pytest.approx(a["cost_low"] + b["cost_low"])
    assert "usually within 25 %" in quote["note"]
    chats = [[{"role": "user", "content": "t" * 40}]] * 3
    each = 3 * (4 + estimate_tokens("t" * 40))
    several = batch.write(jsonl([line("z", messages=chats, max_tokens=100)]), "several.jsonl")
    of_several = batch.run("quote", several, "--json").json["models"]["a"]
    assert (of_several["lines"], of_several["calls"], of_several["tokens_in"]) == (1, 3, each)
    assert of_several["tokens_out_high"] == 300
    assert (of_several["calls_high"], of_several["tokens_in_high"]) == (3, each)
    assert batch.run("quote", path).out.splitlines()[0].split()[0] == "MODEL"
    assert batch.run("quote", batch.write(b"{x", "bad.jsonl")).code == 1
    assert not upstream.calls


def test_a_quote_by_sample_sends_some_lines_and_their_responses_are_not_paid_again(
    batch: BatchCommand, upstream: Upstream
) -> None:
    lines = [line(f"n{number}", text=f"Word {number}") for number in range(30)]
    path = batch.write(jsonl(lines))
    quote = batch.run("quote", path, "--sample", "10", "--json").json
    sample = quote["sample"]
    assert len(upstream.calls) == 10
    assert (sample["lines"], sample["failed"], quote["lines"]) == (10, 0, 20)
    assert sample["cost_usd"] == pytest.approx(10 * COST)
    assert sample["cost"] == pytest.approx(20 * COST, rel=0.1)
    assert sample["cost_low"] <= sample["cost"] <= sample["cost_high"]
    assert batch.run("run", path).code == 0
    assert len(prompts_sent(upstream)) == len(set(prompts_sent(upstream))) == 30
    assert len(batch.responses()) == 30
    models = [entry(upstream, "a", **PRICES, native_batches=True)]
    write_config(batch.folder, {"model_list": models})
    path = batch.write(jsonl([line(f"b{number}", text=f"Verb {number}") for number in range(30)]))
    by_batch = batch.run("quote", path, "--sample", "10", "--lane", "native", "--json").json
    assert by_batch["sample"]["cost"] == pytest.approx(20 * COST / 2, rel=0.1)
    wrong = batch.run("quote", path, "--sample", "0")
    assert (wrong.code, "--sample must be between 1 and 1000" in wrong.err) == (2, True)


FLEX_PRICES: dict[str, Any] = {
    "input_cost_per_token_flex": 0.0005,
    "output_cost_per_token_flex": 0.001,
}


def test_a_lane_is_chosen_by_an_option_and_reported_at_the_end(
    batch: BatchCommand, upstream: Upstream
) -> None:
    models = [entry(upstream, name, **PRICES, **FLEX_PRICES) for name in ("a", "b")]
    write_config(batch.folder, {"model_list": models, "router_settings": {"num_retries": 0}})
    path = batch.write(jsonl([line("x"), line("y", "b")]))
    quote = batch.run("quote", path)
    assert "LANE" in quote.out
    assert "--lane auto; the costs of the whole file by lane:" in quote.out
    both = batch.run("quote", path, "--json").json["lanes"]
    assert both["flex"]["cost_high"] == pytest.approx(both["realtime"]["cost_high"] / 2)
    ran = batch.run("run", path, "--lane", "flex")
    assert ran.code == 0
    asked = {call.body["model"]: call.body.get("service_tier") for call in upstream.calls}
    assert asked == {"a": "flex", "b": "flex"}
    shown = batch.run("status", "--json").json[0]["fanout"]
    assert (shown["lane"], shown["lanes"]["realtime"]["lines"]) == ("flex", 2)


@pytest.mark.parametrize("action", ["run", "quote"])
def test_a_lane_that_there_is_not_is_an_error_before_the_file_is_read(
    batch: BatchCommand, upstream: Upstream, action: str
) -> None:
    ran = batch.run(action, batch.folder / "missing.jsonl", "--lane", "fast")
    assert ran.code == 2
    assert "`--lane` must be one of `auto`, `realtime`, `flex`, `native`, not `fast`" in ran.err
    assert not upstream.calls


def test_native_batches_are_chosen_by_an_option(batch: BatchCommand, upstream: Upstream) -> None:
    models = [
        entry(upstream, "a", native_batches=True, **PRICES),
        entry(upstream, "b", **PRICES),
    ]
    write_config(batch.folder, {"model_list": models, "router_settings": {"num_retries": 0}})
    path = batch.write(jsonl([line("x"), line("y", "b")]))
    found = batch.run("quote", path, "--native", "auto", "--json").json
    shown = (found["lane"], found["native"], found["lanes"]["native"]["lines"], found["errors"])
    assert shown == ("auto", "auto", 1, [])
    assert found["cost_high"] == found["lanes"]["native"]["cost_high"]
    for more in (("--window", "5h"), ("--max-cost", "0.0001")):
        found = batch.run("quote", path, "--native", "auto", *more, "--json").json
        assert (found["lane"], found["native_lines"]) == ("auto", 0), more
    assert batch.run("quote", path, "--window", "1h", "--json").json["lane"] == "realtime"
    needed = batch.run("quote", path, "--native", "require")
    assert (needed.code, "1 line cannot go by their provider's own" in needed.out) == (1, True)
    refused = batch.run("run", path, "--native", "require", "--json")
    assert (refused.code, "native_not_possible" in refused.out + refused.err) == (1, True)
    for words, said in (
        (["--native", "always"], "`--native` must be one of `never`, `auto`, `require`"),
        (["--native", "auto", "--lane", "flex"], "the lane `flex`, only `auto` or `native`"),
        (["--order", "first"], "`--order` must be one of `any`, `input`, not `first`"),
        (["--native", "auto", "--window", "1h"], "does not fit the lane `realtime`"),
    ):
        ran = batch.run("quote" if "--window" in words else "run", path, *words)
        assert (ran.code, said in ran.err) == (2, True), ran.err
    assert not upstream.calls
    assert batch.run("run", path, "--native", "never", "--order", "input").code == 0
    assert batch.run("status", "--json").json[0]["fanout"]["order"] == "input"


def test_the_responses_of_an_earlier_file_have_their_places_in_the_order_of_the_input(
    batch: BatchCommand, upstream: Upstream
) -> None:
    old = [line(f"n{n}") for n in (5, 1, 3)]
    assert batch.run("run", batch.write(jsonl(old)), "--order", "input").code == 0
    assert list(batch.responses()) == ["n5", "n1", "n3"]
    new = [line(f"n{n}") for n in range(7)]
    assert batch.run("run", batch.write(jsonl(new)), "--order", "input").code == 0
    assert len(upstream.calls) == len(new)
    assert list(batch.responses()) == [f"n{n}" for n in range(7)]
    assert batch.run("run", batch.write(jsonl(new[::-1])), "--order", "input").code == 0
    assert len(upstream.calls) == len(new)
    assert list(batch.responses()) == [f"n{n}" for n in reversed(range(7))]


def test_the_end_of_a_run_is_reported_before_the_command_ends_and_later_if_that_fails(
    batch: BatchCommand, upstream: Upstream
) -> None:
    path = batch.write(line("x"))
    with open_receiver() as receiver:
        words = ("run", path, "--webhook", receiver.url, "--webhook-secret")
        for name, said in (
            ("os.environ/HOOK", "the environment has no `HOOK`"),
            (SECRET, "must be the name of a secret"),
        ):
            ran = batch.run(*words, name)
            assert (ran.code, upstream.calls) == (2, [])
            assert said in ran.err
            assert SECRET not in ran.err
        batch.set_env(HOOK=SECRET)
        receiver.statuses = [500]
        ran = batch.run(*words, "HOOK")
        assert ran.code == 0
        assert "the webhook is not delivered: the response has the status 500" in ran.err
        assert batch.run("run", path).code == 0
        ran = batch.run("run", path, "--fresh", *words[2:], "HOOK")
        assert (ran.code, "webhook" in ran.err) == (0, False)
        assert {event.type for event in receiver.wait(2)} == {"batch.completed"}
    for wrong in (("--webhook", "https://x.test"), ("--webhook-secret", "HOOK")):
        assert "need each other" in batch.run("run", path, *wrong).err

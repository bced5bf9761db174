"""`fanout race` shows the race on standard error and prints the winner on standard output."""

from __future__ import annotations

import os
import pty
import signal
from pathlib import Path

import pytest

from tests.cli.commands import Command, spawned, write_config
from tests.cli.terminal import read_all
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import (
    answers,
    opens,
    refuse,
    role,
    say,
    slow_and_fast,
    stalls,
    stop,
    wait,
)
from tests.support.scripted_provider import Upstream

both_ways = pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["plain", "streamed"])


def events(err: str) -> list[tuple[str, str]]:
    """Each line's model and state, without the times."""
    found = []
    for line in err.splitlines():
        _, unit, model, *words = line.split()
        assert unit == "s"
        found.append((model, words[0] if words[0] != "first" else "first token"))
    return found


@both_ways
def test_the_fastest_response_is_printed_and_the_other_calls_are_closed(
    fanout: Command, upstream: Upstream, config: Path, stream: tuple[str, ...]
) -> None:
    slow_and_fast(upstream, "a", "b", "fast")
    ran = fanout("race", "Hi", "-m", "a", "-m", "b", "--config", config, *stream)
    assert (ran.code, ran.out) == (0, "fast\n")
    upstream.wait_disconnected("a")


def test_the_lines_show_the_race_while_it_runs(upstream: Upstream, config: Path) -> None:
    seen = upstream.gate()
    upstream.script("a", stalls(role, say("I")))
    upstream.script("b", [role, wait(seen), say("fast"), stop])
    with spawned("race", "Hi", "-m", "a,b", "--config", config) as process:
        assert process.stderr is not None
        before = "".join(process.stderr.readline() for _ in range(3))
        seen.open()
        after = process.stderr.read()
    assert events(before) == [("a", "sent"), ("b", "sent"), ("a", "first token")]
    assert events(after) == [("b", "first token"), ("b", "won"), ("a", "cancelled")]


def test_in_a_streamed_race_the_first_content_wins_and_the_rest_follows(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", stalls(role))
    upstream.script("b", answers("first", " and", " last"))
    ran = fanout("race", "Hi", "-m", "a,b", "--config", config, "--stream")
    assert ran.out == "first and last\n"
    assert events(ran.err)[2:] == [("b", "first token"), ("a", "cancelled"), ("b", "won")]


def test_a_failure_in_a_race_is_shown_with_its_reason_and_another_model_wins(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    failed = upstream.gate()
    upstream.script("a", [refuse(500, "out of order"), opens(failed)])
    upstream.script("b", [wait(failed), *answers("yes")])
    ran = fanout("race", "Hi", "-m", "a,b", "--config", config)
    assert (ran.code, ran.out) == (0, "yes\n")
    assert "failed: `a`: out of order" in ran.err


def test_when_all_fail_each_reason_is_printed_and_the_exit_code_is_1(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", [refuse(500, "one")])
    upstream.script("b", [refuse(500, "two")])
    ran = fanout("race", "Hi", "-m", "a,b", "--config", config)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith("fanout: every model failed: `a`: one; `b`: two\n")


def test_a_hedge_starts_the_next_one_only_when_it_must(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("at once"))
    words = ("--stagger", 30, "--config", config)
    ran = fanout("race", "Hi", "-m", "a,b", *words)
    assert ran.out == "at once\n"
    assert events(ran.err)[-1] == ("b", "not")  # started
    assert [call.model for call in upstream.calls] == ["a"]


def test_a_fallback_has_a_row_of_its_own(
    fanout: Command, upstream: Upstream, tmp_path: Path
) -> None:
    fallback = write_config(
        tmp_path,
        {
            "model_list": [entry(upstream, name) for name in ("a", "b", "c")],
            "router_settings": {"num_retries": 0, "fallbacks": [{"a": ["c"]}]},
        },
    )
    upstream.script("a", [refuse(500)])
    upstream.script("b", stalls())
    upstream.script("c", answers("in its place"))
    ran = fanout("race", "Hi", "-m", "a,b", "--config", fallback)
    assert ran.out == "in its place\n"
    assert ("c", "won") in events(ran.err)
    assert ("a", "failed:") in events(ran.err)


def test_with_json_the_report_is_in_the_response_and_nothing_else_is_printed(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", stalls())
    upstream.script("b", answers("fast"))
    ran = fanout("race", "Hi", "-m", "a,b", "--config", config, "--json")
    fates = {at["model"]: at["outcome"] for at in ran.json["fanout"]["attempts"]}
    assert fates == {"a": "cancelled", "b": "won"}
    assert ran.err == ""


@both_ways
def test_ctrl_c_exits_with_130_and_cancels_every_call(
    upstream: Upstream, config: Path, stream: tuple[str, ...]
) -> None:
    upstream.script("a", stalls(role))
    upstream.script("b", stalls(role))
    with spawned("race", "Hi", "-m", "a,b", "--config", config, *stream) as process:
        upstream.wait_called("a", "b")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    upstream.wait_disconnected("a", "b")


def test_a_reader_that_has_seen_enough_is_no_fault_to_complain_of(
    upstream: Upstream, config: Path
) -> None:
    closed = upstream.gate()
    upstream.script("a", [wait(closed), *answers("x" * 100_000)])
    with spawned("ask", "Hi", "-m", "a", "--config", config) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        upstream.wait_called("a")
        process.stdout.close()
        closed.open()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == 1


@pytest.mark.parametrize("command", ["ask", "race", "all"])
def test_ctrl_c_is_told(upstream: Upstream, config: Path, command: str) -> None:
    upstream.script("a", stalls())
    upstream.script("b", stalls())
    with spawned(command, "Hi", "-m", "a,b", "--config", config) as process:
        upstream.wait_called("a")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("fanout: cancelled\n")


def test_in_a_terminal_the_race_is_shown(upstream: Upstream, config: Path) -> None:
    upstream.script("a", stalls())
    upstream.script("b", answers("fast\x1b[2J"))
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    words = ("race", "Hi", "-m", "a,b", "--config", config)
    with spawned(*words, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        drawn = read_all(ours)
        os.close(ours)
        assert process.wait(PATIENCE) == 0
    last = drawn[drawn.rindex("a ") :]
    assert "cancelled at" in last
    assert "won in" in last
    assert "●" in last
    assert last.rstrip().endswith("fast[2J"), last  # what would clear the screen does not reach it


@both_ways
def test_a_checked_response_that_does_not_fit_has_not_won(
    fanout: Command, upstream: Upstream, config: Path, tmp_path: Path, stream: tuple[str, ...]
) -> None:
    (tmp_path / "s.json").write_text('{"type": "object"}')
    upstream.script("a", answers("no"))
    upstream.script("b", answers("{}", after=0.1))
    words = ("--response-format", tmp_path / "s.json", "--check", "--attempts", 1, *stream)
    ran = fanout("race", "Hi", "-m", "a", "-m", "b", "--config", config, *words)
    assert (ran.code, ran.out) == (0, "{}\n")
    states = [state for state in events(ran.err) if state[1] in {"won", "failed:"}]
    assert states == [("a", "failed:"), ("b", "won")]

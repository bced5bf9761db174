"""`fanout all` prints every model's response as it arrives."""

from __future__ import annotations

import os
import pty
from pathlib import Path

from msgspec import json

from tests.cli.commands import Command, spawned
from tests.cli.terminal import read_all
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, cut, refuse, say, stop, wait
from tests.support.scripted_provider import Upstream


def test_each_response_is_a_block_in_the_order_they_end(upstream: Upstream, config: Path) -> None:
    seen = upstream.gate()
    upstream.script("a", [wait(seen), *answers("slow")])
    upstream.script("b", answers("fast"))
    with spawned("all", "Hi", "-m", "a,b", "--config", config) as process:
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(3)]
        seen.open()
        title, *rest = process.stdout.read().split("\n")
        assert process.wait(PATIENCE) == 0
    assert first[0].startswith("## b · ")
    assert first[0].endswith(" s · 7 tokens\n")
    assert first[1:] == ["fast\n", "\n"]
    assert title.startswith("## a · ")
    assert rest == ["slow", "", ""]


def test_a_response_is_printed_in_an_encoding_that_lacks_its_characters(
    upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("caf\u00e9 \U0001f980"))
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with spawned("all", "Hi", "-m", "a", "--config", config, env=env) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert "caf\\xe9 \\U0001f980" in out


def test_a_failed_model_shows_its_error_in_its_block_and_the_exit_code_is_1(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", [refuse(500, "out of order")])
    upstream.script("b", answers("fine"))
    ran = fanout("all", "Hi", "-m", "a,b", "--config", config)
    assert ran.code == 1
    assert "## a · failed\n`a`: out of order\n" in ran.out
    assert "\nfine\n" in ran.out


def test_a_response_that_fails_keeps_its_content_so_far(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", [say("half an ans"), cut])
    upstream.script("b", answers("whole"))
    ran = fanout("all", "Hi", "-m", "a,b", "--config", config)
    assert ran.code == 1
    assert "## a · failed\nhalf an ans\n`a`: " in ran.out


def test_where_all_fail_nothing_is_on_standard_output(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", [refuse(500, "one")])
    upstream.script("b", [refuse(500, "two")])
    ran = fanout("all", "Hi", "-m", "a,b", "--config", config)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "fanout: every model failed: `a`: one; `b`: two\n"


def test_with_json_it_is_one_object_with_a_choice_for_each_model(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", [refuse(500)])
    ran = fanout("all", "Hi", "-m", "a,b", "--config", config, "--json")
    choices = [(choice["model"], "error" in choice) for choice in ran.json["choices"]]
    assert choices == [("a", False), ("b", True)]
    assert [choice["finish_reason"] for choice in ran.json["choices"]] == ["stop", "stop"]
    assert ran.code == 1


def test_with_json_and_stream_the_chunks_are_lines(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", answers("B"))
    ran = fanout("all", "Hi", "-m", "a,b", "--config", config, "--json", "--stream")
    chunks = [json.decode(line) for line in ran.out.splitlines()]
    ends = {c["index"]: c["finish_reason"] for k in chunks for c in k["choices"]}
    assert ends == {0: "stop", 1: "stop"}


def test_in_a_terminal_each_response_grows_in_a_panel_of_its_own(
    upstream: Upstream, config: Path
) -> None:
    seen = upstream.gate()
    upstream.script("a", answers("whole"))
    upstream.script("b", [say("grow"), wait(seen), say("ing"), stop])
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    words = ("all", "Hi", "-m", "a,b", "--config", config)
    with spawned(*words, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        before = read_all(ours, until="grow")
        seen.open()
        after = read_all(ours)
        os.close(ours)
        assert process.wait(PATIENCE) == 0
    assert "growing" not in before
    last = after[after.rindex("╭─ a · ") :]
    assert "whole" in last
    assert "growing" in last

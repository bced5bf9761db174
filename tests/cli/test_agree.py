"""`fanout agree` prints what enough models agree on, and the votes on standard error."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import json

from fanout.cli.prompt_runner import print_agreement
from tests.cli.commands import Command
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream


def test_the_response_is_printed_and_the_votes_are_on_standard_error(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("Paris"))
    upstream.script("b", [refuse(500)])
    upstream.script("c", answers("paris"))
    ran = fanout("agree", "Hi", "-m", "a,b,c", "--config", config)
    assert (ran.code, ran.out) == (0, "Paris\n")
    lines = ran.err.splitlines()
    assert lines[0] == "2 x paris: a, c"
    assert lines[1].startswith("no vote: b: ")
    assert lines[2] == "agreed after 3 calls"


def test_without_agreement_nothing_is_printed_and_the_exit_code_is_1(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("one"))
    upstream.script("b", answers("two"))
    ran = fanout("agree", "Hi", "-m", "a,b", "--config", config)
    assert (ran.code, ran.out) == (1, "")
    assert "not agreed after 2 calls" in ran.err
    assert "The models did not agree" in ran.err
    shown = fanout("agree", "Hi", "-m", "a,b", "--config", config, "--json")
    assert (shown.code, json.decode(shown.out)["fanout"]["agree"]["decided"]) == (1, False)


def test_a_response_without_a_report_of_votes_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a gateway of another version may send it."""
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}}]}

    class Source:
        async def chat(self, _request: Any, _context: Any) -> Any:
            return SimpleNamespace(body={**body, "fanout": {"mode": "agree", "attempts": []}})

    source: Any = Source()
    assert asyncio.run(print_agreement(source, source, source)) == 1
    assert capsys.readouterr().out == "Paris\n"


def test_the_options_are_the_fields_of_the_request_and_errors_name_them(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    for name in ("a", "b", "c"):
        upstream.script(name, answers('{"n": 1}'))
    rules = ("-k", "2", "--on", "n", "--start", "1", "--weight", "c=0.9", "--weight", "b=0.85")
    ran = fanout("agree", "Hi", "-m", "a,b,c", "--config", config, *rules)
    assert ran.code == 0
    assert ran.err.splitlines()[0] == '2 x {"n":1}: b, c'
    assert [call.model for call in upstream.calls] == ["c", "b"]
    schema = config.parent / "schema.json"
    schema.write_text('{"type": "object"}')
    checked = ("--response-format", str(schema), "--check")
    wrong: dict[tuple[str, ...], str] = {
        (*checked, "--escalate", "c"): "--escalate cannot be used",
        ("-k", "4"): "-k is 4",
        ("--weight", "c"): "--weight must be",
        ("--weight", "c=2"): "--weight must be",
        ("--start", "x"): "--start must be",
        ("--on", " "): "--on must name",
    }
    for options, message in wrong.items():
        ran = fanout("agree", "Hi", "-m", "a,b,c", "--config", config, *options)
        assert ran.code in {1, 2}, options
        assert message in ran.err, (options, ran.err)

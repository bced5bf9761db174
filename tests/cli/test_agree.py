"""`fanout agree` prints what enough models agree on, and the votes on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import json

from tests.cli.commands import Command
from tests.support.provider_steps import answers, refuse, reply
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


ODD_VOTES: tuple[Any, ...] = (
    [],
    "yes",
    {},
    {"decided": "yes"},
    {"decided": True, "votes": 3},
    {"decided": True, "votes": [1, {}, {"votes": [], "value": None, "models": 3}]},
    {"decided": True, "votes": [{"votes": 2, "value": "Paris"}]},
    {"decided": True, "votes": [{"votes": 2, "value": {"n": 1}, "models": [1, None, "a"]}]},
    {"decided": True, "calls": "two", "calls_saved": "one", "saved_usd": "much"},
    {"decided": True, "calls": 2, "calls_saved": 1, "saved_usd": "much"},
)
ODD_REPORTS: tuple[Any, ...] = (
    *(None, [1], "agreed", 7, {}, {"mode": "agree", "attempts": []}, {"attempts": 3}),
    {"attempts": [1, {}, {"outcome": []}, {"outcome": "failed"}]},
    {"attempts": [{"outcome": "failed", "model": 3, "error": "down"}]},
    {"attempts": [{"outcome": "no_vote", "model": "a", "error": {"message": None}}]},
    *({"agree": votes} for votes in ODD_VOTES),
)


def test_the_response_is_printed_whatever_its_report_is(
    fanout: Command, upstream: Upstream
) -> None:
    """As a gateway of another version may send it."""
    words = ("agree", "Hi", "-m", "a,b", "--gateway", f"{upstream.url}/v1")
    message = {"role": "assistant", "content": "Paris"}
    wrong = []
    for report in ODD_REPORTS:
        body = {"choices": [{"index": 0, "message": message}], "fanout": report}
        votes = report.get("agree") if isinstance(report, dict) else None
        is_agreed = isinstance(votes, dict) and votes.get("decided") is True
        upstream.script("", *[[reply(200, json.encode(body))]] * 2)
        ran = fanout(*words)
        if (ran.code, ran.out) != (int(not is_agreed), "Paris\n"):
            wrong.append((report, ran))
        ran = fanout(*words, "--json")
        if (ran.code, json.decode(ran.out)) != (
            int(isinstance(votes, dict) and not is_agreed),
            body,
        ):
            wrong.append((report, ran))
    assert wrong == []


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
    one = fanout("agree", "Hi", "-m", "a", "--config", config)
    assert one.err == "fanout: `fanout agree` needs at least two models: name them in -m\n"
    for options, message in wrong.items():
        ran = fanout("agree", "Hi", "-m", "a,b,c", "--config", config, *options)
        assert ran.code in {1, 2}, options
        assert message in ran.err, (options, ran.err)

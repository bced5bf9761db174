"""
Checked responses: each fits the request's JSON schema, or the error says why none does.

Over real sockets, plain and streamed, with the OpenAI client where it reads the response.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import openai
import pytest

from fanout import ModelAttempt
from tests.http.races import HI, SETTLE, both_ways
from tests.support.gateway_response import ParsedResponse
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import (
    answers,
    called,
    hang,
    pause,
    piece,
    refuse,
    role,
    say,
    wait,
)
from tests.support.scripted_provider import Upstream

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["good", "bad"]}, "score": {"type": "integer"}},
    "required": ["label", "score"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "label", "schema": SCHEMA}}
GOOD, BAD = '{"label":"good","score":3}', '{"label":"great","score":3}'


def checked(
    server: RunningGateway,
    model: str,
    *,
    stream: bool,
    more: Mapping[str, Any] = MappingProxyType({}),
    **fanout: Any,
) -> ParsedResponse:
    """Send a checked request."""
    body: dict[str, Any] = {"model": model, "messages": HI, "response_format": FORMAT, **more}
    body["fanout"] = {"check": True, **fanout}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return server.chat(body)


def calls(response: ParsedResponse) -> list[tuple[str, str]]:
    """The model and the outcome of each call in the report."""
    assert response.report is not None, response
    return [(one["model"], one["outcome"]) for one in response.report["attempts"]]


@both_ways
def test_a_response_that_fits_is_passed_on_with_a_report(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers(GOOD))
    response = checked(server, "a", stream=stream)
    assert (response.status, response.model, response.text) == (200, "a", GOOD)
    assert calls(response) == [("a", "won")]
    assert [call.streams for call in upstream.calls] == [stream]


@both_ways
def test_an_invalid_response_goes_back_to_its_model_with_the_reason(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers(BAD), answers(GOOD))
    response = checked(server, "a", stream=stream)
    assert (response.status, response.text) == (200, GOOD)
    assert calls(response) == [("a", "invalid"), ("a", "won")]
    sent = upstream.calls[1].body["messages"]
    assert sent[:2] == [*HI, {"role": "assistant", "content": BAD}]
    assert sent[2]["role"] == "user"
    assert '`/label`: the value is not one of ["good","bad"]' in sent[2]["content"]
    assert response.report is not None
    assert response.report["attempts"][0]["error"]["code"] == "schema_mismatch"


@both_ways
def test_of_several_invalid_responses_only_the_last_goes_back(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("one"), answers("two"), answers(GOOD))
    response = checked(server, "a", stream=stream, attempts=3)
    assert response.text == GOOD
    sent = [[one["content"] for one in call.body["messages"][:-1]] for call in upstream.calls]
    assert sent[1:] == [["Hi", "one"], ["Hi", "two"]]


@both_ways
def test_after_its_attempts_the_next_models_of_the_ladder_are_asked_with_the_prompt_alone(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("no"))
    upstream.script("b", answers("no"))
    upstream.script("c", answers(GOOD))
    response = checked(server, "a", stream=stream, escalate=["b", "c"], attempts=1)
    assert (response.model, response.text) == ("c", GOOD)
    assert response.headers["x-fanout-winner"] == "c"
    assert calls(response) == [("a", "invalid"), ("b", "invalid"), ("c", "won")]
    assert [call.body["messages"] for call in upstream.calls] == [HI, HI, HI]


@both_ways
def test_in_the_end_the_error_has_the_last_text_and_the_reason(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("no"))
    upstream.script("b", answers(BAD))
    response = checked(server, "a", stream=stream, escalate=["b"])
    assert response.status == 502
    assert response.headers["x-should-retry"] == "false"
    assert response.error is not None
    assert response.error["code"] == "schema_mismatch"
    assert response.error["type"] == "api_error"
    assert response.error["text"] == BAD
    assert "`/label`: the value is not one of" in response.error["reason"]
    assert response.error["message"] == (
        f"`b`: the response does not fit the schema: {response.error['reason']}"
    )
    listed = [(one["model"], one["outcome"]) for one in response.error["attempts"]]
    assert listed == [("a", "invalid")] * 2 + [("b", "invalid")] * 2


@both_ways
@pytest.mark.parametrize("mode", ["race", "hedge"])
def test_in_a_race_the_fastest_valid_response_wins(
    server: RunningGateway, upstream: Upstream, mode: str, *, stream: bool
) -> None:
    upstream.script("a", [called(upstream, "b"), *answers("no")])
    upstream.script("b", [called(upstream, "a"), pause(SETTLE), *answers(GOOD)])
    response = checked(server, "a, b", stream=stream, mode=mode, attempts=1, **_stagger(mode))
    assert (response.model, response.text) == ("b", GOOD)
    assert calls(response) == [("a", "invalid"), ("b", "won")]


def _stagger(mode: str) -> dict[str, Any]:
    return {"stagger": 0.01} if mode == "hedge" else {}


@both_ways
def test_a_model_that_is_corrected_first_wins_against_one_that_is_slow(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    slow = upstream.gate()
    upstream.script("a", answers("no"), answers(GOOD))
    upstream.script("b", [role, wait(slow), hang])
    response = checked(server, "a, b", stream=stream, mode="race")
    assert (response.model, response.text) == ("a", GOOD)
    assert sorted(calls(response)) == [("a", "invalid"), ("a", "won"), ("b", "cancelled")]
    upstream.wait_disconnected("b")


@both_ways
def test_after_a_race_without_a_valid_response_the_ladder_goes_on(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("no"))
    upstream.script("b", [refuse(500)])
    upstream.script("c", answers(GOOD))
    response = checked(server, "a, b", stream=stream, mode="race", attempts=1, escalate=["c"])
    assert (response.model, response.text) == ("c", GOOD)
    assert sorted(calls(response)) == [("a", "invalid"), ("b", "failed"), ("c", "won")]


@both_ways
def test_each_model_of_several_has_a_ladder_of_its_own(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("no"), answers(GOOD))
    upstream.script("b", answers(GOOD))
    upstream.script("c", answers("no"))
    upstream.script("d", answers("never"))
    response = checked(server, "a, b, c", stream=stream, escalate=["d"])
    assert response.texts[0] == response.texts[1] == GOOD
    error = response.choices[2]["error"]
    assert error["code"] == "schema_mismatch"
    assert len(upstream.calls_to("d")) == 2
    assert (error["text"], error["reason"]) == (
        "never",
        "it is not JSON: it begins with other text",
    )
    assert [one["model"] for one in error["attempts"]] == ["c", "c", "d", "d"]
    first, second = response.choices[0], response.choices[1]
    assert [one["outcome"] for one in first["fanout"]["attempts"]] == ["invalid", "won"]
    assert [one["outcome"] for one in second["fanout"]["attempts"]] == ["won"]


def test_each_conversation_of_a_list_has_a_ladder_of_its_own(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("no"), answers(GOOD))
    status, _, body = server.json(
        {
            "model": "a",
            "messages": [HI, HI],
            "fanout": {"schema": SCHEMA, "shape": "list", "max_parallel": 1},
        }
    )
    assert status == 200
    assert [one[0]["choices"][0]["message"]["content"] for one in body] == [GOOD, GOOD]
    outcomes = [[each["outcome"] for each in one[0]["fanout"]["attempts"]] for one in body]
    assert outcomes == [["invalid", "won"], ["won"]]
    upstream.script("a", answers("no"), answers("no"), answers(GOOD))
    _, _, body = server.json(
        {
            "model": "a",
            "messages": [HI, HI],
            "fanout": {"schema": SCHEMA, "shape": "list", "max_parallel": 1},
        }
    )
    error = body[0][0]["error"]
    assert (error["code"], error["text"], len(error["attempts"])) == ("schema_mismatch", "no", 2)


@both_ways
def test_a_provider_error_after_an_invalid_response_leads_to_the_next_model(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("no"), [refuse(500)])
    upstream.script("b", answers(GOOD))
    response = checked(server, "a", stream=stream, escalate=["b"])
    assert response.text == GOOD
    assert calls(response) == [("a", "invalid"), ("a", "failed"), ("b", "won")]


@both_ways
def test_a_provider_error_alone_is_what_it_is_without_a_check(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [refuse(429)])
    upstream.script("b", answers(GOOD))
    response = checked(server, "a", stream=stream, escalate=["b"])
    assert response.status == 429
    assert upstream.calls_to("b") == []


@both_ways
def test_a_fallback_is_called_after_an_error_and_is_checked_too(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [refuse(500)])
    upstream.script("b", answers("no"), answers(GOOD))
    response = checked(server, "a", stream=stream, more={"fallbacks": ["b"]})
    assert (response.model, response.text) == ("b", GOOD)
    assert calls(response) == [("a", "failed"), ("b", "invalid"), ("b", "won")]


FENCED = [
    (f"```json\n{GOOD}\n```", GOOD),
    (f"\n ```\r\n{GOOD}\r\n```\n", GOOD),
    (f"```JSON\n  {GOOD}```", GOOD),
    (f"  {GOOD}\n", f"  {GOOD}\n"),
    (f"Here:\n```json\n{GOOD}\n```", "it has a code fence and other text"),
    (f"```json\n{GOOD}\n```\nand\n```json\n{GOOD}\n```", "other text follows it"),
    (f"```python\n{GOOD}\n```", "it has a code fence and other text"),
    (f"```json\n{BAD}\n```", '`/label`: the value is not one of ["good","bad"]'),
    ("```", "it has a code fence and other text"),
]


@both_ways
def test_a_code_fence_around_the_whole_json_is_removed(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    wrong = []
    for text, expected in FENCED:
        upstream.script("a", answers(text))
        response = checked(server, "a", stream=stream, attempts=1)
        found = response.text if response.status == 200 else (response.error or {})["reason"]
        if response.status != 200 and (response.error or {})["text"] != text:
            wrong.append((text, "the last text", (response.error or {})["text"]))
        if not (found == expected or (response.status != 200 and expected in found)):
            wrong.append((text, expected, found))
    assert wrong == []


def whole(message: dict[str, Any], finish: str = "stop") -> list[Any]:
    """A plain response with this message."""
    body = {
        "object": "chat.completion",
        "model": "a",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    return [piece(json.dumps(body).encode())]


def test_a_call_of_a_tool_is_no_text_to_check(server: RunningGateway, upstream: Upstream) -> None:
    function = {"name": "look", "arguments": "{}"}
    call = {"id": "c", "type": "function", "function": function}
    upstream.script("a", whole({"role": "assistant", "content": None, "tool_calls": [call]}))
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    response = checked(server, "a", stream=False, more={"tools": [tool]})
    assert response.status == 200
    assert response.choices[0]["message"]["tool_calls"][0]["function"]["name"] == "look"


@pytest.mark.parametrize(
    ("message", "finish", "reason"),
    [
        ({"content": None, "refusal": "I cannot"}, "stop", "the model refused to respond"),
        ({"content": '{"label":'}, "length", "raise `max_tokens`"),
        ({"content": ""}, "content_filter", "the provider's content filter ended it"),
    ],
)
def test_what_would_be_the_same_the_second_time_leads_to_the_next_model_at_once(
    server: RunningGateway,
    upstream: Upstream,
    message: dict[str, Any],
    finish: str,
    reason: str,
) -> None:
    upstream.script("a", whole({"role": "assistant", **message}, finish))
    response = checked(server, "a", stream=False, attempts=3)
    assert response.error is not None
    assert reason in response.error["reason"]
    assert len(upstream.calls) == 1


def test_a_text_that_is_valid_though_it_reached_max_tokens_is_valid(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", whole({"role": "assistant", "content": GOOD}, "length"))
    assert checked(server, "a", stream=False).text == GOOD


def test_an_empty_response_is_asked_for_again_without_a_turn(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", whole({"role": "assistant", "content": ""}), answers(GOOD))
    assert checked(server, "a", stream=False).text == GOOD
    assert [call.body["messages"] for call in upstream.calls] == [HI, HI]


def test_the_stream_begins_when_the_response_fits_with_keep_alives_before(
    provider: Upstream,
) -> None:
    listed = [entry(provider, "a")]
    provider.reset()
    with serve({"model_list": listed}, keep_alive=0.02) as server:
        opened = provider.gate()
        provider.script(
            "a", answers("no"), [say(GOOD[:5]), wait(opened), say(GOOD[5:]), *answers("")]
        )
        body = {"model": "a", "messages": HI, "stream": True, "fanout": {"schema": SCHEMA}}
        with server.ask(body) as response:
            assert response.fp is not None
            first = response.readline()
            provider.wait_called("a")
            opened.open()
            rest = response.read()
    assert first == b": keep-alive\n"
    assert b"no" not in first + rest.replace(b"null", b"").replace(b"not", b"")
    assert b"[DONE]" in rest


def test_a_client_that_disconnects_ends_the_escalation(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("no"), [hang])
    connection = server.send(
        {"model": "a", "messages": HI, "fanout": {"schema": SCHEMA, "escalate": ["b"]}}
    )
    upstream.wait(lambda: len(upstream.calls) == 2)
    connection.close()
    upstream.wait_disconnected("a")
    assert upstream.calls_to("b") == []


def test_the_deadline_is_that_of_all_calls_together(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("no"), [hang])
    response = checked(server, "a", stream=False, more={"timeout": 0.5}, escalate=["b"])
    assert (response.status, response.error is not None) == (504, True)
    assert upstream.calls_to("b") == []
    error: dict[str, Any] = response.error or {}
    assert (error["code"], error["text"]) == ("deadline_exceeded", "no")
    assert error["reason"].startswith("it is not JSON: ")
    assert [one["outcome"] for one in error["attempts"]] == ["invalid", "cancelled"]
    upstream.script("a", [hang])
    late = checked(server, "a", stream=False, more={"timeout": 0.2})
    assert [one["outcome"] for one in (late.error or {})["attempts"]] == ["cancelled"]


def test_the_openai_client_gets_the_response_and_the_error(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers(BAD), answers(GOOD))
    upstream.script("b", answers(BAD))
    request: Any = {
        "messages": HI,
        "response_format": FORMAT,
        "extra_body": {"fanout": {"check": True}},
    }
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=5) as client:
        assert (
            client.chat.completions.create(model="a", **request).choices[0].message.content == GOOD
        )
        with pytest.raises(openai.InternalServerError) as raised:
            client.chat.completions.create(model="b", **request)
    assert raised.value.code == "schema_mismatch"
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["text"] == BAD
    assert len(upstream.calls_to("b")) == 2  # the SDK does not multiply them


def test_the_cost_is_that_of_all_calls(provider: Upstream) -> None:
    prices: dict[str, Any] = {"input_cost_per_token": 1e-3, "output_cost_per_token": 2e-3}
    provider.reset()
    provider.script("a", answers("no"), answers("no"))
    provider.script("b", answers(GOOD))
    listed = [entry(provider, "a", **prices), entry(provider, "b", **prices)]
    with serve({"model_list": listed}) as server:
        response = checked(server, "a", stream=False, escalate=["b"])
    assert response.report is not None
    costs = [one["cost_usd"] for one in response.report["attempts"]]
    assert len(costs) == 3
    assert min(costs) > 0
    assert response.report["cost_usd"] == pytest.approx(sum(costs))


# ---- requests that cannot be checked ----

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"fanout": {"check": True}}, "fanout.check", "needs a schema"),
    ({"fanout": {"attempts": 2}}, "fanout.attempts", "needs a schema"),
    ({"fanout": {"escalate": ["b"]}}, "fanout.escalate", "needs a schema"),
    ({"fanout": {"check": False, "attempts": 2, "schema": {}}}, "fanout.attempts", "check: true"),
    ({"fanout": {"schema": SCHEMA, "attempts": 0}}, "fanout.attempts", "at least 1"),
    ({"fanout": {"schema": SCHEMA, "attempts": 11}}, "fanout.attempts", "at most 10"),
    ({"fanout": {"schema": SCHEMA, "attempts": "2"}}, "fanout.attempts", "integer"),
    ({"fanout": {"schema": SCHEMA, "escalate": []}}, "fanout.escalate", "not be empty"),
    ({"fanout": {"schema": SCHEMA, "escalate": [" "]}}, "fanout.escalate", "names of models"),
    ({"fanout": {"schema": SCHEMA, "escalate": ["b"] * 11}}, "fanout.escalate", "at most 10"),
    ({"fanout": {"schema": SCHEMA, "escalate": ["bb"]}}, "fanout.escalate", "there is no model"),
    ({"fanout": {"schema": SCHEMA, "chek": True}}, "fanout", "did you mean `check`?"),
    ({"fanout": {"schema": []}}, "fanout.schema", "must be"),
    ({"fanout": {"schema": {"type": "text"}}}, "fanout.schema", "`type`"),
    ({"fanout": {"schema": {"$ref": "http://127.0.0.1/s"}}}, "fanout.schema", "nothing is fetched"),
    ({"fanout": {"schema": {"pattern": "(?=a)"}}}, "fanout.schema", "has a lookaround"),
    (
        {"fanout": {"schema": SCHEMA}, "response_format": FORMAT},
        "fanout.schema",
        "exclude each other",
    ),
    (
        {"fanout": {"check": True}, "response_format": {"type": "json_object"}},
        "fanout.check",
        "needs a schema",
    ),
    (
        {
            "fanout": {"check": True},
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"$ref": "#/$defs/x"}},
            },
        },
        "response_format.json_schema.schema",
        "which is not in it",
    ),
]


@pytest.mark.parametrize(("more", "param", "words"), WRONG)
def test_a_request_that_cannot_be_checked_is_a_400_that_names_the_field(
    server: RunningGateway, upstream: Upstream, more: dict[str, Any], param: str, words: str
) -> None:
    status, _, body = server.json({"model": "a", "messages": HI, **more})
    assert (status, body["error"]["param"]) == (400, param)
    assert words in body["error"]["message"]
    assert upstream.calls == []


def test_a_schema_that_is_not_checked_is_only_sent(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("no"))
    body = {"model": "a", "messages": HI, "fanout": {"schema": SCHEMA, "check": False}}
    response = server.chat(body)
    assert (response.status, response.text, response.report) == (200, "no", None)
    assert upstream.calls[0].body["response_format"]["json_schema"]["schema"] == SCHEMA


# ---- the rights of keys ----


@pytest.fixture(scope="module")
def limited(provider: Upstream) -> Iterator[RunningGateway]:
    keys = [{"name": "some", "key": "sk-some", "models": ["a", "b"]}]
    listed = [entry(provider, name) for name in "abc"]
    with serve({"model_list": listed, "general_settings": {"keys": keys}}) as served:
        yield served


@both_ways
def test_a_key_escalates_only_to_models_that_it_may_use(
    limited: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("no"))
    upstream.script("b", answers(GOOD))
    key = {"authorization": "Bearer sk-some"}
    body = {"model": "a", "messages": HI, "stream": stream}
    fine = limited.chat({**body, "fanout": {"schema": SCHEMA, "escalate": ["b"]}}, key)
    assert fine.text == GOOD
    upstream.calls.clear()
    status, _, error = limited.json(
        {**body, "fanout": {"schema": SCHEMA, "escalate": ["b", "c"]}}, headers=key
    )
    assert (status, error["error"]["param"]) == (403, "fanout.escalate")
    assert upstream.calls == []


def test_the_description_of_the_api_has_invalid_calls_and_what_the_error_has(
    server: RunningGateway,
) -> None:
    _, _, document = server.json(path="/openapi.json", method="GET")
    kinds = document["components"]["schemas"]
    assert "invalid" in kinds["Attempt"]["properties"]["outcome"]["enum"]
    assert kinds["ChatCompletion"]["properties"]["fanout"] == {
        "$ref": "#/components/schemas/Report"
    }
    assert "schema_mismatch" in kinds["Error"]["description"]
    error = kinds["Error"]["properties"]["error"]["properties"]
    assert {"text", "reason", "attempts"} <= error.keys()


def test_the_librarys_types_read_the_report_of_a_repaired_response(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers(BAD), answers(GOOD))
    response = checked(server, "a", stream=False)
    attempts = [ModelAttempt.model_validate(one) for one in (response.report or {})["attempts"]]
    assert [one.outcome for one in attempts] == ["invalid", "won"]

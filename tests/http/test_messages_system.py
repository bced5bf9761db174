"""System messages amid a conversation: what they change for a model with another API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http.test_messages_passed_through import WHOLE
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import answers, reply
from tests.support.scripted_provider import Upstream

HI = {"role": "user", "content": "Hi"}
SAID = {"role": "assistant", "content": "Hello."}
A: dict[str, Any] = {"name": "a", "input_schema": {"type": "object"}}
B: dict[str, Any] = {"name": "b", "input_schema": {"type": "object"}, "defer_loading": True}
C: dict[str, Any] = {"name": "c", "input_schema": {"type": "object"}}


def system(*content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "system", **({"content": [*content]} if content else {}), **more}


def added(name: str) -> dict[str, Any]:
    return {"type": "tool_addition", "tool": {"type": "tool_reference", "name": name}}


def removed(name: str) -> dict[str, Any]:
    return {"type": "tool_removal", "tool": {"type": "tool_reference", "name": name}}


DEFINED = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": C}}
TEXT = {"type": "text", "text": "Be brief."}
MCP = {"type": "tool_addition", "tool": {"type": "mcp_toolset_reference", "mcp_server_name": "s"}}
SUMMARY = {"type": "compaction", "content": "We met.", "encrypted_content": "g", "signature": "s"}
SUMMED = {"role": "user", "content": "Summary of the conversation so far:\n\nWe met."}
BRIEF = {"role": "system", "content": [TEXT]}
SEALED = {"type": "compaction", "content": None, "encrypted_content": "g"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "a", "input": {}}
ASKED = {"role": "user", "content": [{"type": "text", "text": SUMMED["content"]}, TEXT]}

ROWS: list[tuple[list[Any], list[Any], str, list[str]]] = [
    ([HI, system(added("b"))], [HI], "ab", []),
    ([HI, system(TEXT, removed("a"))], [HI, BRIEF], "b", []),
    ([HI, system(removed("a")), SAID, HI, system(added("a"))], [HI, SAID, HI], "ab", []),
    ([HI, system(DEFINED)], [HI], "abc", []),
    ([HI, system(DEFINED), SAID, system(removed("c")), HI], [HI, SAID, HI], "ab", []),
    ([HI, system(removed("a"), removed("b"))], [HI], "", []),
    ([HI, system(MCP)], [HI], "ab", ["messages[].content[].tool_addition"]),
    ([HI, system(output_config={"effort": "low"})], [HI], "ab", ["messages[].output_config"]),
    (
        [HI, {"role": "system", "content": None, "output_config": {"effort": "low"}}],
        [HI],
        "ab",
        ["messages[].output_config"],
    ),
    ([HI, system(TEXT, clear_at="next_user_message")], [HI, BRIEF], "ab", []),
    ([HI, system(TEXT, clear_at="next_user_message"), SAID, HI], [HI, SAID, HI], "ab", []),
    ([HI, system(TEXT, clear_at="never"), SAID, HI], [HI, BRIEF, SAID, HI], "ab", []),
    ([HI, system(TEXT, clear_at="new")], [HI, BRIEF], "ab", ["messages[].clear_at"]),
    ([{"role": "assistant", "content": [SUMMARY]}, HI], [SUMMED, HI], "ab", []),
    ([{"role": "user", "content": [SUMMARY]}, SAID, HI], [SUMMED, SAID, HI], "ab", []),
    (
        [{"role": "assistant", "content": [SUMMARY, {"type": "text", "text": "Hello."}]}, HI],
        [SUMMED, SAID, HI],
        "ab",
        [],
    ),
    (
        [
            {
                "role": "assistant",
                "content": [{**SUMMARY, "tool_changes": [removed("a"), DEFINED]}],
            },
            HI,
        ],
        [SUMMED, HI],
        "bc",
        [],
    ),
    ([HI, SAID, {"role": "assistant", "content": [SUMMARY]}, HI], [SUMMED, HI], "ab", []),
    ([HI, SAID, {"role": "user", "content": [TEXT, SUMMARY, TEXT]}], [ASKED], "ab", []),
    (
        [HI, {"role": "assistant", "content": [USE, SUMMARY, SUMMARY, TEXT]}, HI],
        [SUMMED, {"role": "assistant", "content": "Be brief."}, HI],
        "ab",
        [],
    ),
    (
        [{"role": "assistant", "content": [SEALED]}, {"role": "user", "content": [SUMMARY]}, HI],
        [SUMMED, HI],
        "ab",
        [],
    ),
    (
        [
            {"role": "assistant", "content": [SUMMARY]},
            HI,
            {"role": "assistant", "content": [{**SUMMARY, "content": "We met twice."}]},
            system(removed("a")),
            HI,
            {"role": "assistant", "content": [{"type": "compaction", "content": None}]},
        ],
        [{**SUMMED, "content": SUMMED["content"].replace("met", "met twice")}, HI],
        "b",
        [],
    ),
    (
        [HI, {"role": "assistant", "content": [{"type": "compaction", "content": None}]}, HI],
        [HI, HI],
        "ab",
        [],
    ),
]


def test_what_system_messages_change_is_changed_for_other_vendors_too(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("Hello"))
    wrong: list[Any] = []
    for messages, wanted, names, lost in ROWS:
        body = {"model": "a", "max_tokens": 9, "messages": messages, "tools": [A, B]}
        status, headers, found = server.json(body, "/v1/messages")
        if status != 200:
            wrong.append((messages, found))
            continue
        sent = upstream.calls_to("a")[-1].body
        tools = "".join(tool["function"]["name"] for tool in sent.get("tools", ()))
        dropped = headers.get("x-fanout-dropped", "").split(", ")
        named = [name for name in dropped if name.startswith("messages")]
        if (sent["messages"], tools, named) != (wanted, names, lost):
            wrong.append((messages, sent["messages"], tools, named))
    assert wrong == []


def test_system_messages_reach_anthropic_as_they_are(
    server: RunningGateway, upstream: Upstream
) -> None:
    for path, body in (
        ("/v1/messages", WHOLE),
        ("/v1/messages/count_tokens", b'{"input_tokens":7}'),
    ):
        upstream.script("claude-x", [reply(200, body)])
        for messages, _, _, _ in ROWS:
            ask = {"max_tokens": 9, "messages": messages, "tools": [A, B], "model": "claude"}
            assert server.json(ask, path)[0] == 200
            assert upstream.calls[-1].body == {**ask, "model": "claude-x"}


def test_an_error_names_the_clients_message(server: RunningGateway) -> None:
    """Also after messages that are left out, and one that becomes two."""
    bad = {"role": "user", "content": [{"type": "document", "source": {"type": "novel"}}]}
    parts = [SUMMARY, {"type": "text", "text": "Hello."}]
    for first in ([], [system(added("a"))], [{"role": "assistant", "content": parts}]):
        for more in ({}, {"system": "Be brief."}):
            body = {"model": "a", "max_tokens": 9, "messages": [HI, *first, bad], **more}
            status, _, found = server.json(body, "/v1/messages")
            place = f"`messages[{1 + len(first)}].content[0].source`"
            assert (status, place in json.dumps(found)) == (400, True), found


def test_a_compaction_that_only_its_maker_can_read_is_rejected(server: RunningGateway) -> None:
    for role in ("assistant", "user"):
        body = {
            "model": "a",
            "max_tokens": 9,
            "messages": [{"role": role, "content": [SEALED]}, HI],
        }
        status, _, found = server.json(body, "/v1/messages")
        assert status == 400
        assert "`messages[0].content[0]` is a `compaction`" in found["error"]["message"]


def test_tags_and_the_query_leave_every_other_byte(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("claude-x", [reply(200, WHOLE)])
    rest = (
        b' {"max_tokens":9, "new": [1e5, 1.50,"\\u00e4"],"messages":[{"role":"user","content":"H"}]'
    )
    for given, kept in (
        (
            b'"metadata": { "user_id":"u" , "tags":["t"] },"z":1',
            b'"metadata": { "user_id":"u" },"z":1',
        ),
        (b'"metadata":{"tags":["t"],"user_id":"u"}', b'"metadata":{"user_id":"u"}'),
        (b'"metadata":{"tags":["t"]}, "z":1', b'"z":1'),
        (b'"z":1', b'"z":1'),
    ):
        sent = rest + b", " + given + b',"model":"claude"}'
        with server.ask(sent, "/v1/messages?beta=true&x=%20y") as response:
            assert response.status == 200
        call = upstream.calls_to("claude-x")[-1]
        assert call.path == "/v1/messages?beta=true&x=%20y"
        got = call.raw.replace(b"claude-x", b"claude")
        assert got.replace(b",", b"").replace(b" ", b"") == (
            (rest + b", " + kept + b',"model":"claude"}').replace(b",", b"").replace(b" ", b"")
        )
        assert json.loads(got)


def test_the_system_prompt_stays_and_a_result_without_its_call_is_the_users(
    server: RunningGateway, upstream: Upstream
) -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "12"}
    messages = [
        HI,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [SUMMARY, result]},
    ]
    upstream.script("a", answers("Hello"))
    ask = {"model": "a", "max_tokens": 9, "system": "Be kind.", "messages": messages}
    assert server.json({**ask, "tools": [A, B]}, "/v1/messages")[0] == 200
    sent = upstream.calls_to("a")[-1].body["messages"]
    assert sent[0] == {"role": "system", "content": "Be kind."}
    assert [message["role"] for message in sent[1:]] == ["user"] * (len(sent) - 1)
    assert "Hi" not in json.dumps(sent)
    assert all(word in json.dumps(sent) for word in ("We met.", "12"))


@pytest.mark.parametrize("name", ["content", "encrypted_content"])
@pytest.mark.parametrize("value", [5, 0, True, [], [TEXT], {}, {"text": "We met."}], ids=str)
def test_a_malformed_compaction_is_a_400_that_names_the_field(
    server: RunningGateway, name: str, value: Any
) -> None:
    for role in ("assistant", "user"):
        block = {**SUMMARY, name: value}
        messages = [HI, {"role": role, "content": [block]}, HI]
        body = {"model": "a", "max_tokens": 9, "messages": messages}
        status, _, found = server.json(body, "/v1/messages")
        assert status == 400
        assert f"`messages[1].content[0].{name}` must be a string" in found["error"]["message"]

"""Content parts of the Responses API and of Anthropic's API in a client's history."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from fanout.errors import RequestError
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat, replace_messages
from fanout.wire.http import WireRequest
from tests.providers.test_history_grid import NO_TOOLS, TARGETS, Judge, judged_as

U = {"role": "user", "content": "Hello."}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjcK"}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "s"}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [*parts]}


def assistant(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": [*parts]}


def text(kind: str, value: str) -> dict[str, Any]:
    return {"type": kind, "text": value}


def use(call_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": {"a": 1}}


def result(call_id: str, content: Any = "done") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def encode(provider: str, model: str, messages: list[dict[str, Any]], **more: Any) -> WireRequest:
    request = parse_chat({"model": "our-name", "messages": messages, **more})
    return registry.find(provider).chat.encode(request, Target("our-name", model), False)


def ours(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages as they are read, in OpenAI's form."""
    found: list[dict[str, Any]] = parse_chat({"messages": [*messages]}).body["messages"]
    return found


TEXTS: dict[str, list[dict[str, Any]]] = {
    "responses": [
        {"role": "developer", "content": [text("input_text", "Be brief.")]},
        user(text("input_text", "Hi there.")),
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            **assistant({**text("output_text", "Well."), "annotations": [], "logprobs": []}),
        },
        {"type": "message", **U},
        assistant({"type": "refusal", "refusal": "No."}),
        user(text("input_text", "And?"), text("text", "So?")),
    ],
    "anthropic": [
        user(text("text", "Hi there.")),
        assistant(SIGNED, text("text", "I look."), use("toolu_1"), use("toolu_2")),
        user(
            result("toolu_1"),
            result("toolu_2", [text("text", "done"), text("text", "twice")]) | {"is_error": True},
            text("text", "And?"),
        ),
        assistant(use("toolu_3")),
        user(result("toolu_3", None)),
        assistant(text("text", "So."), {"type": "redacted_thinking", "data": "AAAA"}),
        user(
            {"type": "document", "title": "Notes", "source": {"type": "text", "data": "Words."}},
            {"type": "document", "source": {"type": "content", "content": [text("text", "More.")]}},
            {"type": "document", "document": {"data": "Cohere's."}},
        ),
    ],
    "lost results": [U, assistant(use("toolu_1"), use("toolu_2")), user(result("toolu_2")), U],
}
TOOLS = [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("provider", "model", "judge"), TARGETS, ids=[f"{name}/{model}" for name, model, _ in TARGETS]
)
@pytest.mark.parametrize("history", TEXTS)
def test_a_history_in_another_apis_form_is_sent_as_every_vendor_takes_it(
    provider: str, model: str, judge: Judge, history: str
) -> None:
    messages = TEXTS[history]
    tools = {} if NO_TOOLS & {provider, model} or history == "responses" else {"tools": TOOLS}
    wire = encode(provider, model, messages, **tools)
    judge(judged_as(provider, model, judge), json.loads(wire.body))
    assert wire == encode(provider, model, messages, **tools)
    for kind in (b"input_text", b"output_text", b'"document"'):
        assert kind not in wire.body
    for words in (b"Hi there.", b"So", b"And?"):
        assert words in wire.body or history == "lost results"


def test_anthropics_history_reaches_anthropic_as_it_was() -> None:
    history = TEXTS["anthropic"][:5]
    sent = json.loads(encode("anthropic", "claude-opus-4-7", history, tools=TOOLS).body)["messages"]
    assert sent[1] == history[1]
    assert [block["type"] for block in sent[2]["content"]] == ["tool_result"] * 2 + ["text"]
    assert sent[3] == history[3]


MEDIA: dict[str, dict[str, Any]] = {
    "input_image": {"type": "input_image", "image_url": "https://a.test/a.png", "detail": "auto"},
    "image": {"type": "image", "source": PNG},
    "image by address": {"type": "image", "source": {"type": "url", "url": "https://a.test/a.png"}},
    "input_file": {"type": "input_file", "filename": "a.pdf", "file_data": "JVBERi0xLjcK"},
    "document": {"type": "document", "title": "a.pdf", "source": PDF},
}


@pytest.mark.parametrize("kind", MEDIA)
@pytest.mark.parametrize(
    ("provider", "model", "judge"),
    [one for one in TARGETS if one[0] in {"openai", "anthropic", "gemini", "openrouter"}],
)
def test_images_and_documents_of_other_apis_reach_models_that_see(
    provider: str, model: str, judge: Judge, kind: str
) -> None:
    wire = encode(provider, model, [user(text("input_text", "See."), MEDIA[kind])])
    body = json.loads(wire.body)
    judge(judged_as(provider, model, judge), body)
    assert b"a.png" in wire.body or b"iVBORw0KGgo=" in wire.body or b"JVBERi0xLjcK" in wire.body


def test_a_result_with_an_image_is_a_message_of_the_tool() -> None:
    messages = ours(U, assistant(use("a")), user(result("a", [{"type": "image", "source": PNG}])))
    url = "data:image/png;base64,iVBORw0KGgo="
    image = {"type": "image_url", "image_url": {"url": url}}
    assert messages[2] == {"role": "tool", "tool_call_id": "a", "content": [image]}


def test_a_mark_for_a_cache_stays_where_it_was() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    messages = ours(U, assistant(use("a") | mark), user(result("a") | mark, text("text", "?")))
    assert [call["cache_control"] for call in messages[1]["tool_calls"]] == [mark["cache_control"]]
    assert messages[2]["cache_control"] == mark["cache_control"]
    assert "cache_control" not in messages[3]


def test_a_call_that_is_there_in_both_forms_is_one() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {**assistant(use("a"), use("b")), "tool_calls": [call]}
    assert [one["id"] for one in ours(U, answer, U)[1]["tool_calls"]] == ["a", "b"]


def test_a_conversation_in_openais_form_stays_the_same_object() -> None:
    video = user({"type": "video_url", "video_url": {"url": "https://a.test/a.mp4"}})
    for messages in ([U], [U, video]):
        assert parse_chat({"messages": messages}).body["messages"] is messages


def test_each_conversation_of_a_list_is_converted() -> None:
    first = parse_chat({"messages": [U]})
    request = replace_messages(first, {"messages": [user(text("input_text", "Hi"))]})
    assert request.body["messages"] == [user(text("text", "Hi"))]
    assert request.extensions == ()


WRONG: list[tuple[list[dict[str, Any]], str, str]] = [
    ([user(use("a"))], "messages[0].content[0]", "role `assistant`"),
    ([U, assistant(result("a"))], "messages[1].content[0]", "role `user`"),
    ([U, assistant({"type": "tool_use", "name": "f"})], "messages[1].content[0].id", "string"),
    ([user({"type": "tool_result"})], "messages[0].content[0].tool_use_id", "string"),
    ([user(result("a", 1))], "messages[0].content[0].content", "string or a list"),
    ([user(text("input_text", "?") | {"text": 1})], "messages[0].content[0].text", "string"),
    ([user({"type": "document"})], "messages[0].content[0]", "send it as `file`"),
    ([user({"type": "document", "source": {"type": "odd"}})], "messages[0].content[0].source",
     "media_type"),
    ([user({"type": "input_image", "file_id": "f"})], "messages[0].content[0].image_url",
     "address"),
    ([U, assistant(use("a") | {"input": "x"})], "messages[1].content[0].input", "object"),
]  # fmt: skip


@pytest.mark.parametrize(("messages", "param", "words"), WRONG)
def test_a_part_that_cannot_be_read_is_a_400_that_names_it(
    messages: list[dict[str, Any]], param: str, words: str
) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        parse_chat({"messages": messages})
    assert caught.value.detail.param == param


SPLIT = [U, assistant(use("a"), use("b")), user(result("a"), result("b"), text("text", "?"))]
LATER: list[tuple[str, str, dict[str, Any], str]] = [
    ("anthropic", "claude-x", {"role": "user", "content": 1}, "content"),
    ("anthropic", "claude-x", user({"type": "video_url"}), "content[0]"),
    ("anthropic", "claude-x", {"role": "user", "content": "x", "odd": 1}, "odd"),
    ("openai", "gpt-4o", user({"type": "video_url"}), "content[0]"),
    ("bedrock", "meta.llama", user({"type": "video_url"}), "content[0]"),
    ("cohere", "m", user(MEDIA["document"]), "content[0]"),
    ("anthropic", "claude-opus-4-7", {"role": "assistant", "content": "So"}, "role"),
    ("perplexity", "sonar", {"role": "assistant", "content": "So"}, "role"),
    ("perplexity", "sonar", user({"type": "file", "file": {}}), "content[0].file"),
]


@pytest.mark.parametrize(("provider", "model", "wrong", "param"), LATER)
def test_an_error_after_a_message_that_became_several_names_the_clients_place(
    provider: str, model: str, wrong: dict[str, Any], param: str
) -> None:
    with pytest.raises(RequestError) as caught:
        encode(provider, model, [*SPLIT, wrong])
    assert str(caught.value.detail.param).startswith(f"messages[3].{param}")


def test_an_instruction_that_is_added_shifts_no_place() -> None:
    messages = [U, {"role": "assistant", "content": "So"}]
    with pytest.raises(RequestError) as caught:
        encode("perplexity", "sonar", messages, response_format={"type": "json_object"})
    assert caught.value.detail.param == "messages[1].role"


CALLS = assistant(SIGNED, use("a"), use("b"))
MIXED: dict[str, dict[str, Any]] = {
    "text": text("text", "And?"),
    "a": result("a"),
    "b": result("b", [text("text", "done"), text("text", "twice")]),
    "unknown": {"type": "video_url"},
}
TAKES_NO_VIDEO = ["anthropic", "azure", "bedrock", "cohere", "gemini", "openai", "vertex_ai"]


@pytest.mark.parametrize("provider", TAKES_NO_VIDEO)
@pytest.mark.parametrize("order", list(itertools.permutations(MIXED)), ids=",".join)
def test_an_error_in_a_mixed_message_names_the_clients_part(
    provider: str, order: tuple[str, ...]
) -> None:
    """Also one in a message of the assistant, whose thoughts and calls are no parts of ours."""
    with pytest.raises(RequestError) as caught:
        encode(provider, "claude-sonnet-4-5", [U, CALLS, user(*(MIXED[name] for name in order))])
    place = f"messages[2].content[{order.index('unknown')}]"
    assert str(caught.value.detail.param).startswith(place)
    assert f"`{place}" in str(caught.value)


@pytest.mark.parametrize("provider", TAKES_NO_VIDEO)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("number", [0, 1])
def test_an_error_in_a_result_names_the_clients_result_and_the_part_in_it(
    provider: str, place: int, number: int
) -> None:
    inner = [text("text", "done")]
    inner.insert(number, {"type": "video_url"})
    results = [result("b", "done")]
    results.insert(place, result("a", inner))
    with pytest.raises(RequestError) as caught:
        encode(provider, "claude-sonnet-4-5", [U, CALLS, user(*results)])
    param = f"messages[2].content[{place}].content[{number}]"
    assert str(caught.value.detail.param).startswith(param)


@pytest.mark.parametrize("kind", ["input_text", 3])
def test_a_wrong_part_beside_results_is_named_by_the_clients_place(kind: Any) -> None:
    wrong = {"type": kind, "text": 4} if kind == 3 else {"type": "text", "text": 4}
    with pytest.raises(RequestError) as caught:
        encode("openai", "gpt-4o", [U, CALLS, user(result("a"), result("b"), wrong)])
    assert str(caught.value.detail.param).startswith("messages[2].content[2]")


def test_a_url_that_a_cloud_does_not_take_is_named_by_the_clients_place() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://a.test/a.png"}}
    with pytest.raises(RequestError) as caught:
        encode("vertex_ai", "claude-x", [U, CALLS, user(result("a"), result("b"), image)])
    assert caught.value.detail.param == "messages[2].content[2].image_url.url"

"""What a response of another vendor has and an endpoint has no place for: named, not lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from openai.types.responses import Response

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import end, piece, reply
from tests.support.scripted_provider import Upstream

HI: Any = [{"role": "user", "content": "Hi"}]
COMMENT = b": x-fanout-dropped: %b\n\n"

CITED = {"type": "char_location", "cited_text": "red", "document_index": 0}
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "It is red.", "citations": [CITED]}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 5, "output_tokens": 7},
}
CLAUDE_EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**CLAUDE, "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "It is red."},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "citations_delta", "citation": CITED},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
    {"type": "message_stop"},
]

TEXT = "Größe: 3 m. Mehr nicht."
GROUNDING = {
    "webSearchQueries": ["size"],
    "groundingChunks": [
        {"web": {"uri": "https://a.test/1", "title": "A"}},
        {"web": {"title": "no address"}},
    ],
    "groundingSupports": [
        # "Größe: 3 m." has 13 bytes and 11 characters.
        {"segment": {"endIndex": 13, "text": "Größe: 3 m."}, "groundingChunkIndices": [0, 1, 9]},
        {"segment": {"startIndex": 0, "endIndex": 3, "text": "Mehr"}, "groundingChunkIndices": [0]},
    ],
}
QUOTED = {"citationSources": [{"startIndex": 14, "endIndex": 18, "uri": "https://b.test/"}]}
SOURCES = [(0, 11, "https://a.test/1"), (12, 16, "https://a.test/1"), (12, 16, "https://b.test/")]
SEARCHED = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"content": "Hi [1]"}, "finish_reason": "stop"}],
    "citations": ["https://a.test/"],
    "search_results": [{"url": "https://a.test/"}],
}


def candidate(text: str, **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}
    return {"candidates": [{"content": content, "index": 0, **more}], "usageMetadata": usage}


ENDED = {"finishReason": "STOP", "groundingMetadata": GROUNDING, "citationMetadata": QUOTED}
GEMINI = candidate(TEXT, **ENDED)
GEMINI_EVENTS = [candidate(TEXT[:9]), candidate(TEXT[9:], **ENDED)]


@pytest.fixture(scope="module")
def gateway(provider: Upstream) -> Iterator[RunningGateway]:
    listed = [
        entry(provider, "a"),
        entry(provider, "claude", "anthropic/claude-x"),
        entry(provider, "gem", "gemini/gemini-2.5-flash", api_base=provider.url),
    ]
    with serve({"model_list": listed, "router_settings": {"num_retries": 0}}) as served:
        yield served


def script(upstream: Upstream, *, streamed: bool) -> None:
    """Let Claude and Gemini respond with citations, and `a` with a list beside its message."""
    upstream.reset()
    if not streamed:
        upstream.script("claude-x", [reply(200, json.dumps(CLAUDE).encode())])
        upstream.script("", [reply(200, json.dumps(GEMINI).encode())])
        upstream.script("a", [reply(200, json.dumps(SEARCHED).encode())])
        return
    events = [
        b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json.dumps(one).encode())
        for one in CLAUDE_EVENTS
    ]
    upstream.script("claude-x", [*map(piece, events), end])
    data = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in GEMINI_EVENTS)
    upstream.script("", [reply(200, data, {"content-type": "text/event-stream"})])


def places(annotations: list[Any]) -> list[tuple[int, int, str]]:
    return [(one.start_index, one.end_index, one.url) for one in annotations]


def test_a_whole_response_names_it_in_its_header(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    script(upstream, streamed=False)
    whole = {"input": HI, "messages": HI, "max_tokens": 99}
    for path, model, lost in (
        ("/v1/responses", "claude", "output.citations"),
        ("/v1/messages", "gem", "output.annotations"),
        ("/v1/messages", "a", "output.citations, output.search_results"),
        ("/v1/responses", "a", None),  # they are beside `output`, too
        ("/v1/messages", "claude", None),  # its own bytes
        ("/v1/responses", "gem", None),
    ):
        body = {"model": model, **whole}
        del body["messages" if path == "/v1/responses" else "input"]
        if path == "/v1/responses":
            del body["max_tokens"]
        status, headers, _ = gateway.json(body, path)
        assert (path, model, status, headers.get("x-fanout-dropped")) == (path, model, 200, lost)
    _, _, chat = gateway.json({"model": "claude", "messages": HI}, "/v1/chat/completions")
    assert chat["choices"][0]["message"]["citations"] == [CITED]


def test_a_stream_names_it_in_a_comment_before_its_end(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    script(upstream, streamed=True)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0) as sdk:
        raw = sdk.responses.with_streaming_response
        with raw.create(model="claude", input="Hi", stream=True) as response:
            data = response.read()
        head, found, tail = data.partition(COMMENT % b"output.citations")
        assert (bool(found), b"response.completed" in head, b"response.completed" in tail) == (
            True,
            False,
            True,
        )
        with sdk.responses.stream(model="claude", input="Hi") as events:
            assert events.get_final_response().output_text == "It is red."
    with anthropic.Anthropic(base_url=gateway.url, api_key="k", max_retries=0) as claude:
        with claude.messages.stream(model="gem", max_tokens=99, messages=HI) as stream:
            assert stream.get_final_text() == TEXT
        body = {"model": "gem", "max_tokens": 99, "messages": HI, "stream": True}
        with gateway.ask(body, "/v1/messages") as plain:
            assert COMMENT % b"output.annotations" in plain.read()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_the_sources_of_gemini_are_citations_with_their_places_in_characters(
    gateway: RunningGateway, upstream: Upstream, *, streamed: bool
) -> None:
    script(upstream, streamed=streamed)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0) as sdk:
        if streamed:
            with sdk.responses.stream(model="gem", input="Hi") as events:
                response: Response = events.get_final_response()
        else:
            response = sdk.responses.create(model="gem", input="Hi")
    [message] = response.output
    assert message.type == "message"
    [text] = message.content
    assert text.type == "output_text"
    assert (text.text, places(text.annotations)) == (TEXT, SOURCES)

"""Whatever a citation holds, the response's text is delivered: plain and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from fanout.endpoints.base import RequestBody, find_surface
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.response_chunks import chunks_of
from fanout.wire.http import WireEvent, WireResponse

from .recorded_streams import NEARLY_JSON, ODD, KeyPath, dump, paths, replaced

TEXT = "It is red. Not blue."
URL = "https://a.test/"
SEGMENT = {"startIndex": 0, "endIndex": 10, "text": "It is red."}
GROUNDING = {
    "webSearchQueries": ["red"],
    "searchEntryPoint": {"renderedContent": "<b>"},
    "groundingChunks": [{"web": {"uri": URL, "title": "A"}}, {"maps": {"uri": URL, "title": "B"}}],
    "groundingSupports": [
        {"segment": SEGMENT, "groundingChunkIndices": [0, 1], "confidenceScores": [0.9, 0.8]}
    ],
}
QUOTED = [{"startIndex": 11, "endIndex": 15, "uri": URL, "title": "C", "license": "mit"}]


def google(**more: Any) -> Any:
    content = {"role": "model", "parts": [{"text": TEXT}]}
    return {"candidates": [{"content": content, "finishReason": "STOP", "index": 0, **more}]}


CITED = {
    "type": "char_location", "cited_text": "red", "document_index": 0, "document_title": None,
    "start_char_index": 0, "end_char_index": 3,
}  # fmt: skip
CLAUDE = {
    "id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": TEXT, "citations": [CITED]}],
    "usage": {"input_tokens": 5, "output_tokens": 7},
}  # fmt: skip
COHERE: dict[str, Any] = {
    "id": "r", "finish_reason": "COMPLETE",
    "message": {
        "role": "assistant", "content": [{"type": "text", "text": TEXT}],
        "citations": [
            {"start": 0, "end": 2, "text": "It", "sources": [{"type": "document", "id": "d"}]}
        ],
    },
}  # fmt: skip
ANNOTATIONS = [
    {
        "type": "url_citation",
        "url_citation": {"start_index": 0, "end_index": 2, "url": URL, "title": "A"},
    }
]


def openai(beside: dict[str, Any] | None = None, **more: Any) -> Any:
    message = {"role": "assistant", "content": TEXT, **more}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "r", "model": "m", "choices": [choice], **(beside or {})}


SEARCHED = {"citations": [URL], "search_results": [{"url": URL, "title": "A", "date": None}]}
CONVERSE = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {
                    "citationsContent": {
                        "content": [{"text": TEXT}],
                        "citations": [{"title": "A", "location": {"web": {"url": URL}}}],
                    }
                }
            ],
        }
    },
    "stopReason": "end_turn",
    "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12},
}
ITEMS = {
    "id": "resp_1", "object": "response", "status": "completed", "model": "m",
    "output": [
        {
            "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [
                {
                    "type": "output_text", "text": TEXT,
                    "annotations": [
                        {
                            "type": "url_citation", "start_index": 0, "end_index": 2,
                            "url": URL, "title": "A",
                        }
                    ],
                }
            ],
        }
    ],
}  # fmt: skip
TARGET = Target("our-name", "m")
MESSAGE: KeyPath = ("choices", 0, "message")
CASES: dict[str, tuple[str, Target, Any, KeyPath]] = {
    "grounding": (
        "gemini", TARGET, google(groundingMetadata=GROUNDING),
        ("candidates", 0, "groundingMetadata"),
    ),
    "quotes": (
        "gemini", TARGET, google(citationMetadata={"citationSources": QUOTED}),
        ("candidates", 0, "citationMetadata"),
    ),
    "quotes of vertex_ai": (
        "gemini", TARGET, google(citationMetadata={"citations": QUOTED}),
        ("candidates", 0, "citationMetadata"),
    ),
    "anthropic": ("anthropic", TARGET, CLAUDE, ("content", 0, "citations")),
    "cohere": ("cohere", TARGET, COHERE, ("message", "citations")),
    "bedrock": (
        "bedrock", Target("our-name", "meta.llama3-3-70b-instruct-v1:0"), CONVERSE,
        ("output", "message", "content", 0, "citationsContent", "citations"),
    ),
    "annotations": ("openai", TARGET, openai(annotations=ANNOTATIONS), (*MESSAGE, "annotations")),
    "Responses API": (
        "openai", Target("our-name", "gpt-5-pro"), ITEMS,
        ("output", 0, "content", 0, "annotations"),
    ),
    "citations": ("perplexity", TARGET, openai(SEARCHED), ("citations",)),
    "search results": ("perplexity", TARGET, openai(SEARCHED), ("search_results",)),
}  # fmt: skip
EVENTS: dict[str, tuple[str, Target, list[Any], KeyPath]] = {
    **{
        name: ("gemini", TARGET, [CASES[name][2]], (0, *CASES[name][3]))
        for name in ("grounding", "quotes", "quotes of vertex_ai")
    },
    "anthropic": (
        "anthropic", TARGET,
        [
            {"type": "message_start", "message": {**CLAUDE, "content": []}},
            {"type": "content_block_start", "index": 0, "content_block": {
                "type": "text", "text": "It is red.", "citations": [CITED]}},
            {"type": "content_block_delta", "index": 0, "delta": {
                "type": "citations_delta", "citation": CITED}},
            {"type": "content_block_delta", "index": 0, "delta": {
                "type": "text_delta", "text": " Not blue."}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            {"type": "message_stop"},
        ],
        (1, "content_block", "citations"),
    ),
    "cohere": (
        "cohere", TARGET,
        [
            {"type": "content-delta", "delta": {"message": {"content": {"text": TEXT}}}},
            {"type": "citation-start", "delta": {
                "message": {"citations": COHERE["message"]["citations"][0]}}},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
        ],
        (1, "delta"),
    ),
    "bedrock": (
        "bedrock", CASES["bedrock"][1],
        [
            {"contentBlockIndex": 0, "delta": {"text": TEXT}},
            {"contentBlockIndex": 0, "delta": {"citation": {"title": "A", "location": {}}}},
            {"stopReason": "end_turn"},
        ],
        (1, "delta"),
    ),
    "annotations": (
        "openai", TARGET,
        [
            {"id": "r", "choices": [{"index": 0, "delta": {
                "content": TEXT, "annotations": ANNOTATIONS}}]},
            {"id": "r", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ],
        (0, "choices", 0, "delta", "annotations"),
    ),
}  # fmt: skip
EVENTS["deltas of anthropic"] = (*EVENTS["anthropic"][:3], (2, "delta", "citation"))
BEDROCKS = ("contentBlockDelta", "contentBlockDelta", "messageStop")


def with_odd_values(body: Any, root: KeyPath) -> Iterator[Any]:
    """The body with each value at and below `root` replaced by each odd one."""
    for path in paths(body):
        if path[: len(root)] == root:
            yield from (replaced(body, path, odd) for odd in ODD + NEARLY_JSON)


@cache
def clients() -> list[tuple[Any, Any]]:
    """The other APIs, each with a request of one of their clients."""
    found = []
    for name, asked in (
        ("messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}),
        ("responses", {"input": "Hi"}),
    ):
        surface, body = find_surface(name), {"model": "m", **asked}
        found.append((surface, surface.read(RequestBody(body, json.dumps(body).encode(), {}))))
    return found


def check(found: Any) -> None:
    """The text is there, in chat completions and for clients of the other APIs."""
    (choice,) = found["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (TEXT, "stop")
    whole: Any = {**found, "id": "chatcmpl-1", "created": 1, "model": "m"}
    for surface, request in clients():
        assert TEXT in json.dumps(surface.respond(request, whole))
        encoder = surface.encoder(request)
        data = b"".join(map(encoder.feed, chunks_of(whole))) + encoder.end()
        assert json.dumps(TEXT).encode() in data


@pytest.mark.parametrize("name", CASES)
def test_a_text_with_an_odd_citation_is_delivered(name: str) -> None:
    provider, target, body, root = CASES[name]
    for odd in with_odd_values(body, root):
        check(registry.find(provider).chat.decode(WireResponse(200, {}, dump(odd)), target))


@pytest.mark.parametrize("name", EVENTS)
def test_a_stream_with_an_odd_citation_arrives(name: str) -> None:
    provider, target, events, root = EVENTS[name]
    for odd in with_odd_values(events, root):
        decoder, accumulator = registry.find(provider).chat.decoder(target), ChunkAccumulator()
        for number, event in enumerate(odd):
            kind = BEDROCKS[number] if provider == "bedrock" else event.get("type", "")
            for chunk in decoder.feed(WireEvent(dump(event), kind)):
                accumulator.add(chunk)
        if provider == "openai":
            list(decoder.feed(WireEvent(b"[DONE]")))
        check(accumulator.completion())

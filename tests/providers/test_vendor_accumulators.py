"""
A raced response, which is received as a stream, equals what its vendor's SDK makes of that stream.

Anthropic's SDK puts its events together; the others' SDKs do not, so this does it as their
documentation says. The result is decoded as a plain response.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic

from fanout.schema.accumulator import ChunkAccumulator
from fanout.wire.http import WireResponse

from .recorded_streams import events_of
from .test_contract import cases, chunks_of, provider_of, target_of


def format_of(case: Path) -> str:
    vendor = case.parent.name
    if vendor == "vertex_ai":
        return "anthropic" if case.name.startswith("claude") else "gemini"
    return vendor


def streams(*formats: str) -> list[Any]:
    return [case for case in cases("stream.txt") if format_of(case.values[0]) in formats]


def with_parsed_arguments(choices: list[Any]) -> list[Any]:
    for choice in choices:
        for call in choice["message"].get("tool_calls") or ():
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return choices


def check(case: Path, whole: Any) -> None:
    """Our accumulator's response equals that of a plain response with this body."""
    accumulator = ChunkAccumulator()
    for chunk in chunks_of(case, 1 << 30)[0]:
        accumulator.add(chunk)
    ours: Any = accumulator.completion()
    response = WireResponse(200, {}, json.dumps(whole).encode())
    theirs: Any = provider_of(case).chat.decode(response, target_of(case))
    assert with_parsed_arguments(ours["choices"]) == with_parsed_arguments(theirs["choices"])
    assert ours["usage"] == theirs.get("usage")


@pytest.mark.parametrize("case", streams("anthropic"))
def test_a_stream_of_claude_is_collected_as_by_anthropics_sdk(case: Path) -> None:
    def respond(_: httpx2.Request) -> httpx2.Response:
        body = (case / "stream.txt").read_bytes()
        return httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"})

    http = httpx2.Client(transport=httpx2.MockTransport(respond))
    client = Anthropic(api_key="made-up", http_client=http)
    hi: Any = [{"role": "user", "content": "Hi"}]
    with client.messages.stream(model="m", max_tokens=1, messages=hi) as stream:
        check(case, stream.get_final_message().to_dict(mode="json"))


@pytest.mark.parametrize("case", streams("gemini"))
def test_a_stream_of_gemini_is_collected_part_by_part(case: Path) -> None:
    """Each event has further parts of its candidates, and the usage so far."""
    whole: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for _, event in events_of(case):
        whole |= event
        for candidate in event.get("candidates", ()):
            known = candidates.setdefault(candidate.get("index", 0), {"parts": [], "logprobs": []})
            known["parts"] += candidate.get("content", {}).get("parts", ())
            known["logprobs"].append(candidate.get("logprobsResult", {}))
            known |= {"finish": candidate.get("finishReason"), "index": candidate.get("index", 0)}
    whole["candidates"] = [
        {
            "index": index,
            "content": {"parts": one["parts"]},
            "finishReason": one["finish"],
            "logprobsResult": {
                name: [token for result in one["logprobs"] for token in result.get(name, ())]
                for name in ("chosenCandidates", "topCandidates")
            },
        }
        for index, one in sorted(candidates.items())
    ]
    check(case, whole)


@pytest.mark.parametrize("case", cases("stream.hex"))
def test_a_stream_of_converse_is_collected_block_by_block(case: Path) -> None:
    """The deltas of a block are joined by its index."""
    blocks: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    for kind, event in events_of(case):
        index = event.get("contentBlockIndex", 0)
        if kind == "contentBlockStart":
            use = event["start"]["toolUse"]
            blocks[index] = {"toolUse": {**use, "input": ""}}
        elif kind == "contentBlockDelta":
            _join(blocks.setdefault(index, {}), event["delta"])
        else:
            whole |= event
    for block in blocks.values():
        if use := block.get("toolUse"):
            use["input"] = json.loads(use["input"] or "{}")
        reasoning = block.get("reasoningContent")
        if reasoning and "redactedContent" not in reasoning:
            block["reasoningContent"] = {"reasoningText": reasoning}
    content = [block for _, block in sorted(blocks.items())]
    check(case, {**whole, "output": {"message": {"role": "assistant", "content": content}}})


def _join(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if isinstance(value, dict):
            _join(block.setdefault(name, {}), value)
        else:
            block[name] = block.get(name, "") + value


@pytest.mark.parametrize("case", streams("cohere"))
def test_a_stream_of_cohere_is_collected_event_by_event(case: Path) -> None:
    """Each event has a further piece of the block, call or citation with its index."""
    message: dict[str, Any] = {"tool_plan": "", "citations": []}
    blocks: dict[int, dict[str, str]] = {}
    calls: dict[int, dict[str, Any]] = {}
    logprobs: list[Any] = []
    end: dict[str, Any] = {}
    for _, event in events_of(case):
        if not isinstance(event, dict):
            continue
        piece, index = event.get("delta", {}).get("message", {}), event.get("index", 0)
        logprobs += [event["logprobs"]] if event.get("logprobs") else []
        match event["type"]:
            case "content-start" | "content-delta":
                found = {k: v for k, v in piece["content"].items() if k in {"text", "thinking"}}
                _join(blocks.setdefault(index, {}), found)
            case "tool-plan-delta":
                message["tool_plan"] += piece["tool_plan"]
            case "tool-call-start":
                calls[index] = piece["tool_calls"]
            case "tool-call-delta":
                more = piece["tool_calls"]["function"]["arguments"]
                calls[index]["function"]["arguments"] += more
            case "citation-start":
                message["citations"].append(piece["citations"])
            case "message-end":
                end = event["delta"]
            case _:
                pass  # the ends of blocks and calls
    message |= {"content": list(blocks.values()), "tool_calls": list(calls.values())}
    check(case, {"message": message, "logprobs": logprobs, **end})

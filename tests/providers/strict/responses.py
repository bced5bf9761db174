"""Each provider's responses as messages that clients send back: golden ones, and rarer ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.wire.http import WireResponse

GOLDEN = Path(__file__).parent.parent / "golden"


def _call(**fields: Any) -> dict[str, Any]:
    return {
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    } | fields


RARE: dict[str, dict[str, dict[str, Any]]] = {
    "openai": {
        "audio": {
            "content": None,
            "refusal": None,
            "audio": {"id": "audio_1", "data": "AAAA", "expires_at": 1, "transcript": "Hello."},
        },
        "annotations": {
            "content": "See here.",
            "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.test"}}],
        },
        "long id": {"content": None, "tool_calls": [_call(id="call_" + "x" * 70)]},
        "odd id": {"content": None, "tool_calls": [_call(id="call_abc|fc_123")]},
        "parsed arguments": {  # as OpenAI's SDK for Python returns it from a stream
            "content": None,
            "parsed": None,
            "audio": None,
            "tool_calls": [
                _call(function={"name": "f", "arguments": "{}", "parsed_arguments": {}}, index=0)
            ],
        },
        "a name that was not offered": {
            "content": None,
            "tool_calls": [
                _call(id="call_a", function={"name": "$READ.FILE<|x|>", "arguments": "{}"}),
                _call(id="call_b", function={"name": "", "arguments": "{}"}),
                _call(id="call_c", function={"name": "1" + "é" * 70, "arguments": "{}"}),
            ],
        },
        "broken arguments": {
            "content": None,
            "tool_calls": [_call(function={"name": "f", "arguments": '{"city": "Os'})],
        },
    },
    "groq": {
        "executed tools": {
            "content": "Done.",
            "reasoning": "hm",
            "executed_tools": [{"type": "search", "output": "x"}],
        }
    },
    "cerebras": {"reasoning": {"content": "Hi", "reasoning": "hm"}},
    "deepseek": {
        "thinking and call": {
            "content": "",
            "reasoning_content": "hm",
            "tool_calls": [_call(id="call_00_a", index=0)],
        }
    },
    "fireworks_ai": {
        "kimi ids": {
            "content": None,
            "tool_calls": [_call(id="functions.f:0"), _call(id="functions.f:1")],
        }
    },
    "hosted_vllm": {
        "reasoning": {"content": "Hi", "reasoning": "hm", "reasoning_content": None},
        "blank": {"content": "\n\n"},
    },
    "mistral": {
        "call without type": {
            "content": "",
            "tool_calls": [
                {"id": "D681PevKs", "function": {"name": "f", "arguments": "{}"}, "index": 0}
            ],
        },
        "references": {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "Hi"},
            ]
        },
        "image": {
            "content": [
                {"type": "text", "text": "Here."},
                {"type": "image_url", "image_url": {"url": "https://a.test/a.png"}},
                {"type": "tool_file", "tool": "image_generation", "file_id": "f_1"},
            ]
        },
    },
    "ollama": {
        "one id twice": {"content": "", "tool_calls": [_call(id="call_x"), _call(id="call_y")]}
    },
    "openrouter": {
        "details": {
            "content": "Hi",
            "refusal": None,
            "reasoning": "hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}],
        },
        "image": {
            "content": "",
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        },
    },
    "perplexity": {
        "results": {"content": "Hi [1]", "search_results": [{"title": "t"}]},
        "steps": {"content": "Hi", "reasoning_steps": [{"thought": "hm"}]},
    },
    "azure": {"own data": {"content": "Hi [doc1]", "context": {"citations": [], "intent": "?"}}},
    "xai": {"reasoning": {"content": "Hi", "reasoning_content": "hm", "refusal": None}},
    "together_ai": {"nothing": {"content": "", "tool_calls": []}, "null": {"content": None}},
    "openai_like": {
        "another gateway's": {
            "content": "Hi",
            "reasoning_content": "hm",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": None}],
            "provider_specific_fields": {"citations": None},
        }
    },
}

# Of other APIs: a whole response each.
FOREIGN: dict[str, dict[str, dict[str, Any]]] = {
    "anthropic": {
        "citations": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
            "content": [
                {"type": "text", "text": "It is.", "citations": [{"type": "char_location"}]},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            ],
        }
    },
    "gemini": {
        "image": {
            "candidates": [
                {
                    "content": {
                        "role": "model",
                        "parts": [
                            {"text": "Here."},
                            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                        ],
                    },
                    "finishReason": "STOP",
                }
            ]
        },
        "thought alone": {
            "candidates": [
                {
                    "content": {"parts": [{"text": "hm", "thought": True}]},
                    "finishReason": "MAX_TOKENS",
                }
            ]
        },
    },
}


def _target(case: Path) -> Target:
    given = case / "target.json"
    fields = json.loads(given.read_text()) if given.exists() else {}
    return Target(**{"name": "our-name", "model": "their-model"} | fields)


def _streamed(provider: str, target: Target, data: bytes) -> Iterator[dict[str, Any]]:
    codec = registry.find(provider).chat
    framer, decoder, whole = codec.framer(), codec.decoder(target), ChunkAccumulator()
    for event in framer.feed(data):
        for chunk in decoder.feed(event):
            whole.add(chunk)
    for choice in whole.completion()["choices"]:
        yield dict(choice["message"])


def _decoded(provider: str, target: Target, data: bytes) -> Iterator[dict[str, Any]]:
    completion = registry.find(provider).chat.decode(WireResponse(200, {}, data), target)
    for choice in completion["choices"]:
        yield dict(choice["message"])


def golden_messages() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, message) of each golden response and stream, through its provider's decoder."""
    for case in sorted(path.parent for path in GOLDEN.glob("*/*/response.json")):
        provider = case.parent.name
        found = [
            ("plain", [*_decoded(provider, _target(case), (case / "response.json").read_bytes())])
        ]
        if (case / "stream.txt").exists():
            found.append(
                (
                    "stream",
                    [*_streamed(provider, _target(case), (case / "stream.txt").read_bytes())],
                )
            )
        for way, messages in found:
            for message in messages:
                yield f"{provider} {case.name} {way}", message


def rare_messages() -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of the responses above."""
    target = Target("our-name", "their-model")
    for provider, messages in RARE.items():
        for name, message in messages.items():
            wire = {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", **message},
                    }
                ],
            }
            for decoded in _decoded(provider, target, json.dumps(wire).encode()):
                yield f"{provider} {name}", decoded
    for provider, responses in FOREIGN.items():
        for name, response in responses.items():
            for decoded in _decoded(provider, target, json.dumps(response).encode()):
                yield f"{provider} {name}", decoded


def all_messages() -> list[tuple[str, dict[str, Any]]]:
    """Every message, each distinct one once."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, message in [*golden_messages(), *rare_messages()]:
        found.setdefault(json.dumps(message, sort_keys=True), (name, message))
    return list(found.values())

"""Formats that a model does not support, alone or beside tools, are asked for in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest
from tests.providers.strict import anthropic_api, bedrock_api, cohere_api, gemini_api

U = {"role": "user", "content": "Hello."}
SYSTEM = {"role": "system", "content": "Be brief."}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
STRICT = {"name": "place", "schema": SCHEMA, "strict": True}
FORMATS: dict[str, dict[str, Any]] = {
    "schema": {"type": "json_schema", "json_schema": STRICT},
    "litellm": {"type": "json_object", "response_schema": SCHEMA},
    "json": {"type": "json_object"},
}
TOOLS = [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {
    "type": "object", "properties": {}, "additionalProperties": False}}}]  # fmt: skip


def encode(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> WireRequest:
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    target = Target("our-name", model, options={"vertex_project": "p"})
    return registry.find(provider).chat.encode(request, target, False)


def has_schema(body: dict[str, Any]) -> bool:
    """Whether the schema is where the vendor has a place for it."""
    rest = {name: value for name, value in body.items() if name not in PROMPT}
    return "city" in json.dumps(rest)


PROMPT = {"contents", "messages", "system", "systemInstruction"}

# (provider, model, takes a schema, takes the JSON mode, takes either beside tools)
MODELS = [
    ("anthropic", "claude-3-haiku-20240307", False, False, False),
    ("anthropic", "claude-3-7-sonnet-latest", False, False, False),
    ("anthropic", "claude-sonnet-4-20250514", False, False, False),
    ("anthropic", "claude-opus-4-1", True, False, True),
    ("anthropic", "claude-haiku-4-5", True, False, True),
    ("anthropic", "claude-opus-5", True, False, True),
    ("vertex_ai", "claude-3-5-haiku@20241022", False, False, False),
    ("bedrock", "us.anthropic.claude-3-5-sonnet-20240620-v1:0", False, False, False),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", True, False, True),
    ("bedrock", "us.amazon.nova-pro-v1:0", False, False, False),
    ("bedrock", "meta.llama3-3-70b-instruct-v1:0", False, False, False),
    ("bedrock", "us.writer.palmyra-x5-v1:0", False, False, False),
    ("bedrock", "qwen.qwen3-32b-v1:0", True, False, True),
    ("deepseek", "deepseek-chat", False, True, True),
    ("deepseek", "deepseek-reasoner", False, True, True),
    ("groq", "llama-3.3-70b-versatile", False, True, False),
    ("groq", "openai/gpt-oss-120b", True, True, False),
    ("gemini", "gemini-2.5-flash", True, True, False),
    ("gemini", "gemini-3-pro-preview", True, True, True),
    ("vertex_ai", "gemini-2.5-pro", True, True, False),
    ("cohere", "command-a-03-2025", True, True, False),
    ("mistral", "mistral-large-latest", True, True, True),
    ("openai", "gpt-4o", True, True, True),
    ("openai", "gpt-4-turbo", False, True, True),
    ("azure", "gpt-3.5-turbo", False, True, True),
]
JUDGES = {
    "anthropic": anthropic_api.check,
    "bedrock": bedrock_api.check,
    "cohere": cohere_api.check,
    "gemini": gemini_api.check,
}


@pytest.mark.parametrize("tools", [False, True], ids=["alone", "with tools"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("provider", "model", "schemas", "json_mode", "beside"), MODELS)
def test_a_format_is_sent_where_it_is_supported_and_asked_for_in_words_elsewhere(
    provider: str, model: str, form: str, *, schemas: bool, json_mode: bool, beside: bool,
    tools: bool,
) -> None:  # fmt: skip
    more = {"tools": TOOLS} if tools else {}
    wire = encode(provider, model, SYSTEM, U, response_format=FORMATS[form], **more)
    body = json.loads(wire.body)
    if judge := JUDGES.get(provider):
        judge(model, body)
    prompt = json.dumps({name: value for name, value in body.items() if name in PROMPT})
    assert "Be brief." in prompt
    possible = (json_mode if form == "json" else schemas) and (beside or not tools)
    assert ("one valid JSON object" in prompt) != possible
    assert ("response_format" in wire.dropped) != possible
    if form != "json":
        assert has_schema(body) == possible
        assert ("city" in prompt) != possible
    if "response_format" in body and not possible:
        assert body["response_format"] == {"type": "json_object"}
        assert beside or not tools
    assert ("If you call no tool" in prompt) == (tools and not possible)


@pytest.mark.parametrize(("provider", "model"), [
    ("anthropic", "claude-sonnet-4-20250514"), ("bedrock", "us.amazon.nova-pro-v1:0"),
])  # fmt: skip
def test_a_strict_tool_is_an_ordinary_one_where_there_are_none(provider: str, model: str) -> None:
    wire = encode(provider, model, U, tools=TOOLS)
    JUDGES[provider](model, json.loads(wire.body))
    assert b"strict" not in wire.body
    assert wire.dropped == ("tools[].function.strict",)


def test_the_words_are_in_a_system_message_even_if_there_was_none() -> None:
    for messages in ([U], [SYSTEM, U], [{**SYSTEM, "content": [{"type": "text", "text": "x"}]}, U]):
        wire = encode("deepseek", "deepseek-chat", *messages, response_format=FORMATS["schema"])
        sent = json.loads(wire.body)["messages"]
        assert sent[-1] == U
        assert "city" in sent[-2]["content"]
        assert sent[-2]["role"] == "system"


def test_a_list_is_asked_for_as_one() -> None:
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}
    wire = encode("anthropic", "claude-3-haiku-20240307", U, response_format=asked)
    assert b"one valid JSON array" in wire.body


def test_a_json_mode_of_objects_is_not_used_for_other_values() -> None:
    schemas: list[tuple[dict[str, Any], str, bool]] = [
        ({"type": "array", "items": {}}, "array", False),
        ({"type": "string"}, "value", False),
        ({"enum": ["a", "b"]}, "value", False),
        ({"type": ["object", "null"]}, "value", True),
        (SCHEMA, "object", True),
        ({"anyOf": [SCHEMA]}, "object", True),
    ]
    for schema, kind, has_mode in schemas:
        asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        body = json.loads(encode("deepseek", "deepseek-chat", U, response_format=asked).body)
        assert f"one valid JSON {kind} " in json.dumps(body["messages"]), schema
        assert ("response_format" in body) == has_mode, schema

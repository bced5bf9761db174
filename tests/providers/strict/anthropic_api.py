"""Rejects the requests that Anthropic's API rejects, from its reference and its SDK's types."""

from __future__ import annotations

import re
from typing import Any

from tests.providers.strict import tool_schemas
from tests.providers.test_anthropic import SAMPLING, through_the_sdks_types

IMAGES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
# platform.claude.com/docs/en/build-with-claude/structured-outputs: since Opus 4.1 and 4.5. 2026-11
OLD = re.compile(r"claude-3|claude-(?:sonnet|opus)-4(?:-2|$)")
FORBIDDEN_KEYWORDS = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "pattern", "maxItems", "uniqueItems", "minProperties", "maxProperties", "oneOf",
    "patternProperties", "propertyNames", "prefixItems", "contains", "not", "if", "then", "else",
}  # fmt: skip


def check(_vendor: str, body: dict[str, Any]) -> None:
    """Fail as the API does if it rejects this request."""
    sent = {name: value for name, value in body.items() if name not in SAMPLING}
    assert through_the_sdks_types(sent) == sent, "Extra inputs are not permitted"
    system = body.get("system", [])
    check_blocks([{"type": "text", "text": system}] if isinstance(system, str) else system)
    turns = [(m["role"], blocks_of(m)) for m in body["messages"]]
    assert turns, "messages: at least one message is required"
    assert turns[0][0] == "user", "first message must use the user role"
    for role, blocks in turns:
        assert blocks, f"{role}: content is empty"
        check_blocks(blocks)
    check_calls(turns, body.get("tools", []))
    check_thinking(body, turns)
    last_role, last = turns[-1]
    if last_role == "assistant" and last[-1]["type"] == "text":
        text = last[-1]["text"]
        assert text == text.rstrip(), "final assistant content cannot end with trailing whitespace"
    for stop in body.get("stop_sequences", ()):
        assert stop.strip(), "each stop sequence must contain non-whitespace"
    user = body.get("metadata", {}).get("user_id", "")
    assert "@" not in user
    assert not re.fullmatch(r"\+?[\d ()-]{7,}", user)
    has_schemas = not OLD.search(body["model"])
    if form := body.get("output_config", {}).get("format"):
        assert has_schemas, "output_format is not supported by this model"
        check_references(form["schema"], form["schema"])
        check_schema(form["schema"])
    for tool in body.get("tools", ()):
        if tool.get("strict"):
            assert has_schemas, "strict tools are not supported by this model"
            check_references(tool["input_schema"], tool["input_schema"])
            check_schema(tool["input_schema"])
        tool_schemas.check(tool["input_schema"], flat=True)
    names = [tool["name"] for tool in body.get("tools", ())]
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,128}", name) for name in names)
    assert len(set(names)) == len(names), "tools: Tool names must be unique."


def blocks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def check_blocks(blocks: list[dict[str, Any]]) -> None:
    for block in blocks:
        match block["type"]:
            case "text":
                assert block["text"].strip(), "text content blocks must contain non-whitespace text"
            case "image" if block["source"]["type"] == "base64":
                assert block["source"]["media_type"] in IMAGES
            case "thinking":
                assert block["signature"], "thinking.signature: field required"
            case "tool_result":
                check_blocks(blocks_of({"content": block.get("content", [])}))
            case _:
                pass  # the SDK's types have checked it


def check_calls(turns: list[tuple[str, list[dict[str, Any]]]], tools: list[Any]) -> None:
    """Results are at the beginning of the turn after their calls; ids are unique and fit."""
    seen: set[str] = set()
    waiting: set[str] = set()
    for role, blocks in turns:
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        assert set(results) == waiting, "`tool_use` ids were found without `tool_result` blocks"
        assert len(set(results)) == len(results)
        first = [block["type"] for block in blocks[: len(results)]]
        assert first == ["tool_result"] * len(results)
        uses = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert not uses or role == "assistant"
        assert len(set(uses)) == len(uses)
        assert not seen & set(uses), "`tool_use` ids must be unique"
        assert all(re.fullmatch("[a-zA-Z0-9_-]+", use) for use in uses)
        called = [block["name"] for block in blocks if block["type"] == "tool_use"]
        assert all(re.fullmatch("[a-zA-Z0-9_-]{1,128}", name) for name in called)
        seen |= set(uses)
        waiting = set(uses)
    assert not waiting
    # Stricter than the API, which accepts this since 2025-02:
    # github.com/anthropics/anthropic-sdk-python/issues/849, 2026-11
    assert not seen or tools, "Requests which have `tool_use` blocks must define tools"


def check_thinking(body: dict[str, Any], turns: list[tuple[str, list[dict[str, Any]]]]) -> None:
    kind = body.get("thinking", {}).get("type")
    if kind in {"adaptive", "enabled"}:
        rejected = "claude-3-(?:5|opus|haiku)|claude-[a-z]+-[3-9]-[7-9]|claude-[a-z]+-[5-9]"
        old = "claude-[a-z]+-4-[0-5]|claude-[a-z]+-4-2|claude-3"
        assert kind == "adaptive" or not re.search(rejected, body["model"])
        assert kind == "enabled" or not re.search(old, body["model"])
    # platform.claude.com/docs/build-with-claude/thinking-tool-workflows, 2026-11
    forced = body.get("tool_choice", {}).get("type") in {"any", "tool"}
    if kind == "enabled":
        assert not forced, "Thinking may not be enabled when tool_choice forces tool use."
    if re.search("fable-5-[1-9]|mythos-5-[1-9]|opus-5-[5-9]", body["model"]):
        assert not forced, "this model rejects forced tool use on every request"
    if kind != "enabled":
        return
    turn: list[list[dict[str, Any]]] = []  # the last turn: from the user's words on
    for role, blocks in turns:
        if role == "assistant":
            turn.append(blocks)
        elif blocks[-1]["type"] != "tool_result" and blocks is not turns[-1][1]:
            turn.clear()
    if turn and any(block["type"] == "tool_use" for block in turn[-1]):
        thoughts = {"thinking", "redacted_thinking"}
        assert turn[0][0]["type"] in thoughts, "a final assistant message must start with thinking"


def check_schema(schema: Any) -> None:
    """https://platform.claude.com/docs/en/build-with-claude/structured-outputs."""
    if isinstance(schema, list):
        for one in schema:
            check_schema(one)
    if not isinstance(schema, dict):
        return
    assert not schema.keys() & FORBIDDEN_KEYWORDS, schema.keys() & FORBIDDEN_KEYWORDS
    assert schema.get("minItems", 0) in {0, 1}
    if schema.get("type") == "object":
        assert schema["additionalProperties"] is False
    if "$ref" in schema:
        assert schema.keys() <= {"$ref", "$defs", "definitions"}
    for name in ("properties", "$defs", "definitions"):
        for one in schema.get(name, {}).values():
            check_schema(one)
    for name in ("items", "anyOf", "allOf"):
        check_schema(schema.get(name))


def check_references(schema: Any, whole: Any, inside: tuple[str, ...] = ()) -> None:
    """
    Follow each reference to its definition, which must not come back to itself.

    One without a definition is the client's mistake.
    """
    if isinstance(schema, list):
        for one in schema:
            check_references(one, whole, inside)
    if not isinstance(schema, dict):
        return
    if isinstance(ref := schema.get("$ref"), str):
        assert ref not in inside, "Circular reference detected in schema definitions"
        found = whole
        for name in ref.split("/")[1:]:
            found = found.get(name, {})
        check_references(found, whole, (*inside, ref))
    for name, one in schema.items():
        if name not in {"const", "default", "enum", "examples"}:
            check_references(one, whole, inside)

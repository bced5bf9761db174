"""
Rejects the requests that Converse rejects.

The sources are beside the same rules in `bedrock/rules.py`.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from tests.providers.strict import tool_schemas
from tests.providers.strict.anthropic_api import check_references, check_schema
from tests.providers.test_converse import CONVERSE
from tests.providers.test_converse import check as check_shape


def check(model: str, body: dict[str, Any]) -> None:
    """Fail as the API does if it rejects this request."""
    check_shape({**body, "modelId": model}, CONVERSE.input_shape)
    claude = "claude" in model
    turns = [(turn["role"], turn["content"]) for turn in body["messages"]]
    roles = [role for role, _ in turns]
    assert roles[0] == "user", "A conversation must start with a user message."
    assert all(a != b for a, b in itertools.pairwise(roles)), "roles must alternate"
    for role, blocks in turns:
        assert blocks, f"{role}: the content field is empty"
        check_blocks(blocks, claude=claude)
        if any("document" in block for block in blocks):
            assert any("text" in block for block in blocks), "a document needs a text block"
    check_calls(turns, body)
    last = [block for block in turns[-1][1] if "cachePoint" not in block][-1]
    if claude and roles[-1] == "assistant" and "text" in last:
        text = last["text"]
        assert text == text.rstrip(), "final assistant content cannot end with trailing whitespace"
    for block in body.get("system", ()):
        assert block.get("text", "x").strip()
    check_cache_points(model, body)
    check_model(model, body)
    for stop in body.get("inferenceConfig", {}).get("stopSequences", ()):
        assert stop.strip() if claude else stop
    has_schemas = not re.search(r"claude-3|claude-(?:sonnet|opus)-4-2|nova|llama|titan|r1", model)
    if form := body.get("outputConfig", {}).get("textFormat"):
        assert has_schemas, "This model doesn't support structured output"
        schema = json.loads(form["structure"]["jsonSchema"]["schema"])
        check_schema(schema)
        check_references(schema, schema)
    for tool in body.get("toolConfig", {}).get("tools", ()):
        if "toolSpec" in tool:
            check_parameters(model, tool["toolSpec"]["inputSchema"]["json"])
            assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", tool["toolSpec"]["name"])
        if tool.get("toolSpec", {}).get("strict"):
            assert has_schemas
            schema = tool["toolSpec"]["inputSchema"]["json"]
            check_schema(schema)
            check_references(schema, schema)


def check_model(model: str, body: dict[str, Any]) -> None:
    """What the model lacks."""
    if re.search("titan|mistral-7b|mixtral|command-(?:light-)?text", model):
        assert "system" not in body, "This model doesn't support system messages."
    if re.search("gpt-oss|qwen3", model):
        assert "stopSequences" not in body.get("inferenceConfig", {})
    if re.search(
        "deepseek.r1|titan|mistral-7b|mixtral|command-(?:light-)?text|j2-|llama3-8b", model
    ):
        used = "toolConfig" in body or "toolUse" in (text := json.dumps(body)) or "toolRes" in text
        assert not used, "This model doesn't support tool use."
    choice = body.get("toolConfig", {}).get("toolChoice", {})
    if "llama" in model:
        assert choice.keys() <= {"auto"}, "This model doesn't support toolChoice.any"
    if re.search("mistral-large-24|deepseek.v3-v1", model):
        assert "tool" not in choice, "This model doesn't support toolChoice.tool"


def check_cache_points(model: str, body: dict[str, Any]) -> None:
    points = re.findall('"cachePoint": {[^}]*}', json.dumps(body))
    assert len(points) <= 4, "A maximum of 4 blocks with cache_control may be provided."
    assert not points or re.match("arn:.*profile", model) or re.search("claude|nova", model)
    if "amazon.nova" in model:
        assert "cachePoint" not in json.dumps(body.get("toolConfig", {}))
    if re.search("amazon.nova|claude-3|claude-(?:sonnet|opus)-4-(?:1|2)", model):
        assert "ttl" not in "".join(points), "Extra inputs are not permitted"


def check_parameters(model: str, schema: dict[str, Any]) -> None:
    tool_schemas.check(schema, flat=True)
    if "amazon.nova" in model:
        extraneous = schema.keys() - {"type", "properties", "required"}
        assert not extraneous, f"extraneous key {extraneous} is not permitted"
        assert "$ref" not in json.dumps(schema)


def check_blocks(blocks: list[dict[str, Any]], *, claude: bool) -> None:
    for block in blocks:
        if "text" in block:
            assert block["text"].strip(), "text content blocks must contain non-whitespace text"
        if thought := block.get("reasoningContent"):
            assert claude, "This model doesn't support the reasoningContent field."
            assert "redactedContent" in thought or thought["reasoningText"]["signature"]
        if result := block.get("toolResult"):
            assert claude or result["content"], "toolResult.content is empty"
            empty = result["content"] == [{"text": ""}]
            check_blocks([] if empty else result["content"], claude=claude)


def check_calls(turns: list[tuple[str, list[dict[str, Any]]]], body: dict[str, Any]) -> None:
    seen: set[str] = set()
    waiting: set[str] = set()
    for _, blocks in turns:
        results = [b["toolResult"]["toolUseId"] for b in blocks if "toolResult" in b]
        uses = [b["toolUse"]["toolUseId"] for b in blocks if "toolUse" in b]
        assert set(results) == waiting
        assert len(set(uses)) == len(uses)
        assert not seen & set(uses)
        assert all(re.fullmatch("[a-zA-Z0-9_.:-]{1,64}", use) for use in uses)
        names = [b["toolUse"]["name"] for b in blocks if "toolUse" in b]
        assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in names)
        seen |= set(uses)
        waiting = set(uses)
    assert not waiting
    assert not seen or body["toolConfig"]["tools"], "The toolConfig field must be defined"

"""Rejects the requests that Google's API rejects, from its reference and its SDK's types."""

from __future__ import annotations

import re
from typing import Any

from google.genai import types

from tests.providers.strict import tool_schemas
from tests.providers.test_gemini import config_of

FIELDS = {"text", "inlineData", "fileData", "functionCall", "functionResponse"}


def check(model: str, body: dict[str, Any]) -> None:
    """Fail as the API does if it rejects this request."""
    for content in body["contents"]:
        types.Content.model_validate(content)  # it rejects unknown fields
    config_of(body)
    turns = [(content["role"], content["parts"]) for content in body["contents"]]
    assert turns, "contents is not specified"
    assert {role for role, _ in turns} <= {"user", "model"}
    for role, parts in turns:
        assert parts, f"{role}: parts must not be empty"
        for part in parts:
            assert len(part.keys() & FIELDS) == 1, "required oneof field 'data'"
            assert part.get("text", "x"), "empty text parameter"
            if media := part.get("inlineData"):
                assert media["mimeType"] != "image/jpg"
        assert not all(part.get("thought") for part in parts)
    check_calls(turns, signed=not model.startswith("gemini-2"))
    if "systemInstruction" in body:
        assert all(part["text"] for part in body["systemInstruction"]["parts"])
    check_tools(body)
    if re.match("gemma-[1-3]", model):
        assert "tools" not in body, "Function calling is not enabled"
        assert "systemInstruction" not in body, "Developer instruction is not enabled"
        assert "responseMimeType" not in body.get("generationConfig", {}), (
            "JSON mode is not enabled"
        )
    config = body.get("generationConfig", {})
    tool_schemas.check_references(config.get("responseJsonSchema") or {})
    assert len(config.get("stopSequences", ())) <= 5
    if "tools" in body and model.startswith(("gemini-1", "gemini-2")):
        assert "responseMimeType" not in config, "Function calling with a response mime type"


def check_tools(body: dict[str, Any]) -> None:
    for tool in body.get("tools", ()):
        for function in tool.get("functionDeclarations", ()):
            name = function["name"]
            assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}", name), "Invalid function name."
            if "parametersJsonSchema" in function:
                tool_schemas.check(function["parametersJsonSchema"] | {"type": "object"})
                assert function["parametersJsonSchema"]["type"] == "object"
                tool_schemas.check_references(function["parametersJsonSchema"])
    if "functionCallingConfig" in body.get("toolConfig", {}):
        assert body.get("tools"), "Function calling config is set without function_declarations"


def check_calls(turns: list[tuple[str, list[dict[str, Any]]]], *, signed: bool) -> None:
    """A turn with calls comes after the user's, and as many results after it, by name."""
    waiting: list[str] = []
    for index, (role, parts) in enumerate(turns):
        results = [p["functionResponse"] for p in parts if "functionResponse" in p]
        assert [result["name"] for result in results] == waiting
        calls = [part for part in parts if "functionCall" in part]
        if calls:
            assert role == "model"
            assert index, "function call turn comes immediately after a user turn"
            assert not signed or calls[0].get("thoughtSignature"), "missing a thought_signature"
        for part in calls:
            name = part["functionCall"]["name"]
            assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}", name), "Invalid function name."
        for result in results:
            assert isinstance(result["response"], dict)
            names = "does not match to a display_name in the function_response.parts"
            assert not has_key(result["response"], "$ref"), names
        waiting = [part["functionCall"]["name"] for part in calls]
    assert not waiting


def has_key(value: Any, name: str) -> bool:
    """Whether an object in a JSON value has this key."""
    if isinstance(value, list):
        return any(has_key(one, name) for one in value)
    return isinstance(value, dict) and (name in value or has_key([*value.values()], name))

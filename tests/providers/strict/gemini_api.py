"""Rejects the requests that Google's API rejects, from its reference and its SDK's types."""

from __future__ import annotations

from typing import Any

from google.genai import types

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
    config = body.get("generationConfig", {})
    assert len(config.get("stopSequences", ())) <= 5
    if "tools" in body and model.startswith(("gemini-1", "gemini-2")):
        assert "responseMimeType" not in config, "Function calling with a response mime type"


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
        for result in results:
            assert isinstance(result["response"], dict)
        waiting = [part["functionCall"]["name"] for part in calls]
    assert not waiting

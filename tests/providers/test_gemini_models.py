"""What single models of Google's lack: Gemma's system prompt, JSON mode and functions; budgets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest
from tests.providers.strict import gemini_api

U = {"role": "user", "content": "Hello."}
SYSTEM = {"role": "system", "content": "Be brief."}
ANSWER = {"role": "assistant", "content": "So."}
F = {"type": "function", "function": {"name": "f"}}
GEMMA = "gemma-3-27b-it"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FORMATS: list[dict[str, Any]] = [
    {"type": "json_object"},
    {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
]


def encode(model: str, *messages: dict[str, Any], **more: Any) -> WireRequest:
    drop_params = more.pop("drop_params", False)
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    target = Target("our-name", model, drop_params)
    return registry.find("gemini").chat.encode(request, target, False)


def body_of(model: str, *messages: dict[str, Any], **more: Any) -> Any:
    body = json.loads(encode(model, *messages, **more).body)
    gemini_api.check(model, body)
    return body


@pytest.mark.parametrize(
    ("model", "has_system"),
    [
        (GEMMA, False), ("gemma-3n-e4b-it", False), ("gemma-2-9b-it", False),
        ("models/gemma-3-1b-it", False), ("gemini-2.5-flash-preview-tts", False),
        ("gemini-2.0-flash-exp-image-generation", False), ("gemma-4-31b-it", True),
        ("gemini-2.5-flash", True), ("gemini-2.5-flash-image", True),
    ],
)  # fmt: skip
def test_a_system_prompt_begins_the_users_turn_of_a_model_that_has_none(
    model: str, *, has_system: bool
) -> None:
    wire = encode(model, SYSTEM, U)
    body = json.loads(wire.body)
    gemini_api.check(model, body)
    texts = [part["text"] for part in body["contents"][0]["parts"]]
    assert ("systemInstruction" in body) is has_system
    assert texts == (["Hello."] if has_system else ["Be brief.", "Hello."])
    assert wire.dropped == (() if has_system else ("messages[].role",))
    assert encode(model, U).dropped == ()
    first = body_of(model, SYSTEM, ANSWER, U)["contents"][0]
    assert first["role"] == "user"
    assert (first["parts"][0] == {"text": "Be brief."}) is not has_system


@pytest.mark.parametrize("form", FORMATS)
def test_gemma_is_asked_for_a_format_in_words(form: dict[str, Any]) -> None:
    wire = encode(GEMMA, SYSTEM, U, response_format=form)
    body = json.loads(wire.body)
    gemini_api.check(GEMMA, body)
    texts = [part["text"] for part in body["contents"][0]["parts"]]
    assert texts[0] == "Be brief."
    assert "JSON" in texts[1]
    assert texts[2] == "Hello."
    assert set(wire.dropped) == {"messages[].role", "response_format"}
    assert (
        "responseMimeType" in body_of("gemma-4-31b-it", U, response_format=form)["generationConfig"]
    )


@pytest.mark.parametrize("drop_params", [False, True])
def test_tools_for_gemma_are_a_400_by_name(*, drop_params: bool) -> None:
    with pytest.raises(Unsupported, match="calls no functions") as rejected:
        encode(GEMMA, U, tools=[F], drop_params=drop_params)
    assert rejected.value.param == "tools"


def test_tools_that_gemma_may_not_call_are_left_out() -> None:
    wire = encode(GEMMA, U, tools=[F], tool_choice="none")
    assert json.loads(wire.body).keys() == {"contents"}
    assert wire.dropped == ("tools",)


def test_an_earlier_response_that_is_first_follows_the_system_prompt_of_gemma() -> None:
    messages = [{"role": "system", "content": "S"}, {"role": "assistant", "content": "A"}, U]
    contents = body_of(GEMMA, *messages)["contents"]
    assert [(one["role"], one["parts"]) for one in contents] == [
        ("user", [{"text": "S"}]), ("model", [{"text": "A"}]), ("user", [{"text": "Hello."}]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("gemini-2.5-flash", 40_000, 24_576), ("gemini-2.5-flash", 5000, 5000),
        ("gemini-2.5-flash-lite", 40_000, 24_576), ("gemini-2.5-flash-lite", 100, 512),
        ("gemini-2.5-pro", 40_000, 32_768), ("gemini-2.5-pro", 32_000, 32_000),
        ("gemini-2.5-pro", 1, 128), ("models/gemini-2.5-pro-preview", 40_000, 32_768),
    ],
)  # fmt: skip
def test_a_budget_is_the_nearest_that_the_model_takes(model: str, asked: int, sent: int) -> None:
    wire = encode(model, U, thinking={"type": "enabled", "budget_tokens": asked})
    config = json.loads(wire.body)["generationConfig"]["thinkingConfig"]
    assert config == {"thinkingBudget": sent, "includeThoughts": True}
    assert wire.dropped == (() if asked == sent else ("thinking",))


@pytest.mark.parametrize(
    ("model", "budget", "sent"),
    [
        ("gemini-2.5-flash", 0, {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", 0, {"thinkingBudget": 0}),
        ("gemini-2.5-pro", 0, {"thinkingBudget": 128}),
        ("gemini-2.5-flash", -1, {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.5-pro", -1, {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-3-pro-preview", 0, {"thinkingLevel": "LOW"}),
    ],
)
def test_a_budget_of_0_is_off_and_minus_1_is_the_models(
    model: str, budget: int, sent: dict[str, Any]
) -> None:
    wire = encode(model, U, thinking={"type": "enabled", "budget_tokens": budget})
    assert json.loads(wire.body)["generationConfig"]["thinkingConfig"] == sent


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro"])
@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh", "max"])
def test_the_budget_of_each_effort_fits(model: str, effort: str) -> None:
    assert encode(model, U, reasoning_effort=effort).dropped == ()

"""What follows a response that does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.gateway.escalation import MAX_RETURNED, Invalid, find_invalid, next_request
from fanout.schema.request import Check
from fanout.schema.validation import parse_chat

HI: list[Any] = [{"role": "user", "content": "Hi"}]
CHAT = parse_chat({"messages": HI, "temperature": 0.5})


@pytest.mark.parametrize(
    ("attempts", "calls", "again"), [(1, 1, False), (2, 1, True), (2, 2, False), (3, 2, True)]
)
def test_a_model_gets_its_attempts(attempts: int, calls: int, *, again: bool) -> None:
    found = next_request(CHAT, Check(attempts), calls, Invalid("why", "text"))
    assert (found is not None) is again


def test_the_text_and_the_reason_go_back_as_turns_and_the_rest_stays() -> None:
    found = next_request(CHAT, Check(), 1, Invalid("why", "text"))
    assert found is not None
    assert found.body["temperature"] == found.temperature == 0.5
    assert found.body["messages"][:2] == [*HI, {"role": "assistant", "content": "text"}]
    assert "not valid: why." in found.body["messages"][2]["content"]
    assert len(found.messages) == 3
    assert CHAT.body["messages"] == HI


@pytest.mark.parametrize("text", [None, "", " \n", "x" * (MAX_RETURNED + 1)])
def test_without_a_text_to_correct_the_prompt_is_sent_again(text: str | None) -> None:
    assert next_request(CHAT, Check(), 1, Invalid("why", text)) is CHAT


def test_what_no_repeat_can_help_is_not_repeated() -> None:
    assert next_request(CHAT, Check(9), 1, Invalid("why", "text", is_repairable=False)) is None


def test_every_choice_must_fit() -> None:
    choices: list[Any] = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate(["1", "2", "x"])
    ]

    def found(listed: list[Any]) -> Invalid | None:
        completion: Any = {"choices": listed}
        return find_invalid(completion, lambda t: None if t.isdecimal() else "no number")

    assert found(choices) == Invalid("no number", "x")
    assert found(choices[:2]) is None
    assert found([]) == Invalid("it has no choices")

"""What an application developer does, through OpenAI's own SDK."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from .deployed_stack import Deployed
from .scripted_provider import ANSWER, Provider

HELLO: Any = [{"role": "user", "content": "Hello?"}]


def test_one_model_answers(stack: Deployed, models: list[str]) -> None:
    answer = stack.sdk().chat.completions.create(model=models[0], messages=HELLO)
    assert answer.object == "chat.completion"
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_the_models_of_the_config_are_listed(stack: Deployed, models: list[str]) -> None:
    listed = {model.id for model in stack.sdk().models.list()}
    assert set(models) <= listed
    assert stack.sdk().models.retrieve(models[0]).id == models[0]


def test_all_models_answer_each_in_its_place(stack: Deployed, models: list[str]) -> None:
    both = ", ".join(models[:2])
    answer = stack.sdk().chat.completions.create(model=both, messages=HELLO)
    told = [choice.model_extra or {} for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [more["model"] for more in told] == models[:2]


def test_a_model_that_fails_is_an_error_in_its_place(own: Deployed) -> None:
    answer = own.sdk().chat.completions.create(model="broken, quick", messages=HELLO)
    failed, answered = answer.choices
    assert str(failed.finish_reason) == "error"
    assert (failed.model_extra or {})["error"]["code"] == "provider_overloaded"
    assert answered.message.content == ANSWER


def test_each_conversation_is_answered(own: Deployed) -> None:
    body = {"model": "quick", "messages": [HELLO, HELLO, HELLO]}
    heard = own.ask("POST", "/chat/completions", body)
    assert [choice["index"] for choice in heard.json["choices"]] == [0, 1, 2]


def test_the_race_is_won_by_the_first_and_the_loser_is_hung_up_on(
    own: Deployed, provider: Provider
) -> None:
    answer = own.sdk().chat.completions.with_raw_response.create(
        model="stuck, quick", messages=HELLO, extra_body={"fastest_response": True}
    )
    assert answer.headers["x-fanout-winner"] == "quick"
    completion = answer.parse()
    assert completion.model == "quick"
    assert completion.choices[0].message.content == ANSWER
    attempts = (completion.model_extra or {})["fanout"]["attempts"]
    assert {a["model"]: a["outcome"] for a in attempts} == {"stuck": "cancelled", "quick": "won"}
    assert provider.was_hung_up_on("stuck")


def test_a_hedge_asks_the_next_model_when_the_first_takes_too_long(
    own: Deployed, provider: Provider
) -> None:
    fanout = {"mode": "race", "models": ["stuck", "quick"], "stagger": 0.2}
    heard = own.chat("stuck", fanout=fanout)
    assert heard.headers["x-fanout-winner"] == "quick"
    assert [model for model, _ in provider.calls] == ["stuck", "quick"]


def test_a_hedge_whose_first_model_answers_in_time_asks_no_other(
    own: Deployed, provider: Provider
) -> None:
    fanout = {"mode": "race", "models": ["quick", "slow"], "stagger": 20}
    heard = own.chat("quick", fanout=fanout)
    assert heard.headers["x-fanout-winner"] == "quick"
    assert [model for model, _ in provider.calls] == ["quick"]


def test_a_fallback_asks_the_next_model_when_one_fails(own: Deployed, provider: Provider) -> None:
    fanout = {"mode": "fallback", "models": ["broken", "nowhere", "quick"]}
    heard = own.chat("broken", fanout=fanout)
    assert heard.json["model"] == "quick"
    outcomes = {a["model"]: a["outcome"] for a in heard.json["fanout"]["attempts"]}
    assert outcomes == {"broken": "failed", "nowhere": "failed", "quick": "won"}
    assert [model for model, _ in provider.calls] == ["broken", "quick"]


def test_openais_sdk_raises_its_own_errors(stack: Deployed) -> None:
    with pytest.raises(openai.NotFoundError):
        stack.sdk().chat.completions.create(model="no-such-model", messages=HELLO)
    with pytest.raises(openai.AuthenticationError):
        stack.sdk("wrong").models.list()
    with pytest.raises(openai.NotFoundError):
        stack.sdk().embeddings.create(model="quick", input="Hello")

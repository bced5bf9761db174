"""What an application does, through OpenAI's SDK."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from .deployed_stack import DeployedStack
from .scripted_provider import ANSWER, ScriptedProvider

HELLO: Any = [{"role": "user", "content": "Hello?"}]


def test_one_model_responds(stack: DeployedStack, models: list[str]) -> None:
    answer = stack.sdk().chat.completions.create(model=models[0], messages=HELLO)
    assert answer.object == "chat.completion"
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_the_models_of_the_config_are_listed(stack: DeployedStack, models: list[str]) -> None:
    listed = {model.id for model in stack.sdk().models.list()}
    assert set(models) <= listed
    assert stack.sdk().models.retrieve(models[0]).id == models[0]


def test_each_models_choice_is_at_its_index(stack: DeployedStack, models: list[str]) -> None:
    both = ", ".join(models[:2])
    answer = stack.sdk().chat.completions.create(model=both, messages=HELLO)
    extras = [choice.model_extra or {} for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [more["model"] for more in extras] == models[:2]


def test_a_model_that_fails_is_an_error_at_its_index(own: DeployedStack) -> None:
    answer = own.sdk().chat.completions.create(model="broken, quick", messages=HELLO)
    failed, answered = answer.choices
    assert (failed.finish_reason, failed.message.content) == ("stop", None)
    assert failed.message.refusal
    assert (failed.model_extra or {})["error"]["code"] == "provider_overloaded"
    assert answered.message.content == ANSWER


def test_each_conversation_gets_a_response(own: DeployedStack) -> None:
    body = {"model": "quick", "messages": [HELLO, HELLO, HELLO]}
    response = own.ask("POST", "/chat/completions", body)
    assert [choice["index"] for choice in response.json["choices"]] == [0, 1, 2]


def test_the_first_model_wins_a_race_and_the_call_to_the_loser_is_closed(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    answer = own.sdk().chat.completions.with_raw_response.create(
        model="stuck, late", messages=HELLO, extra_body={"fastest_response": True}
    )
    assert answer.headers["x-fanout-winner"] == "late"
    completion = answer.parse()
    assert completion.model == "late"
    assert completion.choices[0].message.content == ANSWER
    attempts = (completion.model_extra or {})["fanout"]["attempts"]
    assert {a["model"]: a["outcome"] for a in attempts} == {"stuck": "cancelled", "late": "won"}
    assert provider.was_disconnected("stuck")


def test_a_hedge_calls_the_next_model_when_the_first_takes_too_long(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    fanout = {"mode": "race", "models": ["stuck", "late"], "stagger": 0.2}
    response = own.chat("stuck", fanout=fanout)
    assert response.headers["x-fanout-winner"] == "late"
    # The connections are two: which call the provider reads first does not say which was first.
    assert sorted(model for model, _ in provider.calls) == ["late", "stuck"]


def test_a_hedge_whose_first_model_responds_in_time_calls_no_other(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    fanout = {"mode": "race", "models": ["quick", "slow"], "stagger": 20}
    response = own.chat("quick", fanout=fanout)
    assert response.headers["x-fanout-winner"] == "quick"
    assert [model for model, _ in provider.calls] == ["quick"]


def test_a_fallback_calls_the_next_model_when_one_fails(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    fanout = {"mode": "fallback", "models": ["broken", "nowhere", "quick"]}
    response = own.chat("broken", fanout=fanout)
    assert response.json["model"] == "quick"
    outcomes = {a["model"]: a["outcome"] for a in response.json["fanout"]["attempts"]}
    assert outcomes == {"broken": "failed", "nowhere": "failed", "quick": "won"}
    assert [model for model, _ in provider.calls] == ["broken", "quick"]


def test_openais_sdk_raises_its_own_errors(stack: DeployedStack) -> None:
    with pytest.raises(openai.NotFoundError):
        stack.sdk().chat.completions.create(model="no-such-model", messages=HELLO)
    with pytest.raises(openai.AuthenticationError):
        stack.sdk("wrong").models.list()
    with pytest.raises(openai.NotFoundError):
        stack.sdk().images.generate(model="quick", prompt="Hello")


def test_requests_are_served_whichever_environment_they_reach(own: DeployedStack) -> None:
    """Those that are not needed any more are frozen, and served no request that was not theirs."""
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda _: own.chat("slow").status, range(4)))
    assert at_once == [200] * 4
    assert [own.chat("quick").status for _ in range(12)] == [200] * 12

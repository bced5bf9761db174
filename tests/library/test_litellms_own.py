"""
The cases of LiteLLM's own tests, with a scripted provider in the place of theirs.

`tests/local_testing/test_batch_completions.py`, `…_return_exceptions.py`,
`tests/test_litellm/test_batch_completion_models_all_responses.py`,
`tests/local_testing/test_router_batch_completion.py`; the newest revision of each.
"""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import fanout
from fanout.errors import AllFailed, Broken, Refused
from tests.library.ways import HI, Way, at, content
from tests.support.provider_steps import answers, cut, pause, refuse, role, say, stalls, stop, wait
from tests.support.scripted_provider import Upstream

RACE = "batch_completion_models"
ALL = "batch_completion_models_all_responses"


def test_batch_completions(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("fine"))
    prompts = [[{"role": "user", "content": f"good morning {i}"}] for i in range(3)]
    found = call("batch_completion", model="openai/m", messages=prompts, **at(upstream))
    assert len(found) == 3
    assert all(content(one) for one in found)


def test_batch_completions_models(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("fine"))
    found = call(RACE, models=["openai/m"] * 3, messages=HI, **at(upstream))
    assert content(found) == "fine"


def test_batch_completion_models_all_responses(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", answers("B"))
    models = ["openai/a", "openai/b"]
    found = call(ALL, models=models, messages=HI, max_tokens=10, **at(upstream))
    assert len(found) == 2


def test_batch_completion_return_exceptions(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [refuse(401, "wrong key")])
    options = at(upstream) | {"api_key": "sk-wrong"}
    found = call("batch_completion", model="openai/m", messages=[HI], **options)
    assert isinstance(found[0], Refused)
    assert "sk-wrong" not in str(found[0])


def test_all_responses_continues_on_model_error(upstream: Upstream, call: Way) -> None:
    """Theirs drops the failed one and has two; ours has three, its error in its place."""
    upstream.script("a", answers("A"))
    upstream.script("b", [refuse(500, "no")])
    upstream.script("c", answers("C"))
    models = ["openai/a", "openai/b", "openai/c"]
    found = call(ALL, models=models, messages=HI, num_retries=0, **at(upstream))
    assert [isinstance(one, Exception) for one in found] == [False, True, False]


@pytest.mark.parametrize("mode", ["models", "deployments", "same_model_deployments"])
@pytest.mark.parametrize("scenario", ["slow_first", "failed_first", "all_failed"])
def test_batch_completion_models_race(
    upstream: Upstream, call: Way, mode: str, scenario: str
) -> None:
    gate = upstream.gate()
    first = {
        "slow_first": [wait(gate), *answers("slow")],
        "failed_first": [refuse(500, "first unavailable")],
        "all_failed": [pause(0.05), refuse(500, "first unavailable")],
    }[scenario]
    second = [refuse(500, "second unavailable")] if scenario == "all_failed" else answers("second")
    if mode == "same_model_deployments":
        upstream.script("m", first, second)
        names = ["m", "m"]
    else:
        upstream.script("a", first)
        upstream.script("b", second)
        names = ["a", "b"]
    options: dict[str, Any] = {"messages": HI, "num_retries": 0}
    if mode == "models":
        options |= {"models": [f"openai/{name}" for name in names], **at(upstream)}
    else:
        listed = [{"model": f"openai/{name}", **at(upstream)} for name in names]
        options |= {"deployments": listed, "model_list": listed}
    if scenario == "all_failed":
        with pytest.raises(AllFailed, match="first unavailable") as raised:
            call(RACE, **options)
        assert "second unavailable" in str(raised.value)
    else:
        assert content(call(RACE, **options)) == "second"  # with the slow one still held
    gate.open()


@pytest.mark.parametrize("mode", ["models", "deployments"])
def test_batch_completion_models_stream_error_later_goes_to_the_reader(
    upstream: Upstream, call: Way, mode: str
) -> None:
    upstream.script("a", [role, say("half"), cut])
    upstream.script("b", stalls())
    options: dict[str, Any] = {"messages": HI}
    if mode == "models":
        options |= {"models": ["openai/a", "openai/b"], **at(upstream)}
    else:
        listed = [{"model": f"openai/{name}", **at(upstream)} for name in "ab"]
        options |= {"deployments": listed}
    with pytest.raises(Broken):
        call.read(RACE, **options)


def test_router_batch_completion_fastest_response_is_openais(upstream: Upstream, call: Way) -> None:
    upstream.script("a", stalls())
    upstream.script("b", answers("B"))
    models = ["openai/a", "openai/b"]
    found = call(RACE, models=models, messages=HI, **at(upstream))
    parsed = ChatCompletion.model_validate(found.model_dump(), strict=True)
    assert parsed.choices[0].message.content == "B"


def test_router_batch_completion_fastest_streaming_is_openais(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", stalls())
    upstream.script("b", [role, say("B"), stop])
    models = ["openai/a", "openai/b"]
    chunks = call.read(RACE, models=models, messages=HI, **at(upstream))
    parsed = [ChatCompletionChunk.model_validate(one.model_dump(), strict=True) for one in chunks]
    assert [c.delta.content for one in parsed for c in one.choices if c.delta.content] == ["B"]


def test_router_batch_completion_multiple_models_multiple_messages(
    upstream: Upstream, call: Way
) -> None:
    """Theirs is `result[message][model]`: here a loop over the one or the other."""
    upstream.script("a", answers("A"))
    upstream.script("b", answers("B"))
    found = [
        call("batch_completion", model, [HI, HI], **at(upstream))
        for model in ("openai/a", "openai/b")
    ]
    assert [[content(one) for one in row] for row in found] == [["A", "A"], ["B", "B"]]
    assert all(isinstance(one, fanout.ChatCompletion) for row in found for one in row)

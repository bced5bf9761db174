"""`deployments=`: each model with an address, a key and parameters of its own."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fanout.errors import AllFailed, RequestError
from tests.library.ways import HI, Way, at, content, spoken
from tests.support.provider_steps import answers, called, opens, pause, refuse, stalls, wait
from tests.support.scripted_provider import Upstream

RACE = "batch_completion_models"
ALL = "batch_completion_models_all_responses"


def to(upstream: Upstream, model: str = "m", **params: Any) -> dict[str, Any]:
    return {"model": f"openai/{model}", **at(upstream), **params}


def test_the_first_success_wins_and_the_others_are_cancelled(upstream: Upstream, call: Way) -> None:
    upstream.script("slow", stalls())
    upstream.script("fast", [called(upstream, "slow"), *answers("F")])
    given = [to(upstream, "slow"), to(upstream, "fast")]
    found = call(RACE, deployments=given, messages=HI)
    assert (content(found), found.model) == ("F", "openai/fast")
    upstream.wait_disconnected("slow")


def test_deployments_of_one_model_are_kept_apart_and_a_good_response_is_never_lost(
    upstream: Upstream, call: Way
) -> None:
    asked = upstream.gate()  # both are there, so that none comes late and takes the next script
    upstream.script("m", [wait(asked), *answers("A")], [opens(asked), pause(0.2), refuse(500)])
    given = [to(upstream), to(upstream)]
    assert content(call(RACE, deployments=given, messages=HI, num_retries=0)) == "A"
    upstream.script("m", [refuse(500, "no")], answers("B", after=1.0))
    found = call(RACE, deployments=given, messages=HI, num_retries=0)
    assert (content(found), found.model) == ("B", "openai/m")
    assert sorted(one.outcome for one in found.fanout.attempts) == ["failed", "won"]
    assert {one.model for one in found.fanout.attempts} == {"openai/m"}


def test_when_all_fail_it_is_an_error_with_every_cause_and_not_none(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", [refuse(500, "no")])
    with pytest.raises(AllFailed) as raised:
        call(RACE, deployments=[to(upstream), to(upstream)], messages=HI, num_retries=0)
    assert [cause.model for cause in raised.value.failures] == ["openai/m", "openai/m"]
    assert "#" not in str(raised.value)


def test_each_has_its_own_parameters_and_none_of_anothers(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", answers("B"))
    given = [
        to(upstream, "a", temperature=0.1, user="one", api_key="sk-a"),
        to(upstream, "b", api_key="sk-b", seed=7),
    ]
    before = copy.deepcopy(given)
    call(ALL, deployments=given, messages=HI, max_tokens=9)
    (first,), (second,) = upstream.calls_to("a"), upstream.calls_to("b")
    assert (first.body["temperature"], first.body["user"], first.body["max_tokens"]) == (
        0.1, "one", 9,
    )  # fmt: skip
    assert second.body.keys() & {"temperature", "user"} == set()
    assert (second.body["seed"], second.body["max_tokens"]) == (7, 9)
    keys = [one.headers["authorization"] for one in (first, second)]
    assert keys == ["Bearer sk-a", "Bearer sk-b"]
    assert given == before


def test_a_deployments_own_parameter_rules_over_the_calls(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", answers("B"))
    given = [to(upstream, "a", temperature=0.1), to(upstream, "b")]
    call(ALL, deployments=given, messages=HI, temperature=0.9)
    call(RACE, deployments=given[:1], messages=HI, temperature=0.9)
    assert [one.body["temperature"] for one in upstream.calls_to("a")] == [0.1, 0.1]
    assert [one.body["temperature"] for one in upstream.calls_to("b")] == [0.9]


def test_an_address_for_the_whole_call_is_for_those_without_one(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", answers("A"))
    found = call(RACE, deployments=[{"model": "openai/m"}], messages=HI, **at(upstream))
    assert content(found) == "A"


def test_all_of_them_respond_each_in_its_place(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("A", after=0.1))
    upstream.script("b", [refuse(400, "no")])
    upstream.script("c", answers("C"))
    given = [to(upstream, name) for name in "abc"]
    first, second, third = call(ALL, deployments=given, messages=HI)
    assert [content(first), content(third)] == ["A", "C"]
    assert [first.model, third.model] == ["openai/a", "openai/c"]
    assert second.status == 400


def test_a_streamed_race_of_deployments_has_the_name_that_was_requested(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("slow", stalls())
    upstream.script("fast", answers("F"))
    given = [to(upstream, "slow"), to(upstream, "fast")]
    usage = {"include_usage": True}
    chunks = call.read(RACE, deployments=given, messages=HI, stream_options=usage)
    assert spoken(chunks) == "F"
    assert {chunk.model for chunk in chunks} == {"openai/fast"}
    named = [one.model for one in chunks[-1].fanout.attempts]
    assert named == ["openai/slow", "openai/fast"]


def test_litellms_model_list_beside_them_does_no_harm(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("A"))
    call(RACE, deployments=[to(upstream)], model_list=[{"model_name": "x"}], messages=HI)
    assert "model_list" not in upstream.calls[0].body


@pytest.mark.parametrize("given", [[], [{}], [{"model": ""}], [{"model": 5}]])
def test_a_deployment_without_a_model_is_rejected(call: Way, given: Any) -> None:
    with pytest.raises(RequestError):
        call(RACE, deployments=given, messages=HI)


def test_an_unknown_parameter_is_rejected_by_name(upstream: Upstream, call: Way) -> None:
    with pytest.raises(RequestError, match="`apibase` is unknown"):
        call(RACE, deployments=[{"model": "openai/m", "apibase": "http://h"}], messages=HI)

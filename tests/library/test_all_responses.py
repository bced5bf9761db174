"""`batch_completion_models_all_responses`: one prompt to many models, every answer."""

from __future__ import annotations

import pytest

from fanout.errors import Overloaded, Refused, RequestError
from tests.library.ways import HI, Way, at, content, kind_of, spoken
from tests.support.provider_steps import answers, opens, refuse, wait
from tests.support.scripted_provider import Upstream

NAME = "batch_completion_models_all_responses"


def models(*names: str) -> list[str]:
    return [f"openai/{name}" for name in names]


def test_every_model_has_its_place_whichever_was_first(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("A", after=0.1))
    upstream.script("b", answers("B"))
    first, second = call(NAME, models("a", "b"), HI, **at(upstream))
    assert (content(first), first.model) == ("A", "openai/a")
    assert (content(second), second.model) == ("B", "openai/b")


def test_a_failed_one_is_its_exception_in_its_place_and_never_dropped(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", [refuse(401, "no")])
    upstream.script("b", answers("B"))
    upstream.script("c", [refuse(500, "no")])
    found = call(NAME, models("a", "b", "c"), HI, num_retries=0, **at(upstream))
    assert [kind_of(one) for one in (found[0], found[2])] == [Refused, Overloaded]
    assert content(found[1]) == "B"


def test_when_all_fail_there_are_as_many_exceptions_as_models(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", [refuse(400, "no")])
    found = call(NAME, models("a", "a", "a"), HI, **at(upstream))
    assert [one.status for one in found] == [400, 400, 400]


def test_the_models_are_asked_at_the_same_time(upstream: Upstream, call: Way) -> None:
    gate = upstream.gate()
    upstream.script("first", [wait(gate), *answers("1")])
    upstream.script("second", [opens(gate), *answers("2")])
    found = call(NAME, models("first", "second"), HI, **at(upstream))
    assert [content(one) for one in found] == ["1", "2"]


def test_one_model_may_be_asked_twice(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("A"))
    found = call(NAME, models("m", "m"), HI, **at(upstream))
    assert [content(one) for one in found] == ["A", "A"]
    assert len(upstream.calls) == 2


def test_a_string_is_one_name_and_no_models_are_no_responses(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("A"))
    assert [content(one) for one in call(NAME, "openai/m", HI, **at(upstream))] == ["A"]
    assert call(NAME, [], HI) == []


@pytest.mark.parametrize("given", [None, 5, [""], [None]])
def test_models_that_are_none_are_rejected_by_name(call: Way, given: object) -> None:
    with pytest.raises(RequestError) as raised:
        call(NAME, given, HI)
    assert raised.value.param == "models"


def test_streams_are_in_the_models_order_and_fail_when_they_are_read(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", answers("A", "a"))
    upstream.script("b", [refuse(400, "no")])
    first, second = call.read(NAME, models("a", "b"), HI, **at(upstream))
    assert spoken(first) == "Aa"
    assert second.status == 400


def test_usage_and_ids_are_each_responses_own(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", answers("B"))
    first, second = call(NAME, models("a", "b"), HI, **at(upstream))
    assert (first.id, second.id) == ("chatcmpl-a", "chatcmpl-b")
    assert first.usage.total_tokens == 12

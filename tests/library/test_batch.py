"""`batch_completion`: many prompts to one model."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import fanout
from fanout.concurrency.garbage import threshold_for
from fanout.errors import DeadlineExceeded, Overloaded, RateLimited, Refused, RequestError
from tests.library.ways import HI, Plain, Twin, Way, at, content, kind_of, says, spoken
from tests.support.provider_steps import answers, pause, refuse, stalls, until
from tests.support.scripted_provider import Call, Upstream


async def echo(call: Call) -> None:
    """Answer with the last message's own words; `fail 429` fails so; `late 0.1` takes its time."""
    text = call.body["messages"][-1]["content"]
    if text.startswith("fail"):
        await refuse(int(text.split()[1]), "no")(call)
        return
    if text.startswith("late"):
        await pause(float(text.split()[1]))(call)
    call.whole(200, call.wire_format.whole(call.model, text), {"content-type": "application/json"})


def test_responses_are_in_the_prompts_order_whatever_order_they_came_in(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", [echo])
    prompts = ["late 0.1", "quick", "late 0.05", "last"]
    found = call("batch_completion", "openai/m", [says(p) for p in prompts], **at(upstream))
    assert [content(answer) for answer in found] == prompts


def test_the_garbage_collector_runs_less_often_meanwhile(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [echo])
    before, seen = gc.get_threshold(), set[int]()

    def prompts() -> Iterator[list[dict[str, str]]]:
        for text in ("one", "two"):
            seen.add(gc.get_threshold()[0])
            yield says(text)

    call("batch_completion", "openai/m", prompts(), max_workers=3_000, **at(upstream))
    assert seen == {threshold_for(3_000)}
    assert gc.get_threshold() == before


def test_a_failed_one_is_its_exception_in_its_place(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [echo])
    prompts = ["one", "fail 401", "two", "fail 429", "fail 500"]
    conversations = [says(p) for p in prompts]
    found = call("batch_completion", "openai/m", conversations, num_retries=0, **at(upstream))
    assert [kind_of(answer) for answer in found[1::2]] == [Refused, RateLimited]
    assert isinstance(found[4], Overloaded)
    assert [content(found[0]), content(found[2])] == ["one", "two"]


def test_no_prompts_are_no_responses(upstream: Upstream, call: Way) -> None:
    assert call("batch_completion", "openai/m", [], **at(upstream)) == []
    assert call("batch_completion", "openai/m", iter([]), **at(upstream)) == []
    assert upstream.calls == []


@pytest.mark.parametrize("limit", [1, 3])
def test_max_workers_bounds_the_calls_in_flight(upstream: Upstream, call: Way, limit: int) -> None:
    lock, now, peak = threading.Lock(), 0, 0

    async def counted(one: Call) -> None:
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
        await until(lambda: peak >= limit)(one)
        await pause(0.005)(one)
        with lock:
            now -= 1
        await echo(one)

    upstream.script("m", [counted])
    conversations = [says(str(n)) for n in range(12)]
    found = call("batch_completion", "openai/m", conversations, max_workers=limit, **at(upstream))
    assert [content(answer) for answer in found] == [str(n) for n in range(12)]
    assert peak == limit


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "4", None])
def test_max_workers_must_be_a_whole_number_from_one(call: Way, limit: Any) -> None:
    for name in ("batch_completion", "batch_completion_models_all_responses"):
        models: Any = "openai/m" if name == "batch_completion" else ["openai/m"]
        with pytest.raises(RequestError, match="`max_workers` must be a whole number from 1"):
            call(name, models, [], max_workers=limit)


def test_an_iterator_is_read_only_as_calls_can_start(upstream: Upstream, call: Way) -> None:
    drawn = 0
    ahead: list[int] = []

    async def watched(one: Call) -> None:
        ahead.append(drawn - len(upstream.calls))
        await echo(one)

    def prompts() -> Iterator[Any]:
        nonlocal drawn
        for number in range(50):
            drawn += 1
            yield says(str(number))

    upstream.script("m", [watched])
    found = call("batch_completion", "openai/m", prompts(), max_workers=2, **at(upstream))
    assert [content(answer) for answer in found] == [str(n) for n in range(50)]
    assert max(ahead) <= 1  # of those asked all but one may be answered, and two be under way


def test_an_iterator_is_read_in_its_owners_thread_and_can_make_calls_itself(
    upstream: Upstream,
) -> None:
    upstream.script("m", [echo])
    threads = set()

    def prompts() -> Iterator[Any]:
        for number in range(3):
            threads.add(threading.current_thread())
            draft = fanout.completion("openai/m", says(f"draft {number}"), **at(upstream))
            yield says(content(draft).replace("draft", "final"))

    found = Plain()("batch_completion", "openai/m", prompts(), **at(upstream))
    assert [content(answer) for answer in found] == ["final 0", "final 1", "final 2"]
    assert threads == {threading.current_thread()}


def test_a_source_that_fails_is_heard_as_it_is_and_ends_the_calls(upstream: Upstream) -> None:
    upstream.script("m", stalls())

    def prompts() -> Iterator[Any]:
        yield says("one")
        upstream.wait_called("m")
        raise ZeroDivisionError("the source")

    with pytest.raises(ZeroDivisionError, match="the source"):
        Plain()("batch_completion", "openai/m", prompts(), **at(upstream))
    upstream.wait_disconnected("m")


def test_an_async_function_takes_an_async_iterator_too(upstream: Upstream) -> None:
    upstream.script("m", [echo])

    async def prompts() -> Any:
        for number in range(3):
            yield says(str(number))

    found = Twin()("batch_completion", "openai/m", prompts(), **at(upstream))
    assert [content(answer) for answer in found] == ["0", "1", "2"]


@pytest.mark.filterwarnings("error")
def test_a_plain_function_rejects_an_async_iterator_without_a_warning(upstream: Upstream) -> None:
    async def items() -> Any:
        yield says("1")

    class Broken:
        def __iter__(self) -> Any:
            raise ValueError("mine")

    given: list[tuple[Any, type[Exception], str]] = [
        (items(), TypeError, r"`async_generator`: use `await abatch_completion\(…\)`"),
        (Broken(), ValueError, "mine"),
    ]
    for messages, kind, words in given:
        with pytest.raises(kind, match=words):
            fanout.batch_completion("openai/m", messages, **at(upstream))
    gc.collect()  # a coroutine that was never awaited warns when it is collected
    assert upstream.calls == []


# ---- LiteLLM's slips, and what happens here ----


@pytest.mark.parametrize("messages", [HI, HI * 2, {"role": "user"}, "Hi", b"Hi", 5, None])
def test_one_conversation_in_place_of_a_list_of_them_is_rejected_by_name(
    upstream: Upstream, call: Way, messages: Any
) -> None:
    with pytest.raises(RequestError, match="`messages`") as raised:
        call("batch_completion", "openai/m", messages, **at(upstream))
    assert raised.value.param == "messages"
    assert upstream.calls == []


@pytest.mark.parametrize("odd", [{"role": "user", "content": "Hi"}, "Hi", 5, None, [], [5]])
def test_an_odd_one_among_conversations_fails_in_its_own_place(
    upstream: Upstream, call: Way, odd: Any
) -> None:
    upstream.script("m", [echo])
    mixed = [says("one"), odd, says("two")]
    found = call("batch_completion", "openai/m", mixed, **at(upstream))
    assert [content(found[0]), content(found[2])] == ["one", "two"]
    assert isinstance(found[1], RequestError)
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("name", ["timeout", "request_timeout"])
def test_a_timeout_under_either_name_is_each_responses_own(
    upstream: Upstream, call: Way, name: str
) -> None:
    upstream.script("m", [echo])
    prompts = [says("quick"), says("late 30")]
    found = call("batch_completion", "openai/m", prompts, **{name: 0.3}, **at(upstream))
    assert content(found[0]) == "quick"
    assert isinstance(found[1], DeadlineExceeded)
    upstream.wait(lambda: any(one.disconnected_at for one in upstream.calls_to("m")))


def test_num_retries_works_and_the_last_error_is_returned(upstream: Upstream, call: Way) -> None:
    limited = [refuse(429, "slow down", {"retry-after": "0"})]
    upstream.script("m", limited, limited, answers("third time"))
    found = call("batch_completion", "openai/m", [HI], num_retries=2, **at(upstream))
    assert content(found[0]) == "third time"
    upstream.reset()
    upstream.script("m", limited)
    (error,) = call("batch_completion", "openai/m", [HI], num_retries=1, **at(upstream))
    assert isinstance(error, RateLimited)
    assert "slow down" in str(error)
    assert len(upstream.calls) == 2


def test_streams_are_in_the_prompts_order_and_fail_when_they_are_read(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", answers("A", "a"), [refuse(400, "no")], answers("C"))
    first, second, third = call.read("batch_completion", "openai/m", [HI] * 3, **at(upstream))
    assert (spoken(first), spoken(third)) == ("Aa", "C")
    assert second.status == 400


def test_a_stream_that_is_never_read_sends_nothing(upstream: Upstream, call: Way) -> None:
    call("batch_completion", "openai/m", [HI] * 3, stream=True, **at(upstream))
    assert upstream.calls == []

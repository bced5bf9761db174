from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from fanout.concurrency import Ended
from fanout.errors import ErrorDetail, Rejected
from fanout.gateway.interleave import Interleave
from fanout.schema.fanout import parse_request
from tests.support.virtual_clock import run

HI = [{"role": "user", "content": "Hi"}]
USAGE = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}


class Named:
    name = "b"


def piece(text: str, index: int = 0, **more: Any) -> Any:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": None, **more}
    return {"id": "theirs", "object": "chat.completion.chunk", "model": "x", "choices": [choice]}


def finish(index: int = 0, reason: str = "stop") -> Any:
    choice = {"index": index, "delta": {}, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "model": "x", "choices": [choice]}


def usage() -> Any:
    return {"object": "chat.completion.chunk", "model": "x", "choices": [], "usage": USAGE}


def woven(model: str, items: Sequence[Any], **body: Any) -> tuple[list[Any], Interleave]:
    """What comes of the items; the clock ticks half a second each time it is looked at."""
    request = parse_request({"model": model, "messages": HI, "stream": True, **body})
    ticks = iter(range(100))
    cells = [(name,) for name in request.models]
    weave = Interleave(cells, request, "ours", 7, lambda: next(ticks) / 2)

    async def source() -> AsyncIterator[Any]:
        for item in items:
            yield item

    async def main() -> list[Any]:
        return [chunk async for chunk in weave.chunks(source())]

    return run(main()), weave


def test_chunks_come_in_their_order_each_at_its_cells_index_under_one_id() -> None:
    items = [(0, ("a", piece("A"))), (1, ("b", piece("B"))), (0, ("a", piece("a")))]
    chunks, _ = woven("a, b", items)
    told = [
        (c["model"], c["choices"][0]["index"], c["choices"][0]["delta"]["content"]) for c in chunks
    ]
    assert told == [("a", 0, "A"), ("b", 1, "B"), ("a", 0, "a")]
    assert {(c["id"], c["object"], c["created"]) for c in chunks} == {
        ("ours", "chat.completion.chunk", 7)
    }


def test_a_cells_last_chunk_waits_for_its_usage_and_carries_it() -> None:
    items = [(0, ("a", piece("A"))), (0, ("a", finish())), (0, ("a", usage())), Ended(0)]
    chunks, weave = woven("a, b", items)
    assert len(chunks) == 2
    (last,) = chunks[1]["choices"]
    assert (last["finish_reason"], last["usage"], last["model"]) == ("stop", USAGE, "a")
    assert last["latency_ms"] == 500.0
    assert weave.causes == []


def test_with_n_a_cell_has_n_places_and_each_its_end() -> None:
    items = [
        (1, ("b", piece("B0"))),
        (1, ("b", piece("B1", index=1))),
        (1, ("b", finish(0))),
        (1, ("b", finish(1, "length"))),
        Ended(1),
    ]
    chunks, _ = woven("a, b", items, n=2)
    places = [(c["choices"][0]["index"], c["choices"][0]["finish_reason"]) for c in chunks]
    assert places == [(2, None), (3, None), (2, "stop"), (3, "length")]


def test_a_cell_that_fails_ends_with_its_error_also_after_some_content() -> None:
    error = Rejected(Named(), ErrorDetail("no", "a_type"), upstream=400)
    chunks, weave = woven("a, b", [(1, ("b", piece("half"))), Ended(1, error), Ended(0)])
    (last,) = chunks[-1]["choices"]
    assert (last["index"], last["finish_reason"], last["delta"]) == (1, "error", {})
    assert last["error"]["message"] == "`b`: no"
    assert [(cause.model, cause.error) for cause in weave.causes] == [("b", error)]


def test_causes_are_in_the_callers_order_whoever_failed_first() -> None:
    first, second = ValueError("a"), ValueError("b")
    chunks, weave = woven("a, b", [Ended(1, second), Ended(0, first)])
    assert [cause.error for cause in weave.causes] == [first, second]
    assert "ValueError" not in str(chunks)


def test_usage_is_summed_in_a_last_chunk_only_if_it_was_asked_for() -> None:
    items = [
        (0, ("a", finish())), (0, ("a", usage())), Ended(0),
        (1, ("b", usage())), (1, ("b", finish())), Ended(1),
    ]  # fmt: skip
    without, _ = woven("a, b", items)
    assert [len(chunk["choices"]) for chunk in without] == [1, 1]
    assert all("usage" not in chunk for chunk in without)
    asked, _ = woven("a, b", items, stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in asked[:-1]] == [None, None]
    assert asked[-1]["usage"] == {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    assert (asked[-1]["choices"], asked[-1]["model"]) == ([], "a, b")
    assert asked[-1]["fanout"] == {"mode": "all"}


def test_a_chunk_of_usage_alone_is_not_handed_on() -> None:
    chunks, _ = woven("a, b", [(0, ("a", usage()))])
    assert chunks == []


def test_the_chunks_that_are_woven_are_not_changed() -> None:
    said = piece("A")
    before = repr(said)
    woven("a, b", [(1, ("b", said))])
    assert repr(said) == before

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from fanout.concurrency import Ended
from fanout.errors import ErrorDetail, Rejected
from fanout.gateway.interleave import Interleave
from fanout.schema.fanout import parse_request
from tests.support.virtual_clock import run

HI = [{"role": "user", "content": "Hi"}]
FIRST = {"role": "assistant", "content": ""}
USAGE = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}


class Named:
    name = "b"


def choice_chunk(text: str, index: int = 0, **more: Any) -> Any:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": None, **more}
    return {"id": "theirs", "object": "chat.completion.chunk", "model": "x", "choices": [choice]}


def finish(index: int = 0, reason: str = "stop") -> Any:
    choice = {"index": index, "delta": {}, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "model": "x", "choices": [choice]}


def usage() -> Any:
    return {"object": "chat.completion.chunk", "model": "x", "choices": [], "usage": USAGE}


def interleaved(model: str, items: Sequence[Any], **body: Any) -> tuple[list[Any], Interleave]:
    """
    The chunks made of the items, without the first ones, which have the choices' roles, in order.

    The clock advances by half a second at each call.
    """
    request = parse_request({"model": model, "messages": HI, "stream": True, **body})
    ticks = iter(range(100))
    cells = [(name,) for name in request.models]
    interleave = Interleave(cells, request, "ours", 7, lambda: next(ticks) / 2)

    async def source() -> AsyncIterator[Any]:
        for item in items:
            yield item

    async def main() -> list[Any]:
        return [chunk async for chunk in interleave.chunks(source())]

    chunks = run(main())
    if not chunks:
        return [], interleave
    count = len(cells) * (request.conversations[0].n or 1)
    begun = [(chunk["model"], *chunk["choices"]) for chunk in chunks[:count]]
    assert begun == [
        (name, {"index": index, "delta": FIRST, "finish_reason": None})
        for index, name in enumerate(
            model for model in request.models for _ in range(count // len(cells))
        )
    ]
    roles = [one["delta"].get("role") for chunk in chunks[count:] for one in chunk["choices"]]
    assert not any(roles)
    return chunks[count:], interleave


def test_the_last_chunk_of_a_choice_has_the_other_top_level_fields_of_its_stream() -> None:
    early = choice_chunk("A") | {"citations": ["x"], "system_fingerprint": "fp"}
    late = usage() | {"citations": ["x", "y"], "service_tier": None}
    items = [
        (0, ("a", early)),
        (0, ("a", finish())),
        (0, ("a", late)),
        (1, ("b", choice_chunk("B"))),
        (1, ("b", finish())),
        Ended(0, None),
        Ended(1, None),
    ]
    chunks, _ = interleaved("a, b", items)
    first, second = (c["choices"][0] for c in chunks if c["choices"][0]["finish_reason"])
    assert (first["citations"], first["system_fingerprint"]) == (["x", "y"], "fp")
    assert first["id"] == "theirs"
    assert first.keys() & second.keys() >= {"id", "usage", "model"}
    assert "citations" not in second
    assert not any("citations" in c["choices"][0] for c in chunks if c["choices"][0]["delta"])


def test_chunks_stay_in_order_with_the_index_of_their_cell_and_one_id() -> None:
    items = [
        (0, ("a", choice_chunk("A"))),
        (1, ("b", choice_chunk("B"))),
        (0, ("a", choice_chunk("a"))),
    ]
    chunks, _ = interleaved("a, b", items)
    texts = [
        (c["model"], c["choices"][0]["index"], c["choices"][0]["delta"]["content"]) for c in chunks
    ]
    assert texts == [("a", 0, "A"), ("b", 1, "B"), ("a", 0, "a")]
    assert {(c["id"], c["object"], c["created"]) for c in chunks} == {
        ("ours", "chat.completion.chunk", 7)
    }


def test_a_cells_last_chunk_is_sent_after_its_usage_and_has_it() -> None:
    items = [(0, ("a", choice_chunk("A"))), (0, ("a", finish())), (0, ("a", usage())), Ended(0)]
    chunks, interleave = interleaved("a, b", items)
    assert len(chunks) == 2
    (last,) = chunks[1]["choices"]
    assert (last["finish_reason"], last["usage"], last["model"]) == ("stop", USAGE, "a")
    assert last["latency_ms"] == 500.0
    assert interleave.causes == []


def test_with_n_a_cell_has_n_indexes_and_each_has_its_end() -> None:
    items = [
        (1, ("b", choice_chunk("B0"))),
        (1, ("b", choice_chunk("B1", index=1))),
        (1, ("b", finish(0))),
        (1, ("b", finish(1, "length"))),
        (1, ("b", usage())),
        Ended(1),
    ]
    chunks, _ = interleaved("a, b", items, n=2)
    assert [c["choices"][0]["usage"] for c in chunks[2:]] == [USAGE, None], "one call, one usage"
    ends = [(c["choices"][0]["index"], c["choices"][0]["finish_reason"]) for c in chunks]
    assert ends == [(2, None), (3, None), (2, "stop"), (3, "length")]


def test_a_cell_that_fails_ends_with_its_error_also_after_some_content() -> None:
    error = Rejected(Named(), ErrorDetail("no", "a_type"), upstream=400)
    chunks, interleave = interleaved(
        "a, b", [(1, ("b", choice_chunk("half"))), Ended(1, error), Ended(0)]
    )
    (last,) = chunks[1]["choices"]
    assert (last["index"], last["finish_reason"], last["delta"]) == (
        1,
        "stop",
        {"refusal": "`b`: no"},
    )
    assert last["error"]["message"] == "`b`: no"
    assert [(cause.model, cause.error) for cause in interleave.causes] == [("b", error)]


def test_roles_of_the_models_and_choices_without_an_end_are_completed() -> None:
    """A client that got a role for each choice waits for each one's finish reason."""
    role = choice_chunk("")
    role["choices"][0]["delta"]["role"] = "assistant"
    half = choice_chunk("b")
    half["choices"][0]["delta"]["role"] = "assistant"
    items = [
        (1, ("b", role)),
        (1, ("b", half)),
        (1, ("b", finish(0, "length"))),
        Ended(1),
        Ended(0),
    ]
    chunks, _ = interleaved("a, b", items, n=2)
    found = [
        (one["index"], one["delta"], one["finish_reason"]) for c in chunks for one in c["choices"]
    ]
    assert found == [
        (2, {"content": "b"}, None),
        (2, {}, "length"),
        (3, {"refusal": "`b` returned 1 of 2 choices"}, "stop"),
        (0, {"refusal": "`a` returned 0 of 2 choices"}, "stop"),
        (1, {"refusal": "`a` returned 0 of 2 choices"}, "stop"),
    ]
    errors = [one.get("error", {}).get("code") for c in chunks for one in c["choices"]]
    assert errors == [None, None, *["missing_choice"] * 3]


def test_causes_are_in_call_order_whichever_failed_first() -> None:
    first, second = ValueError("a"), ValueError("b")
    chunks, interleave = interleaved("a, b", [Ended(1, second), Ended(0, first)])
    assert [cause.error for cause in interleave.causes] == [first, second]
    assert "ValueError" not in str(chunks)


def test_the_last_chunk_has_the_summed_usage_only_if_the_client_asked_for_it() -> None:
    items = [
        (0, ("a", finish())), (0, ("a", usage())), Ended(0),
        (1, ("b", usage())), (1, ("b", finish())), Ended(1),
    ]  # fmt: skip
    without, _ = interleaved("a, b", items)
    assert [len(chunk["choices"]) for chunk in without] == [1, 1]
    assert all("usage" not in chunk for chunk in without)
    with_usage, _ = interleaved("a, b", items, stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in with_usage[:-1]] == [None, None]
    assert with_usage[-1]["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "total_tokens": 12,
    }
    assert (with_usage[-1]["choices"], with_usage[-1]["model"]) == ([], "a, b")
    assert with_usage[-1]["fanout"] == {"mode": "all"}


def test_a_chunk_with_usage_alone_is_not_sent() -> None:
    chunks, _ = interleaved("a, b", [(0, ("a", usage()))])
    assert chunks == []


def test_the_original_chunks_are_not_changed() -> None:
    chunk = choice_chunk("A")
    before = repr(chunk)
    interleaved("a, b", [(1, ("b", chunk))])
    assert repr(chunk) == before


def test_the_log_probabilities_of_each_choice_stay_in_order_beside_its_text() -> None:
    """Also those of an end, after which a server sends more, and with the usage of each chunk."""

    def chunk(token: str, reason: str | None = None) -> Any:
        top = [{"token": token, "logprob": -0.1}, {"token": "x", "logprob": -2.0}]
        logprobs = {"content": [{"token": token, "logprob": -0.1, "top_logprobs": top}]}
        made = choice_chunk(token, logprobs=logprobs, finish_reason=reason)
        if reason:
            made["choices"][0]["delta"] = {}
        return made

    items: list[Any] = []
    for token, reason in [("1", None), ("2", None), ("", "stop"), ("3", None)]:
        items += [(0, ("a", chunk(token, reason))), (1, ("b", chunk(token, reason)))]
    chunks, _ = interleaved("a, b", [*items, Ended(1, None), Ended(0, None)])
    for index in (0, 1):
        found = [one for each in chunks for one in each["choices"] if one["index"] == index]
        tokens = [t for one in found for t in (one.get("logprobs") or {"content": []})["content"]]
        assert [one["token"] for one in tokens] == ["1", "2", "", "3"]
        assert all(one["top_logprobs"][0]["token"] == one["token"] for one in tokens)
        assert "".join(one["delta"].get("content") or "" for one in found) == "123"
        assert [one["finish_reason"] for one in found] == [None] * (len(found) - 1) + ["stop"]

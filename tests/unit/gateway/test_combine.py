from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import ErrorDetail, Rejected
from fanout.gateway.combine import CellResult, combined_response, list_response, sum_usage
from fanout.schema.fanout import FanOutRequest, parse_request

HI = [{"role": "user", "content": "Hi"}]


class Named:
    name = "b"


def parsed(model: str, **body: Any) -> FanOutRequest:
    return parse_request({"model": model, "messages": HI, **body})


def completion(model: str, *texts: str, **more: Any) -> Any:
    choices = [
        {
            "index": i,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
            "vendor": 1,
        }
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": len(texts), "total_tokens": 5 + len(texts)}
    body = {"id": "x", "object": "chat.completion", "model": model, "choices": choices}
    return {**body, "usage": usage, **more}


def good(model: str, *texts: str, elapsed: float = 0.25, **more: Any) -> CellResult:
    return CellResult((model,), completion(model, *texts, **more), None, elapsed)


def bad(*models: str) -> CellResult:
    error = Rejected(Named(), ErrorDetail("no", "a_type", "p", "c"), upstream=400)
    return CellResult(models, None, error, 0.5)


def test_each_cell_is_a_choice_with_its_own_model_usage_and_latency() -> None:
    body = combined_response([good("a", "A"), good("c", "C", elapsed=1.0)], parsed("a, c"))
    first, second = body["choices"]
    assert (first["index"], first["model"], first["latency_ms"]) == (0, "a", 250.0)
    assert (second["index"], second["model"], second["latency_ms"]) == (1, "c", 1000.0)
    assert (first["message"]["content"], second["message"]["content"]) == ("A", "C")
    assert first["usage"] == {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    assert first["vendor"] == 1
    assert body["usage"] == {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    assert (body["object"], body["model"]) == ("chat.completion", "a, c")
    assert body["fanout"] == {"mode": "all"}


def test_a_choice_has_the_other_top_level_fields_of_its_response() -> None:
    odd: Any = {"logprobs": 1, "finish_reason": "x", "message": {}, "index": 7, "error": "e"}
    fields: Any = {"citations": ["https://a.test"], "service_tier": "flex", "search_results": None}
    cells = [good("a", "A", **fields, **odd), good("c", "C", system_fingerprint="fp")]
    first, second = combined_response(cells, parsed("a, c"))["choices"]
    assert (first["citations"], first["service_tier"]) == (["https://a.test"], "flex")
    assert first.keys().isdisjoint({"logprobs", "error", "search_results", "system_fingerprint"})
    assert (first["finish_reason"], first["message"]["content"]) == ("stop", "A")
    assert (second["system_fingerprint"], second["id"]) == ("fp", "x")


def test_a_failed_cell_is_a_choice_with_its_error_and_an_empty_message() -> None:
    body = combined_response([good("a", "A"), bad("b")], parsed("a, b"))
    assert body["choices"][1] == {
        "index": 1,
        "message": {"role": "assistant", "content": None, "refusal": "`b`: no"},
        "finish_reason": "stop",
        "logprobs": None,
        "usage": None,
        "error": {"status": 400, "message": "`b`: no", "type": "a_type", "param": "p", "code": "c"},
        "model": "b",
        "latency_ms": 500.0,
        "cost_usd": None,
    }
    assert body["usage"]["total_tokens"] == 6


def test_with_n_each_cell_has_n_choices_and_one_that_is_missing_has_failed() -> None:
    late = good("d", "D1")
    late.completion["choices"][0]["index"] = 1  # type: ignore[index]
    cells = [good("a", "A1", "A2"), bad("b"), good("c", "C1"), late, good("e")]
    body = combined_response(cells, parsed("a, b, c, d, e", n=2))
    assert [choice["index"] for choice in body["choices"]] == [*range(10)]
    used = [one["usage"] is not None for one in body["choices"]]
    assert used == [True, False, False, False, True, False, False, True, True, False], "one a call"
    found = [one["message"].get("refusal") for one in body["choices"]]
    some, none = "returned 1 of 2 choices", "`e` returned 0 of 2 choices"
    no = "`b`: no"
    assert found == [None, None, no, no, None, f"`c` {some}", f"`d` {some}", None, none, none]
    assert body["choices"][5] == {
        "index": 5,
        "message": {"role": "assistant", "content": None, "refusal": f"`c` {some}"},
        "finish_reason": "stop",
        "logprobs": None,
        "error": {
            "message": f"`c` {some}", "type": "api_error", "param": None, "code": "missing_choice"
        },
        "model": "c",
        "latency_ms": 250.0,
        "usage": None,
        "cost_usd": None,
    }  # fmt: skip


def test_the_choice_of_a_raced_cell_has_its_report() -> None:
    report = {"mode": "race", "attempts": []}
    cell = CellResult(("a", "b"), completion("b", "B", fanout=report), None, 0.25)
    request = parsed("a, b", messages=[HI, HI], fastest_response=True)
    body = combined_response([cell, bad("a", "b")], request)
    assert body["choices"][0]["fanout"] == report
    assert [choice["model"] for choice in body["choices"]] == ["b", "a, b"]
    assert body["fanout"] == {"mode": "race"}


def test_combining_does_not_change_the_cells() -> None:
    cell = good("a", "A")
    before = repr(cell)
    combined_response([cell, cell], parsed("a, a"))
    assert repr(cell) == before


@pytest.mark.parametrize(
    ("width", "rows"),
    [
        (None, ["a", "b", "c", "d"]),
        (2, [["a", "b"], ["c", "d"]]),
        (1, [["a"], ["b"], ["c"], ["d"]]),
    ],
)
def test_a_list_is_flat_or_in_a_row_for_each_conversation(width: int | None, rows: Any) -> None:
    cells = [good(name, name) for name in "abcd"]
    listed = list_response(cells, lambda one: {**one, "stamped": True}, width)

    def names(value: Any) -> Any:
        return [names(v) for v in value] if isinstance(value, list) else value["model"]

    assert names(listed) == rows
    flat = listed if width is None else [cell for row in listed for cell in row]
    assert all(cell["stamped"] for cell in flat)


def test_a_failed_cell_of_a_list_has_its_error_and_its_model() -> None:
    assert list_response([bad("b")], dict, None) == [
        {
            "error": {
                "status": 400,
                "message": "`b`: no",
                "type": "a_type",
                "param": "p",
                "code": "c",
            },
            "model": "b",
        }
    ]


def test_usages_are_summed_field_by_field() -> None:
    first = {"total_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 1}, "note": "x"}
    second = {"total_tokens": 4, "completion_tokens_details": {"audio_tokens": 2}, "flag": True}
    third = {"total_tokens": 1, "completion_tokens_details": None, "cost": 0.5}
    assert sum_usage([first, None, second, third]) == {
        "total_tokens": 8,
        "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 2},
        "cost": 0.5,
    }
    assert first["completion_tokens_details"] == {"reasoning_tokens": 1}


@pytest.mark.parametrize("usages", [[], [None], [{}, None]])
def test_without_any_usage_the_sum_is_none(usages: Any) -> None:
    assert sum_usage(usages) is None

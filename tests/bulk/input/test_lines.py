"""Lines of the input and the output: all shapes of valid and invalid lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.bulk.input.lines import (
    MAX_LINE,
    UNREADABLE,
    BadLine,
    Line,
    LineHead,
    error_line,
    parse_line,
    read_head,
    response_line,
    skipped_line,
    stored_custom_id,
)
from fanout.errors import DeadlineExceeded, UnknownModel

HI = [{"role": "user", "content": "Hi"}]
LINE = {
    "custom_id": "one",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "a", "messages": HI},
}


def raw(**changes: Any) -> bytes:
    """A good batch line with these fields changed; `None` leaves one out."""
    return json.dumps({k: v for k, v in (LINE | changes).items() if v is not None}).encode()


def body(**changes: Any) -> bytes:
    """A good batch line with these fields of its body changed."""
    return raw(body={k: v for k, v in ({"model": "a", "messages": HI} | changes).items() if v})


@pytest.mark.parametrize(
    ("data", "head"),
    [
        (raw(), LineHead("one", ("a",))),
        (raw(url="/chat/completions"), LineHead("one", ("a",))),
        (body(model="a, b"), LineHead("one", ("a", "b"))),
        (body(model=["a", "b"]), LineHead("one", ("a", "b"))),
        (body(model=None, fanout={"models": ["b", "c"]}), LineHead("one", ("b", "c"))),
        (body(model=None), LineHead("one", ("job",))),
        (json.dumps({"messages": HI}).encode(), LineHead("line-7", ("job",))),
        (json.dumps({"messages": HI, "model": "b"}).encode(), LineHead("line-7", ("b",))),
        (json.dumps({"messages": HI, "custom_id": "x"}).encode(), LineHead("x", ("job",))),
        (json.dumps(HI).encode(), LineHead("line-7", ("job",))),
        (raw(custom_id="ж" * 64), LineHead("ж" * 64, ("a",))),
    ],
)
def test_every_shape_of_line_has_a_custom_id_and_models(data: bytes, head: LineHead) -> None:
    assert read_head(data, 7, "job") == head


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"hello", "invalid_json_line", None),
        (raw() + b" {}", "invalid_json_line", None),
        *[
            (raw().replace(b'"Hi"', bad), "invalid_json_line", None)
            for bad in (
                b'"\\x"',
                b'"\x01"',
                b'"\\ud800"',
                b"01",
                b"1.",
                b"tru",
                b"[1,]",
                b"{1:2}",
                b"",
            )
        ],
        (b'{"custom_id":"\xff"}', "invalid_json_line", None),
        (raw().replace(b'"a"', b'"a","user":"\xff"'), "invalid_json_line", None),
        (b"[" * 100_000, "invalid_json_line", None),
        (b"5", "invalid_type", None),
        (b"[]", "missing_required_parameter", "messages"),
        (b"{}", "missing_required_parameter", "messages"),
        (b" " * (MAX_LINE + 1), "line_too_long", None),
        (raw(custom_id=None), "missing_required_parameter", "custom_id"),
        (raw(method=None), "missing_required_parameter", "method"),
        (raw(body=None), "missing_required_parameter", "body"),
        (raw(custom_id=5), "invalid_type", "custom_id"),
        (raw(custom_id=""), "invalid_custom_id", "custom_id"),
        (raw(custom_id="x" * 65), "invalid_custom_id", "custom_id"),
        (raw(method="GET"), "invalid_method", "method"),
        (raw(url="/v1/embeddings"), "url_mismatch", "url"),
        (body(messages=None), "missing_required_parameter", "body.messages"),
        (body(messages="Hi"), "invalid_type", "body.messages"),
        (body(model=" , a"), "missing_required_parameter", "body.model"),
        (body(stream=True), "invalid_value", "body.stream"),
        (json.dumps({"messages": HI, "stream": True}).encode(), "invalid_value", "stream"),
    ],
)
def test_an_invalid_line_has_an_error_code_and_a_field(
    data: bytes, code: str, param: str | None
) -> None:
    with pytest.raises(BadLine) as raised:
        read_head(data, 1, "job")
    assert (raised.value.code, raised.value.param) == (code, param)


def test_a_line_without_a_model_needs_a_job_with_a_model() -> None:
    with pytest.raises(BadLine) as raised:
        read_head(json.dumps(HI).encode(), 1, None)
    assert (raised.value.code, raised.value.param) == ("missing_required_parameter", "model")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (raw(), Line("one", {"model": "a", "messages": HI})),
        (body(model=None), Line("one", {"model": "job", "messages": HI})),
        (
            body(model=None, fanout={"models": ["b"]}),
            Line("one", {"messages": HI, "fanout": {"models": ["b"]}}),
        ),
        (json.dumps(HI).encode(), Line("line-7", {"model": "job", "messages": HI})),
        (
            json.dumps({"messages": HI, "custom_id": "x", "seed": 1}).encode(),
            Line("x", {"messages": HI, "seed": 1, "model": "job"}),
        ),
    ],
)
def test_a_line_of_every_shape_is_parsed_as_a_request(data: bytes, line: Line) -> None:
    assert parse_line(data, 7, "job") == line


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (raw(body={"model": "a", "messages": HI, "x": 0}).replace(b'"x": 0', b'"x":1e999'), "one"),
        (json.dumps(HI).replace('"Hi"', "1e999").encode(), "line-7"),
        (json.dumps(HI).replace('"Hi"', "[" * 5_000 + "]" * 5_000).encode(), "line-7"),
    ],
)
def test_a_line_that_cannot_be_parsed_keeps_its_custom_id(data: bytes, name: str) -> None:
    line = parse_line(data, 7, "job")
    assert (line.custom_id, line.body, line.parse_error) == (name, {}, UNREADABLE)


def test_a_response_is_written_as_openais_output_line() -> None:
    assert json.loads(response_line("one", "req_1", {"object": "chat.completion"})) == {
        "id": "batch_req_1",
        "custom_id": "one",
        "response": {
            "status_code": 200,
            "body": {"object": "chat.completion"},
            "request_id": "req_1",
        },
        "error": None,
    }


def test_a_rejected_request_has_a_response_with_its_status() -> None:
    result = json.loads(error_line("one", "req_1", UnknownModel("no such model", "model")))
    error = {"message": "no such model", "type": "invalid_request_error"}
    assert result["error"] is None
    assert result["response"]["status_code"] == 404
    assert result["response"]["body"]["error"] == error | {
        "param": "model",
        "code": "model_not_found",
    }


def test_a_missed_deadline_has_an_error_and_no_response() -> None:
    result = json.loads(error_line("one", "req_1", DeadlineExceeded("too late")))
    assert result["response"] is None
    assert result["error"] == {"code": "request_timeout", "message": "too late"}


def test_a_bug_is_a_500_without_its_message() -> None:
    line = error_line("one", "req_1", ValueError("the prompt was: secret"))
    assert json.loads(line)["response"]["status_code"] == 500
    assert b"secret" not in line


def test_a_line_that_never_ran_has_the_reason() -> None:
    result = json.loads(skipped_line("one", "req_1", "batch_expired", "too late"))
    assert result["response"] is None
    assert result["error"] == {"code": "batch_expired", "message": "too late"}


def test_a_stored_line_has_its_custom_id_unless_a_crash_cut_it() -> None:
    line = response_line("one", "req_1", {"x": 1})
    assert line.endswith(b"\n")
    assert stored_custom_id(line) == "one"
    assert [stored_custom_id(line[:cut]) for cut in range(len(line) - 1)] == [None] * (
        len(line) - 1
    )

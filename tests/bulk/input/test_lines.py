"""Lines of the input: all shapes of valid and invalid lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.bulk.input.line_parser import UNREADABLE, Line, parse_line
from fanout.bulk.input.lines import MAX_LINE, BadLine, LineHead, read_head

HI = [{"role": "user", "content": "Hi"}]
AZURE = "/openai/deployments/my%20gpt/chat/completions"
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
        (raw(url=f"{AZURE}?api-version=2024-10-21"), LineHead("one", ("my gpt",))),
        (
            raw(url=AZURE, body={"messages": HI, "fanout": {"models": ["b"]}}),
            LineHead("one", ("b",)),
        ),
        (raw(method=None, url=None), LineHead("one", ("a",))),
        (raw(method=None, url=None, body={"messages": HI}), LineHead("one", ("job",))),
        (json.dumps({"prompt": "Hi"}).encode(), LineHead("line-7", ("job",))),
        (b'{"prompt": "Hi", "custom_id": "x", "model": "b"}', LineHead("x", ("b",))),
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
    found = read_head(data, 7, "job")
    assert (found.custom_id, found.models) == (head.custom_id, head.models)


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
        (raw(custom_id=None, method=None, url=None), "missing_required_parameter", "custom_id"),
        (raw(url="/openai/deployments//chat/completions"), "url_mismatch", "url"),
        (raw(url="/openai/deployments/a/b/chat/completions"), "url_mismatch", "url"),
        (raw(url="/openai/deployments/a/images"), "url_mismatch", "url"),
        (raw(url=AZURE, method="GET"), "invalid_method", "method"),
        (raw(url=5), "invalid_type", "url"),
        (b'{"prompt": " "}', "invalid_value", "prompt"),
        (b'{"prompt": ["Hi"]}', "invalid_type", "prompt"),
        (b'{"prompt": "Hi", "messages": []}', "invalid_value", "prompt"),
        (b'{"prompt": "Hi", "stream": true}', "invalid_value", "stream"),
        (raw(body={"model": "a", "prompt": "Hi"}), "missing_required_parameter", "body.messages"),
        (raw(body=None), "missing_required_parameter", "body"),
        (raw(custom_id=5), "invalid_type", "custom_id"),
        (raw(custom_id=""), "invalid_custom_id", "custom_id"),
        (raw(custom_id="x" * 65), "invalid_custom_id", "custom_id"),
        (raw(method="GET"), "invalid_method", "method"),
        (raw(url="/v1/images"), "url_mismatch", "url"),
        (body(messages=None), "missing_required_parameter", "body.messages"),
        (body(messages="Hi"), "invalid_type", "body.messages"),
        (body(model=" , a"), "missing_required_parameter", "body.model"),
        (body(stream=True), "invalid_value", "body.stream"),
        (body(fanout={"lease": 5}), "invalid_value", "body.fanout.lease"),
        (body(fanout={"lease": "5"}), "invalid_value", "body.fanout.lease"),
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
        (raw(url=AZURE), Line("one", {"model": "my gpt", "messages": HI})),
        (raw(method=None, url=None), Line("one", {"model": "a", "messages": HI})),
        (
            b'{"prompt": "Hi", "seed": 1, "model": "b"}',
            Line("line-7", {"messages": HI, "seed": 1, "model": "b"}),
        ),
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

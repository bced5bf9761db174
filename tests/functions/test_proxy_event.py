"""Events of REST APIs as the app's requests."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from fanout.http.lambda_lifecycle import lambda_deadline, received_at
from functions.api.proxy_event import NotHTTP, read_event
from tests.support.runtime_api import ANY_BODY, proxy_event

END = 1_700_000_000.0


def scope(**more: Any) -> dict[str, Any]:
    return read_event(json.dumps(proxy_event(**more)).encode(), END)[0]


def body(**more: Any) -> bytes:
    return read_event(json.dumps(proxy_event(**more)).encode(), END)[1]


def headers(**more: Any) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = scope(**more)["headers"]
    return found


def test_the_scope_has_what_api_gateway_sends() -> None:
    found = scope(method="GET", path="/models/m")
    assert (found["type"], found["method"], found["path"]) == ("http", "GET", "/models/m")
    assert found["client"] == ("192.0.2.1", 0)
    assert found["headers"] == [
        (b"authorization", b"Bearer k"),
        (b"content-type", b"application/json"),
        (b"host", b"127.0.0.1"),
        (b"content-length", str(len(ANY_BODY)).encode()),
    ]


def test_the_deadline_is_the_invocations() -> None:
    assert lambda_deadline(2.0, lambda: END - 30)(scope()) == pytest.approx(28.0)


def test_the_request_was_received_when_api_gateway_says() -> None:
    assert received_at(scope()) == 1_795_953_600.0
    assert received_at(scope(requestContext={})) is None


@pytest.mark.parametrize(
    ("path", "decoded"),
    [
        ("/models/a b", "/models/a b"),
        ("/models/a%20b", "/models/a b"),
        ("/models/groq%2Fllama", "/models/groq/llama"),
        ("/models/é", "/models/é"),
        ("/models/bedrock/us.a:0", "/models/bedrock/us.a:0"),
        ("", "/"),
    ],
)
def test_a_path_may_be_encoded_or_not(path: str, decoded: str) -> None:
    found = scope(path=path)
    assert found["path"] == decoded
    assert found["raw_path"].isascii()


@pytest.mark.parametrize(
    ("many", "single", "query"),
    [
        (None, None, b""),
        ({"a": ["1", "2"], "b": ["x y"]}, {"a": "2", "b": "x y"}, b"a=1&a=2&b=x+y"),
        (None, {"after": "é&="}, b"after=%C3%A9%26%3D"),
    ],
)
def test_the_query_is_encoded_again(many: Any, single: Any, query: bytes) -> None:
    found = scope(multiValueQueryStringParameters=many, queryStringParameters=single)
    assert found["query_string"] == query


def test_a_repeated_header_stays_repeated_so_that_the_app_can_reject_two_keys() -> None:
    found = headers(multiValueHeaders={"Authorization": ["Bearer a", "Bearer b"]})
    assert [value for name, value in found if name == b"authorization"] == [
        b"Bearer a",
        b"Bearer b",
    ]


def test_headers_without_multiple_values_are_read_too() -> None:
    assert (b"x-a", b"1") in headers(multiValueHeaders=None, headers={"X-A": "1"})
    assert headers(multiValueHeaders=None, headers=None, body=None) == [(b"content-length", b"0")]


def test_the_length_is_that_of_the_body_and_not_the_clients() -> None:
    sent = {"Content-Length": ["7"], "Transfer-Encoding": ["chunked"], "Connection": ["close"]}
    assert headers(multiValueHeaders=sent, body="four") == [(b"content-length", b"4")]


@pytest.mark.parametrize("content", [b"", b"text", "é".encode(), bytes(range(256))])
def test_a_body_in_base64_is_decoded(content: bytes) -> None:
    text = base64.b64encode(content).decode()
    assert body(body=text, isBase64Encoded=True) == content


@pytest.mark.parametrize(("text", "content"), [(None, b""), ("", b""), ("é", "é".encode())])
def test_a_body_in_text_is_encoded(text: str | None, content: bytes) -> None:
    assert body(body=text) == content


def test_an_event_that_is_nested_too_deeply_is_no_request() -> None:
    depth = 200_000
    event = b'{"httpMethod": "GET", "x": ' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(NotHTTP):
        read_event(event, 0.0)


@pytest.mark.parametrize("missing", ["requestContext", "isBase64Encoded", "resource", "headers"])
def test_an_event_by_hand_may_leave_out_fields(missing: str) -> None:
    event = {name: value for name, value in proxy_event().items() if name != missing}
    assert read_event(json.dumps(event).encode(), END)[1] == ANY_BODY.encode()

"""Every request, even random bytes, gets a response: a good one or a 4xx with OpenAI's error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fanout.schema.gateway_fields import GatewayFields
from fanout.schema.request import ChatRequest
from tests.http.test_bad_input import models
from tests.support.in_process import AppResponse, InProcess, run_in_process

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

GOOD: list[dict[str, Any]] = [
    {"model": "a", "messages": HI},
    {"model": "a", "messages": HI, "stream": True, "stream_options": {"include_usage": True}},
    {"model": "a, b", "messages": [HI, HI], "fastest_response": True, "n": 2, "timeout": 5},
    {"model": ["a", "b"], "messages": HI, "fallbacks": [{"a": ["b"]}], "num_retries": 1},
    {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "4", "tool_call_id": "c"},
        ],
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "logit_bias": {"1": -1},
        "stop": ["\n"],
        "metadata": {"k": "v"},
        "fanout": {"mode": "hedge", "models": ["a", "b"], "stagger": 0.1, "max_parallel": 2},
    },
]
FIELDS = sorted({*ChatRequest.__struct_fields__, *GatewayFields.__struct_fields__} - {"body"})

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 10**9, 2**63, -(2**63) - 1, 10**40, 1e308, -0.0, 5e-324])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["a", "b", "a,b", "user", "function", "text", "auto", "\u2028", "a`b", "$."])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=12,
)


def examples(count: int) -> settings:
    """The same examples each time, however slow the machine."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=slow,
    )


@pytest.fixture(scope="module")
def app() -> Iterator[InProcess]:
    with run_in_process(models("a", "b")) as running:
        yield running


def check(app: InProcess, response: AppResponse) -> None:
    """Check that the request has a valid response."""
    assert not app.observer.unexpected_errors
    if response.status != 200:
        assert 400 <= response.status < 500
        assert response.error["message"]
        assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    app.observer.clear()


@examples(150)
@given(body=st.binary(max_size=200))
def test_any_bytes_for_a_body(app: InProcess, body: bytes) -> None:
    check(app, app.post(body))


@examples(200)
@given(value=values)
@example(value=10**40)
def test_any_json_for_a_body(app: InProcess, value: Any) -> None:
    check(app, app.post(value))


@examples(300)
@given(
    body=st.sampled_from(GOOD), change=st.dictionaries(st.sampled_from(FIELDS), values, max_size=3)
)
def test_any_json_for_any_field(
    app: InProcess, body: dict[str, Any], change: dict[str, Any]
) -> None:
    check(app, app.post(body | change))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside `value`."""
    yield path
    inner = value.items() if isinstance(value, dict) else ()
    for key, below in enumerate(value) if isinstance(value, list) else inner:
        yield from places(below, (*path, key))


def put(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """`value` with `other` at `path`."""
    if not path:
        return other
    first, *rest = path
    if isinstance(value, list):
        changed = put(value[first], tuple(rest), other)
        return [changed if index == first else below for index, below in enumerate(value)]
    return value | {first: put(value[first], tuple(rest), other)}


PLACES = [(body, path) for body in GOOD for path in places(body)]


@examples(600)
@given(place=st.sampled_from(PLACES), value=values)
def test_any_json_at_any_depth(app: InProcess, place: tuple[Any, ...], value: Any) -> None:
    body, path = place
    check(app, app.post(put(body, path, value)))


@examples(300)
@given(body=st.sampled_from(GOOD), data=st.data())
def test_any_bytes_inside_a_good_body(
    app: InProcess, body: dict[str, Any], data: st.DataObject
) -> None:
    raw = json.dumps(body).encode()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 20)))
    noise = st.binary(max_size=8) | st.sampled_from([b'"', b"\\", b"{", b"]", b"\\ud800", b"1e999"])
    check(app, app.post(raw[:start] + data.draw(noise) + raw[end:]))


names = st.sampled_from([b"authorization", b"content-length", b"x-request-id", b"content-type"])


@examples(300)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"]),
    path=st.sampled_from(
        ["/v1/chat/completions", "/models", "/v1/models/", "/health", "/v1", ""]
    ).flatmap(lambda known: st.just(known) | st.text(max_size=12).map(known.__add__)),
    headers=st.lists(st.tuples(names | st.binary(max_size=10), st.binary(max_size=30)), max_size=4),
    pieces=st.lists(st.binary(max_size=10), min_size=1, max_size=3),
)
def test_any_method_path_and_headers(
    app: InProcess,
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    pieces: list[bytes],
) -> None:
    check(app, app.ask(method, path, pieces, headers))

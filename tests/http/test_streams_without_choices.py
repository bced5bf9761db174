"""A stream without any choice: an error in every mode, or an empty choice if it was paid."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse
from tests.support.in_process import InProcess, run_in_process
from tests.support.wire_formats import WIRE_FORMATS

OPENAI = WIRE_FORMATS["openai"]
HI = [{"role": "user", "content": "Hi"}]
DONE = b"data: [DONE]\n\n"
PAID = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps({"id": "c", "choices": [], **fields}).encode() + b"\n\n"


UNPAID: dict[str, bytes] = {
    "the end alone": DONE,
    "a comment": b": ping\n\n" + DONE,
    "no choices": event() + DONE,
    "two of these": event() + event() + DONE,
    "usage of nothing": event(usage=dict.fromkeys(PAID, 0)) + DONE,
}
BY_STREAM: list[dict[str, Any]] = [
    {"model": "empty", "stream": True},
    {"model": "empty"},
    {"model": "empty, good", "fastest_response": True},
    {"model": "empty, good", "fastest_response": True, "stream": True},
    {"model": "empty", "fallbacks": ["good"], "stream": True},
    {"model": "empty", "fallbacks": ["good"]},
    {"model": "empty, good"},
    {"model": "empty, good", "stream": True},
]


class Hosts:
    """Whatever is asked for, `empty` sends a stream, and `good` says Hello in one."""

    def __init__(self) -> None:
        self.empty = b""

    async def send(self, request: Outgoing) -> WireResponse:
        return WireResponse(200, {}, self._body(request))

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        yield StreamedResponse(200, {}, _once(self._body(request)))

    async def aclose(self) -> None:
        """Nothing is open."""

    def _body(self, request: Outgoing) -> bytes:
        if "empty.test" in request.url:
            return self.empty
        return OPENAI.delta("m", {"role": "assistant", "content": "Hello"}) + OPENAI.closing("m")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.fixture(scope="module")
def hosts() -> Hosts:
    return Hosts()


@pytest.fixture(scope="module", params=["openai_like", "openai", "groq"])
def app(hosts: Hosts, request: pytest.FixtureRequest) -> Iterator[InProcess]:
    listed = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"{request.param}/{name}",
                "api_base": f"http://{name}.test/v1",
                "api_key": "k",
            },
        }
        for name in ("empty", "good")
    ]
    config = {"model_list": listed, "router_settings": {"num_retries": 0, "allowed_fails": 10**6}}
    with run_in_process(config, hosts) as running:
        yield running
        assert running.observer.unexpected_errors == []


def _content(choice: dict[str, Any]) -> str:
    part = choice.get("message") or choice.get("delta") or {}
    return part.get("content") or ""


def choices_of(body: bytes) -> dict[int, list[Any]]:
    """The text, the finish reasons and the errors of each choice, plain or streamed."""
    if body.startswith(b"{"):
        found = json.loads(body)["choices"]
    else:
        assert body.endswith(b"data: [DONE]\n\n")
        events = [json.loads(one[6:]) for one in body.split(b"\n\n") if one.startswith(b"data: {")]
        found = [choice for one in events for choice in one["choices"]]
    choices: dict[int, list[Any]] = {}
    for choice in found:
        text, reason, error = choices.get(choice["index"], ["", None, None])
        text += _content(choice)
        error = error or choice.get("error")
        choices[choice["index"]] = [text, choice["finish_reason"] or reason, error]
    return choices


@pytest.mark.parametrize("name", UNPAID)
@pytest.mark.parametrize("body", BY_STREAM, ids=str)
def test_a_stream_without_a_choice_is_an_error_in_every_mode(
    app: InProcess, hosts: Hosts, name: str, body: dict[str, Any]
) -> None:
    hosts.empty = UNPAID[name]
    response = app.post({"messages": HI, **body})
    if body["model"] == "empty" and "fallbacks" not in body:
        assert response.status == 502
        return
    assert response.status == 200
    choices = choices_of(response.body)
    if body["model"] == "empty" or "fastest_response" in body:
        assert choices == {0: ["Hello", "stop", None]}
    else:
        assert choices[1] == ["Hello", "stop", None]
        assert choices[0][2]["code"]


@pytest.mark.parametrize("body", BY_STREAM[:2] + BY_STREAM[4:], ids=str)
def test_a_stream_without_a_choice_that_was_paid_is_an_empty_choice_in_every_mode(
    app: InProcess, hosts: Hosts, body: dict[str, Any]
) -> None:
    """So it is for whole responses: an error would be sent again, and paid again."""
    hosts.empty = event(usage=PAID) + DONE
    response = app.post({"messages": HI, **body})
    assert response.status == 200
    assert choices_of(response.body)[0] == ["", "stop", None]


@pytest.mark.parametrize("body", BY_STREAM[2:4], ids=str)
def test_in_a_race_a_model_with_content_wins_over_it(
    app: InProcess, hosts: Hosts, body: dict[str, Any]
) -> None:
    hosts.empty = event(usage=PAID) + DONE
    response = app.post({"messages": HI, **body})
    assert choices_of(response.body) == {0: ["Hello", "stop", None]}

"""A model that may not stream takes part in races, and responds to clients that stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, refuse, reply, stalls
from tests.support.scripted_provider import Call, Upstream

MESSAGES: Any = [{"role": "user", "content": "Hi"}]
VERIFY = "Your organization must be verified to stream this model."
RAW = {"error": {"message": VERIFY, "param": "stream", "code": "unsupported_value"}}
UNABLE = {"error": {"message": "This model does not support streaming.", "type": "x"}}


async def as_event(call: Call) -> None:
    """Reject the stream in its first event."""
    call.head()
    call.piece(b"data: " + json.dumps(UNABLE).encode() + b"\n\n")


REJECTIONS = [
    as_event,
    reply(200, json.dumps(UNABLE).encode(), {"content-type": "application/json"}),
    refuse(501, "This model does not support streaming."),
    refuse(500, "Streaming is not supported for this model"),
    refuse(400, "Provider returned error", metadata={"raw": json.dumps(RAW)}),  # OpenRouter
    refuse(400, "Provider returned error", metadata={"raw": RAW}),
    refuse(
        400,
        "Your organization must be verified to stream this model. Please go to: https://x.test",
        param="stream",
        code="unsupported_value",
    ),
    refuse(400, "This model does not support streaming."),
    refuse(422, "stream is not supported for this model"),
    refuse(403, VERIFY),
]


@pytest.fixture
def server(upstream: Upstream) -> Iterator[RunningGateway]:
    models = [entry(upstream, name) for name in ("a", "b")]
    with serve({"model_list": models, "router_settings": {"num_retries": 0}}) as served:
        yield served


def client(server: RunningGateway) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def unstreamed(rejection: Any) -> list[Any]:
    """Steps of a model that rejects a stream, and otherwise responds."""

    async def respond(call: Call) -> None:
        for step in [rejection] if call.body.get("stream") else answers("whole"):
            await step(call)

    return [respond]


@pytest.mark.parametrize("rejection", REJECTIONS)
def test_in_a_race_it_is_called_without_a_stream(
    server: RunningGateway, upstream: Upstream, rejection: Any
) -> None:
    upstream.script("a", unstreamed(rejection))
    upstream.script("b", stalls())
    for _ in range(2):
        response = client(server).chat.completions.create(
            model="a, b", messages=MESSAGES, extra_body={"fastest_response": True}
        )
        assert response.choices[0].message.content == "whole"
        assert response.model == "a"
    streams = [bool(call.body.get("stream")) for call in upstream.calls_to("a")]
    assert streams == [True, False, False]  # it is not asked for a stream again


@pytest.mark.parametrize("models", ["a", "a, b"])
def test_a_client_that_streams_gets_its_whole_response(
    server: RunningGateway, upstream: Upstream, models: str
) -> None:
    upstream.script("a", unstreamed(REJECTIONS[0]))
    upstream.script("b", stalls())
    more: Any = {"fastest_response": True} if "," in models else {}
    chunks = client(server).chat.completions.create(
        model=models,
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=more,
    )
    found = list(chunks)
    text = "".join(c.delta.content or "" for chunk in found for c in chunk.choices)
    assert text == "whole"
    assert any(chunk.usage for chunk in found)


OTHERS = [
    ("no such tool: stream_reader", "tools"),
    ("stream_options is not supported", None),
    ("stream_options is not supported", "stream_options"),
    ("Invalid image: content type application/octet-stream is not supported", "messages"),
    ("messages[0]: invalid stream of tokens", None),
    ("This model does not support tools. See https://docs.x.test/streaming", None),
    ("non-streaming is not supported", None),
    ("response_format does not support streaming", "response_format"),
]


@pytest.mark.parametrize(("message", "param"), OTHERS)
def test_any_other_rejection_is_the_clients(
    server: RunningGateway, upstream: Upstream, message: str, param: str | None
) -> None:
    fields: dict[str, Any] = {"param": param} if param else {}
    upstream.script("a", [refuse(400, message, **fields)])
    with pytest.raises(BadRequestError):
        client(server).chat.completions.create(model="a", messages=MESSAGES, stream=True)
    assert len(upstream.calls_to("a")) == 1


@pytest.mark.parametrize(
    "message",
    [
        "Tools are not supported in streaming mode",
        "logprobs is not supported when streaming",
        "Streaming with n>1 is not supported",
    ],
)
def test_what_does_not_go_with_a_stream_is_asked_for_without_one_each_time(
    server: RunningGateway, upstream: Upstream, message: str
) -> None:
    upstream.script("a", unstreamed(refuse(400, message)))
    for _ in range(2):
        list(client(server).chat.completions.create(model="a", messages=MESSAGES, stream=True))
    streams = [bool(call.body.get("stream")) for call in upstream.calls_to("a")]
    assert streams == [True, False, True, False]


def test_a_request_that_is_wrong_without_a_stream_too_changes_nothing_for_others(
    server: RunningGateway, upstream: Upstream
) -> None:
    wrong = refuse(400, "no", param="stream")
    upstream.script("a", [wrong], [wrong], answers("streamed"))
    with pytest.raises(BadRequestError):
        client(server).chat.completions.create(model="a", messages=MESSAGES, stream=True)
    list(client(server).chat.completions.create(model="a", messages=MESSAGES, stream=True))
    streams = [bool(call.body.get("stream")) for call in upstream.calls_to("a")]
    assert streams == [True, False, True]

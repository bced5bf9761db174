"""
Odd streams of every provider through the whole gateway: single, raced and among others.

Each recorded stream of the golden files is changed: a value is replaced, an event left out, sent
twice or added, or the stream ends early, with or without an error. What the provider's decoder
reads of it is what the client gets, in chunks that OpenAI's SDK accepts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from fanout.errors import ProviderError
from fanout.providers.base import WireError
from fanout.schema.accumulator import ChunkAccumulator
from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.transport.stream_events import StreamEvents
from fanout.wire.eventstream import EXCEPTION
from fanout.wire.http import WireResponse
from tests.providers.recorded_streams import (
    NEARLY_JSON,
    ODD,
    Event,
    encoded,
    events_of,
    is_binary,
    paths,
    replaced,
)
from tests.providers.test_contract import cases, target_of
from tests.providers.test_tolerant_reading import deployment_of, texts_of
from tests.support.in_process import InProcess, run_in_process
from tests.support.wire_formats import WIRE_FORMATS

STEADY = settings(derandomize=True, deadline=None, max_examples=4)
CASES: dict[str, Path] = {
    str(case.id): case.values[0] for case in cases("stream.txt") + cases("stream.hex")
}
HI = [{"role": "user", "content": "Hi"}]
OPENAI = WIRE_FORMATS["openai"]


class Playback:
    """An engine: `hello` says Hello, `down` is down, and any other host sends `pieces`."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def send(self, request: Outgoing) -> WireResponse:
        """All of a plain response at once."""
        async with self.stream(request) as incoming:
            if incoming.status == 200:
                return WireResponse(200, {}, OPENAI.whole("m", "Hello"))
            return WireResponse(incoming.status, {}, b"".join([p async for p in incoming.body]))

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        host = urlsplit(request.url).hostname
        hello = [OPENAI.delta("m", {"content": "Hello"}), OPENAI.closing("m")]
        pieces = {"hello.test": hello, "down.test": [OPENAI.error({"message": "down"})]}
        status = 500 if host == "down.test" else 200
        yield StreamedResponse(status, {}, _one_by_one(pieces.get(host or "", self.pieces)))

    async def aclose(self) -> None:
        """Nothing is open."""


async def _one_by_one(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


def entry(name: str, model: str, host: str, options: Mapping[str, str]) -> dict[str, Any]:
    params = {"model": model, "api_base": f"http://{host}.test", "api_key": "k", **options}
    return {"model_name": name, "litellm_params": params}


class Gateway(Struct, frozen=True):
    app: InProcess
    engine: Playback

    def post(self, **body: Any) -> Any:
        return self.app.post({"messages": HI, **body})


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    models = [
        entry(name, f"{case.parent.name}/{target_of(case).model}", "case", target_of(case).options)
        for name, case in CASES.items()
    ]
    models += [entry(name, f"openai/{name}", name, {}) for name in ("hello", "down")]
    engine = Playback()
    config = {"model_list": models, "router_settings": {"num_retries": 0, "allowed_fails": 10**6}}
    with run_in_process(config, engine) as app:
        yield Gateway(app, engine)
        assert app.observer.unexpected_errors == []


# ---- changed streams ----

EXTRA: dict[str, Event] = {
    "anthropic": ("event: novel\n", {"type": "novel", "delta": {"text": "no"}}),
    "cohere": ("event: novel\n", {"type": "novel", "delta": {"message": {"text": "no"}}}),
    "gemini": ("", {"novel": {"text": "no"}}),
    "openai": ("", {"object": "novel", "novel": {"text": "no"}}),
    "bedrock": ("novel", {"novel": "no"}),
}
COHERE_FAULT = {"finish_reason": "ERROR", "error": "E"}
FAULTS: dict[str, Event] = {
    "anthropic": ("event: error\n", {"type": "error", "error": {"type": "e", "message": "E"}}),
    "cohere": ("event: message-end\n", {"type": "message-end", "delta": COHERE_FAULT}),
    "gemini": ("", {"error": {"code": 503, "message": "E", "status": "UNAVAILABLE"}}),
    "openai": ("", {"error": {"message": "E", "type": "server_error"}}),
    "bedrock": (EXCEPTION + "modelStreamErrorException", {"message": "E"}),
}  # fmt: skip


def format_of(case: Path) -> str:
    """Whose events a case has."""
    if is_binary(case):
        return "bedrock"
    vendor = case.parent.name
    if vendor == "vertex_ai":
        return "anthropic" if case.name.startswith("claude") else "gemini"
    return vendor if vendor in EXTRA and vendor != "bedrock" else "openai"


@st.composite
def changed(draw: st.DrawFn, case: Path) -> list[Event]:
    """The events of a case with one change."""
    events = events_of(case)
    at = draw(st.integers(0, len(events) - 1))
    before, after = events[:at], events[at + 1 :]
    head, value = events[at]
    kind = draw(st.sampled_from(["value", "value", "again", "without", "extra", "end", "fault"]))
    match kind:
        case "value" if isinstance(value, dict):
            path = draw(st.sampled_from(list(paths(value))))
            odd = replaced(value, path, draw(st.sampled_from(ODD + NEARLY_JSON)))
            return [*before, (head, odd), *after]
        case "again":
            return [*before, events[at], events[at], *after]
        case "without":
            return [*before, *after]
        case "extra":
            return [*before, EXTRA[format_of(case)], events[at], *after]
        case "fault":
            return [*before, FAULTS[format_of(case)]]
        case _:
            return before


def cut(draw: Any, case: Path, events: list[Event]) -> list[bytes]:
    """The bytes of the events in pieces, with comments between some events."""
    size = draw(st.sampled_from([61, 1 << 20]))
    comment = b"" if is_binary(case) else draw(st.sampled_from([b"", b": keep-alive\n\n", b"\n\n"]))
    data = comment.join(encoded(case, [event]) for event in events)
    return [data[i : i + size] for i in range(0, len(data), size)]


class Outcome(Struct, frozen=True):
    """What the decoder reads: the chunks, and the error after them, if there is one."""

    chunks: list[Any]
    error: str | None

    @property
    def text(self) -> str:
        return "".join(texts_of(chunk) for chunk in self.chunks)

    @property
    def completion(self) -> Any:
        accumulator = ChunkAccumulator()
        for chunk in self.chunks:
            accumulator.add(chunk)
        return accumulator.completion()


def expected(case: Path, pieces: list[bytes]) -> Outcome:
    """What the decoder reads for a client that asks for one choice, as these do."""
    deployment = deployment_of(case)
    target = replace(deployment.target, one_choice=True)
    stream = StreamEvents(replace(deployment, target=target), 1 << 24, None)
    chunks: list[Any] = []
    try:
        for piece in pieces:
            if stream.is_json(piece):
                return Outcome([], "a whole response")
            chunks += stream.feed(piece)
        chunks += stream.end()
        return Outcome(chunks, None if stream.ended else "the stream broke")
    except (ProviderError, WireError, ValueError) as error:
        return Outcome(chunks, None if stream.is_complete else str(error))


# ---- what the client gets ----


class Received(Struct, frozen=True):
    """What a client gets of a stream: the chunks, and the error after them."""

    chunks: list[Any]
    error: Any


def accepted(value: dict[str, Any]) -> dict[str, Any]:
    """Without what the SDK passes on as it is: a vendor's tier, and fields of a log probability."""
    own = isinstance(value.get("service_tier"), str)
    kept = {name: one for name, one in value.items() if not own or name != "service_tier"}
    for choice in value["choices"]:
        for tokens in (choice.get("logprobs") or {}).values():
            assert all(isinstance(token, dict) for token in tokens or ())
    return kept | {"choices": [choice | {"logprobs": None} for choice in value["choices"]]}


def received(body: bytes, *, usage: bool) -> Received:
    """The stream, which must be one that OpenAI's SDK accepts."""
    events = [one.removeprefix(b"data: ") for one in body.split(b"\n\n") if one]
    values = [json.loads(one) for one in events if one != b"[DONE]"]
    chunks = [value for value in values if "error" not in value]
    errors = [value["error"] for value in values if "error" in value]
    assert (events[-1] == b"[DONE]") is (not errors)
    assert len(errors) <= 1
    for chunk in chunks:
        ChatCompletionChunk.model_validate(accepted(chunk))
    if usage and not errors:
        assert [bool(chunk["choices"]) for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    return Received(chunks, errors[0] if errors else None)


def collected(chunks: list[Any], index: int = 0) -> Any:
    """One choice of the chunks."""
    accumulator = ChunkAccumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    choices: Any = accumulator.completion()["choices"]
    return next((choice for choice in choices if choice["index"] == index), None)


def message(choice: Any) -> Any:
    """The parts of a choice that its provider decides."""
    return {name: choice.get(name) for name in ("message", "finish_reason", "logprobs")}


def has_content(outcome: Outcome) -> bool:
    return bool(outcome.text) or any(
        choice["delta"].get("tool_calls") for chunk in outcome.chunks for choice in chunk["choices"]
    )


@pytest.mark.parametrize("name", CASES)
@STEADY
@given(data=st.data())
def test_an_odd_stream_reaches_the_client(gateway: Gateway, name: str, data: st.DataObject) -> None:
    case = CASES[name]
    pieces = cut(data.draw, case, data.draw(changed(case)))
    outcome = expected(case, pieces)
    gateway.engine.pieces = pieces
    usage = data.draw(st.booleans())
    models = data.draw(st.sampled_from([name, [name, "down"]]))
    fields = {"fastest_response": True} if models != name else {}
    response = gateway.post(
        model=models, stream=True, stream_options={"include_usage": usage}, **fields
    )
    if response.status != 200:
        assert outcome.error or not has_content(outcome)
        assert response.status >= 400
        return
    found = received(response.body, usage=usage)
    assert bool(found.error) is bool(outcome.error)
    ours = Outcome(found.chunks, None)
    assert ours.text == outcome.text
    if outcome.error is None:
        theirs = outcome.completion
        for choice in theirs["choices"]:
            assert message(collected(found.chunks, choice["index"])) == message(choice)
        if usage:
            assert found.chunks[-1]["usage"] == theirs["usage"]


@pytest.mark.parametrize("name", CASES)
@STEADY
@given(data=st.data())
def test_an_odd_stream_is_collected_in_a_race(
    gateway: Gateway, name: str, data: st.DataObject
) -> None:
    """For a client that wants a plain response, a race receives streams."""
    case = CASES[name]
    pieces = cut(data.draw, case, data.draw(changed(case)))
    outcome = expected(case, pieces)
    gateway.engine.pieces = pieces
    response = gateway.post(model=["down", name], fastest_response=True)
    if outcome.error is not None:
        assert response.status >= 400
        return
    assert response.status == 200
    whole = json.loads(response.body)
    ChatCompletion.model_validate(accepted(whole))
    theirs = outcome.completion
    assert list(map(message, whole["choices"])) == list(map(message, theirs["choices"]))
    assert whole["usage"] == theirs["usage"]


@pytest.mark.parametrize("name", CASES)
@STEADY
@given(data=st.data())
def test_an_odd_stream_is_one_of_several(gateway: Gateway, name: str, data: st.DataObject) -> None:
    case = CASES[name]
    pieces = cut(data.draw, case, data.draw(changed(case)))
    outcome = expected(case, pieces)
    gateway.engine.pieces = pieces
    usage = data.draw(st.booleans())
    response = gateway.post(
        model=["hello", name], stream=True, stream_options={"include_usage": usage}
    )
    assert response.status == 200
    found = received(response.body, usage=usage)
    assert found.error is None
    assert collected(found.chunks)["message"]["content"] == "Hello"
    for theirs in outcome.completion["choices"]:
        if theirs["index"] == 0:
            ours = collected(found.chunks, 1)
            if outcome.error is None:
                assert message(ours) == message(theirs)
            else:
                assert ours["error"]["message"] in ours["message"]["refusal"]
                assert ours["message"]["content"] == (theirs["message"]["content"] or None)

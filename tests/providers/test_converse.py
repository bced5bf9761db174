"""
Converse against botocore's model of the service: requests, responses, frames, signatures.

For the same values, botocore and Fanout send the same and read the same.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.parsers import EventStreamJSONParser, RestJSONParser
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.providers import registry
from fanout.providers.base import BadWire, Target, WireError
from fanout.providers.bedrock.converse.response import FAILURES, FINISH_REASONS
from fanout.providers.bedrock.models import find_model
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent, WireResponse
from fanout.wire.sigv4 import Credentials, sign
from tests.support import event_stream_frames as frames

GOLDEN = Path(__file__).parent / "golden" / "bedrock"
BEDROCK = registry.find("bedrock")
SERVICE = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))
CONVERSE = SERVICE.operation_model("Converse")
STREAM = SERVICE.operation_model("ConverseStream")
EVENTS = STREAM.get_event_stream_output()
CLAUDE = Target("our-name", "us.anthropic.claude-sonnet-4-6")
LLAMA = Target("our-name", "meta.llama3-3-70b-instruct-v1:0")
STEADY = settings(derandomize=True, deadline=None)


def cases(name: str) -> list[Any]:
    found = sorted(GOLDEN.glob(f"converse-*/{name}"))
    return [pytest.param(path, id=path.parent.name) for path in found]


def load(path: Path) -> Any:
    return json.loads(path.read_text())


# ---- the oracle ----


def to_params(value: Any, shape: Shape) -> Any:
    """JSON as botocore's parameters: what is base64 on the wire is bytes there."""
    match shape.type_name:
        case "structure" if not shape.is_document_type and shape.members:
            return {name: to_params(item, shape.members[name]) for name, item in value.items()}
        case "list":
            return [to_params(item, shape.member) for item in value]
        case "map":
            return {name: to_params(item, shape.value) for name, item in value.items()}
        case "blob":
            return b64decode(value, validate=True)
        case _:
            return value


def misfits(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """What botocore leaves to the server to check: values that an enumeration does not have."""
    if shape.type_name == "structure" and not shape.is_document_type:
        for name, item in value.items():
            if name in shape.members:
                yield from misfits(item, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from misfits(item, shape.member, f"{path}[]")
    elif (words := getattr(shape, "enum", None)) and value not in words:
        yield f"{path}: {value}"


def check(value: Any, shape: Shape) -> Any:
    """`value` as botocore's parameters, after a check against the shape."""
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(misfits(value, shape)) == []
    params = to_params(value, shape)
    assert not ParamValidator().validate(params, shape).has_errors()
    return params


@pytest.mark.parametrize("path", cases("wire.json") + cases("wire_stream.json"))
def test_botocore_sends_the_same_request_for_the_same_values(path: Path) -> None:
    """The path, with the model's id escaped in it, and the body, its bytes in base64."""
    golden = load(path)
    operation = STREAM if path.stem == "wire_stream" else CONVERSE
    model = unquote(golden["path"].split("/")[2])
    params = check({**golden["body"], "modelId": model}, operation.input_shape)
    serializer = create_serializer("rest-json")
    theirs = serializer.serialize_to_request(params, operation)
    assert golden["path"] == theirs["url_path"]
    assert golden["method"] == theirs["method"]
    assert golden["body"] == json.loads(theirs["body"])
    assert model == find_model(Target("our-name", load(path.parent / "target.json")["model"])).id


@pytest.mark.parametrize("path", cases("response.json"))
def test_the_golden_response_is_valid_by_botocores_model(path: Path) -> None:
    check(load(path), CONVERSE.output_shape)
    response = {"body": path.read_bytes(), "headers": {}, "status_code": 200}
    theirs = RestJSONParser().parse(response, CONVERSE.output_shape)
    text = "".join(block.get("text", "") for block in theirs["output"]["message"]["content"])
    assert (load(path.parent / "chat.json")["choices"][0]["message"]["content"] or "").endswith(
        text
    )


@pytest.mark.parametrize("path", cases("stream.hex"))
def test_the_golden_stream_is_valid_by_botocores_reader_and_model(path: Path) -> None:
    """`events.json` is the same stream in readable form; the model lacks `p`, the padding."""
    events = load(path.parent / "events.json")
    data = bytes.fromhex(path.read_text())
    assert data == frames.stream((kind, payload) for kind, payload in events)
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    for message, (kind, payload) in zip(buffer, events, strict=True):
        assert message.headers[":event-type"] == kind
        check({k: v for k, v in payload.items() if k != "p"}, EVENTS.members[kind])
        assert EventStreamJSONParser().parse(message.to_response_dict(), EVENTS)[kind]


# ---- addresses and signatures ----

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
NOW = datetime(2026, 10, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("model", [ARN, "us.anthropic.claude-3-haiku-20240307-v1:0", "qwen.x"])
def test_the_signature_equals_botocores(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Escaped once in the address and once more in what is signed."""
    request = parse_chat({"messages": [{"role": "user", "content": "Hi."}]})
    wire = BEDROCK.chat.encode(request, Target("our-name", model), True)
    url = BEDROCK.base_url.format(region="us-east-1") + wire.path
    headers = {"content-type": "application/json"}
    theirs = AWSRequest("POST", url, dict(headers), wire.body)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW)
    SigV4Auth(TheirCredentials("AKID", "secret"), "bedrock", "us-east-1").add_auth(theirs)
    args = (wire.body, Credentials("AKID", "secret"), "us-east-1", "bedrock", NOW)
    ours = sign("POST", url, headers, *args)
    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours["x-amz-date"] == theirs.headers["X-Amz-Date"]


# ---- how responses end ----


def response(reason: str, *content: Any) -> WireResponse:
    value = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": reason,
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    }
    return WireResponse(200, {}, json.dumps(value).encode())


def test_every_stop_reason_of_botocores_model_is_known() -> None:
    known = set(SERVICE.shape_for("StopReason").enum)
    assert known == FINISH_REASONS.keys() | FAILURES


@pytest.mark.parametrize("reason", sorted(FAILURES))
def test_a_malformed_response_is_an_error(reason: str) -> None:
    """So that another model can be tried."""
    with pytest.raises(WireError, match=reason) as plain:
        BEDROCK.chat.decode(response(reason), LLAMA)
    decoder = BEDROCK.chat.decoder(LLAMA)
    with pytest.raises(WireError, match=reason) as streamed:
        list(decoder.feed(WireEvent(f'{{"stopReason":"{reason}"}}'.encode(), "messageStop")))
    assert plain.value.status == streamed.value.status == 502
    assert not decoder.ended


def test_an_unknown_stop_reason_becomes_stop() -> None:
    chat = BEDROCK.chat.decode(response("bored", {"text": "Hi."}), LLAMA)
    assert chat["choices"][0]["finish_reason"] == "stop"


def test_blocks_and_events_that_no_request_asks_for_are_ignored() -> None:
    """Such as the vendor's own tools, which OpenAI's API does not have."""
    use = {"toolUseId": "t1", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}
    chat = BEDROCK.chat.decode(
        response("end_turn", {"toolUse": use}, {"hologram": {}}, {"text": "Hi."}), LLAMA
    )
    assert chat["choices"][0]["message"] == {"role": "assistant", "content": "Hi."}
    decoder = BEDROCK.chat.decoder(LLAMA)
    start = {"contentBlockIndex": 0, "start": {"toolUse": {**use, "input": None}}}
    piece = {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}
    result = {"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "t1"}}}
    events = [
        ("contentBlockStart", start),
        ("contentBlockDelta", piece),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("contentBlockStart", result),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"hologram": {}}}),
        ("contentBlockStop", {"contentBlockIndex": 1}),
        ("weather", {}),
    ]
    for kind, payload in events:
        assert list(decoder.feed(WireEvent(json.dumps(payload).encode(), kind))) == []


# ---- failures inside a stream ----

EXCEPTIONS = {
    name: shape for name, shape in EVENTS.members.items() if shape.metadata.get("exception")
}


def decoded(data: bytes) -> list[Any]:
    framer, decoder = BEDROCK.chat.framer(), BEDROCK.chat.decoder(CLAUDE)
    return [chunk for event in framer.feed(data) for chunk in decoder.feed(event)]


def test_botocores_model_has_exceptions_inside_a_stream() -> None:
    assert {"throttlingException", "modelStreamErrorException"} <= EXCEPTIONS.keys()


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_has_the_services_http_status(name: str) -> None:
    """Its name begins with a small letter inside a stream, and with a capital one outside."""
    data = frames.exception(name, {"message": "Not now."})
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    (message,) = list(buffer)
    theirs = EventStreamJSONParser().parse(message.to_response_dict(400), EVENTS)
    with pytest.raises(WireError) as raised:
        decoded(frames.event("messageStart", {"role": "assistant"}) + data)
    assert raised.value.status == EXCEPTIONS[name].metadata["error"]["httpStatusCode"]
    assert raised.value.detail.message == theirs["Error"]["Message"] == "Not now."


def test_a_throttled_stream_has_openais_error_type_and_code() -> None:
    with pytest.raises(WireError) as raised:
        decoded(frames.exception("throttlingException", {"message": "Too many tokens."}))
    detail = raised.value.detail
    assert (detail.type, detail.code) == ("rate_limit_error", "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (frames.error("InternalFailure", "Something broke."), 502, "Something broke."),
        (frames.error("ThrottlingException", "Slow down."), 429, "Slow down."),
        (frames.error("", ""), 502, "HTTP 502, the provider gave no reason"),
        (frames.exception("novelException", {}), 502, "NovelException, the provider gave no"),
        (frames.exception("novelException", []), 502, "NovelException, the provider gave no"),
    ],
)
def test_an_unknown_failure_keeps_its_message(data: bytes, status: int, message: str) -> None:
    with pytest.raises(WireError, match=message) as raised:
        decoded(data)
    assert raised.value.status == status


def test_a_stream_may_begin_with_an_empty_piece() -> None:
    framer = BEDROCK.chat.framer()
    assert list(framer.feed(b"")) == []
    assert list(framer.feed(frames.event("a", {}))) == [WireEvent(b"{}", "a")]


def test_a_stream_with_a_wrong_checksum_is_malformed() -> None:
    data = bytearray(frames.event("messageStart", {"role": "assistant"}))
    data[-7] ^= 1
    with pytest.raises(BadWire, match="checksum"):
        decoded(bytes(data))


def test_redacted_reasoning_that_is_not_base64_is_malformed() -> None:
    piece = {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": "?"}}}
    stop = frames.event("contentBlockStop", {"contentBlockIndex": 0})
    with pytest.raises(BadWire):
        decoded(frames.event("contentBlockDelta", piece) + stop)


def test_a_response_ends_before_its_usage_arrives() -> None:
    """If the connection is lost between the two, only the usage is lost."""
    decoder = BEDROCK.chat.decoder(CLAUDE)
    list(decoder.feed(WireEvent(b'{"role":"assistant"}', "messageStart")))
    assert not decoder.ended
    list(decoder.feed(WireEvent(b'{"stopReason":"end_turn"}', "messageStop")))
    assert decoder.ended


def test_interleaved_calls_stay_separate() -> None:
    def start(index: int, name: str) -> bytes:
        use = {"toolUseId": f"t{index}", "name": name}
        return frames.event(
            "contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": use}}
        )

    def piece(index: int, text: str) -> bytes:
        delta = {"toolUse": {"input": text}}
        return frames.event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})

    data = start(4, "f") + start(2, "g") + piece(2, "[") + piece(4, "{") + piece(2, "]")
    calls = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in decoded(data)]
    assert [(call["index"], call["function"]["arguments"]) for call in calls[2:]] == [
        (1, "["),
        (0, "{"),
        (1, "]"),
    ]


# ---- malformed data ----

SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3)
WORDS = st.sampled_from(
    sorted(
        {*EVENTS.members, "text", "start", "delta", "toolUse", "reasoningContent", "usage"}
        | {"contentBlockIndex", "stopReason", "output", "message", "content", "choices", "p"}
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@STEADY
@given(st.sampled_from(sorted(EVENTS.members)), JSON, st.sampled_from([LLAMA.model, "openai.x"]))
def test_malformed_data_gives_a_response_or_an_expected_error(
    kind: str, value: Any, model: str
) -> None:
    target, data = Target("our-name", model), json.dumps(value).encode()
    for attempt in (
        lambda: BEDROCK.chat.decode(WireResponse(200, {}, data), target),
        lambda: list(BEDROCK.chat.decoder(target).feed(WireEvent(data, kind))),
        lambda: list(BEDROCK.chat.decoder(target).feed(WireEvent(data, f"exception/{kind}"))),
    ):
        try:
            attempt()
        except (BadWire, WireError, ValueError):
            continue

"""
Each vendor's error bodies, by kind: in `golden/<vendor>/error_kinds.json`.

Each row has the body that the vendor returns, its HTTP status, the words in it, and its kind. The
bodies of most rows are also tried in a stream: as its first event, after the first text, and as
JSON with status 200. Those of rows with `by_status` are known by their status alone; those with
status 200 have no other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fanout.config.deployment import Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    UnsupportedCountry,
)
from fanout.gateway.factory import make_transport
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.rows import ROWS
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from fanout.wire.http import WireEvent
from tests.support import event_stream_frames as frames
from tests.support.scripted_engine import Reply, Script, ScriptedEngine
from tests.support.virtual_clock import run

GOLDEN = Path(__file__).parent / "golden"
HELLO = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
KEY = "marker-secret-0123456789"

# kind: class, the client's statuses, its code, whether it is retried, the cooldown
EXPECTED: dict[str, tuple[type[ProviderError], set[int], str, bool, str]] = {
    "content_filter": (ContentFiltered, {400}, "content_filter", False, "never"),
    "model_not_found": (ModelNotFound, {404}, "model_not_found", False, "never"),
    "unsupported_country": (
        UnsupportedCountry, {403}, "unsupported_country_region_territory", False, "counted",
    ),
    "context_length": (ContextLengthExceeded, {400}, "context_length_exceeded", False, "never"),
    "rate_limit": (RateLimited, {429}, "rate_limit_exceeded", True, "now"),
    "insufficient_quota": (QuotaExceeded, {429}, "insufficient_quota", False, "now"),
    "invalid_key": (Refused, {502}, "provider_key_refused", False, "now"),
    "permission": (PermissionDenied, {403}, "permission_denied", False, "counted"),
    "overloaded": (Overloaded, {502, 503}, "", True, "counted"),
    "timeout": (TimedOut, {504}, "", True, "counted"),
    "invalid_request": (Rejected, {400, 422}, "", False, "never"),
}  # fmt: skip

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
CHOICE = {"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}
ANTHROPIC_START = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
            "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
]  # fmt: skip
COHERE_START = [
    {"type": "message-start", "id": "m-1", "delta": {"message": {"role": "assistant"}}},
    {
        "type": "content-delta", "index": 0,
        "delta": {"message": {"content": {"type": "text", "text": "Hel"}}},
    },
]  # fmt: skip
GEMINI_START = {"candidates": [{"content": {"parts": [{"text": "Hel"}]}, "index": 0}]}


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


TEXT_FIRST: dict[str, bytes] = {
    "anthropic": sse(*ANTHROPIC_START),
    "cohere": sse(*COHERE_START),
    "gemini": sse(GEMINI_START),
    "bedrock": frames.event("messageStart", {"role": "assistant"})
    + frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}}),
}
OPENAI_TEXT = sse({**CHUNK, "choices": [CHOICE]})


def text_first(vendor: str, row: dict[str, Any]) -> bytes:
    if vendor == "vertex_ai":
        vendor = "anthropic" if "claude" in row.get("model", "") else "gemini"
    return TEXT_FIRST.get(vendor, OPENAI_TEXT)


def rows(skipped: Callable[[dict[str, Any]], Any]) -> list[Any]:
    found = []
    for path in sorted(GOLDEN.glob("*/error_kinds.json")):
        for number, row in enumerate(json.loads(path.read_text())):
            if not skipped(row):
                name = f"{path.parent.name}-{number}-{row['kind']}"
                found.append(pytest.param(path.parent.name, row, id=name))
    return found


RESPONSES = rows(lambda row: row["status"] == 200)
IN_BODY = rows(lambda row: row.get("by_status"))
MODELS = {"bedrock": "anthropic.claude-3", "vertex_ai": "gemini-2.5-flash"}


def deployment(vendor: str, row: dict[str, Any]) -> Deployment:
    model = row.get("model") or MODELS.get(vendor, "m")
    params: dict[str, Any] = {
        "model": f"{vendor}/{model}",
        "api_key": KEY,
        "api_base": "http://a.test/v1",
    }
    if vendor == "azure":
        params["api_version"] = "2024-10-21"
    if vendor == "vertex_ai":
        params["vertex_project"] = "our-project"
    return make_deployment("our-name", ModelParams(**params), {}, {})


def with_key(row: dict[str, Any]) -> bytes:
    """The body, whose message also quotes the key."""
    body = json.dumps(row["body"]).encode()
    words = json.dumps(row["words"]).encode()
    if words not in body:  # a list of faults, which has no place for a key
        return body
    return body.replace(words, words[:-1] + b" (" + KEY.encode() + b')"')


def error_event(vendor: str, row: dict[str, Any]) -> bytes:
    body = with_key(row)
    if vendor == "bedrock":
        return frames.exception(row["exception"], json.loads(body))
    kind = b"event: error\n" if row["body"].get("type") == "error" else b""
    return kind + b"data: " + body + b"\n\n"


def raised(
    vendor: str, row: dict[str, Any], reply: Reply, *, stream: bool
) -> tuple[ProviderError, str]:
    """The error of a call, and the text that was streamed before it."""
    transport = make_transport(Settings(), ScriptedEngine(a=Script(reply, reply)))
    texts: list[str] = []

    async def call() -> None:
        if not stream:
            await transport.chat(deployment(vendor, row), HELLO)
            return
        async with transport.stream(deployment(vendor, row), HELLO) as opened:
            async for chunk in opened.chunks:
                texts.extend(one["delta"].get("content") or "" for one in chunk["choices"])

    with pytest.raises(ProviderError) as caught:
        run(call())
    return caught.value, "".join(texts)


def check(vendor: str, row: dict[str, Any], error: ProviderError) -> None:
    kind, statuses, code, retryable, cooldown = EXPECTED[row["kind"]]
    assert type(error) is kind
    assert error.status in statuses
    assert error.is_retryable is retryable
    assert error.cooldown == cooldown
    assert not code or error.detail.code == code
    assert error.status < 500 or error.detail.type != "invalid_request_error"
    assert KEY not in f"{error} {error.detail}"
    words = f"`{vendor}` rejected the API key" if kind is Refused else row["words"]
    assert str(error).startswith(f"`our-name`: {words}"), str(error)


def check_in_body(vendor: str, row: dict[str, Any], error: ProviderError) -> None:
    """The same error as with a status of its own; of a busy vendor's, that is 503."""
    check(vendor, row, error)
    has_status = re.search(r'": "?5\d\d\b', json.dumps(row["body"])) or "exception" in row
    if row["kind"] == "overloaded" and not has_status:
        assert error.status == 503


def whole(row: dict[str, Any], status: int) -> Reply:
    headers = {"content-type": "application/json", **row.get("headers", {})}
    return Reply(status, [with_key(row)], headers=headers)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("vendor", "row"), RESPONSES)
def test_an_error_response_is_classified_by_its_body(
    vendor: str, row: dict[str, Any], *, stream: bool
) -> None:
    error, _ = raised(vendor, row, whole(row, row["status"]), stream=stream)
    check(vendor, row, error)
    assert error.upstream == row["status"]
    assert row["status"] not in {498, 503, 529} or error.status in {400, 403, 429, 503}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("vendor", "row"), IN_BODY)
def test_an_error_body_with_status_200_is_the_same_error(
    vendor: str, row: dict[str, Any], *, stream: bool
) -> None:
    if "exception" in row:  # without the header, the body has the name
        row = {**row, "body": {**row["body"], "__type": row["exception"]}}
    error, _ = raised(vendor, row, whole(row, 200), stream=stream)
    check_in_body(vendor, row, error)


@pytest.mark.parametrize(
    "start", [lambda *_: b"", text_first],
    ids=["first", "after a text"],
)  # fmt: skip
@pytest.mark.parametrize(("vendor", "row"), IN_BODY)
def test_an_error_event_in_a_stream_is_the_same_error(
    vendor: str, row: dict[str, Any], start: Callable[..., bytes]
) -> None:
    content_type = (
        "application/vnd.amazon.eventstream" if vendor == "bedrock" else "text/event-stream"
    )
    pieces = [start(vendor, row), error_event(vendor, row)]
    reply = Reply(200, [one for one in pieces if one], headers={"content-type": content_type})
    error, text = raised(vendor, row, reply, stream=True)
    check_in_body(vendor, row, error)
    assert text == ("Hel" if pieces[0] else "")


BEDROCK = [row.values[1] for row in IN_BODY if row.values[0] == "bedrock"]
NAMED = {
    "validationException": "temperature: the value is too high.",
    "accessDeniedException": "Your account may not do this now.",
    "modelErrorException": "The model has failed.",
    "internalServerException": "Something has failed.",
}


@pytest.mark.parametrize("row", BEDROCK)
def test_bedrocks_error_is_the_same_wherever_its_name_is(row: dict[str, Any]) -> None:
    """In a header, in the body, in a stream's first event; without a name, by its text."""
    found = {described(error) for error in errors_of(row)}
    assert len(found) == 1, found
    for status in (200, row["status"]):
        nameless, _ = raised("bedrock", row, whole({**row, "headers": {}}, status), stream=False)
        if row["kind"] != "overloaded":
            ((kind, client, _, _, code),) = found
            assert (type(nameless), nameless.status, nameless.detail.code) == (kind, client, code)


def test_so_is_one_that_only_its_name_classifies() -> None:
    for name, text in NAMED.items():
        header = {"x-amzn-errortype": name[:1].upper() + name[1:]}
        status = {"val": 400, "acc": 403, "mod": 424, "int": 500}[name[:3]]
        row = {"body": {"message": text}, "words": text, "exception": name, "headers": header}
        found = {described(error) for error in errors_of({**row, "status": status})}
        assert len(found) == 1, found
        assert found.pop()[2] == status


def described(error: ProviderError) -> tuple[Any, ...]:
    return type(error), error.status, error.upstream, error.detail.type, error.detail.code


def errors_of(row: dict[str, Any]) -> list[ProviderError]:
    """The error of each of a name's places."""
    body = {**row["body"], "__type": "x#" + row["exception"][:1].upper() + row["exception"][1:]}
    typed, kind = {**row, "headers": {}, "body": body}, "application/vnd.amazon.eventstream"
    event = Reply(200, [error_event("bedrock", row)], headers={"content-type": kind})
    replies = [
        *(
            (whole(one, status), stream)
            for one in (row, typed)
            for status in (row["status"], 200)
            for stream in (False, True)
        ),
        (event, True),
    ]
    return [raised("bedrock", row, reply, stream=stream)[0] for reply, stream in replies]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Forbidden", Refused),
        ("Access denied", Refused),
        ("The API key is disabled.", Refused),
        ("This access token may not be used.", Refused),
        ("You must authenticate first to do this.", Refused),
        ("Your plan allows fewer tokens at once.", PermissionDenied),
        ("You are not authorized to use this model.", PermissionDenied),
        ("Your input was flagged by our filters.", ContentFiltered),
    ],
)
def test_a_403_of_an_unknown_vendor_is_about_the_key_if_it_says_so_or_nothing(
    text: str, kind: type[ProviderError]
) -> None:
    reply = Reply(403, [json.dumps({"error": {"message": text}}).encode()])
    error, _ = raised("openai_like", {}, reply, stream=False)
    assert type(error) is kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, "error code: 1010", PermissionDenied),
        (403, "error code: 1020\n", PermissionDenied),
        (403, "error code: 1009", UnsupportedCountry),
        (429, "error code: 1015", RateLimited),
        (524, "error code: 524", Overloaded),
        (403, "<html>error code: 1010</html>", Refused),
        (403, "<!DOCTYPE html><html><head><title>Just a moment...</title>", PermissionDenied),
        (403, "<html><TITLE>\nAttention Required! | Cloudflare</TITLE>", PermissionDenied),
        (403, "<html><head><title>403 Forbidden</title></head>", Refused),
        (403, "<html><title>The API key is not valid</title></html>", Refused),
        (401, "error code: 1010", Refused),
    ],
)
def test_a_block_of_the_edge_in_front_of_a_vendor_is_not_about_the_key(
    status: int, body: str, kind: type[ProviderError]
) -> None:
    error, _ = raised("openai_like", {}, Reply(status, [body.encode()]), stream=False)
    assert type(error) is kind


CLIENTS_FAULTS: dict[str, type[ProviderError]] = {
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens":
        ContextLengthExceeded,
    "the request exceeds the available context size (4096 tokens), try increasing it":
        ContextLengthExceeded,
    "The response was filtered due to the prompt triggering our content management policy. Please "
    "modify your prompt and retry.": ContentFiltered,
    "Incorrect API key provided: sk-1.": Refused,
    "The model `x` does not exist": ModelNotFound,
    "You exceeded your current quota, please check your plan and billing details":
        QuotaExceeded,
    "The service is not available in your country": UnsupportedCountry,
}  # fmt: skip


@pytest.mark.parametrize("vendor", ["openai", "openai_like", "hosted_vllm", "mistral", "azure"])
@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("text", CLIENTS_FAULTS)
def test_the_words_of_a_clients_error_count_before_a_servers_status(
    vendor: str, status: int, text: str
) -> None:
    """As a response, and as JSON or the first event of a success: the same each time."""
    error: dict[str, Any] = {"message": text, "type": "server_error", "param": None, "code": status}
    body = json.dumps({"error": error}).encode()
    found = [
        raised(vendor, {}, Reply(status, [body]), stream=False)[0],
        raised(vendor, {}, Reply(status, [body]), stream=True)[0],
        raised(vendor, {}, Reply(200, [body]), stream=True)[0],
        raised(vendor, {}, Reply(200, [b"data: " + body + b"\n\n"]), stream=True)[0],
    ]
    assert {type(one) for one in found} == {CLIENTS_FAULTS[text]}
    assert not any(one.is_retryable for one in found)


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize(
    "text",
    [
        "The content policy service is temporarily unavailable.",
        "The content moderation policy check timed out",
        "The model x was not found, try again later",
        "Internal error: cannot reach the service that checks the api key, which is overloaded",
    ],
)
def test_a_fault_that_ends_by_itself_is_the_servers(status: int, text: str) -> None:
    body = json.dumps({"error": {"message": text}}).encode()
    error, _ = raised("openai_like", {}, Reply(status, [body]), stream=False)
    assert type(error) is Overloaded


def test_a_code_that_repeats_the_status_is_none() -> None:
    body = b'{"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}'
    error, _ = raised("openai_like", {}, Reply(503, [body]), stream=False)
    assert (error.status, error.detail.code) == (503, "provider_overloaded")


def test_a_busy_provider_is_no_rate_limit_also_with_429() -> None:
    body = b'{"error": {"message": "The engine is currently overloaded, please try again later"}}'
    reply = Reply(429, [body], headers={"retry-after": "3"})
    error, _ = raised("openai_like", {}, reply, stream=False)
    assert (type(error), error.status, error.retry_after) == (Overloaded, 503, 3.0)
    assert not error.rate_limits


@pytest.mark.parametrize(
    "text",
    [
        "guardrails: extra fields are not permitted",
        "Invalid value for 'content': expected a string",
        "max_tokens is too large: 5000. This model supports at most 4096 completion tokens.",
        "tools.0: the name must not be longer than 64 characters",
        "The model produced invalid content.",
    ],
)
@pytest.mark.parametrize("vendor", ["openai", "mistral", "anthropic", "gemini", "xai", "bedrock"])
def test_an_ordinary_400_is_nothing_else(vendor: str, text: str) -> None:
    body = {"error": {"message": text, "type": "invalid_request_error"}, "message": text}
    reply = Reply(400, [json.dumps(body).encode()])
    error, _ = raised(vendor, {}, reply, stream=False)
    assert type(error) is Rejected
    assert error.status == 400


def test_an_event_called_error_is_one_whatever_its_fields() -> None:
    body = b'event: error\ndata: {"message": "This model is currently overloaded."}\n\n'
    reply = Reply(200, [OPENAI_TEXT, body], headers={"content-type": "text/event-stream"})
    error, text = raised("openai_like", {}, reply, stream=True)
    assert (text, str(error)) == ("Hel", "`our-name`: This model is currently overloaded.")


@pytest.mark.parametrize("form", ["plain", "json", "event"])
@pytest.mark.parametrize("wrap", [
    lambda text: {"detail": text}, lambda text: {"message": text},
    lambda text: {"error": text}, lambda text: {"error": {"message": text}},
])  # fmt: skip
@pytest.mark.parametrize(
    ("text", "status", "kind"),
    [("Unauthorized", 401, Refused), ("Forbidden", 403, Refused), ("Not Found", 404, Rejected),
     ("Payment Required", 402, QuotaExceeded), ("Too Many Requests", 429, RateLimited),
     ("Service Unavailable", 503, Overloaded)],
)  # fmt: skip
@pytest.mark.parametrize("vendor", ["mistral", "groq", "hosted_vllm", "openai_like", "azure"])
def test_a_text_that_only_says_a_status_is_that_error_also_in_a_success(
    vendor: str, text: str, status: int, kind: type[ProviderError], wrap: Any, form: str
) -> None:
    body = json.dumps(wrap(text)).encode()
    replies = {
        "plain": Reply(status, [body]),
        "json": Reply(200, [body]),
        "event": Reply(200, [b"data: " + body + b"\n\n"]),
    }
    error, _ = raised(vendor, {}, replies[form], stream=form == "event")
    assert type(error) is kind
    assert error.upstream == status


def test_an_event_of_a_vendor_that_has_more_than_an_error_is_none() -> None:
    odd = sse({"message": "Loading the model.", "progress": 0.5})
    reply = Reply(200, [odd, OPENAI_TEXT], headers={"content-type": "text/event-stream"})
    error, text = raised("openai_like", {}, reply, stream=True)
    assert text == "Hel"
    assert type(error).__name__ == "Broken"


OWN_SERVERS = {"hosted_vllm", "local", "ollama"}
VENDORS = sorted({*registry.FOLDERS, *(row.name for row in ROWS.values())} - OWN_SERVERS)


@pytest.mark.parametrize("vendor", VENDORS)
def test_each_vendor_has_its_errors_in_a_golden_file(vendor: str) -> None:
    kinds = {one["kind"] for one in json.loads((GOLDEN / vendor / "error_kinds.json").read_text())}
    assert kinds <= EXPECTED.keys()
    assert "model_not_found" in kinds
    assert kinds & {"rate_limit", "insufficient_quota"}


@pytest.mark.parametrize("start", [b"", OPENAI_TEXT], ids=["first", "after a text"])
@pytest.mark.parametrize("delta", [{}, {"content": ""}, {"content": None}])
@pytest.mark.parametrize("reason", [None, "stop"])
@pytest.mark.parametrize(
    ("fault", "words", "kind"),
    [
        ("over_capacity", "over_capacity", Overloaded),
        ("The model is currently overloaded.", "The model is currently overloaded.", Overloaded),
        (
            {"message": "Rate limit reached", "code": "rate_limit_exceeded"},
            "Rate limit",
            RateLimited,
        ),
        ({}, "", None),
        ("", "", None),
        (None, "", None),
    ],
)
def test_groqs_own_error_in_a_chunk_is_an_error_of_the_stream(
    start: bytes, delta: Any, reason: Any, fault: Any, words: str, kind: Any
) -> None:
    """An empty one is none: then the stream ends as any other."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    last = sse({**CHUNK, "choices": [choice], "x_groq": {"id": "r", "error": fault}})
    pieces = [piece for piece in (start, last, b"data: [DONE]\n\n") if piece]
    reply = Reply(200, pieces, headers={"content-type": "text/event-stream"})
    if kind is None:
        decoder = registry.find("groq").chat.decoder(Target("our-name", "m"))
        assert [*decoder.feed(WireEvent(last[6:].strip()))]
        return
    error, text = raised("groq", {}, reply, stream=True)
    assert (type(error), text) == (kind, "Hel" if start else "")
    assert error.is_retryable
    assert error.upstream == (503 if kind is Overloaded else 429)
    assert str(error).startswith(f"`our-name`: {words}")

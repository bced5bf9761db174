"""Vertex AI's golden files against Google's and Anthropic's own SDKs, and what only it has."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import httpx2
import pytest
from anthropic import AnthropicVertex
from anthropic.types import Message
from google import genai
from google.auth.credentials import Credentials
from google.genai import types

from fanout.errors import ConfigError, RequestError
from fanout.providers.base import BadWire, Target, WireError
from fanout.providers.vertex_ai.models import complete_options, find_host, find_model
from fanout.providers.vertex_ai.provider import PROVIDER
from fanout.providers.vertex_ai.rules import TIER_HEADER, TIERS
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent, WireRequest, WireResponse
from tests.providers.test_gemini import config_of, spelled_alike

GOLDEN = Path(__file__).parent / "golden" / "vertex_ai"
CLAUDE = "claude-sonnet-4-5@20250929"
HI = [{"role": "user", "content": "Hi"}]
PNG = "data:image/png;base64,iVBORw0KGgo="
LOCATIONS = ["global", "us", "eu", "us-central1", "europe-west12", "northamerica-northeast1"]


def cases(pattern: str) -> list[Any]:
    found = sorted(GOLDEN.glob(pattern))
    return [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in found]


def target(model: str, **more: Any) -> Target:
    options = {"vertex_project": "our-project", "vertex_location": "global", **more}
    return Target("our-name", model, options=options)


def encode(model: str, stream: bool = False, options: Any = None, **body: Any) -> WireRequest:  # noqa: FBT001, FBT002
    request = parse_chat({"messages": HI, **body})
    return PROVIDER.chat.encode(request, target(model, **(options or {})), stream)


class Token(Credentials):
    """Credentials of Google's library that need no network."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = "made-up"
        self.expiry = datetime(2099, 1, 1, tzinfo=UTC).replace(tzinfo=None)

    def refresh(self, request: object) -> None:
        raise AssertionError


# ---- Gemini: google-genai judges ----


def google(response: bytes, seen: list[httpx.Request], location: str = "global") -> genai.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=response, headers={"content-type": "application/json"})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    options = types.HttpOptions(api_version="v1", httpx_client=client)
    return genai.Client(
        vertexai=True, project="our-project", location=location, credentials=Token(),
        http_options=options,
    )  # fmt: skip


@pytest.mark.parametrize("path", cases("gemini-*/wire*.json"))
def test_googles_sdk_sends_the_same_request_to_the_same_address(path: Path) -> None:
    wire = json.loads(path.read_text())
    body, address = wire["body"], wire["path"]
    contents = [types.Content.model_validate(content) for content in body["contents"]]
    found = re.fullmatch(r".*/models/(.*):(\w+)(?:\?alt=sse)?", unquote(address))
    assert found
    seen: list[httpx.Request] = []
    given: dict[str, Any] = {"model": found[1], "contents": contents, "config": config_of(body)}
    if found[2].startswith("stream"):
        models = google(b'data: {"candidates": [{"finishReason": "STOP"}]}\n\n', seen).models
        list(models.generate_content_stream(**given))
    else:
        models = google(b'{"candidates": [{"finishReason": "STOP"}]}', seen).models
        models.generate_content(**given)
    sent = json.loads(seen[0].content)
    if not sent["generationConfig"]:
        del sent["generationConfig"]  # the SDK sends it even if it is empty
    assert spelled_alike(sent) == spelled_alike(body)
    assert unquote(str(seen[0].url)) == f"https://{find_host('global')}" + unquote(address)
    assert seen[0].headers["authorization"] == "Bearer made-up"


@pytest.mark.parametrize("location", LOCATIONS)
def test_the_host_of_a_location_is_that_of_both_sdks(location: str) -> None:
    seen: list[Any] = []
    response = b'{"candidates": [{"finishReason": "STOP"}]}'
    google(response, seen, location).models.generate_content(model="gemini-2.5-pro", contents="?")
    message = (GOLDEN / "claude-text" / "response.json").read_bytes()
    anthropic(message, "application/json", seen, location).messages.create(
        model=CLAUDE, max_tokens=1, messages=[{"role": "user", "content": "Hi"}]
    )
    assert {request.url.host for request in seen} == {find_host(location)}


@pytest.mark.parametrize("path", cases("gemini-*/response.json"))
def test_googles_sdk_reads_the_golden_response(path: Path) -> None:
    types.GenerateContentResponse.model_validate_json(path.read_bytes())  # rejects unknown fields
    response = google(path.read_bytes(), []).models.generate_content(model="m", contents="?")
    chat = json.loads((path.parent / "chat.json").read_text())
    assert response.usage_metadata
    assert chat["usage"]["total_tokens"] == response.usage_metadata.total_token_count


# ---- Claude: Anthropic's SDK judges ----


def anthropic(
    response: bytes, kind: str, seen: list[httpx2.Request], region: str = "europe-west1"
) -> AnthropicVertex:
    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, content=response, headers={"content-type": kind})

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return AnthropicVertex(
        region=region, project_id="our-project", access_token="made-up", http_client=client
    )


@pytest.mark.parametrize("path", cases("claude-*/wire*.json"))
def test_anthropics_sdk_sends_the_same_request_to_the_same_address(path: Path) -> None:
    wire = json.loads(path.read_text())
    body, address = wire["body"], wire["path"]
    model = address.rpartition("/")[2].partition(":")[0]
    seen: list[httpx2.Request] = []
    stream = "stream" in body
    reply = b"event: message_stop\ndata: {}\n\n" if stream else b"{}"
    client = anthropic(reply, "text/event-stream" if stream else "application/json", seen)
    given = {name: value for name, value in body.items() if name != "anthropic_version"}
    client.post("/v1/messages", cast_to=object, body={"model": model, **given})
    # The SDK asks for a newer version, without sampling parameters.
    assert json.loads(seen[0].content) | {"anthropic_version": "vertex-2023-10-16"} == body
    assert unquote(str(seen[0].url)) == f"https://{find_host('europe-west1')}{unquote(address)}"
    assert seen[0].headers["authorization"] == "Bearer made-up"


@pytest.mark.parametrize("path", cases("claude-*/stream.txt"))
def test_anthropics_sdk_assembles_a_stream_to_the_same_message(path: Path) -> None:
    client = anthropic(path.read_bytes(), "text/event-stream", [])
    with client.messages.stream(
        model=CLAUDE, max_tokens=1, messages=[{"role": "user", "content": "Hi"}]
    ) as events:
        streamed = events.get_final_message()
    whole = Message.model_validate_json((path.parent / "response.json").read_bytes())
    assert [b.to_dict() for b in streamed.content] == [b.to_dict() for b in whole.content]
    assert streamed.stop_reason == whole.stop_reason


# ---- names and places ----


@pytest.mark.parametrize(
    ("model", "base", "publisher", "theirs"),
    [
        ("gemini-2.5-pro", None, "google", "gemini-2.5-pro"),
        ("google/gemini-2.5-pro", None, "google", "gemini-2.5-pro"),
        ("claude-opus-4-7", None, "anthropic", "claude-opus-4-7"),
        ("anthropic/claude-opus-4-7", None, "anthropic", "claude-opus-4-7"),
        ("1234567890", "gemini-2.5-flash", "google", "1234567890"),
        ("gemini/1234567890", "gemini-2.5-flash", "google", "1234567890"),
    ],
)
def test_a_models_name_says_its_publisher(
    model: str, base: str | None, publisher: str, theirs: str
) -> None:
    found = find_model(model, base)
    assert (found.publisher, found.id) == (publisher, theirs)
    assert found.kind == (base or theirs)


def test_a_tuned_gemini_is_an_endpoint_of_the_project() -> None:
    wire = encode("1234567890", options={"base_model": "gemini-2.5-flash"})
    path = "/v1/projects/our-project/locations/global/endpoints/1234567890:generateContent"
    assert wire.path == path


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("mistral-large", {}, "only Gemini, Claude"),
        ("1234567890", {}, "`base_model`"),
        ("gemini-2.5-pro", {"vertex_project": ""}, "`vertex_project`"),
        ("gemini-2.5-pro", {"vertex_project": "a/b"}, "`vertex_project`"),
        ("gemini-2.5-pro", {"vertex_location": "evil.test/"}, "`vertex_location`"),
        ("gemini-2.5-pro", {"vertex_location": "US-Central1"}, "`vertex_location`"),
    ],
)
def test_options_that_cannot_work_are_named(
    model: str, options: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        complete_options(model, {"vertex_project": "our-project", **options})


def test_without_a_project_the_error_says_where_to_write_it() -> None:
    with pytest.raises(ConfigError, match="`vertex_project` in litellm_params, or VERTEXAI_PROJ"):
        complete_options("gemini-2.5-pro", {})


# ---- what differs from the vendors' own APIs ----


@pytest.mark.parametrize(("tier", "sent"), TIERS.items())
def test_a_service_tier_of_gemini_is_a_header(tier: str, sent: str | None) -> None:
    wire = encode("gemini-2.5-flash", service_tier=tier)
    assert wire.headers == ({TIER_HEADER: sent} if sent else {})
    assert "serviceTier" not in json.loads(wire.body)


@pytest.mark.parametrize("tier", ["auto", "default"])
def test_claude_gets_no_service_tier(tier: str) -> None:
    assert "service_tier" not in json.loads(encode(CLAUDE, service_tier=tier).body)


@pytest.mark.parametrize(
    ("model", "url", "path"),
    [
        ("gemini-2.5-pro", "https://a.test/picture", "messages[0].content[0].image_url.url"),
        ("gemini-2.5-pro", "gs://bucket/a.unknown", "messages[0].content[0].image_url.url"),
        (CLAUDE, "https://a.test/a.png", "messages[0].content[0].image_url.url"),
    ],
)
@pytest.mark.parametrize("drop", [False, True])
def test_a_picture_that_the_model_could_not_see_is_a_400_that_names_it(
    model: str, url: str, path: str, *, drop: bool
) -> None:
    """Also with `drop_params`: without it, the request would ask for something else."""
    part = {"type": "image_url", "image_url": {"url": url}}
    request = parse_chat({"messages": [{"role": "user", "content": [part]}]})
    lax = Target("our-name", model, drop_params=drop)
    with pytest.raises(RequestError) as rejected:
        PROVIDER.chat.encode(request, lax, False)
    assert rejected.value.param == path


@pytest.mark.parametrize(
    "file", [{"file_id": "file-1"}, {"file_id": "https://a.test/a.pdf"}]
)  # fmt: skip
def test_claude_reads_no_file_by_its_id(file: dict[str, str]) -> None:
    with pytest.raises(RequestError) as rejected:
        encode(CLAUDE, messages=[{"role": "user", "content": [{"type": "file", "file": file}]}])
    assert rejected.value.param == "messages[0].content[0].file.file_id"


@pytest.mark.parametrize("url", [PNG, "gs://b/a.png", "https://a.test/a.png?x=1"])
def test_gemini_reads_data_and_addresses_that_end_like_a_file(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    body = json.loads(encode("gemini-2.5-pro", messages=[{"role": "user", "content": [part]}]).body)
    (sent,) = body["contents"][0]["parts"]
    assert {"image/png"} == {value["mimeType"] for value in sent.values()}


@pytest.mark.parametrize(("model", "kept"), [("gemini-2.5-pro", False), ("gemini-3-pro", True)])
def test_ids_of_calls_go_to_the_models_that_take_them(model: str, *, kept: bool) -> None:
    call = {"id": "abc12345", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "abc12345", "content": "1"},
    ]
    body = json.loads(encode(model, messages=turns).body)
    parts = [part for turn in body["contents"] for part in turn["parts"]]
    ids = [value.get("id") for part in parts for value in part.values() if "name" in value]
    assert ids == (["abc12345"] * 2 if kept else [None] * 2)


def test_labels_are_sent_to_gemini_and_metadata_is_not() -> None:
    body = json.loads(encode("gemini-2.5-pro", labels={"team": "a"}, metadata={"Trace": "b"}).body)
    assert body["labels"] == {"team": "a"}
    assert "metadata" not in body


def test_a_field_that_only_ai_studio_has_is_not_sent() -> None:
    assert "store" not in json.loads(encode("gemini-2.5-pro", store=True).body)


# ---- errors inside a success ----


GOOGLES = {"error": {"code": 503, "message": "Try again.", "status": "UNAVAILABLE"}}
ANTHROPICS = {"type": "error", "error": {"type": "overloaded_error", "message": "Try again."}}


@pytest.mark.parametrize("model", ["gemini-2.5-pro", CLAUDE])
def test_googles_error_with_the_status_of_a_success_is_that_error(model: str) -> None:
    body = json.dumps(GOOGLES).encode()
    with pytest.raises(WireError, match=r"Try again\.") as whole:
        PROVIDER.chat.decode(WireResponse(200, {}, body), target(model))
    (event,) = PROVIDER.chat.framer().feed(body)  # bare, between events
    decoder = PROVIDER.chat.decoder(target(model))
    with pytest.raises(WireError, match=r"Try again\.") as streamed:
        list(decoder.feed(event))
    assert (whole.value.status, streamed.value.status) == (503, 503)


def test_anthropics_error_in_a_stream_is_that_error() -> None:
    decoder = PROVIDER.chat.decoder(target(CLAUDE))
    with pytest.raises(WireError, match=r"Try again\.") as raised:
        list(decoder.feed(WireEvent(json.dumps(ANTHROPICS).encode(), "error")))
    assert raised.value.status == 529


def test_a_response_that_is_neither_is_malformed() -> None:
    with pytest.raises(BadWire):
        PROVIDER.chat.decode(WireResponse(200, {}, b'{"type": "completion"}'), target(CLAUDE))

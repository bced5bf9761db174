"""Documents, base64, stop sequences and allowed tools where vendors differ from OpenAI."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.errors import RequestError, Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest
from tests.providers.strict import anthropic_api, bedrock_api, gemini_api, openai_api

U = {"role": "user", "content": "Hello."}
BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PDF = "data:application/pdf;base64,JVBERi0="


def encode(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> WireRequest:
    drop_params = more.pop("drop_params", False)
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    target = Target("our-name", model, drop_params)
    return registry.find(provider).chat.encode(request, target, False)


def body_of(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> Any:
    body = json.loads(encode(provider, model, *messages, **more).body)
    judges = {"anthropic": anthropic_api, "bedrock": bedrock_api, "gemini": gemini_api}
    if judge := judges.get(provider):
        judge.check(model, body)
    elif provider != "cohere":
        openai_api.check(provider, body)
    return body


def asked(part: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}


def sent_part(provider: str, file: dict[str, Any]) -> Any:
    message = asked({"type": "file", "file": file})
    return body_of(provider, "sonar", message)["messages"][0]["content"][1]


# ---- documents ----


@pytest.mark.parametrize(
    ("file", "mistral", "perplexity"),
    [
        ({"filename": "a.pdf", "file_data": PDF},
         {"type": "document_url", "document_url": PDF, "document_name": "a.pdf"},
         {"type": "file_url", "file_url": {"url": "JVBERi0="}, "file_name": "a.pdf"}),
        ({"file_data": "JVBERi0="},
         {"type": "document_url", "document_url": PDF},
         {"type": "file_url", "file_url": {"url": "JVBERi0="}}),
        ({"file_id": "https://a.test/a.pdf"},
         {"type": "document_url", "document_url": "https://a.test/a.pdf"},
         {"type": "file_url", "file_url": {"url": "https://a.test/a.pdf"}}),
        ({"file_data": "data:image/png;base64,iVBORw0KGgo="},
         {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
         {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}),
        ({"file_id": "file-1"}, {"type": "file", "file_id": "file-1"}, None),
    ],
)  # fmt: skip
def test_a_file_is_the_vendors_own_part(
    file: dict[str, Any], mistral: dict[str, Any], perplexity: dict[str, Any] | None
) -> None:
    assert sent_part("mistral", file) == mistral
    if perplexity is None:
        with pytest.raises(Unsupported, match="stores no files"):
            sent_part("perplexity", file)
    else:
        assert sent_part("perplexity", file) == perplexity
    by_address = "://" in file.get("file_id", "")
    assert sent_part("litellm_proxy", file) == {"type": "file", "file": file}
    if by_address:  # no server is known to take it as an id
        assert sent_part("openrouter", file)["file"] == {"file_data": file["file_id"]}
        for provider in ("openai", "openai_like", "hosted_vllm", "groq"):
            with pytest.raises(Unsupported, match="takes no address of a file"):
                sent_part(provider, file)
    else:
        for provider in ("openai", "openai_like", "openrouter"):
            assert sent_part(provider, file) == {"type": "file", "file": file}


@pytest.mark.parametrize("scheme", ["data:", "DATA:"])
@pytest.mark.parametrize("provider", ["openai", "openai_like", "openrouter", "litellm_proxy"])
def test_a_file_url_that_is_a_data_url_is_the_files_data(provider: str, scheme: str) -> None:
    part = {"type": "input_file", "file_url": scheme + PDF.removeprefix("data:")}
    sent = body_of(provider, "sonar", asked(part))["messages"][0]["content"][1]
    assert sent == {"type": "file", "file": {"file_data": PDF}}


def test_an_address_may_have_any_scheme() -> None:
    for address in ("HTTPS://a.test/a", "s3://a/a", "a-very-long-scheme+x.y://a/a"):
        part = {"type": "input_file", "file_url": address}
        sent = body_of("openrouter", "m", asked(part))["messages"][0]["content"][1]
        assert sent["file"] == {"file_data": address}
        with pytest.raises(Unsupported, match="takes no address of a file"):
            body_of("openai", "m", asked(part))


def test_a_file_of_nothing_is_a_400_by_name() -> None:
    with pytest.raises(RequestError, match="neither `file_data` nor `file_id`"):
        sent_part("mistral", {"filename": "a.pdf"})


# ---- base64 ----


def sent_bytes(provider: str, url: str) -> str:
    """The base64 that the vendor gets for an image."""
    model = {"bedrock": BEDROCK, "anthropic": "claude-sonnet-4-5"}.get(provider, "gemini-2.5-pro")
    body = body_of(provider, model, asked({"type": "image_url", "image_url": {"url": url}}))
    match provider:
        case "anthropic":
            found = body["messages"][0]["content"][1]["source"]["data"]
        case "bedrock":
            found = body["messages"][0]["content"][1]["image"]["source"]["bytes"]
        case _:
            found = body["contents"][0]["parts"][1]["inlineData"]["data"]
    return str(found)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.binary(min_size=1, max_size=90), st.integers(0, 3))
def test_base64_is_sent_in_one_line_with_the_standard_letters(data: bytes, kind: int) -> None:
    real = b"\x89PNG\r\n\x1a\n" + data
    written = [
        base64.encodebytes(real).decode(),
        base64.urlsafe_b64encode(real).decode(),
        base64.urlsafe_b64encode(real).decode().rstrip("="),
        base64.b64encode(real).decode().replace("+", "%2B").replace("=", "%3D"),
    ][kind]
    for provider in ("anthropic", "bedrock", "gemini"):
        sent = sent_bytes(provider, f"data:image/png;base64,{written}")
        assert sent == base64.b64encode(real).decode()


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "gemini"])
def test_an_image_may_be_bare_base64(provider: str) -> None:
    assert sent_bytes(provider, "iVBORw0KGgo=") == "iVBORw0KGgo="
    with pytest.raises(RequestError) as rejected:
        sent_bytes(provider, "photo.png")
    assert str(rejected.value.param).startswith("messages[0].content[1].image_url")


@pytest.mark.parametrize(
    ("provider", "model"),
    [("anthropic", "claude-sonnet-4-5"), ("bedrock", BEDROCK), ("gemini", "gemini-2.5-pro")],
)
def test_a_pdf_may_be_bare_base64(provider: str, model: str) -> None:
    file = {"filename": "a.pdf", "file_data": "JVBERi0="}
    body = json.dumps(body_of(provider, model, asked({"type": "file", "file": file})))
    assert '"JVBERi0="' in body
    assert "pdf" in body


# ---- stop sequences ----


@pytest.mark.parametrize("provider", ["openai", "azure", "mistral", "groq", "openai_like"])
@pytest.mark.parametrize(
    ("stop", "sent"),
    [("", None), ([], None), ([""], None), (["", "END"], ["END"]), ("END", "END"), (["a"], ["a"])],
)
def test_an_empty_stop_sequence_is_none(provider: str, stop: Any, sent: Any) -> None:
    assert body_of(provider, "gpt-4o", U, stop=stop).get("stop") == sent


@pytest.mark.parametrize(("provider", "most"), [("gemini", 5), ("cohere", 5)])
@pytest.mark.parametrize("drop_params", [False, True])
def test_more_stop_sequences_than_the_vendor_takes_are_a_400(
    provider: str, most: int, *, drop_params: bool
) -> None:
    """The response would go on where it should stop, so `drop_params` drops none of them."""
    stops = [f"stop {number}" for number in range(most + 1)]
    assert encode(provider, "m", U, stop=stops[:most], drop_params=drop_params).dropped == ()
    with pytest.raises(Unsupported, match=f"at most {most}") as rejected:
        encode(provider, "m", U, stop=stops, drop_params=drop_params)
    assert rejected.value.param == "stop"


# ---- allowed tools ----

F, G = ({"type": "function", "function": {"name": name}} for name in "fg")


def allowing(mode: str, *tools: dict[str, Any]) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [*tools]}}


@pytest.mark.parametrize("provider", ["mistral", "groq", "xai", "openai_like", "hosted_vllm"])
@pytest.mark.parametrize("mode", ["auto", "required"])
def test_only_the_allowed_tools_are_offered(provider: str, mode: str) -> None:
    wire = encode(provider, "m", U, tools=[F, G], tool_choice=allowing(mode, G))
    body = json.loads(wire.body)
    openai_api.check(provider, body)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == mode
    assert wire.dropped == ("tool_choice",)


def test_allowed_tools_are_openais() -> None:
    for provider in ("openai", "azure"):
        body = body_of(provider, "gpt-4o", U, tools=[F, G], tool_choice=allowing("auto", G))
        assert body["tool_choice"] == allowing("auto", G)
        assert len(body["tools"]) == 2


def test_a_choice_that_allows_none_of_the_tools_is_none_or_a_400() -> None:
    other = {"type": "function", "function": {"name": "h"}}
    body = body_of("mistral", "m", U, tools=[F], tool_choice=allowing("auto", other))
    assert not body.keys() & {"tools", "tool_choice"}
    with pytest.raises(RequestError, match="allows none of the `tools`"):
        encode("mistral", "m", U, tools=[F], tool_choice=allowing("required", other))


def test_allowed_tools_reach_ollama_if_none_is_required() -> None:
    """It has no `tool_choice`."""
    body = body_of("ollama", "m", U, tools=[F, G], tool_choice=allowing("auto", G))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert "tool_choice" not in body


# ---- JSON mode ----


def test_perplexity_is_asked_for_json_in_words_and_gets_schemas() -> None:
    """github.com/567-labs/instructor/issues/1005: `Input should be 'text'`."""
    wire = encode("perplexity", "sonar", U, response_format={"type": "json_object"})
    body = json.loads(wire.body)
    assert "response_format" not in body
    assert "one valid JSON object" in body["messages"][0]["content"]
    assert wire.dropped == ("response_format",)
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    assert body_of("perplexity", "sonar", U, response_format=form)["response_format"] == form


# ---- base64 ----

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) + b"\xfb\xff"
DOCUMENT = b"%PDF-1.7" + bytes(range(256)) + b"\xff\xfe"
WRITTEN: dict[str, Callable[[bytes], str]] = {
    "in lines": lambda data: base64.encodebytes(data).decode(),
    "with line feeds of mail": lambda data: base64.encodebytes(data).decode().replace("\n", "\r\n"),
    "URL-safe": lambda data: base64.urlsafe_b64encode(data).decode(),
    "without padding": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "as in a URL": lambda data: quote(base64.b64encode(data).decode(), safe=""),
    "standard": lambda data: base64.b64encode(data).decode(),
}


def body_with(provider: str, part: dict[str, Any]) -> str:
    """The body of a request with this part and a text, for a model that sees."""
    models = {"bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "vertex_ai": "gemini-x"}
    model = models.get(provider, "claude-x" if provider == "anthropic" else "gpt-4o")
    content = [{"type": "text", "text": "See."}, part]
    request = parse_chat({"messages": [{"role": "user", "content": content}]})
    options = {"vertex_project": "p", "vertex_location": "l"}
    target = Target("our-name", model, options=options)
    return registry.find(provider).chat.encode(request, target, False).body.decode()


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("prefix", ["data:image/jpg;base64,", "data:IMAGE/PNG;base64,", ""])
@pytest.mark.parametrize("provider", registry.names())
def test_base64_is_in_one_line_with_the_standard_letters(
    provider: str, prefix: str, write: Callable[[bytes], str]
) -> None:
    image = {"type": "image_url", "image_url": {"url": prefix + write(PICTURE)}}
    file = {"file_data": f"data:application/x-pdf;base64,{write(DOCUMENT)}", "filename": "a.pdf"}
    for part, data in [(image, PICTURE), ({"type": "file", "file": file}, DOCUMENT)]:
        part_with_a_mark = {**part, "cache_control": {"type": "ephemeral"}}
        for one in (part, part_with_a_mark):
            try:
                body = body_with(provider, one)
            except Unsupported:
                assert provider == "cohere"
                continue
            standard = base64.b64encode(data).decode()
            assert standard in body
            assert "image/jpg" not in body
            assert "x-pdf" not in body


@pytest.mark.parametrize("provider", ["openai", "azure", "bedrock"])
def test_a_document_by_its_address_is_rejected_where_there_is_no_place_for_it(
    provider: str,
) -> None:
    source = {"type": "url", "url": "https://a.test/a.pdf"}
    for part in (
        {"type": "document", "source": source},
        {"type": "file", "file": {"file_id": source["url"]}},
    ):
        with pytest.raises(Unsupported, match=r"send its data|give `file_data`") as rejected:
            encode(provider, BEDROCK if provider == "bedrock" else "gpt-4o", asked(part))
        assert rejected.value.param == "messages[0].content[1]"

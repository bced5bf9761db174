"""
The codecs of the vendors' batch APIs, with the shapes that are recorded in `native/<vendor>.json`.

A file has the requests that the codec makes, and of each response what it reads in it: the state of
a batch, a page of a list, and the rows of its results.
"""

from __future__ import annotations

import json
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import BadWire, Target
from fanout.providers.native_batch import NativeBatches, NativeLine
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest, WireResponse
from tests.providers.batch_runs import rows_of

FILES = sorted((Path(__file__).parent / "native").glob("*.json"))
VENDORS = {path.stem: json.loads(path.read_text()) for path in FILES}
NAMES = sorted(VENDORS)

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

HI = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
LINE = NativeLine("f1-1", HI)


def codec(name: str, **changes: Any) -> NativeBatches:
    found = registry.native_batches(name, Target(**{**VENDORS[name]["target"], **changes}))
    assert found is not None
    return found


def response(value: object, **headers: str) -> WireResponse:
    return WireResponse(200, headers, json.dumps(value).encode())


def each(part: str) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}-{number}")
        for name in NAMES
        for number, case in enumerate(VENDORS[name][part])
    ]


def shown(request: WireRequest) -> dict[str, Any]:
    """The request as it is in the files."""
    body = {"body": json.loads(request.body)} if request.body else {}
    at = {"service": request.service} if request.service else {}
    return {"method": request.method, "path": request.path, **at, **body}


def test_every_vendor_of_the_design_has_a_codec_and_others_have_none() -> None:
    assert NAMES == [
        "anthropic", "azure", "bedrock", "gemini", "groq", "mistral", "openai", "together_ai",
    ]  # fmt: skip
    for name in ("cohere", "vertex_ai", "deepseek", "ollama"):
        assert registry.native_batches(name, Target("m", "x")) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_input_has_the_vendors_form(name: str) -> None:
    data = codec(name).data([LINE])
    lines = [json.loads(one) for one in data.splitlines()]
    if name == "anthropic":
        lines[0]["requests"][0]["params"]["max_tokens"] = None  # the model's own limit
    assert lines == VENDORS[name]["requests"]["input"]


@pytest.mark.parametrize("name", NAMES)
def test_a_line_has_no_service_tier_and_no_stream(name: str) -> None:
    request = parse_chat({"messages": [{"role": "user", "content": "Hi"}], "service_tier": "flex"})
    assert codec(name).data([NativeLine("f1-1", request)]) == codec(name).data([LINE])
    assert b"stream" not in codec(name).data([LINE])


@pytest.mark.parametrize("name", NAMES)
def test_the_requests_are_those_that_are_recorded(name: str) -> None:
    vendor, batches = VENDORS[name], codec(name)
    expected = vendor["requests"]
    source = vendor["source"] or batches.data([LINE]).decode()
    create = shown(batches.create("k1", source))
    if expected["create"]["body"] == "input":
        assert create == {**expected["create"], "body": json.loads(source)}
    else:
        assert create == expected["create"]
    assert shown(batches.poll(vendor["id"])) == expected["poll"]
    assert shown(batches.list("k1", None)) == expected["list"]
    if "more" in expected:
        assert shown(batches.list("k1", "c/1")) == expected["more"]
    assert shown(batches.cancel(vendor["id"])) == expected["cancel"]
    over = [one for one in vendor["batches"] if one.get("outputs", []) == vendor["outputs"]]
    batch = batches.read(response(over[-1]["response"]))
    if name == "anthropic":
        batch = batches.read(response(vendor["batches"][2]["response"]))
        assert batches.results(batches.read(response(vendor["batches"][0]["response"]))) == ()
    assert [shown(one) for one in batches.results(batch)] == expected["results"]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_values_make_the_same_requests(name: str) -> None:
    data = codec(name).data([LINE])
    assert codec(name).data([LINE]) == data
    assert codec(name).upload("k1", data, None) == codec(name).upload("k1", data, None)
    assert codec(name).create("k1", "x") == codec(name).create("k1", "x")


@pytest.mark.parametrize("name", [name for name in NAMES if VENDORS[name]["upload"]])
def test_a_file_is_uploaded_as_a_form(name: str) -> None:
    batches, expected = codec(name), VENDORS[name]["upload"]
    data = batches.data([LINE])
    request = batches.upload("k1", data, None)
    assert isinstance(request, WireRequest)
    assert request.path == expected["path"]
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    form = message_from_bytes(head + request.body)
    parts: Any = form.get_payload()
    found = {part.get_param("name", header="content-disposition"): part for part in parts}
    content = found.pop("file")
    assert content.get_filename() == "k1.jsonl"
    assert content.get_payload(decode=True) == data
    assert {field: part.get_payload() for field, part in found.items()} == expected["fields"]
    assert batches.upload("k1", data, response({"id": "file-in", "object": "file"})) == "file-in"
    with pytest.raises(BadWire):
        batches.upload("k1", data, response({"object": "file"}))


def test_google_takes_a_file_in_two_requests() -> None:
    batches, data = codec("gemini"), b'{"key":"f1-1"}\n'
    first = batches.upload("k1", data, None)
    assert isinstance(first, WireRequest)
    assert (first.path, json.loads(first.body)) == (
        "/upload/v1beta/files",
        {"file": {"display_name": "k1"}},
    )
    assert first.headers["x-goog-upload-header-content-length"] == str(len(data))
    address = "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=u1"
    second = batches.upload("k1", data, WireResponse(200, {"x-goog-upload-url": address}, b""))
    assert isinstance(second, WireRequest)
    assert (second.path, second.body) == ("/upload/v1beta/files?upload_id=u1", data)
    assert second.headers["x-goog-upload-command"] == "upload, finalize"
    assert batches.upload("k1", data, response({"file": {"name": "files/in"}})) == "files/in"


def test_anthropic_gets_the_lines_with_the_batch_and_aws_finds_them_in_s3() -> None:
    data = codec("anthropic").data([LINE])
    assert codec("anthropic").upload("k1", data, None) == data.decode()
    upload = codec("bedrock").upload("k1", b"x", None)
    assert upload == WireRequest("/b/batches/k1.jsonl", b"x", "PUT", service="s3")
    done = codec("bedrock").upload("k1", b"x", WireResponse(200, {}, b""))
    assert done == "s3://b/batches/k1.jsonl"


@pytest.mark.parametrize(("name", "case"), each("batches"))
def test_a_batchs_state_is_one_of_openais(name: str, case: dict[str, Any]) -> None:
    batch = codec(name).read(response(case["response"]))
    assert (batch.id, batch.state) == (VENDORS[name]["id"], case["state"])
    assert list(batch.outputs) == case.get("outputs", [])
    assert batch.key == case.get("key", "k1")
    fault = batch.fault and {"code": batch.fault.code, "line": batch.fault.line}
    assert fault == case.get("fault")
    for field in ("input", "created_at"):
        if field in case:
            assert getattr(batch, field) == case[field]
    assert batch.is_over == (case["state"] in {"completed", "failed", "expired", "cancelled"})


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_batches_their_keys_and_a_cursor(name: str) -> None:
    expected = VENDORS[name]["page"]
    page = codec(name).read_page(response(expected["response"]))
    assert [batch.id for batch in page.batches] == expected["ids"]
    assert [batch.key for batch in page.batches] == expected["keys"]
    assert page.more == expected["more"]


def test_an_empty_page_has_no_batches() -> None:
    for name in NAMES:
        empty: Any = {"data": [], "has_more": False}
        page = codec(name).read_page(response([] if name == "together_ai" else empty))
        assert (page.batches, page.more) == ((), None)


@pytest.mark.parametrize(("name", "case"), each("rows"))
def test_a_row_is_a_completion_a_failure_or_not_run(name: str, case: dict[str, Any]) -> None:
    row = codec(name).row(json.dumps(case["row"]).encode())
    assert (row.kind, row.status if row.kind == "failed" else None) == (
        case["kind"],
        case.get("status"),
    )
    if row.kind == "ok":
        assert row.completion is not None
        assert row.completion["object"] == "chat.completion"
        assert row.completion["choices"][0]["message"]["content"] == case["text"]
        usage = row.completion["usage"]
        assert usage is not None
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (5, 7)
        return
    assert row.error is not None
    assert row.error.message
    assert row.may_succeed == case["may_succeed"]
    if "code" in case:
        assert row.error.code == case["code"]
    if "type" in case:
        assert row.error.type == case["type"]


@pytest.mark.parametrize("name", NAMES)
def test_each_row_names_its_line(name: str) -> None:
    data = b"\n".join(json.dumps(case["row"]).encode() for case in VENDORS[name]["rows"])
    cut = data + b'\n\n{"custom_id": "f1-9", "resp'
    found = [codec(name).row(one).id for one in rows_of(cut)]
    assert found == [f"f1-{number + 1}" for number in range(len(VENDORS[name]["rows"]))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"x", b"[]", b"null", b"{}", b'{"custom_id": ""}'])
def test_what_is_no_row_or_no_batch_is_malformed(name: str, data: bytes) -> None:
    with pytest.raises(BadWire):
        codec(name).row(data)
    with pytest.raises(BadWire):
        codec(name).read(WireResponse(200, {}, data))


@pytest.mark.parametrize("name", NAMES)
def test_a_line_that_the_vendor_would_reject_is_refused_before(name: str) -> None:
    batches = codec(name)
    assert batches.rejection(LINE) is None
    biased = parse_chat({**HI.body, "logit_bias": {"1": 1}})
    if name in {"anthropic", "bedrock", "gemini", "groq", "mistral"}:
        assert "logit_bias" in (batches.rejection(NativeLine("f1-1", biased)) or "")


def test_a_vendors_own_rules_for_lines() -> None:
    assert codec("anthropic").rejection(NativeLine("f 1", HI))
    assert codec("anthropic").rejection(NativeLine("f" * 65, HI))
    long = parse_chat({"messages": [{"role": "user", "content": "x" * 10_000_001}]})
    assert "at most 10000000" in (codec("together_ai").rejection(NativeLine("f1-1", long)) or "")
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    called = parse_chat({"messages": [{"role": "user", "content": "Hi"}], "tools": tools})
    why = codec("bedrock").rejection(NativeLine("f1-1", called))
    assert why == "batches of this model take no tools"
    assert codec("bedrock", model=CLAUDE).rejection(NativeLine("f1-1", called)) is None
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    seen = parse_chat({"messages": [{"role": "user", "content": [image]}]})
    for model in (CLAUDE, "us.amazon.nova-2-lite-v1:0"):
        why = codec("bedrock", model=model).rejection(NativeLine("f1-1", seen))
        assert "URL" in (why or "") or "the web" in (why or "")
    openai = codec("bedrock", model="openai.gpt-oss-20b-1:0").rejection(LINE)
    assert openai == "batches are for models with the Converse API"
    assert codec("openai").rejection(NativeLine("f1-1", called)) is None


def test_claude_is_invoked_with_its_own_api_and_other_models_with_converse() -> None:
    batches = codec("bedrock", model=f"eu-west-1/{CLAUDE}")
    request = parse_chat({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9})
    created = json.loads(batches.create("k1", "s3://b/k1.jsonl").body)
    assert (created["modelId"], created["modelInvocationType"]) == (CLAUDE, "InvokeModel")
    (line,) = map(json.loads, batches.data([NativeLine("f1-1", request)]).splitlines())
    assert line["modelInput"] == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    output = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 5, "output_tokens": 7},
    }
    row = batches.row(json.dumps({"recordId": "f1-1", "modelOutput": output}).encode())
    assert row.completion is not None
    assert row.completion["choices"][0]["message"]["content"] == "Hello"
    converse = codec("bedrock", model=f"converse/{CLAUDE}").create("k1", "s3://b/k1.jsonl")
    assert json.loads(converse.body)["modelInvocationType"] == "Converse"


def test_what_an_error_of_a_creation_means_may_be_in_its_name() -> None:
    def status(number: int, name: str) -> int:
        headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/"}
        return codec("bedrock").creation_status(WireResponse(number, headers, b"{}"))

    assert status(400, "ServiceQuotaExceededException") == 429
    assert status(400, "ConflictException") == 409
    assert status(400, "ValidationException") == 400
    assert codec("openai").creation_status(WireResponse(503, {}, b"")) == 503


def test_aws_has_batches_only_with_a_bucket_and_a_role() -> None:
    for options in ({}, {"batch_uri": "s3://b/x"}, {"batch_role": "arn:aws:iam::1:role/x"}):
        assert registry.native_batches("bedrock", Target("m", CLAUDE, options=options)) is None


@pytest.mark.parametrize("name", NAMES)
def test_limits_discounts_and_how_a_batch_is_found_are_data(name: str) -> None:
    batches = codec(name)
    assert batches.price_factor == VENDORS[name]["price_factor"]
    assert batches.found_by == VENDORS[name]["found_by"]
    assert batches.limits.lines >= 50_000
    assert batches.limits.bytes >= 100_000_000
    assert batches.limits.window >= 3 * 3600


def test_only_listed_models_have_a_discount_at_groq_and_together() -> None:
    assert codec("groq", model="llama-3.1-8b-instant").price_factor == 1.0
    assert codec("together_ai", model="openai/gpt-oss-20b").price_factor == 1.0
    assert codec("openai", model="anything").price_factor == 0.5


def test_azures_batches_are_at_a_deployment_of_their_own() -> None:
    """The lines name it; how they are written follows from the model, whatever its name is."""

    def sent(model: str, **options: str) -> dict[str, Any]:
        options = {"api_version": "2024-10-21", "batch_deployment": "our-batch", **options}
        batches = codec("azure", model=model, options=options)
        request = parse_chat(
            {"messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 9}
        )
        (line,) = batches.data([NativeLine("f1-1", request)]).splitlines()
        created = json.loads(batches.create("k1", "file-in").body)
        found: dict[str, Any] = json.loads(line)
        assert found["url"] == created["endpoint"]
        assert batches.poll("batch_1").path == "/openai/v1/batches/batch_1"
        return found

    assert sent("gpt-4o")["body"]["model"] == "our-batch"
    assert sent("o3-mini")["body"]["max_completion_tokens"] == 9
    assert sent("chat", base_model="o3-mini")["body"]["max_completion_tokens"] == 9
    assert sent("gpt5_series/chat")["body"]["model"] == "our-batch"
    for responses in (sent("gpt-5-pro"), sent("responses/gpt-4o")):
        assert responses["url"] == "/v1/responses"
        assert responses["body"]["model"] == "our-batch"
        assert "input" in responses["body"]


def test_azures_address_may_have_the_path() -> None:
    options = {"api_base": "https://r.openai.azure.com/openai/v1/"}
    assert codec("azure", options=options).poll("batch_1").path == "/batches/batch_1"

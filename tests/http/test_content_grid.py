"""
Each kind of content, by each endpoint, to each vendor: it reaches the vendor or is a 400.

So it is with one model. With several, a model that takes it responds; if none does, it is a 400.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.support.in_process import HelloEngine, InProcess, run_in_process
from tests.support.wire_formats import WIRE_FORMATS

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
MARK = "bWFyaw"  # in the data, the address or the id of each part
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def uri(kind: str) -> str:
    return f"data:{kind};base64,{MARK}=="


def source(kind: str) -> dict[str, Any]:
    return {"type": "base64", "media_type": kind, "data": f"{MARK}=="}


def image(url: str, block: Any = None) -> dict[str, Any]:
    web = {"type": "url", "url": url}
    return {
        CHAT: {"type": "image_url", "image_url": {"url": url}},
        MESSAGES: {"type": "image", "source": block or web},
        RESPONSES: {"type": "input_image", "image_url": url},
    }


def file(block: Any = None, url: str | None = None, **fields: str) -> dict[str, Any]:
    theirs = {"type": "file", "file": fields if url is None else {"file_id": url}}
    ours = fields if url is None else {"file_url": url}
    found = {CHAT: theirs, RESPONSES: {"type": "input_file", **ours}}
    return found if block is None else {**found, MESSAGES: {"type": "document", "source": block}}


SOUND = {"type": "input_audio", "input_audio": {"data": MARK, "format": "wav"}}
ADDRESS = f"https://files.test/{MARK}"
KINDS: dict[str, dict[str, Any]] = {
    "png": image(uri("image/png"), source("image/png")),
    "bmp": image(uri("image/bmp"), source("image/bmp")),
    "image by its address": image(f"{ADDRESS}.png"),
    "pdf": file(source("application/pdf"), file_data=uri("application/pdf"), filename="a.pdf"),
    "word": file(source(WORD), file_data=uri(WORD), filename="a.docx"),
    "zip": file(file_data=uri("application/zip"), filename="a.zip"),
    "file by its address": file({"type": "url", "url": f"{ADDRESS}.pdf"}, url=f"{ADDRESS}.pdf"),
    "file by its id": file({"type": "file", "file_id": f"file-{MARK}"}, file_id=f"file-{MARK}"),
    "audio": {CHAT: SOUND, RESPONSES: SOUND},
}
IN_RESULTS = ("png", "bmp", "pdf", "word", "file by its address")
CELLS = [(kind, False) for kind in KINDS] + [(kind, True) for kind in IN_RESULTS]

VENDORS = (
    "anthropic/claude-sonnet-4-5",
    "azure/gpt-4o",
    "bedrock/us.amazon.nova-pro-v1:0",
    "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere/command-a-03-2025",
    "deepseek/deepseek-chat",
    "gemini/gemini-3-pro-preview",
    "groq/llama-4",
    "hosted_vllm/own",
    "litellm_proxy/own",
    "mistral/mistral-large",
    "openai/gpt-4o",
    "openai/gpt-5-pro",
    "openai/own",
    "openrouter/own",
    "perplexity/sonar",
)
OWN = {
    "azure/gpt-4o": {"api_base": "https://az.test"},
    "hosted_vllm/own": {"api_base": "https://vllm.test/v1"},
    "litellm_proxy/own": {"api_base": "https://proxy.test/v1"},
    "openai/own": {"api_base": "https://own.test/v1"},
}
SAID = [{"type": "text", "text": "Hello"}]
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1},
}
COHERE = {"id": "1", "message": {"role": "assistant", "content": SAID}, "finish_reason": "COMPLETE"}
TOLD = {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}
OTHERS = {
    "/converse": CONVERSE,
    "/v2/chat": COHERE,
    ":generateContent": {"candidates": [TOLD]},
    "/messages": json.loads(WIRE_FORMATS["anthropic"].whole("m", "Hello")),
    "/invoke": json.loads(WIRE_FORMATS["anthropic"].whole("m", "Hello")),
}


PARTS = (
    "content",
    "document",
    "file",
    "image",
    "image_url",
    "input_file",
    "input_image",
    "[]",
    "*",
)
"""How the name of a part that is left out ends."""

OWN_STREAMS = {"anthropic", "bedrock", "cohere", "gemini"}
"""Vendors whose streams are not in OpenAI's form, in which races are run here."""


class Vendors(HelloEngine):
    """Vendors that respond `Hello`, each in its own form."""

    async def send(self, request: Outgoing) -> WireResponse:
        found = await super().send(request)
        for end, value in OTHERS.items():
            if request.url.partition("?")[0].endswith(end):
                return WireResponse(200, {}, json.dumps(value).encode())
        return found


SENT = Vendors()


@pytest.fixture(scope="module")
def app() -> Iterator[InProcess]:
    listed = [
        {
            "model_name": name,
            "litellm_params": {
                "model": name,
                "api_key": "k",
                **({"aws_region_name": "us-east-1"} if name.startswith("bedrock") else {}),
                **OWN.get(name, {}),
            },
        }
        for name in VENDORS
    ]
    with run_in_process(
        {"model_list": listed, "router_settings": {"num_retries": 0}}, SENT
    ) as running:
        yield running


def body(path: str, part: Any, *, in_result: bool) -> dict[str, Any]:
    """A question with the part, or a call whose result has it."""
    text = {"type": "input_text" if path == RESPONSES else "text", "text": "Read it."}
    if not in_result:
        field = "input" if path == RESPONSES else "messages"
        found: dict[str, Any] = {field: [{"role": "user", "content": [text, part]}]}
    elif path == RESPONSES:
        call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "c1", "output": [text, part]}
        found = {"input": [{"role": "user", "content": "Hi"}, call, result]}
    elif path == MESSAGES:
        use = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
        block = {"type": "tool_result", "tool_use_id": "c1", "content": [text, part]}
        turns = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [block]}]
        found = {"messages": [{"role": "user", "content": "Hi"}, *turns]}
    else:
        function = {"name": "f", "arguments": "{}"}
        calls = [{"id": "c1", "type": "function", "function": function}]
        asked = {"role": "assistant", "content": None, "tool_calls": calls}
        told = {"role": "tool", "tool_call_id": "c1", "content": [text, part]}
        found = {"messages": [{"role": "user", "content": "Hi"}, asked, told]}
    return found | ({"max_tokens": 50} if path == MESSAGES else {})


def place(path: str, *, in_result: bool) -> str:
    """How the path of the part begins."""
    if path == RESPONSES:
        return "input[2].output[1]" if in_result else "input[0].content[1]"
    if path == MESSAGES and in_result:
        return "messages[2].content[0].content[1]"
    return "messages[2].content[1]" if in_result else "messages[0].content[1]"


def ask(app: InProcess, path: str, asked: dict[str, Any]) -> tuple[int, list[str], Any]:
    """The status, the bodies that vendors got, and an error."""
    SENT.sent.clear()
    response = app.ask("POST", path, [json.dumps(asked).encode()])
    error = json.loads(response.body)["error"] if response.status >= 400 else None
    dropped = response.headers.get("x-fanout-dropped", "").split(", ")
    assert not any(one.endswith(PARTS) for one in dropped)
    return response.status, [(one.body or b"").decode() for one in SENT.sent], error


def is_rejected(found: tuple[int, list[str], Any], start: str) -> bool:
    """Whether no vendor got it, and the error names the part."""
    status, sent, error = found
    return status == 400 and not sent and start in error["message"]


@pytest.mark.parametrize(
    "cell", CELLS, ids=[f"{kind}{' in a result' * in_result}" for kind, in_result in CELLS]
)
def test_content_reaches_the_vendor_or_is_a_400_that_names_it(
    app: InProcess, cell: tuple[str, bool]
) -> None:
    kind, in_result = cell
    wrong: list[Any] = []
    for path, part in KINDS[kind].items():
        asked, start = body(path, part, in_result=in_result), place(path, in_result=in_result)
        takers: list[str] = []
        others: list[str] = []
        for model in VENDORS:
            found = ask(app, path, {**asked, "model": model})
            reached = found[0] == 200 and MARK in found[1][0]
            (takers if reached else others).append(model)
            dropping = ask(app, path, {**asked, "model": model, "drop_params": True})
            if dropping[:2] != found[:2] or not (reached or is_rejected(found, start)):
                wrong.append((path, model, found, dropping))
        takers = [one for one in takers if one.partition("/")[0] not in OWN_STREAMS]
        assert takers
        for mode in ("race", "all", "fallback"):
            for number, model in enumerate(others):
                fanout = {"mode": mode, "models": [model, takers[number % len(takers)]]}
                status, sent, error = ask(app, path, {**asked, "fanout": fanout})
                if status != 200 or len(sent) != 1 or MARK not in sent[0]:
                    wrong.append((path, fanout, status, sent, error))
            if len(others) > 1:
                fanout = {"mode": mode, "models": others}
                found = ask(app, path, {**asked, "fanout": fanout})
                if found[0] != 400 or found[1]:
                    wrong.append((path, fanout, found))
    assert wrong == []

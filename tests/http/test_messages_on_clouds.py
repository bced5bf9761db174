"""`POST /v1/messages` for Claude on Bedrock and on Vertex AI."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse
from tests.http.test_messages_passed_through import GOT, SENT, STREAM, WHOLE, renamed
from tests.support.event_stream_frames import event, exception
from tests.support.in_process import run_in_process

BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NAMES = {
    "bedrock": {"model": f"bedrock/{BEDROCK}", "aws_region_name": "us-east-1"},
    "converse": {"model": f"bedrock/converse/{BEDROCK}", "aws_region_name": "us-east-1"},
    "vertex": {"model": "vertex_ai/claude-sonnet-4-5@20250929", "vertex_project": "p"},
}
PATHS = {
    ("bedrock", False): "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke",
    ("bedrock", True): (
        "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"
    ),
    ("vertex", False): ":rawPredict",
    ("vertex", True): ":streamRawPredict",
}
FRAMES = b"".join(
    event("chunk", {"bytes": b64encode(one.partition(b"data: ")[2]).decode(), "p": "ab"})
    for one in STREAM.split(b"\n\n")
    if one
)
FULL = exception("throttlingException", {"message": "Too many tokens, please wait"})


class Clouds:
    """Responds as both clouds do; `sent` keeps the requests."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.counted = b""
        self.stream_of = {"bedrock": FRAMES, "vertex": STREAM}

    async def send(self, request: Outgoing) -> WireResponse:
        self.sent.append(request)
        is_count = "ount" in request.url
        return WireResponse(200, {}, self.counted if is_count else WHOLE)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        self.sent.append(request)
        name = "vertex" if "aiplatform" in request.url else "bedrock"
        yield StreamedResponse(200, {}, _once(self.stream_of[name]))

    async def aclose(self) -> None:
        """Nothing is open."""


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def config() -> dict[str, Any]:
    listed = [
        {"model_name": name, "litellm_params": {"api_key": "k", **params}}
        for name, params in NAMES.items()
    ]
    return {"model_list": listed, "router_settings": {"num_retries": 0}}


def test_claude_on_a_cloud_gets_and_sends_every_byte() -> None:
    clouds = Clouds()
    headers = [(b"anthropic-version", b"2026-10-21"), (b"anthropic-beta", b"a-1, b-2")]
    with run_in_process(config(), clouds) as app:
        for (name, stream), path in PATHS.items():
            flag = b"true" if stream else b"false"
            sent = SENT.replace(b'"claude"', json.dumps(name).encode()) % flag
            response = app.ask("POST", "/v1/messages", [sent], headers)
            wanted = renamed(STREAM if stream else WHOLE)
            wanted = wanted.replace(b'"model":"claude"', b'"model":"%b"' % name.encode())
            assert (response.status, response.body) == (200, wanted)
            call = clouds.sent[-1]
            assert call.url.endswith(path)
            got = GOT.replace(b' "model":"claude-x" ,', b"") % flag
            if name == "bedrock":
                got = got.replace(b',"stream": %b' % flag, b"")
                more = b',"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a-1","b-2"]'
            else:
                more = b',"anthropic_version":"vertex-2023-10-16"'
                assert call.headers["anthropic-beta"] == "a-1, b-2"
            assert "anthropic-version" not in call.headers
            assert json.loads(call.body) == {
                **{k: v for k, v in json.loads(got).items() if k != "model"},
                **json.loads(b"{" + more[1:] + b"}"),
            }
            for piece in (b"c2ln\\/bmVk", b"\\u00e4", b"[1.50, ", more):
                assert piece in call.body
            assert app.observer.attempts[-1].usage["completion_tokens"] == 7  # type: ignore[index]


def test_the_configs_defaults_have_the_form_of_the_clouds_own_api() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    function = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    defaults = {
        "stop": "END",
        "thinking": thinking,
        "tools": [{"type": "function", "function": function}],
        "parallel_tool_calls": False,
        "service_tier": "default",
    }
    models = config()
    for one in models["model_list"]:
        one["litellm_params"] |= defaults
    clouds = Clouds()
    ask = {"max_tokens": 2000, "messages": [{"role": "user", "content": "Hi"}]}
    with run_in_process(models, clouds) as app:
        for name in ("bedrock", "vertex"):
            app.ask("POST", "/v1/messages", [json.dumps({**ask, "model": name}).encode()])
            sent = json.loads(clouds.sent[-1].body)
            assert (sent["stop_sequences"], sent["thinking"]) == (["END"], thinking)
            more = {field: sent.get(field) for field in ("service_tier", "tool_choice")}
            if name == "bedrock":  # the forms of Converse are others, and no choice without tools
                assert (more, "tools" in sent) == (
                    {"service_tier": None, "tool_choice": None},
                    False,
                )
            else:
                [tool] = sent["tools"]
                choice = {"type": "auto", "disable_parallel_tool_use": True}
                assert (tool["name"], more["tool_choice"]) == ("f", choice)


def test_the_clients_betas_are_sent_beside_the_configs() -> None:
    models = config()
    for one in models["model_list"]:
        one["litellm_params"]["extra_headers"] = {"Anthropic-Beta": "b-2, c-3", "x-own": "mine"}
    clouds = Clouds()
    ask = {"model": "vertex", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    headers = [(b"anthropic-beta", b"a-1, b-2"), (b"x-own", b"theirs")]
    with run_in_process(models, clouds) as app:
        app.ask("POST", "/v1/messages", [json.dumps(ask).encode()], headers)
    sent = {name.lower(): value for name, value in clouds.sent[-1].headers.items()}
    assert (sent["anthropic-beta"], sent["x-own"]) == ("a-1,b-2,c-3", "mine")


def test_an_error_amid_a_stream_of_bedrock_and_its_other_api() -> None:
    clouds = Clouds()
    ask = {"max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    with run_in_process(config(), clouds) as app:
        clouds.stream_of["bedrock"] = FULL
        body = json.dumps({**ask, "model": "bedrock"}).encode()
        response = app.ask("POST", "/v1/messages", [body])
        error = json.loads(response.body)["error"]
        assert (response.status, error["type"]) == (429, "rate_limit_error")
        assert error["message"] == "Too many tokens, please wait"
        body = json.dumps({**ask, "model": "converse"}).encode()
        app.ask("POST", "/v1/messages", [body])
        assert clouds.sent[-1].url.endswith("/converse-stream")


def test_the_clouds_count_tokens() -> None:
    clouds = Clouds()
    gemini = {"model": "vertex_ai/gemini-2.5-flash", "vertex_project": "p", "api_key": "k"}
    models = config()
    models["model_list"].append({"model_name": "gemini", "litellm_params": gemini})
    rows = [
        ("bedrock", b'{"inputTokens":31}', BEDROCK.removeprefix("us.").replace(":", "%3A")),
        ("vertex", b'{"input_tokens":31}', "/publishers/anthropic/models/count-tokens:rawPredict"),
        ("gemini", b'{"totalTokens":31}', "/models/gemini-2.5-flash:countTokens"),
    ]
    ask = {"system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]}
    with run_in_process(models, clouds) as app:
        for name, reply, path in rows:
            clouds.counted = reply
            body = json.dumps({**ask, "model": name}).encode()
            response = app.ask("POST", "/v1/messages/count_tokens", [body])
            call = clouds.sent[-1]
            found = json.loads(response.body), response.headers["x-fanout-tokens"]
            assert found == ({"input_tokens": 31}, "counted")
            assert path in call.url
            sent = json.loads(call.body)
            if name == "bedrock":
                assert call.url.endswith("/count-tokens")
                sent = json.loads(b64decode(sent["input"]["invokeModel"]["body"]))
                assert (sent["max_tokens"], sent["anthropic_version"]) == (1, "bedrock-2023-05-31")
            if name == "vertex":
                assert sent["model"] == "claude-sonnet-4-5@20250929"
                assert sent["anthropic_version"] == "vertex-2023-10-16"
                assert call.url.endswith(path)
            if name == "gemini":
                assert sent.keys() >= {"contents", "systemInstruction"}
            else:
                assert {field: sent[field] for field in ask} == ask

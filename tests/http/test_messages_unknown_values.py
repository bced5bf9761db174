"""Values of Anthropic's API that Fanout does not know: its vendor gets them, others reject them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest

from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse
from tests.http.test_messages_passed_through import STREAM, WHOLE
from tests.http.test_second_turn import VENDORS, StrictVendors
from tests.support.in_process import HelloEngine, InProcess, run_in_process

Place: TypeAlias = tuple[str | int, ...]

MARK = {"type": "ephemeral", "ttl": "5m"}
TOOL = {"name": "weather", "input_schema": {"type": "object"}, "cache_control": MARK}
IMAGE = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
BODY: dict[str, Any] = {
    "max_tokens": 3000,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
    "messages": [
        {"role": "user", "content": [{"type": "image", "source": IMAGE}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "c2ln"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"a": 1.50}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "wet"}],
                },
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                },
                {"type": "search_result", "title": "t", "source": "s", "content": []},
            ],
        },
        {"role": "system", "content": "Use few words.", "clear_at": "never"},
        {
            "role": "system",
            "content": [
                {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "weather"}}
            ],
            "output_config": {"effort": "low"},
        },
    ],
    "tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "adaptive"},
    "output_config": {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    },
    "service_tier": "auto",
    "cache_control": MARK,
    "stop_sequences": ["END"],
    "metadata": {"user_id": "u"},
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
}
ODD: list[Any] = [None, "novel", 7, -1.50, [], {}, [None], [{"type": "novel"}], {"type": ["x"]}]
ENUMS = frozenset({"clear_at", "effort", "role", "service_tier", "ttl", "type"})
"""The names of members with one of several words."""


class Vendors(StrictVendors):
    """The vendors, and Anthropic, which takes everything; `sent` keeps what it got last."""

    sent: bytes = b""

    async def send(self, request: Outgoing) -> WireResponse:
        if self._vendor(request) != "claude":
            return await super().send(request)
        self.sent = bytes(request.body)
        is_count = request.url.partition("?")[0].endswith("count_tokens")
        return WireResponse(200, {}, b'{"input_tokens": 7}' if is_count else WHOLE)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        self.sent = bytes(request.body)
        yield StreamedResponse(200, {}, _once(STREAM))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


OTHERS = sorted(VENDORS.keys() - {"anthropic"})


@pytest.fixture(scope="module")
def vendors() -> Vendors:
    return Vendors()


@pytest.fixture(scope="module")
def app(vendors: Vendors) -> Iterator[InProcess]:
    listed = {"claude": "anthropic/claude-x", **{name: VENDORS[name][0] for name in OTHERS}}
    config = {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": model.replace("bedrock/", "bedrock/converse/"),
                    "api_key": "k",
                    "api_base": f"https://{name}.test",
                },
            }
            for name, model in listed.items()
        ],
        "router_settings": {"num_retries": 0},
    }
    with run_in_process(config, vendors) as running:
        yield running


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Each place in a JSON value but the whole."""
    inner: Any = value.items() if isinstance(value, dict) else ()
    for name, one in enumerate(value) if isinstance(value, list) else inner:
        yield (*at, name)
        yield from places(one, (*at, name))


def changed(place: Place, odd: Any) -> dict[str, Any]:
    body = copy.deepcopy(BODY)
    inner: Any = body
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = odd
    return body


def ask(app: InProcess, path: str, data: bytes) -> tuple[int, Any]:
    response = app.ask("POST", path, [data])
    return response.status, json.loads(response.body)


def test_an_unknown_word_passes_through_byte_by_byte(app: InProcess, vendors: Vendors) -> None:
    found = [place for place in places(BODY) if place[-1] in ENUMS and "input_schema" not in place]
    assert len(found) > 25
    faults: list[Any] = []
    for place in found:
        for odd in ("novel", 7, {"type": ["x"]}):
            data = b'{ "model":"claude",' + json.dumps(changed(place, odd)).encode()[1:]
            for path in ("/v1/messages", "/v1/messages/count_tokens"):
                vendors.sent = b""
                status, body = ask(app, path, data)
                sent = vendors.sent.replace(b'"model":"claude-x"', b'"model":"claude"')
                if (status, sent) != (200, data):
                    faults.append((path, place, odd, status, body))
    assert faults == []


def test_no_value_anywhere_is_a_bug(app: InProcess) -> None:
    """Each place with some odd values, at Anthropic and at another vendor."""
    chosen = random.Random(19)  # noqa: S311 -- the same ones each time
    faults: list[Any] = []
    for place in places(BODY):
        for odd in chosen.sample(ODD, 3):
            for model in ("claude", chosen.choice(OTHERS)):
                data = json.dumps({**changed(place, odd), "model": model}).encode()
                path = chosen.choice(("/v1/messages", "/v1/messages/count_tokens"))
                status, body = ask(app, path, data)
                if status not in {200, 400}:
                    faults.append((model, path, place, odd, status, body))
    assert faults == []
    assert app.observer.unexpected_errors == []


def test_a_judge_never_reads_what_stands_in_for_a_request() -> None:
    """Without a translation there is no prompt that could be quoted to it."""
    hi = [{"role": "user", "content": "Hi"}]
    models = {"own": "openai/responses/own", "claude": "anthropic/claude-x", "judge": "groq/x"}
    listed = [
        {"model_name": name, "litellm_params": {"model": model, "api_key": "k"}}
        for name, model in models.items()
    ]
    unknown: Any = {"system": [{"type": "guidance", "text": "x"}]}
    asks: dict[str, dict[str, Any]] = {
        "/v1/messages": {"max_tokens": 9, "messages": hi, **unknown},
        "/v1/responses": {"input": hi, "tools": [{"type": "novel"}]},
    }
    vendors = HelloEngine()
    with run_in_process({"model_list": listed}, vendors) as app:
        for path, ask in asks.items():
            for mode in ("best", "merge"):
                model = "claude" if "messages" in ask else "own"
                fanout = {"mode": mode, "models": [model, model], "judge": "judge"}
                data = json.dumps({**ask, "fanout": fanout}).encode()
                response = app.ask("POST", path, [data])
                assert (path, mode, response.status) == (path, mode, 400)
    assert vendors.sent == []


def test_other_vendors_reject_what_has_no_counterpart(app: InProcess) -> None:
    rows: list[tuple[Any, str]] = [
        ({"tool_choice": {"type": "novel"}}, "tool_choice.type"),
        ({"output_config": {"format": {"type": "regex"}}}, "output_config.format"),
        ({"output_config": {"effort": "gigantic"}}, "output_config.effort"),
        ({"output_config": {"effort": {}}}, "output_config.effort"),
        (
            {"output_config": {"effort": "x"}, "thinking": {"type": "disabled"}},
            "output_config.effort",
        ),
        ({"system": [{"type": "guidance", "text": "x"}]}, "system[0]"),
        ({"messages": [{"role": "developer", "content": "x"}]}, "messages[0].role"),
        ({"compaction": {"instructions": "x"}}, "compaction"),
        ({"mcp_servers": [{"type": "url", "url": "https://x", "name": "n"}]}, "mcp_servers"),
        ({"container": "container_1"}, "container"),
        ({"container": {"skills": [{"skill_id": "pptx"}]}}, "container"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "container_upload", "file_id": "file_1"}],
                    }
                ]
            },
            "messages[0].content[0]",
        ),
    ]
    tool = {"name": "weather", "input_schema": {"type": "object"}}
    tools = {"tools": [tool], "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    for fields, name in rows:
        data = json.dumps({**tools, **fields, "model": "openai"}).encode()
        status, body = ask(app, "/v1/messages", data)
        assert (fields, status) == (fields, 400)
        assert f"`{name}`" in body["error"]["message"]
    for fields, _ in rows[-4:]:
        data = json.dumps({**tools, **fields, "model": "openai", "drop_params": True}).encode()
        response = app.ask("POST", "/v1/messages", [data])
        is_block = "messages" in fields
        named = "messages[].content[].container_upload" if is_block else next(iter(fields))
        assert (response.status, response.headers["x-fanout-dropped"]) == (200, named)

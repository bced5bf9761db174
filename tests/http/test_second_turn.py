"""The second turn of a conversation with many vendors: each rejects what it does not know."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse
from tests.providers.strict import (
    anthropic_api,
    bedrock_api,
    cohere_api,
    gemini_api,
    openai_api,
)
from tests.support.in_process import InProcess, run_in_process

GOLDEN = Path(__file__).parent.parent / "providers" / "golden"
BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
U = {"role": "user", "content": "Hello."}

# name -> (model, its golden response, what rejects a request as its vendor does)
VENDORS: dict[str, tuple[str, str, Any]] = {
    "anthropic": ("anthropic/claude-sonnet-4-5", "anthropic/reasoning", anthropic_api.check),
    "bedrock": (f"bedrock/{BEDROCK}", "bedrock/converse-reasoning", bedrock_api.check),
    "cohere": ("cohere/command-a", "cohere/parallel-tools", cohere_api.check),
    "deepseek": ("deepseek/deepseek-chat", "deepseek/reasoning", openai_api.check),
    "gemini": ("gemini/gemini-3-pro-preview", "gemini/parallel-tools", gemini_api.check),
    "groq": ("groq/openai/gpt-oss-20b", "groq/tools", openai_api.check),
    "mistral": ("mistral/magistral-medium-latest", "mistral/tools", openai_api.check),
    "openai": ("openai/gpt-4o", "openai/parallel-tools", openai_api.check),
}


class StrictVendors:
    """Responds as each vendor does; a request that its reference forbids is a 400."""

    async def send(self, request: Outgoing) -> WireResponse:
        if fault := self._fault(request):
            return WireResponse(400, {}, fault)
        return WireResponse(200, {}, (self._case(request) / "response.json").read_bytes())

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        fault = self._fault(request)
        data = fault or self._stream(self._case(request))
        yield StreamedResponse(400 if fault else 200, {}, _once(data))

    async def aclose(self) -> None:
        """Nothing is open."""

    def _vendor(self, request: Outgoing) -> str:
        return request.url.removeprefix("https://").partition(".")[0]

    def _case(self, request: Outgoing) -> Path:
        return GOLDEN / VENDORS[self._vendor(request)][1]

    def _stream(self, case: Path) -> bytes:
        binary = case / "stream.hex"
        if binary.exists():
            return bytes.fromhex(binary.read_text())
        beside = [case, case.with_name(f"{case.name}-stream"), case.with_name("text-stream")]
        found = next(folder for folder in beside if (folder / "stream.txt").exists())
        return (found / "stream.txt").read_bytes()

    def _fault(self, request: Outgoing) -> bytes | None:
        vendor = self._vendor(request)
        model, _, check = VENDORS[vendor]
        name = vendor if check is openai_api.check else model.partition("/")[2]
        try:
            check(name, json.loads(request.body))
        except AssertionError as error:
            return json.dumps({"error": {"message": f"{error}", "type": "invalid"}}).encode()
        return None


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.fixture(scope="module")
def app() -> Iterator[InProcess]:
    listed = [
        {
            "model_name": name,
            "litellm_params": {
                "model": model,
                "api_key": "k",
                "api_base": f"https://{name}.test",
            },
        }
        for name, (model, _, _) in VENDORS.items()
    ]
    config = {"model_list": listed, "router_settings": {"num_retries": 0}}
    with run_in_process(config, StrictVendors()) as running:
        yield running


def message_of(app: InProcess, name: str) -> dict[str, Any]:
    response = app.post({"model": name, "messages": [U]})
    assert response.status == 200, response.body
    message: dict[str, Any] = json.loads(response.body)["choices"][0]["message"]
    return message


def next_turn(message: dict[str, Any]) -> list[dict[str, Any]]:
    calls = message.get("tool_calls") or []
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "1"} for call in calls]
    return [U, message, *results, U]


@pytest.mark.parametrize("name", VENDORS)
def test_every_model_responds_to_a_turn_that_another_has_begun(app: InProcess, name: str) -> None:
    messages = next_turn(message_of(app, name))
    app.observer.clear()
    response = app.post({"model": [*VENDORS], "messages": messages})
    choices = json.loads(response.body)["choices"]
    assert [choice.get("error") for choice in choices] == [None] * len(VENDORS)
    assert {record.outcome for record in app.observer.attempts} == {"ok"}
    if name == "anthropic":  # its thinking is left out for the others, which the log says
        noted = {record.model: record.dropped for record in app.observer.attempts}
        assert noted["anthropic"] == ()
        assert noted["openai"] == ("messages[].reasoning_content", "messages[].thinking_blocks")


@pytest.mark.parametrize("name", VENDORS)
def test_streamed_every_model_responds_too(app: InProcess, name: str) -> None:
    body = {"model": [*VENDORS], "messages": next_turn(message_of(app, name)), "stream": True}
    events = app.post(body).body.split(b"\n\n")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events if b"{" in event]
    assert b"data: [DONE]" in events
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert not [choice for choice in choices if choice.get("error")]
    ended = {choice["index"] for choice in choices if choice["finish_reason"]}
    assert ended == set(range(len(VENDORS)))


def test_a_fallback_to_another_vendor_goes_on_with_the_conversation(app: InProcess) -> None:
    """Round the list of vendors, each continuing what the one before it began."""
    messages: list[dict[str, Any]] = [U]
    for name in [*VENDORS, *VENDORS]:
        response = app.post({"model": name, "messages": messages})
        assert response.status == 200, (name, response.body)
        message = json.loads(response.body)["choices"][0]["message"]
        messages += next_turn(message)[1:]


def test_a_member_of_a_race_that_fanout_itself_rejects_is_logged_with_the_field(
    app: InProcess,
) -> None:
    app.observer.clear()
    body = {"model": "anthropic, openai", "fastest_response": True, "messages": [U], "n": 2}
    assert app.post(body).status == 200
    rejected = {record.model: record.rejected for record in app.observer.attempts}
    assert rejected["anthropic"] == "n"
    assert rejected["openai"] is UNSET

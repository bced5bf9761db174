"""Earlier spoken responses: an id that the vendor no longer stores is not sent, but the words."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.gateway.factory import make_transport
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from tests.support.scripted_engine import ScriptedEngine, answers
from tests.support.virtual_clock import run

U = {"role": "user", "content": "Hello."}
NOW = time.time()
"""The tests' own time is hours away from each bound."""
LATER, EARLIER = NOW + 36_000, NOW - 36_000


def sent(model: str, audio: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The assistant's message as it is sent, and what is noted."""
    engine = ScriptedEngine(api=answers("A"))
    transport = make_transport(Settings(), engine)
    params = ModelParams(model=model, api_key="k", api_base="https://api.openai.com/v1")
    deployment = make_deployment("our-name", params, {}, {})
    messages = [U, {"role": "assistant", "content": None, "audio": audio}, U]

    dropped: list[tuple[str, ...]] = []

    async def main() -> None:
        await transport.chat(
            deployment,
            parse_chat({"messages": messages}),
            note=lambda wire: dropped.append(wire.dropped),
        )

    run(main())
    return engine.bodies[0]["messages"][1], dropped[0]


def audio(expires_at: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "audio_1", "data": "AAAA", "transcript": "Hi.", "expires_at": expires_at} | fields


@pytest.mark.parametrize("expires_at", [LATER, int(LATER), None, "soon", True])
def test_audio_that_is_stored_is_sent_by_its_id(expires_at: Any) -> None:
    message, dropped = sent("openai/gpt-4o-audio-preview", audio(expires_at))
    assert message == {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}
    assert dropped == ()


@pytest.mark.parametrize("expires_at", [EARLIER, int(EARLIER), 0])
def test_audio_that_has_expired_is_its_words(expires_at: Any) -> None:
    message, dropped = sent("openai/gpt-4o-audio-preview", audio(expires_at))
    assert message == {"role": "assistant", "content": "Hi."}
    assert dropped == ("messages[].audio",)


def test_audio_that_has_expired_without_words_is_an_empty_turn() -> None:
    message, dropped = sent("openai/gpt-4o-audio-preview", audio(EARLIER, transcript=""))
    assert message == {"role": "assistant", "content": ""}
    assert dropped == ("messages[].audio",)


def test_audio_of_another_vendor_is_its_words() -> None:
    message, _ = sent("openai/gpt-4o-audio-preview", audio(LATER, id="made_1"))
    assert message == {"role": "assistant", "content": "Hi."}


def test_a_client_that_sends_only_the_id_decides_itself() -> None:
    message, dropped = sent("openai/gpt-4o-audio-preview", {"id": "audio_1"})
    assert message["audio"] == {"id": "audio_1"}
    assert dropped == ()

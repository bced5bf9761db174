"""
A response's message as the next turn: as an object, each vendor gets what it gets of the dict.

The object is of Fanout's class, or of one of OpenAI's SDK, which adds fields of its own.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage, ParsedChatCompletionMessage
from pydantic import BaseModel

import fanout
from fanout.library.inputs import plain
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from tests.providers.strict.responses import all_messages
from tests.providers.test_history_grid import TARGETS

CLASSES: list[Any] = [fanout.Message, ChatCompletionMessage, ParsedChatCompletionMessage]
MODELS = sorted({(provider, model) for provider, model, _ in TARGETS})
U = {"role": "user", "content": "Hello."}
SPOKEN = {
    "role": "assistant",
    "content": None,
    "audio": {"id": "audio_1", "data": "AAAA", "expires_at": 1, "transcript": "the words"},
}
EXTRA = {
    "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.test"}}],
    "parsed": {"answer": 1},
    "refusal": None,
}
MESSAGES = [
    *(message for _, message in all_messages()),
    SPOKEN,
    {**U, "role": "assistant", **EXTRA},
]


def sent(provider: str, model: str, message: Any) -> tuple[Any, list[str]]:
    """The request's body, and what it lacks."""
    calls = message.get("tool_calls") or ()
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "r"} for call in calls]
    request = parse_chat({"model": "m", "messages": [U, message, *results, U]})
    wire = registry.find(provider).chat.encode(request, Target("m", model), False)
    return json.loads(wire.body), sorted(wire.dropped)


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_none(one) for name, one in value.items() if one is not None}
    return [without_none(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("number", range(len(MESSAGES)))
def test_a_message_object_gives_the_request_of_its_dict(number: int) -> None:
    message = {"role": "assistant", **MESSAGES[number]}
    for kind in CLASSES:
        try:
            given: BaseModel = kind.model_validate(message)
        except ValueError:
            continue  # OpenAI's classes lack some vendors' types of calls
        for provider, model in MODELS:
            expected = sent(provider, model, without_none(message))
            assert sent(provider, model, plain(given)) == expected, (kind, provider, model)


@pytest.mark.parametrize(("provider", "model"), MODELS)
@pytest.mark.parametrize("kind", CLASSES)
def test_a_spoken_response_is_sent_by_its_id_to_openai_and_as_its_words_to_others(
    provider: str, model: str, kind: Any
) -> None:
    body, _ = sent(provider, model, plain(kind.model_validate(SPOKEN)))
    assert ("audio_1" in json.dumps(body)) is (provider == "openai")
    assert ("the words" in json.dumps(body)) is (provider != "openai")
    assert "AAAA" not in json.dumps(body)

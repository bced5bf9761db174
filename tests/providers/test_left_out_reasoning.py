"""Encrypted reasoning of another model is named wherever a model does not get it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.endpoints.base import RequestBody, Translation, find_surface
from fanout.endpoints.sealed import seal
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.fanout import parse_request
from tests.providers.test_history_grid import TARGETS
from tests.support.in_process import HelloEngine, run_in_process

SECRET = "U0VDUkVU"
ITEM = {"type": "reasoning", "id": "rs_1", "model": "their-o3", "encrypted_content": SECRET}
HELD = {"extra_content": {"openai": {"reasoning_items": [ITEM]}}}
U = {"role": "user", "content": "Hello."}
THINKING = {"type": "thinking", "thinking": "", "signature": seal(HELD)}
SAID = {"role": "assistant", "content": "Hi."}
ASKS: dict[str, tuple[dict[str, Any], str]] = {
    "/v1/chat/completions": (
        {"messages": [U, {**SAID, **HELD}, U]},
        "messages[].extra_content",
    ),
    "/v1/messages": (
        {
            "max_tokens": 9,
            "messages": [
                U,
                {"role": "assistant", "content": [THINKING, {"type": "text", "text": "Hi."}]},
                U,
            ],
        },
        "messages[].content[].thinking",
    ),
    "/v1/responses": (
        {
            "input": [
                U,
                {"type": "reasoning", "summary": [], "encrypted_content": seal(HELD)},
                {"type": "message", **SAID},
                U,
            ]
        },
        "input[].reasoning",
    ),
}
"""A conversation that a model with the Responses API has begun, and the client's name of it."""

CODECS = [*dict.fromkeys(one[:2] for one in TARGETS), ("openai", "o3-pro")]


@pytest.mark.parametrize("path", ASKS)
def test_each_codec_sends_it_or_names_it(path: str) -> None:
    ask, wanted = ASKS[path]
    body = {"model": "m", "drop_params": True, **ask}
    wrong = []
    for provider, model in CODECS:
        translation, request = None, None
        if path == "/v1/chat/completions":
            request = parse_request(body)
        else:
            surface = find_surface(path.rpartition("/")[2])
            read = surface.read(RequestBody(body, json.dumps(body).encode()))
            translation, request = Translation(surface, read), read.request
        target = Target("m", model, True)
        wire = registry.find(provider).chat.encode(request.conversations[0], target, False)
        names = wire.dropped
        if translation is not None:
            names = translation.dropped(names, translated=True)
        if (SECRET.encode() in wire.body) == (wanted in names):
            wrong.append((provider, model, names))
    assert wrong == []


@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("stream", [False, True])
def test_what_no_one_of_several_accounts_may_get_is_named(path: str, *, stream: bool) -> None:
    params = {"model": "openai/responses/their-o3", "api_base": "http://127.0.0.1:1/v1"}
    listed = [
        {"model_name": name, "litellm_params": {**params, "api_key": key}}
        for name, key in (("one", "k"), ("two", "k"), ("two", "other"))
    ]
    ask, wanted = ASKS[path]
    found = {}
    engine = HelloEngine()
    with run_in_process({"model_list": listed}, engine) as app:
        for name in ("one", "two"):
            data = json.dumps({**ask, "model": name, "stream": stream}).encode()
            response = app.ask("POST", path, [data])
            assert response.status == 200, response.body
            names = response.headers.get("x-fanout-dropped", "").split(", ")
            found[name] = (SECRET.encode() in engine.sent[-1].body, wanted in names)
    assert found == {"one": (True, False), "two": (False, True)}

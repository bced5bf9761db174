"""Gemini and Claude on Vertex AI, over HTTP: the client's request to Google's token and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fanout
from tests.support.gateway_server import RunningGateway, serve
from tests.support.google_cloud import GOLDEN, GoogleCloud, google_cloud

HI = [{"role": "user", "content": "Hi"}]
MODELS = {"gemini": "vertex_ai/gemini-2.5-flash", "claude": "vertex_ai/claude-sonnet-4-5@20250929"}
TEXTS = {
    name: json.loads((GOLDEN / f"{name}-text" / "chat.json").read_text())["choices"][0]["message"][
        "content"
    ]
    for name in MODELS
}


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GoogleCloud]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with google_cloud() as cloud:
        yield cloud


def entry(google: GoogleCloud, name: str, **more: Any) -> dict[str, Any]:
    given = {"vertex_project": "our-project", "vertex_location": "global", **more}
    params = {"model": MODELS[name], "api_base": google.url, **given}
    return {"model_name": name, "litellm_params": params}


@pytest.fixture
def gateway(google: GoogleCloud, tmp_path: Path) -> Iterator[RunningGateway]:
    """One model has its credentials in a file, the other in the environment."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps(google.service_account()))
    config = {
        "model_list": [
            entry(google, "gemini", vertex_credentials=str(path)),
            entry(google, "claude", vertex_credentials="os.environ/GOOGLE_KEY"),
        ],
        "router_settings": {"num_retries": 0},
    }
    with serve(config, {"GOOGLE_KEY": json.dumps(google.service_account())}) as served:
        yield served


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_on_vertex_ai_responds(
    gateway: RunningGateway, google: GoogleCloud, name: str, *, stream: bool
) -> None:
    for _ in range(2):
        response = gateway.chat({"model": name, "messages": HI, "stream": stream})
        assert (response.status, response.text) == (200, TEXTS[name])
    assert len(google.tokens) == 1
    assert {headers["authorization"] for _, headers, _ in google.calls} == {
        f"Bearer {google.tokens[0]}"
    }
    (path, _, body), _ = google.calls
    model = MODELS[name].removeprefix("vertex_ai/")
    assert "/v1/projects/our-project/locations/global/publishers/" in path
    assert f"/models/{model}:" in path
    assert "model" not in body


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_two_models_on_vertex_ai_race(
    gateway: RunningGateway, google: GoogleCloud, *, stream: bool
) -> None:
    models = ",".join(MODELS)
    race = {"model": models, "fastest_response": True, "messages": HI, "stream": stream}
    response = gateway.chat(race)
    assert response.status == 200
    assert response.text in TEXTS.values()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_revoked_token_is_replaced_and_the_call_made_again(
    google: GoogleCloud, *, stream: bool
) -> None:
    config = {
        "model_list": [entry(google, "gemini", vertex_credentials=google.service_account())],
        "router_settings": {"num_retries": 0},
    }
    with serve(config) as gateway:
        assert gateway.chat({"model": "gemini", "messages": HI}).status == 200
        google.revoked.add(google.tokens[0])
        response = gateway.chat({"model": "gemini", "messages": HI, "stream": stream})
    assert (response.status, response.text) == (200, TEXTS["gemini"])
    assert len(google.tokens) == 2


def test_the_python_functions_calls_share_a_token(google: GoogleCloud) -> None:
    key = google.service_account()
    for _ in range(2):
        completion = fanout.completion(
            MODELS["claude"], HI, api_base=google.url, vertex_credentials=key
        )
        assert completion.choices[0].message.content == TEXTS["claude"]
    assert len(google.tokens) == 1
    assert "/projects/our-project/locations/us-central1/" in google.calls[0][0]


def test_an_access_token_in_the_config_is_sent_unchanged(google: GoogleCloud) -> None:
    google.tokens.append("ya29.made-by-gcloud")
    config = {"model_list": [entry(google, "claude", api_key="ya29.made-by-gcloud")]}
    with serve(config) as gateway:
        assert gateway.chat({"model": "claude", "messages": HI}).text == TEXTS["claude"]
    assert google.forms == []


def test_wrong_credentials_are_an_error_that_names_the_key_and_a_fallback_responds(
    google: GoogleCloud,
) -> None:
    key = google.service_account()
    config = {
        "model_list": [
            entry(google, "gemini", vertex_credentials="/nowhere/marker.json"),
            entry(google, "claude", vertex_credentials=key),
        ],
        "router_settings": {"num_retries": 0},
    }
    with serve(config) as gateway:
        status, _, body = gateway.json({"model": "gemini", "messages": HI})
        fallback = gateway.chat({"model": "gemini", "fallbacks": ["claude"], "messages": HI})
    assert (status, body["error"]["code"]) == (500, "missing_provider_key")
    assert "`vertex_credentials` names a file that cannot be read" in body["error"]["message"]
    assert "marker" not in body["error"]["message"]
    assert fallback.text == TEXTS["claude"]


def test_a_token_service_that_is_down_is_an_error_of_the_provider(google: GoogleCloud) -> None:
    key = google.service_account(token_uri="http://127.0.0.1:1/token")
    config = {
        "model_list": [entry(google, "gemini", vertex_credentials=key)],
        "router_settings": {"num_retries": 0},
    }
    with serve(config) as gateway:
        status, _, body = gateway.json({"model": "gemini", "messages": HI})
    assert status in {502, 503}
    assert "no connection to Google's token server" in body["error"]["message"]

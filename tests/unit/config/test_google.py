"""Where a model on Google Cloud finds its project, its location and its credentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fanout.config.deployment import Deployment
from fanout.errors import UnknownModel
from tests.unit.config.sections import catalog, deployment, entry, refusal

GEMINI = "vertex_ai/gemini-2.5-pro"
KEY = {"type": "service_account", "project_id": "keys-project", "private_key": "marker-secret"}


def place(found: Deployment) -> tuple[str, str, str]:
    options = found.target.options
    return options["vertex_project"], options["vertex_location"], found.base_url


@pytest.mark.parametrize(
    ("env", "params", "expected"),
    [
        ({}, {"vertex_project": "p"}, ("p", "us-central1")),
        ({}, {"vertex_project": "p", "vertex_location": "eu"}, ("p", "eu")),
        ({"VERTEXAI_PROJECT": "p", "VERTEXAI_LOCATION": "global"}, {}, ("p", "global")),
        ({"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "us"}, {}, ("p", "us")),
        ({"VERTEXAI_PROJECT": "a", "GOOGLE_CLOUD_PROJECT": "b"}, {}, ("a", "us-central1")),
        ({"VERTEXAI_PROJECT": "a"}, {"vertex_project": "p"}, ("p", "us-central1")),
        ({}, {"vertex_credentials": KEY}, ("keys-project", "us-central1")),
        ({}, {"vertex_credentials": json.dumps(KEY)}, ("keys-project", "us-central1")),
        ({"K": json.dumps(KEY)}, {"vertex_credentials": "os.environ/K"}, ("keys-project",) * 1),
    ],
)
def test_the_project_and_the_location_are_in_the_config_or_the_environment(
    env: dict[str, str], params: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert place(deployment(GEMINI, env, **params))[: len(expected)] == expected


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("europe-west1", "europe-west1-aiplatform.googleapis.com"),
    ],
)
def test_each_location_has_its_host(location: str, host: str) -> None:
    found = deployment(GEMINI, vertex_project="p", vertex_location=location)
    assert found.base_url == f"https://{host}"


@pytest.mark.parametrize(
    ("env", "given", "name", "text"),
    [
        ({}, None, None, None),
        ({}, "key.json", "vertex_credentials", "key.json"),
        ({}, '{"type": "x"}', "vertex_credentials", '{"type": "x"}'),
        ({}, {"type": "x"}, "vertex_credentials", '{"type":"x"}'),
        ({"K": "key.json"}, "os.environ/K", "K", "key.json"),
        ({}, "os.environ/K", "K", None),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "a.json"}, None, "GOOGLE_APPLICATION_CREDENTIALS",
         "a.json"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "a.json"}, "key.json", "vertex_credentials",
         "key.json"),
    ],
)  # fmt: skip
def test_the_credentials_are_a_secret(
    env: dict[str, str], given: Any, name: str | None, text: str | None
) -> None:
    found = deployment(GEMINI, env, vertex_project="p", vertex_credentials=given)
    secret = found.credentials
    assert (secret and secret.name) == name
    assert (secret and secret.reveal()) == text
    assert found.keys == ()


def test_credentials_that_are_not_known_yet_are_looked_up_by_name() -> None:
    """On AWS, in Secrets Manager."""
    models = [entry(GEMINI, vertex_project="p", vertex_credentials="os.environ/GOOGLE_KEY")]
    assert catalog(model_list=models).secret_names == ["GOOGLE_KEY"]


def test_nothing_shows_the_credentials() -> None:
    found = catalog(model_list=[entry(GEMINI, vertex_credentials=KEY)])
    assert "marker" not in f"{found!r} {found.find('m')!r}"


def test_other_providers_have_no_credentials_of_google() -> None:
    env = {"GOOGLE_APPLICATION_CREDENTIALS": "a.json", "VERTEXAI_PROJECT": "p"}
    found = deployment("gemini/gemini-2.5-pro", env)
    assert found.credentials is None
    assert "vertex_project" not in found.target.options


@pytest.mark.parametrize(
    ("model", "params", "words"),
    [
        (GEMINI, {}, "needs `vertex_project` in litellm_params, or VERTEXAI_PROJECT"),
        (GEMINI, {"vertex_project": "p", "vertex_location": "a b"}, "`vertex_location`"),
        ("vertex_ai/mistral-large", {"vertex_project": "p"}, "only Gemini, Claude"),
    ],
)
def test_what_cannot_work_is_rejected_at_the_start(
    model: str, params: dict[str, str], words: str
) -> None:
    assert words in refusal(model_list=[entry(model, **params)])


def test_a_wildcard_stands_for_every_model_of_the_project() -> None:
    models = [entry("vertex_ai/*", "vertex/*", vertex_project="p", vertex_location="global")]
    (found,) = catalog(model_list=models).find("vertex/claude-opus-4-7")
    assert found.target.model == "claude-opus-4-7"
    assert found.base_url == "https://aiplatform.googleapis.com"
    with pytest.raises(UnknownModel, match="only Gemini, Claude"):
        catalog(model_list=models).find("vertex/mistral-large")


def test_the_file_of_a_service_account_has_its_project(tmp_path: Path) -> None:
    file = tmp_path / "sa.json"
    file.write_text(json.dumps(KEY))
    expected = ("keys-project", "us-central1")
    assert place(deployment(GEMINI, vertex_credentials=str(file)))[:2] == expected
    for env in (
        {"GOOGLE_APPLICATION_CREDENTIALS": str(file)},
        {"VERTEXAI_CREDENTIALS": str(file)},
        {"K": str(file)},
    ):
        params = {"vertex_credentials": "os.environ/K"} if "K" in env else {}
        assert place(deployment(GEMINI, env, **params))[:2] == expected
    given = deployment(GEMINI, vertex_credentials=str(file), vertex_project="mine")
    assert place(given)[0] == "mine"


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 5000, '{"project_id": 5}'])
def test_a_file_without_a_project_is_no_error_of_its_own(tmp_path: Path, text: str) -> None:
    (tmp_path / "sa.json").write_text(text)
    message = refusal(model_list=[entry(GEMINI, vertex_credentials=str(tmp_path / "sa.json"))])
    assert "Vertex AI needs `vertex_project`" in message

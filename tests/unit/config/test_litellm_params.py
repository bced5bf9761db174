"""What LiteLLM's users write for one deployment: model_info, extra fields, and how it is read."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.config.litellm.keys import keys_of
from fanout.telemetry.prices import prices_of
from tests.unit.config.sections import catalog, deployment, entry, refusal

AZURE = {"api_base": "https://r.openai.azure.com", "api_key": "k"}


def with_info(model: str, info: dict[str, Any], **params: Any) -> Any:
    listed = {**entry(model, **params), "model_info": info}
    (found,) = catalog(model_list=[listed]).find("m")
    return found


# ---- model_info ----


@pytest.mark.parametrize("written", ["o3-mini", "azure/o3-mini"])
@pytest.mark.parametrize("place", ["model_info", "litellm_params"])
def test_base_model_works_in_both_places_with_and_without_its_provider(
    written: str, place: str
) -> None:
    info, params = ({"base_model": written}, {}) if place == "model_info" else ({}, AZURE)
    more = {"base_model": written} if place == "litellm_params" else AZURE
    found = with_info("azure/ours", info, **{**params, **more})
    assert found.target.options["base_model"] == "o3-mini"
    assert prices_of(found) is not None


def test_prices_of_model_info_count_and_those_of_the_params_before_them() -> None:
    info = {"input_cost_per_token": 1.0, "output_cost_per_token": 2.0}
    found = with_info("openai/x", info)
    assert (found.input_price, found.output_price) == (1.0, 2.0)
    found = with_info("openai/x", info, input_cost_per_token=3.0)
    assert (found.input_price, found.output_price) == (3.0, 2.0)


@pytest.mark.parametrize("mode", ["chat", "completion", "responses", "batch", None])
def test_notes_in_model_info_are_ignored(mode: str | None) -> None:
    found = with_info("openai/gpt-4o", {"id": 5, "mode": mode, "supports_vision": True, "x": [1]})
    assert found.target.model == "gpt-4o"


@pytest.mark.parametrize("mode", ["embedding", "image_generation", "audio_transcription", "rerank"])
def test_a_model_for_another_api_is_a_problem(mode: str) -> None:
    listed = {**entry("openai/x"), "model_info": {"mode": mode}}
    assert f"there is no `{mode}` API here" in refusal(model_list=[listed])


def test_the_responses_api_is_rejected_with_the_name_to_write() -> None:
    message = refusal(model_list=[entry("openai/responses/gpt-5-nano")])
    assert "there is no Responses API here; write `openai/gpt-5-nano`" in message


# ---- parameters ----


@pytest.mark.parametrize(
    "name", ["num_ctx", "keep_alive", "repeat_penalty", "min_p", "top_a", "guided_json", "best_of"]
)
def test_a_parameter_that_only_the_provider_knows_is_a_default_of_each_request(name: str) -> None:
    params: dict[str, Any] = {name: 5}
    assert deployment("ollama/llama3", **params).additions.defaults == params


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"extra_headers": {"Host": "x"}}, "`extra_headers` cannot set `Host`"),
        ({"extra_headers": {"a b": "x"}}, "`extra_headers` cannot set `a b`"),
        ({"extra_headers": {"a": "x\r\ny: z"}}, "has a character that no header may have"),
        ({"extra_headers": {"a": 5}}, "extra_headers"),
        ({"extra_body": {"stream": True}}, "`extra_body` cannot set `stream`"),
        ({"extra_body": {"messages": []}}, "`extra_body` cannot set `messages`"),
        ({"extra_body": []}, "extra_body"),
    ],
)
def test_an_addition_that_no_call_may_have_is_a_problem(params: dict[str, Any], why: str) -> None:
    assert why in refusal(model_list=[entry("openai/x", **params)])


def test_only_a_provider_with_organizations_takes_one() -> None:
    headers = deployment("openai/x", organization="org-1").additions.headers
    assert headers == {"openai-organization": "org-1"}
    message = refusal(model_list=[entry("groq/x", organization="org-1")])
    assert "`groq` does not read `organization`" in message


def test_what_a_deployment_adds_is_never_shown() -> None:
    found = deployment("openai/x", extra_headers={"x-key": "sk-secret"}, extra_body={"k": "sk-2"})
    assert "sk-" not in repr(found)


@pytest.mark.parametrize(
    "ignored",
    [
        {"set_verbose": False},
        {"cache": None},
        {"callbacks": []},
        {"telemetry": True},
        {"some_new_flag_of_theirs": False},
    ],
)
def test_a_key_that_asks_for_nothing_is_ignored(ignored: dict[str, Any]) -> None:
    assert catalog(model_list=[entry("openai/x")], litellm_settings=ignored).groups.keys() == {"m"}


@pytest.mark.parametrize("value", [None, False, [], "", {}])
def test_a_parameter_of_litellms_that_asks_for_nothing_is_not_sent(value: object) -> None:
    found = deployment("openai/x", mock_response=value, caching=value)
    assert (found.defaults, found.additions.defaults) == ({}, {})


OTHERS = [key.name for key in keys_of("litellm_params") if key.status != "supported"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_key_of_litellms_is_a_problem_or_asks_for_nothing_and_is_never_a_default(
    name: str,
) -> None:
    empty: tuple[Any, ...] = (None, "", [], {})
    for value in empty:
        given: dict[str, Any] = {name: value}
        found = deployment("openai/x", **given)
        assert (found.defaults, found.additions.defaults) == ({}, {})
    wrong: dict[str, Any] = {name: 7.5}
    assert f"`model_list[0].litellm_params.{name}`" in refusal(
        model_list=[entry("openai/x", **wrong)]
    )

"""What LiteLLM's users write for one deployment: model_info, extra fields, and how it is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from fanout.config.fix import fix
from fanout.config.litellm.keys import keys_of
from fanout.config.resolve import inspect_config
from fanout.providers.bedrock.models import Model, find_model
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


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_prices_of_tiers_are_read_from_both_places_and_count_in_pairs(tier: str) -> None:
    info = {f"input_cost_per_token_{tier}": 1.0}
    assert with_info("openai/x", info).tier_prices == ()
    params: dict[str, Any] = {f"output_cost_per_token_{tier}": 2.0}
    assert with_info("openai/x", info, **params).tier_prices == ((tier, 1.0, 2.0),)


@pytest.mark.parametrize("mode", ["chat", "completion", "responses", "batch", None])
def test_notes_in_model_info_are_ignored(mode: str | None) -> None:
    found = with_info("openai/gpt-4o", {"id": 5, "mode": mode, "supports_vision": True, "x": [1]})
    assert found.target.model == "gpt-4o"


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("blocked", True, "remove the entry"),
        ("access_windows", [{"start": "09:00", "end": "17:00"}], "at any time"),
        ("team_id", "t", "of those clients' keys"),
    ],
)
def test_a_limit_in_model_info_is_no_note(key: str, value: object, why: str) -> None:
    listed = {**entry("openai/x"), "model_info": {key: value, "id": "mine"}}
    assert why in refusal(model_list=[listed])
    listed["model_info"][key] = None
    assert catalog(model_list=[listed]).groups


@pytest.mark.parametrize("mode", ["image_generation", "audio_transcription", "rerank"])
def test_a_model_for_another_api_is_a_problem(mode: str) -> None:
    listed = {**entry("openai/x"), "model_info": {"mode": mode}}
    assert f"there is no `{mode}` API here" in refusal(model_list=[listed])


def test_the_mark_of_the_responses_api_is_only_for_providers_that_have_it() -> None:
    message = refusal(model_list=[entry("groq/responses/llama")])
    assert "is called with chat completions; write `groq/llama`" in message
    assert catalog(model_list=[entry("openai/responses/gpt-5-nano")]).groups


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


def test_settings_that_ask_for_what_always_holds_are_no_problem() -> None:
    found = catalog(model_list=[entry("openai/x")], litellm_settings={"json_logs": True})
    assert len(found.deployments) == 1
    message = refusal(model_list=[entry("openai/x")], litellm_settings={"default_params": {"n": 1}})
    assert "write them into the `litellm_params` of each entry" in message


def test_a_list_of_organizations_is_a_deployment_each() -> None:
    found = catalog(model_list=[entry("openai/x", organization=["org-1", "org-2"])])
    headers = [one.additions.headers for one in found.deployments]
    assert headers == [{"openai-organization": "org-1"}, {"openai-organization": "org-2"}]
    assert [one.id for one in found.deployments] == ["m#0", "m#0.1"]
    (alone,) = catalog(model_list=[entry("openai/x", organization=[])]).deployments
    assert alone.additions.headers == {}
    wild = {"model_name": "*", "litellm_params": {"model": "openai/*", "organization": ["a", "b"]}}
    both = catalog(model_list=[wild]).find("gpt-9")
    assert [one.additions.headers["openai-organization"] for one in both] == ["a", "b"]
    message = refusal(model_list=[entry("groq/x", organization=["org-1", "org-2"])])
    assert message.count("`groq` does not read `organization`") == 1


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


# ---- Bedrock's ARNs ----

PROFILE = "arn:aws:bedrock:eu-west-3:111111111111:application-inference-profile/abc"


def test_a_model_id_is_called_and_the_model_says_which_family_it_is() -> None:
    """https://docs.litellm.ai/docs/providers/bedrock: "Application Inference Profile"."""
    model = "anthropic.claude-3-5-sonnet-20240620-v1:0"
    found = deployment(f"bedrock/{model}", model_id=PROFILE)
    assert find_model(found.target) == Model("converse", PROFILE, model)
    assert found.base_url == "https://bedrock-runtime.eu-west-3.amazonaws.com"
    assert prices_of(found) == prices_of(
        deployment(f"bedrock/{model}", aws_region_name="eu-west-3")
    )
    assert prices_of(found) is not None


def test_another_base_model_than_the_model_is_the_family_of_a_model_id() -> None:
    found = deployment("bedrock/mine", model_id=PROFILE, base_model="amazon.nova-lite-v1:0")
    assert find_model(found.target) == Model("converse", PROFILE, "amazon.nova-lite-v1:0")


def test_a_model_id_is_rejected_where_it_would_be_ignored() -> None:
    message = refusal(model_list=[entry("openai/gpt-4o", model_id=PROFILE)])
    assert message == "model_list[0] (`m`): `openai` does not read `model_id`"


@pytest.mark.parametrize(
    ("model", "api", "region"),
    [
        ("bedrock/llama/ARN", "converse", "eu-west-3"),
        ("bedrock/deepseek_r1/ARN", "converse", "eu-west-3"),
        ("bedrock/openai/ARN", "openai", "eu-west-3"),
        ("bedrock/us-east-1/qwen3/ARN", "converse", "us-east-1"),
    ],
)
def test_what_litellm_writes_before_an_arn_is_not_part_of_it(
    model: str, api: str, region: str
) -> None:
    found = deployment(model.replace("ARN", PROFILE))
    assert (find_model(found.target).api, find_model(found.target).id) == (api, PROFILE)
    assert found.base_url == f"https://bedrock-runtime.{region}.amazonaws.com"


# ---- regions ----


@pytest.mark.parametrize(
    ("model", "name", "more"),
    [
        ("bedrock/amazon.nova-lite-v1:0", "aws_region_name", {}),
        ("vertex_ai/gemini-2.5-flash", "vertex_location", {"vertex_project": "p"}),
        ("openai/gpt-4o", "", {}),
        ("azure/ours", "", AZURE),
        ("nobody/x", "", {}),
    ],
)
def test_a_region_name_is_the_providers_region_if_it_has_one(
    model: str, name: str, more: dict[str, str]
) -> None:
    text = json.dumps({"model_list": [entry(model, region_name="europe-west1", **more)]})
    problems = inspect_config(text, {}, "x.yaml")[2]
    (found,) = [one for one in problems if one.path[-1] == "region_name"]
    assert found.rename == name
    assert f"write `{name or 'aws_region_name'}`" in found.message
    assert ("other providers' models are not chosen by region" in found.message) == (not name)


# ---- forms of values ----


def test_a_list_of_parameters_to_drop_is_moved_to_additional_drop_params() -> None:
    config = {
        "model_list": [entry("openai/x"), entry("openai/y", "b", drop_params=["seed"])],
        "litellm_settings": {"drop_params": ["temperature"]},
    }
    fixed = yaml.safe_load(fix(yaml.safe_dump(config), {}, "x.yaml").text)
    dropped = [one["litellm_params"]["additional_drop_params"] for one in fixed["model_list"]]
    assert dropped == [["temperature"], ["seed"]]


def test_a_fallback_that_is_an_object_is_named_and_its_model_is_kept() -> None:
    fallbacks = [{"a": [{"model": "b"}, {"model": "b", "temperature": 0}, "b"]}]
    config = {
        "model_list": [entry("openai/x", "a"), entry("openai/y", "b")],
        "litellm_settings": {"fallbacks": fallbacks},
    }
    text = yaml.safe_dump(config)
    found = [one.message for one in inspect_config(text, {}, "x.yaml")[2]]
    assert [one.partition(":")[0] for one in found] == [
        f"`litellm_settings.fallbacks[0].a[{index}]` must be a model's name, not an object"
        for index in (0, 1)
    ]
    fixed = yaml.safe_load(fix(text, {}, "x.yaml").text)
    assert fixed["litellm_settings"]["fallbacks"] == [{"a": ["b", "b"]}]


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        (5, "`…` must be a string or an object, not an integer"),
        (["a", "b"], "`…` must be a string or an object, not a list"),
        ({"models": ["a", "b"], "mode": "rase"}, "`….mode` cannot be 'rase': use `race` or"),
        ({"modls": ["a", "b"]}, "`….modls` is unknown; did you mean `models`?"),
        ({"models": "a"}, "`….models` must be a list or null, not a string"),
        ({"models": ["a", "nope"]}, "`….models` names `nope`, which is not in `model_list`"),
        ({"mode": "race"}, "`…` needs either `model` or `models`"),
    ],
)
@pytest.mark.parametrize("section", ["router_settings", "litellm_settings"])
def test_a_wrong_alias_is_named(section: str, alias: object, words: str) -> None:
    models = [entry("openai/x", "a"), entry("openai/y", "b")]
    aliases = {"good": "a", "bad": alias, "worse": "nope"}
    config = {"model_list": models, section: {"model_group_alias": aliases}}
    first, second = inspect_config(yaml.safe_dump(config), {}, "x.yaml")[2]
    assert words.replace("…", f"{section}.model_group_alias.bad") in first.message
    assert second.path[-1] == "worse"


# ---- bare ids of Bedrock's models ----


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-3-sonnet-20240229-v1:0", "us.anthropic.claude-sonnet-4-20250514-v1:0",
        "amazon.nova-pro-v1:0", "meta.llama3-1-70b-instruct-v1:0",
        "mistral.mistral-7b-instruct-v0:2",
        "cohere.command-r-v1:0", "deepseek.r1-v1:0", "openai.gpt-oss-20b-1:0",
        "eu.amazon.nova-lite-v1:0",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ],
)  # fmt: skip
def test_a_bare_id_of_a_model_on_bedrock_is_called_there(model: str) -> None:
    found = deployment(model, aws_region_name="us-east-1")
    assert (found.provider.name, found.target.model) == ("bedrock", model)
    elsewhere = deployment(model, api_base="https://gateway.test/v1", api_key="k")
    assert (elsewhere.provider.name, elsewhere.target.model) == ("openai", model)


def test_rpm_and_tpm_of_model_info_count_and_those_of_the_params_before_them() -> None:
    found = with_info("openai/x", {"rpm": 5, "tpm": 100}, tpm=200)
    assert (found.rpm, found.tpm) == (5, 200)


def test_request_timeout_of_an_entry_is_renamed() -> None:
    text = yaml.safe_dump({"model_list": [entry("openai/x", api_key="k", request_timeout=7)]})
    fixed = fix(text, {}, "c.yaml")
    assert yaml.safe_load(fixed.text)["model_list"][0]["litellm_params"]["timeout"] == 7


def test_headers_that_are_null_are_as_if_they_were_not_there() -> None:
    found = deployment("openai/x", extra_headers={"x-a": None, "host": None, "x-b": "1"})
    assert found.additions.headers == {"x-b": "1"}
    assert deployment("openai/x", extra_headers={"x-a": None}).additions.headers == {}

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.config.sections import catalog, deployment, entry, refusal

# ---- parameters ----


def test_the_parameters_of_a_deployment_are_kept() -> None:
    found = deployment(
        "gpt-4o",
        rpm=60,
        tpm=1000,
        max_parallel_requests=10,
        timeout=30,
        stream_timeout=10,
        num_retries=1,
        weight=2,
        drop_params=True,
        input_cost_per_token=1e-6,
        output_cost_per_token=2e-6,
        base_model="gpt-4o-mini",
        temperature=0.5,
    )
    assert (found.rpm, found.tpm, found.max_parallel) == (60, 1000, 10)
    assert (found.timeout, found.stream_timeout, found.retries) == (30.0, 10.0, 1)
    assert (found.weight, found.target.drop_params) == (2.0, True)
    assert (found.input_price, found.output_price) == (1e-6, 2e-6)
    assert found.target.options["base_model"] == "gpt-4o-mini"
    assert found.defaults == {"temperature": 0.5}


def test_what_a_deployment_leaves_out_is_the_sections_or_the_usual() -> None:
    plain = deployment("gpt-4o")
    assert (plain.timeout, plain.stream_timeout, plain.retries) == (None, 600.0, 2)
    assert (plain.weight, plain.target.drop_params, plain.input_price) == (1.0, False, None)
    (found,) = catalog(
        model_list=[entry("gpt-4o")],
        router_settings={"stream_timeout": 45},
        litellm_settings={"drop_params": True},
    ).find("m")
    assert (found.stream_timeout, found.target.drop_params) == (45.0, True)


def test_a_deployment_may_reject_what_the_service_drops() -> None:
    (found,) = catalog(
        model_list=[entry("gpt-4o", drop_params=False)], litellm_settings={"drop_params": True}
    ).find("m")
    assert found.target.drop_params is False


def test_numbers_of_a_deployment_may_come_from_the_environment() -> None:
    env = {"RPM": "60", "T": "0.5", "SEED": "7", "STOP": "END"}
    given = {"rpm": "os.environ/RPM", "temperature": "os.environ/T", "seed": "os.environ/SEED"}
    found = deployment("gpt-4o", env, stop="os.environ/STOP", **given)
    assert found.rpm == 60
    assert found.defaults == {"temperature": 0.5, "seed": 7, "stop": "END"}


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"rpm": 0}, "rpm"),
        ({"rpm": "many"}, "rpm"),
        ({"timeout": -1}, "timeout"),
        ({"weight": 0}, "weight"),
        ({"api_key": 5}, "api_key"),
        ({"input_cost_per_token": -1}, "input_cost_per_token"),
        ({"model": ""}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "x"}]}, "tools[0]"),
    ],
)
def test_a_wrong_parameter_is_rejected_with_its_place(params: dict[str, Any], param: str) -> None:
    message = refusal(model_list=[entry("gpt-4o"), entry(**{"model": "gpt-4o", **params})])
    assert message.startswith("model_list[1] (`m`): litellm_params: ")
    assert f"`{param}" in message


# ---- names and groups ----


def test_entries_of_one_name_are_a_group_and_each_has_its_id() -> None:
    found = catalog(model_list=[entry("gpt-4o"), entry("claude-2", "c"), entry("o3")])
    assert [d.id for d in found.find("m")] == ["m#0", "m#2"]
    assert [d.target.model for d in found.find("m")] == ["gpt-4o", "o3"]
    assert list(found.groups) == ["m", "c"]


@pytest.mark.parametrize("name", ["a,b", " a", "a "])
def test_a_model_name_that_no_client_could_write_is_rejected(name: str) -> None:
    message = refusal(model_list=[entry("gpt-4o", name)])
    assert message.startswith(f"model_list[0] (`{name}`): a model name cannot ")


def test_fallbacks_are_kept_in_their_order() -> None:
    models = [entry("gpt-4o", name) for name in "abc"]
    found = catalog(model_list=models, router_settings={"fallbacks": [{"a": ["b", "c"]}]})
    assert found.fallbacks == {"a": ("b", "c")}
    found = catalog(model_list=models, router_settings={"fallbacks": [{"a": ["c"]}, {"a": ["b"]}]})
    assert found.fallbacks == {"a": ("c", "b")}


@pytest.mark.parametrize("fallbacks", [[{"x": ["a"]}], [{"a": ["b", "x"]}]])
def test_a_fallback_of_an_unknown_name_is_rejected(fallbacks: Any) -> None:
    models = [entry("gpt-4o", "a"), entry("gpt-4o", "b")]
    message = refusal(model_list=models, router_settings={"fallbacks": fallbacks})
    assert message == "`router_settings.fallbacks[0]` names `x`, which is not in `model_list`"


def test_a_key_for_an_unknown_model_is_rejected() -> None:
    general = {"keys": [{"name": "n", "key": "k", "models": ["m", "x"]}]}
    message = refusal(model_list=[entry("gpt-4o")], general_settings=general)
    assert message == "`general_settings.keys[0]` names `x`, which is not in `model_list`"


def test_client_keys_are_the_master_key_and_then_each_key() -> None:
    general = {
        "master_key": "os.environ/MASTER",
        "keys": [{"name": "n", "key": "k", "models": ["m"]}, {"name": "o", "key": "l"}],
    }
    found = catalog({"MASTER": "mm"}, model_list=[entry("gpt-4o")], general_settings=general)
    found_keys = [
        (c.name, c.secret.reveal() if c.secret else None, c.models) for c in found.client_keys
    ]
    assert found_keys == [("master", "mm", None), ("n", "k", frozenset({"m"})), ("o", "l", None)]


def test_the_requests_timeout_is_the_routers_the_services_or_ten_minutes() -> None:
    assert catalog().timeout == 600.0
    assert catalog(litellm_settings={"request_timeout": 90}).timeout == 90.0
    both = catalog(litellm_settings={"request_timeout": 90}, router_settings={"timeout": 60})
    assert both.timeout == 60.0

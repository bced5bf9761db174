from __future__ import annotations

import pytest

from fanout.config.load import check
from fanout.config.model import ConfigFile
from fanout.config.resolve import resolve
from fanout.errors import ConfigError, UnknownModel

ONE = {"model_list": [{"model_name": "m", "litellm_params": {"model": "gpt-4o"}}]}


def test_without_a_config_models_are_found_by_their_provider_and_the_environments_keys() -> None:
    open_catalog = resolve(ConfigFile(), {"GROQ_API_KEY": "gk"})
    (found,) = open_catalog.find("groq/llama3-8b-8192")
    assert (found.name, found.target.model) == ("groq/llama3-8b-8192", "llama3-8b-8192")
    assert [secret.reveal() for secret in found.keys] == ["gk"]
    (other,) = open_catalog.find("claude-2")
    assert (other.provider.name, other.keys[0].reveal()) == ("anthropic", None)


def test_without_a_config_an_unknown_model_error_explains_how_to_write_one() -> None:
    with pytest.raises(UnknownModel) as raised:
        resolve(ConfigFile(), {}).find("llama-3")
    assert str(raised.value) == (
        "there is no model `llama-3`; write `provider/model`, such as `openai/gpt-4o`"
    )
    assert (raised.value.status, raised.value.param) == (404, "model")


def test_without_a_config_a_provider_that_lacks_an_option_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="`azure` needs `api_base`"):
        resolve(ConfigFile(), {}).find("azure/gpt-4o")


def test_with_a_config_only_its_names_are_served() -> None:
    found = resolve(check(ONE, {}), {"OPENAI_API_KEY": "k"})
    assert found.find("m")[0].target.model == "gpt-4o"
    with pytest.raises(UnknownModel, match="there is no model `gpt-4o`; there are `m`"):
        found.find("gpt-4o")


def test_settings_without_models_leave_the_catalog_open() -> None:
    found = resolve(check({"router_settings": {"timeout": 5}}, {}), {})
    assert (found.is_open, found.timeout) == (True, 5.0)
    assert found.find("gpt-4o")[0].provider.name == "openai"


def test_an_unknown_model_error_lists_at_most_ten_models_and_shortens_the_name() -> None:
    entries = [{"model_name": f"m{n:02}", "litellm_params": {"model": "gpt-4o"}} for n in range(20)]
    with pytest.raises(UnknownModel) as raised:
        resolve(check({"model_list": entries}, {}), {}).find("x" * 10_000)
    message = str(raised.value)
    assert message.count("`m") == 10
    assert len(message) < 300

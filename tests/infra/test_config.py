"""What the stack reads of the gateway's config, and what it refuses to be made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.config import BedrockModel, GatewayConfig, read_config
from infra.props import BadContext

from .synth import ROOT, config_file


def read(text: str, folder: Path, environment: Mapping[str, str] = {}) -> GatewayConfig:
    path = folder / "config.yaml"
    path.write_text(text)
    return read_config(path, environment)


def refusal(text: str, folder: Path, environment: Mapping[str, str] = {}) -> str:
    with pytest.raises(BadContext) as refused:
        read(text, folder, environment)
    return str(refused.value).replace(f"{folder}/", "")


MASTER = "general_settings: {master_key: os.environ/MASTER}\n"
MODEL = "- {model_name: a, litellm_params: {model: openai/a, api_key: os.environ/A_KEY}}"


def test_keys_are_told_from_other_variables(tmp_path: Path) -> None:
    config = read(
        "model_list:\n- model_name: a\n  litellm_params:\n"
        "    model: openai/a\n    api_base: os.environ/URL\n    api_key: os.environ/A_KEY\n"
        + MASTER,
        tmp_path,
        {"URL": "http://x/v1"},
    )
    assert config.master_key == "MASTER"
    assert config.other_keys == ("A_KEY",)


def test_the_function_gets_the_config_as_json_with_its_references(tmp_path: Path) -> None:
    config = read(f"model_list:\n{MODEL}\n{MASTER}", tmp_path)
    params = {"model": "openai/a", "api_key": "os.environ/A_KEY"}
    assert json.loads(config.text) == {
        "model_list": [{"model_name": "a", "litellm_params": params}],
        "general_settings": {"master_key": "os.environ/MASTER"},
    }


def test_a_date_stays_as_it_is_written(tmp_path: Path) -> None:
    model = {"model": "azure/gpt-4o", "api_key": "os.environ/K", "api_base": "https://x.test"}
    path = Path(config_file(tmp_path, model))
    path.write_text(path.read_text().replace("api_base", "api_version: 2024-10-21\n    api_base"))
    (entry,) = json.loads(read_config(path, {}).text)["model_list"]
    assert entry["litellm_params"]["api_version"] == "2024-10-21"


def test_a_provider_without_a_key_in_the_config_has_its_usual_one(tmp_path: Path) -> None:
    config = read_config(Path(config_file(tmp_path, {"model": "openai/gpt-4o"})), {})
    assert config.other_keys == ("OPENAI_API_KEY",)


def test_bedrock_models_are_those_that_the_role_calls(tmp_path: Path) -> None:
    models = (
        {"model": "bedrock/openai.gpt-oss-20b-1:0"},
        {"model": "bedrock/openai.gpt-oss-20b-1:0"},
        {"model": "bedrock/amazon.nova-pro-v1:0", "region": "us-west-2"},
        {"model": "bedrock/amazon.nova-lite-v1:0", "api_key": "os.environ/BEDROCK_KEY"},
    )
    config = read_config(Path(config_file(tmp_path, *models)), {})
    assert config.bedrock_models == (
        BedrockModel("openai.gpt-oss-20b-1:0"),
        BedrockModel("amazon.nova-pro-v1:0", "us-west-2"),
    )


def test_a_config_without_a_master_key_is_refused(tmp_path: Path) -> None:
    said = refusal(f"model_list:\n{MODEL}\n", tmp_path)
    assert said.startswith("`config.yaml`: `general_settings.master_key` must be `os.environ/NAME`")
    assert "anyone could call the gateway" in said


def test_a_master_key_that_is_written_out_is_refused_and_not_repeated(tmp_path: Path) -> None:
    said = refusal(f"model_list:\n{MODEL}\ngeneral_settings: {{master_key: sk-1}}\n", tmp_path)
    assert "must be `os.environ/NAME`" in said
    assert "sk-1" not in said


def test_a_variable_that_nobody_gives_is_refused_by_name(tmp_path: Path) -> None:
    text = MODEL.replace("openai/a,", "openai/a, api_base: os.environ/URL,")
    assert refusal(f"model_list:\n{text}\n{MASTER}", tmp_path) == (
        "`fanout:environment` has no `URL`, which the config refers to as `os.environ/URL`"
    )


def test_a_key_that_is_written_out_is_refused_and_not_repeated(tmp_path: Path) -> None:
    text = MODEL.replace("os.environ/A_KEY", "sk-very-secret")
    said = refusal(f"model_list:\n{text}\n{MASTER}", tmp_path)
    assert said.startswith("`config.yaml`: the `api_key` of `a` is written out")
    assert "sk-very-secret" not in said


@pytest.mark.parametrize("name", ["A_KEY", "MASTER"])
def test_a_key_among_the_functions_variables_is_refused(name: str, tmp_path: Path) -> None:
    said = refusal(f"model_list:\n{MODEL}\n{MASTER}", tmp_path, {name: "sk-very-secret"})
    assert said.startswith(f"the key `{name}` would be in the template")
    assert "sk-very-secret" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_list: [", "`fanout:config`: `config.yaml` is not YAML: "),
        ("", "`fanout:config`: `config.yaml` has no `model_list`"),
        ("[]", "`fanout:config`: `config.yaml` has no `model_list`"),
        ("model_list: []", "`fanout:config`: `config.yaml` has no `model_list`"),
    ],
)
def test_what_is_no_config_is_refused(text: str, said: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path).startswith(said)


def test_a_config_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadContext, match=r"there is no file `nowhere\.yaml`"):
        read_config(Path("nowhere.yaml"), {})


def test_what_the_gateway_would_refuse_is_refused_before_it_is_deployed(tmp_path: Path) -> None:
    text = MODEL.replace("api_key:", "api_kee: x, api_key:")
    said = refusal(f"model_list:\n{text}\n{MASTER}", tmp_path)
    assert "model_list[0].litellm_params.api_kee" in said
    assert "api_key" in said


def test_the_configs_of_this_project_can_be_deployed() -> None:
    config = read_config(ROOT / "config.aws.yaml", {})
    assert config.other_keys == ("ANTHROPIC_API_KEY", "GROQ_API_KEY", "OPENAI_API_KEY")

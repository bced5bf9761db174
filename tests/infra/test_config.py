"""What the stack reads from the gateway's config, and the configs that it rejects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.config import BatchModel, BedrockModel, GatewayConfig, read_config
from infra.props import ContextError

from .synth import ROOT, config_file


def read(text: str, folder: Path, environment: Mapping[str, str] = {}) -> GatewayConfig:
    path = folder / "config.yaml"
    path.write_text(text)
    return read_config(path, environment)


def error_of(text: str, folder: Path, environment: Mapping[str, str] = {}) -> str:
    with pytest.raises(ContextError) as refused:
        read(text, folder, environment)
    return str(refused.value).replace(f"{folder}/", "")


MASTER = "general_settings: {master_key: os.environ/MASTER}\n"
MODEL = "- {model_name: a, litellm_params: {model: openai/a, api_key: os.environ/A_KEY}}"


def test_keys_are_distinguished_from_other_variables(tmp_path: Path) -> None:
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


def test_a_date_stays_a_text(tmp_path: Path) -> None:
    model = {"model": "azure/gpt-4o", "api_key": "os.environ/K", "api_base": "https://x.test"}
    path = Path(config_file(tmp_path, model))
    path.write_text(path.read_text().replace("api_base", "api_version: 2024-10-21\n    api_base"))
    (entry,) = json.loads(read_config(path, {}).text)["model_list"]
    assert entry["litellm_params"]["api_version"] == "2024-10-21"


def test_a_provider_without_a_key_in_the_config_uses_its_default_key(tmp_path: Path) -> None:
    config = read_config(Path(config_file(tmp_path, {"model": "openai/gpt-4o"})), {})
    assert config.other_keys == ("OPENAI_API_KEY",)


def test_bedrock_models_are_those_without_a_key(tmp_path: Path) -> None:
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


def test_batches_far_from_the_stacks_bucket_need_one_of_their_own(tmp_path: Path) -> None:
    model = {"model": "bedrock/amazon.nova-pro-v1:0", "native_batches": True}
    config = read_config(Path(config_file(tmp_path, model)), {})
    assert config.batch_models == (BatchModel(BedrockModel("amazon.nova-pro-v1:0")),)
    with pytest.raises(ContextError, match=r"need a bucket in `us-west-2`.*`s3_bucket_name`"):
        read_config(Path(config_file(tmp_path, {**model, "region": "us-west-2"})), {})


def test_a_config_without_a_master_key_is_rejected(tmp_path: Path) -> None:
    message = error_of(f"model_list:\n{MODEL}\n", tmp_path)
    assert message.startswith(
        "`config.yaml`: `general_settings.master_key` must be `os.environ/NAME`"
    )
    assert "anyone could call the gateway" in message


def test_a_literal_master_key_is_rejected_and_not_repeated(tmp_path: Path) -> None:
    message = error_of(f"model_list:\n{MODEL}\ngeneral_settings: {{master_key: sk-1}}\n", tmp_path)
    assert "must be `os.environ/NAME`" in message
    assert "sk-1" not in message


def test_a_variable_without_a_value_is_rejected_by_name(tmp_path: Path) -> None:
    text = MODEL.replace("openai/a,", "openai/a, api_base: os.environ/URL,")
    assert error_of(f"model_list:\n{text}\n{MASTER}", tmp_path) == (
        "`fanout:environment` has no `URL`, but `config.yaml` refers to `os.environ/URL`; add it"
    )


def test_a_literal_key_is_rejected_and_not_repeated(tmp_path: Path) -> None:
    text = MODEL.replace("os.environ/A_KEY", "sk-very-secret")
    message = error_of(f"model_list:\n{text}\n{MASTER}", tmp_path)
    assert message.startswith("`config.yaml`: the `api_key` of `a` is a literal; ")
    assert "sk-very-secret" not in message


@pytest.mark.parametrize("name", ["A_KEY", "MASTER"])
def test_a_key_among_the_functions_variables_is_rejected(name: str, tmp_path: Path) -> None:
    message = error_of(f"model_list:\n{MODEL}\n{MASTER}", tmp_path, {name: "sk-very-secret"})
    assert message.startswith(f"the key `{name}` would be readable in the template")
    assert "sk-very-secret" not in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_list: [", "`fanout:config`: `config.yaml` is not YAML: "),
        ("", "`fanout:config`: `config.yaml` has no `model_list`"),
        ("[]", "`fanout:config`: `config.yaml` has no `model_list`"),
        ("model_list: []", "`fanout:config`: `config.yaml` has no `model_list`"),
    ],
)
def test_a_file_that_is_no_config_is_rejected(text: str, message: str, tmp_path: Path) -> None:
    assert error_of(text, tmp_path).startswith(message)


def test_a_missing_config_is_rejected() -> None:
    with pytest.raises(ContextError, match=r"there is no file `nowhere\.yaml`"):
        read_config(Path("nowhere.yaml"), {})


def test_a_config_that_the_gateway_would_reject_is_rejected_at_synth(tmp_path: Path) -> None:
    text = MODEL.replace("api_key:", "api_kee: x, api_key:")
    message = error_of(f"model_list:\n{text}\n{MASTER}", tmp_path)
    assert "model_list[0].litellm_params.api_kee" in message
    assert "api_key" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ssl_verify", "ca.pem"),
        ("ssl_verify", "os.environ/BUNDLE"),
        ("ssl_certificate", "client.pem"),
    ],
)
def test_a_certificate_in_a_file_is_rejected(key: str, value: str, tmp_path: Path) -> None:
    path = Path(config_file(tmp_path, http_client="httpx", **{key: value}))
    with pytest.raises(ContextError, match=f"`general_settings.{key}` names a file"):
        read_config(path, {"BUNDLE": "/etc/ca.pem"})


@pytest.mark.parametrize("general", [{}, {"ssl_verify": False}, {"ssl_certificate": None}])
def test_httpx_without_files_can_be_deployed(general: dict[str, Any], tmp_path: Path) -> None:
    path = Path(config_file(tmp_path, http_client="httpx", **general))
    assert json.loads(read_config(path, {}).text)["general_settings"]["http_client"] == "httpx"


GEMINI = "model: vertex_ai/gemini-2.5-pro, vertex_project: our-project"


@pytest.mark.parametrize("more", [", vertex_credentials: key.json", ""])
def test_googles_credentials_must_be_a_secret(more: str, tmp_path: Path) -> None:
    model = f"- {{model_name: a, litellm_params: {{{GEMINI}{more}}}}}"
    message = error_of(f"model_list:\n{model}\n{MASTER}", tmp_path)
    assert "vertex_credentials" in message
    assert "os.environ/NAME`" in message


def test_googles_credentials_are_a_secret_of_the_stack(tmp_path: Path) -> None:
    key = "vertex_credentials: os.environ/GOOGLE_KEY"
    model = f"- {{model_name: a, litellm_params: {{{GEMINI}, {key}}}}}"
    config = read(f"model_list:\n{model}\n{MASTER}", tmp_path)
    assert config.other_keys == ("GOOGLE_KEY",)


def test_the_config_of_this_project_can_be_deployed() -> None:
    config = read_config(ROOT / "config.aws.yaml", {})
    assert config.other_keys == ("ANTHROPIC_API_KEY", "GROQ_API_KEY", "OPENAI_API_KEY")


NOVA = "model: bedrock/amazon.nova-lite-v1:0, aws_region_name: eu-west-1"
OWN = "aws_access_key_id: os.environ/OWN_ID, aws_secret_access_key: os.environ/OWN_SECRET"


def test_a_deployments_own_aws_keys_are_secrets_and_need_no_right(tmp_path: Path) -> None:
    model = f"- {{model_name: a, litellm_params: {{{NOVA}, {OWN}}}}}"
    config = read(f"model_list:\n{model}\n{MASTER}", tmp_path)
    assert config.other_keys == ("OWN_ID", "OWN_SECRET")
    assert (config.bedrock_models, config.roles) == ((), ())


def test_a_deployments_role_is_to_be_assumed(tmp_path: Path) -> None:
    role = "arn:aws:iam::111122223333:role/bedrock"
    model = f"- {{model_name: a, litellm_params: {{{NOVA}, aws_role_name: '{role}'}}}}"
    config = read(f"model_list:\n{model}\n{MASTER}", tmp_path)
    assert (config.bedrock_models, config.roles) == ((), (role,))

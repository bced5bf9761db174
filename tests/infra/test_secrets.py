"""The secrets: one for each key, without a value in the template."""

from __future__ import annotations

from pathlib import Path

from .synth import Template, config_file, synthesize

EVERY_KEY = {
    "AZURE_API_KEY",
    "BEDROCK_KEY",
    "FANOUT_MASTER_KEY",
    "GROQ_API_KEY",  # groq's default key: the config names none
    "OWN_KEY_A",
    "OWN_KEY_B",
    "TEAM_KEY",
    "WEBHOOK_SECRET",
}


def names(stack: Template, prefix: str) -> set[str]:
    secrets = stack.properties("SecretsManager::Secret")
    return {secret["Name"].removeprefix(prefix) for secret in secrets}


def test_there_is_a_secret_for_each_key_that_the_gateway_looks_up(
    stack: Template, everything: Template
) -> None:
    ours = {"ANTHROPIC_API_KEY", "FANOUT_MASTER_KEY", "GROQ_API_KEY", "OPENAI_API_KEY"}
    assert names(stack, "Fanout/") == ours
    assert names(everything, "Everything/") == EVERY_KEY


def test_no_secret_has_a_value_except_the_generated_master_key(
    either: Template,
) -> None:
    for secret in either.properties("SecretsManager::Secret"):
        own = secret["Name"].endswith("/FANOUT_MASTER_KEY")
        assert set(secret) == {"Name", "Description"} | ({"GenerateSecretString"} if own else set())


def test_the_generation_of_the_master_key_does_not_change(stack: Template) -> None:
    """If it did, CloudFormation would generate a new key and lock every client out."""
    (made,) = [
        secret["GenerateSecretString"]
        for secret in stack.properties("SecretsManager::Secret")
        if "GenerateSecretString" in secret
    ]
    assert made == {"ExcludePunctuation": True, "PasswordLength": 48}


def test_the_function_gets_the_prefix_of_the_secrets_names(everything: Template) -> None:
    variables = everything.one("Lambda::Function", "Api")["Environment"]["Variables"]
    assert variables["FANOUT_SECRET_PREFIX"] == "Everything/"


def test_secrets_and_logs_are_removed_with_the_stack_or_kept_by_option(
    stack: Template, everything: Template
) -> None:
    for kind in ("SecretsManager::Secret", "Logs::LogGroup"):
        for resource in stack.resources(kind).values():
            assert resource["DeletionPolicy"] == "Delete"
            assert resource["UpdateReplacePolicy"] == "Delete"
        for resource in everything.resources(kind).values():
            assert resource["DeletionPolicy"] == "Retain"
            assert resource["UpdateReplacePolicy"] == "Retain"


def test_a_second_stack_has_its_own_keys(tmp_path: Path) -> None:
    config = config_file(tmp_path)
    second = synthesize({"stack": "Second-One", "config": config})
    assert names(second, "Second-One/") == {"A_KEY", "MASTER"}

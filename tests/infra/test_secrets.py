"""The keys: a secret each, no value in the template, read by the gateway alone."""

from __future__ import annotations

from pathlib import Path

from .synth import Synthesised, config_file, synthesise

OF_EVERYTHING = {
    "AZURE_API_KEY",
    "BEDROCK_KEY",
    "FANOUT_MASTER_KEY",
    "GROQ_API_KEY",  # groq's usual key: the config names none
    "OWN_KEY_A",
    "OWN_KEY_B",
    "TEAM_KEY",
}


def names(stack: Synthesised, prefix: str) -> set[str]:
    secrets = stack.properties("SecretsManager::Secret")
    return {secret["Name"].removeprefix(prefix) for secret in secrets}


def test_there_is_a_secret_for_each_key_that_the_gateway_will_look_for(
    stack: Synthesised, everything: Synthesised
) -> None:
    ours = {"ANTHROPIC_API_KEY", "FANOUT_MASTER_KEY", "GROQ_API_KEY", "OPENAI_API_KEY"}
    assert names(stack, "Fanout/") == ours
    assert names(everything, "Everything/") == OF_EVERYTHING


def test_no_secret_has_a_value_but_the_gateways_own_which_is_made_up(
    either: Synthesised,
) -> None:
    for secret in either.properties("SecretsManager::Secret"):
        own = secret["Name"].endswith("/FANOUT_MASTER_KEY")
        assert set(secret) == {"Name", "Description"} | ({"GenerateSecretString"} if own else set())


def test_the_gateways_own_key_is_made_as_ever(stack: Synthesised) -> None:
    """CloudFormation makes a new one when any of this changes, and every caller's is wrong."""
    (made,) = [
        secret["GenerateSecretString"]
        for secret in stack.properties("SecretsManager::Secret")
        if "GenerateSecretString" in secret
    ]
    assert made == {"ExcludePunctuation": True, "PasswordLength": 48}


def test_the_gateway_is_told_what_their_names_begin_with(everything: Synthesised) -> None:
    variables = everything.one("Lambda::Function", "Api")["Environment"]["Variables"]
    assert variables["FANOUT_SECRET_PREFIX"] == "Everything/"


def test_secrets_and_logs_go_with_the_stack_or_stay_as_asked(
    stack: Synthesised, everything: Synthesised
) -> None:
    for kind in ("SecretsManager::Secret", "Logs::LogGroup"):
        for resource in stack.of(kind).values():
            assert resource["DeletionPolicy"] == "Delete"
            assert resource["UpdateReplacePolicy"] == "Delete"
        for resource in everything.of(kind).values():
            assert resource["DeletionPolicy"] == "Retain"
            assert resource["UpdateReplacePolicy"] == "Retain"


def test_a_second_stack_has_keys_of_its_own(tmp_path: Path) -> None:
    config = config_file(tmp_path)
    second = synthesise({"stack": "Second-One", "config": config})
    assert names(second, "Second-One/") == {"A_KEY", "MASTER"}

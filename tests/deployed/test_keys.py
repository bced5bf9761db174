"""The gateway's own keys and the providers' keys, which change without a deployment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from .deployed_stack import DeployedStack, Response
from .scripted_provider import ScriptedProvider

TIMEOUT = 120.0
"""Seconds within which the gateway finds a new value."""


def eventually(ask: Callable[[], Response], status: int) -> Response:
    """Repeat a request until its response has the status."""
    end = time.monotonic() + TIMEOUT
    response = ask()
    while response.status != status and time.monotonic() < end:
        time.sleep(0.5)
        response = ask()
    return response


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic eDp5"}]
)
def test_without_a_valid_key_every_request_is_a_401(
    stack: DeployedStack, headers: dict[str, str]
) -> None:
    for method, path in (("GET", "/models"), ("POST", "/chat/completions")):
        response = stack.ask(method, path, headers=headers)
        assert (response.status, response.error["code"]) == (401, "invalid_api_key")


def test_the_gateways_key_is_accepted(stack: DeployedStack) -> None:
    assert stack.ask("GET", "/models").status == 200


def test_health_is_public_and_reveals_nothing(stack: DeployedStack) -> None:
    response = stack.ask("GET", "/health", headers={})
    assert (response.status, response.json) == (200, {"status": "ok"})


def test_the_stack_generates_the_gateways_key(own: DeployedStack) -> None:
    assert len(own.key) == 48


def test_the_error_for_a_missing_key_has_the_command_that_sets_it(own: DeployedStack) -> None:
    response = own.chat("keyless")
    assert (response.status, response.error["code"]) == (500, "missing_provider_key")
    assert f"`fanout keys set UNSET_KEY --stack {own.name}`" in response.error["message"]

    assert own.fanout_keys("set", "UNSET_KEY", stdin="provider-key-1") == "UNSET_KEY has 1 key\n"
    assert eventually(lambda: own.chat("keyless"), 200).status == 200


def test_the_keys_are_listed_without_their_values(own: DeployedStack) -> None:
    listed = own.fanout_keys("list", "--json")
    keys = {key["name"]: key["has_value"] for key in json.loads(listed)["keys"]}
    assert keys["FANOUT_MASTER_KEY"] is True
    assert keys["PROVIDER_KEY"] is True
    own_keys = {"FANOUT_MASTER_KEY", "PROVIDER_KEY", "ROTATED_KEY", "UNSET_KEY", "WEBHOOK_SECRET"}
    assert set(keys) == own_keys
    assert own.key not in listed
    assert "provider-key-1" not in listed


def test_a_new_key_is_used_at_once_when_the_provider_rejects_the_old_one(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    own.fanout_keys("set", "ROTATED_KEY", stdin="provider-key-1")
    assert eventually(lambda: own.chat("rotated"), 200).status == 200
    provider.reset()

    provider.keys = {"rotated-a", "rotated-b"}
    try:
        own.fanout_keys("set", "ROTATED_KEY", stdin="rotated-a\nrotated-b\n")
        assert [own.chat("rotated").status for _ in range(6)] == [200] * 6
        assert provider.calls[0] == ("quick", "provider-key-1")
        accepted = [key for _, key in provider.calls if key in provider.keys]
        assert len(accepted) == 6
        assert set(accepted) == provider.keys  # several keys are used in turn
    finally:
        provider.keys = {"provider-key-1"}


def test_a_key_that_the_provider_rejects_is_a_502_that_does_not_show_it(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    provider.keys = set()
    try:
        response = own.chat("quick")
    finally:
        provider.keys = {"provider-key-1"}
    assert (response.status, response.error["code"]) == (502, "provider_key_refused")
    assert "provider-key-1" not in response.body.decode()


def test_another_stacks_secrets_cannot_be_read(own: DeployedStack) -> None:
    """AWS rejects the same code with the prefix of another stack's secrets, which exist."""
    client = own.aws("secretsmanager")
    name = "Another-Stack/FANOUT_MASTER_KEY"
    client.create_secret(Name=name, SecretString="their-key")
    try:
        with own.variant(FANOUT_SECRET_PREFIX="Another-Stack/") as version:
            response = own.invoke("GET", "/models", version=version, key="their-key")
        assert (response.status, response.error["code"]) == (503, "keys_unavailable")
        with own.variant() as version:
            assert own.invoke("GET", "/models", version=version).status == 200
    finally:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

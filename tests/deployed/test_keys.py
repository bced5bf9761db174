"""Who may ask, and with whose keys the providers are asked; nothing here is deployed again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from .deployed_stack import Deployed, Heard
from .scripted_provider import Provider

SOON = 30.0
"""Seconds within which a new value is noticed where there was none."""


def eventually(ask: Callable[[], Heard], status: int) -> Heard:
    """Ask until the answer has the status."""
    end = time.monotonic() + SOON
    heard = ask()
    while heard.status != status and time.monotonic() < end:
        time.sleep(0.5)
        heard = ask()
    return heard


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic eDp5"}]
)
def test_without_the_gateways_key_nobody_gets_in(stack: Deployed, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/models"), ("POST", "/chat/completions")):
        heard = stack.ask(method, path, headers=headers)
        assert (heard.status, heard.error["code"]) == (401, "invalid_api_key")


def test_the_gateways_key_gets_in(stack: Deployed) -> None:
    assert stack.ask("GET", "/models").status == 200


def test_health_is_public_and_tells_nothing(stack: Deployed) -> None:
    heard = stack.ask("GET", "/health", headers={})
    assert (heard.status, heard.json) == (200, {"status": "ok"})


def test_the_gateways_key_is_made_by_the_stack(own: Deployed) -> None:
    assert len(own.key) == 48


def test_a_key_without_a_value_is_told_with_the_command_that_sets_it(own: Deployed) -> None:
    heard = own.chat("keyless")
    assert (heard.status, heard.error["code"]) == (500, "missing_provider_key")
    assert f"`fanout keys set UNSET_KEY --stack {own.name}`" in heard.error["message"]

    assert own.fanout_keys("set", "UNSET_KEY", given="provider-key-1") == "UNSET_KEY has 1 key\n"
    assert eventually(lambda: own.chat("keyless"), 200).status == 200


def test_the_keys_are_listed_without_their_values(own: Deployed) -> None:
    told = own.fanout_keys("list", "--json")
    keys = {key["name"]: key["has_value"] for key in json.loads(told)["keys"]}
    assert keys["FANOUT_MASTER_KEY"] is True
    assert keys["PROVIDER_KEY"] is True
    assert set(keys) == {"FANOUT_MASTER_KEY", "PROVIDER_KEY", "ROTATED_KEY", "UNSET_KEY"}
    assert own.key not in told
    assert "provider-key-1" not in told


def test_a_new_key_is_used_at_once_when_the_provider_refuses_the_old_one(
    own: Deployed, provider: Provider
) -> None:
    own.fanout_keys("set", "ROTATED_KEY", given="provider-key-1")
    assert eventually(lambda: own.chat("rotated"), 200).status == 200
    provider.reset()

    provider.keys = {"rotated-a", "rotated-b"}
    try:
        own.fanout_keys("set", "ROTATED_KEY", given="rotated-a\nrotated-b\n")
        assert [own.chat("rotated").status for _ in range(6)] == [200] * 6
        assert provider.calls[0] == ("quick", "provider-key-1")
        accepted = [key for _, key in provider.calls if key in provider.keys]
        assert len(accepted) == 6
        assert set(accepted) == provider.keys  # several are used in turn
    finally:
        provider.keys = {"provider-key-1"}


def test_a_key_that_stays_refused_is_a_502_that_does_not_show_it(
    own: Deployed, provider: Provider
) -> None:
    provider.keys = set()
    try:
        heard = own.chat("quick")
    finally:
        provider.keys = {"provider-key-1"}
    assert (heard.status, heard.error["code"]) == (502, "provider_key_refused")
    assert "provider-key-1" not in heard.body.decode()


def test_another_stacks_secrets_cannot_be_read(own: Deployed) -> None:
    """The same code, told to read secrets that are there but not its own: AWS says no."""
    client = own.aws("secretsmanager")
    name = "Somebody-Elses/FANOUT_MASTER_KEY"
    client.create_secret(Name=name, SecretString="their-key")
    try:
        with own.variant(FANOUT_SECRET_PREFIX="Somebody-Elses/") as version:
            heard = own.invoke("GET", "/models", version=version, key="their-key")
        assert (heard.status, heard.error["code"]) == (503, "keys_unavailable")
        with own.variant() as version:
            assert own.invoke("GET", "/models", version=version).status == 200
    finally:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

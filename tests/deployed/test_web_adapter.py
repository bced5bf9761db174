"""
The Lambda Web Adapter, an option (`fanout:runtime`): what differs from the loop, in short.

An emulator runs all environments on this machine, where those of one function share the adapter's
port, so that a request may reach a frozen one. Each test therefore needs one environment only.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import PROVIDER_KEY
from .deployed_stack import DeployedStack, chat_body
from .deployer import Deployer
from .scripted_provider import ANSWER, WORDS, ScriptedProvider
from .test_observability import ask, logged
from .test_stream import words

NAME = "Rehearsal-Adapter"


@pytest.fixture(scope="module")
def adapter(deployer: Deployer) -> Iterator[DeployedStack]:
    """A stack without jobs whose function runs under the adapter."""
    options = {"runtime": "web-adapter", "port": free_port(), "bulk": "false"}
    with deployer.deploy(NAME, **options) as stack:
        stack.fanout_keys("set", "PROVIDER_KEY", stdin=PROVIDER_KEY)
        yield stack
    deployer.destroy(NAME)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_plain_response_has_api_gateways_request_id(adapter: DeployedStack) -> None:
    response = adapter.chat("quick")
    assert response.json["choices"][0]["message"]["content"] == ANSWER
    assert not response.headers["x-request-id"].startswith("req_")


def test_each_chunk_arrives_before_the_provider_sends_the_next(
    adapter: DeployedStack, provider: ScriptedProvider
) -> None:
    body: Any = chat_body("gated")
    stream = words(adapter.sdk().chat.completions.create(**body, stream=True))
    for count, word in enumerate(WORDS, 1):
        assert next(stream) == word
        assert provider.words_sent("gated") == count
        provider.gate.release()
    assert list(stream) == []


@pytest.fixture(scope="module")
def version(adapter: DeployedStack) -> Iterator[str]:
    """A version with a short time limit, and a port of its own."""
    port = str(free_port())
    with adapter.variant(timeout=8, PORT=port, AWS_LWA_PORT=port) as version:
        yield version


def test_the_last_log_line_is_written_before_the_function_is_frozen(
    adapter: DeployedStack, version: str
) -> None:
    attempt, request = logged(adapter, ask(adapter, version), 2)
    assert (attempt["message"], request["message"]) == ("attempt", "request")


def test_the_functions_time_limit_is_a_504_before_aws_ends_it(
    adapter: DeployedStack, provider: ScriptedProvider, version: str
) -> None:
    response = adapter.invoke("POST", "/chat/completions", chat_body("stuck"), version=version)
    assert response.status == 504
    assert provider.was_disconnected("stuck")

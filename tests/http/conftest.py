"""One scripted provider and one gateway for the whole session; each test writes its scripts."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.http.openai_clients import Ask
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.scripted_provider import Upstream

NAMES = ("a", "b", "c", "d", "gpt-4o", "groq-llama")


@pytest.fixture(scope="session")
def server(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway without keys and without retries, with the models of `NAMES` and `claude`."""
    listed = [entry(provider, name) for name in NAMES]
    claude = entry(provider, "claude", "anthropic/claude-x")
    config = {"model_list": [*listed, claude], "router_settings": {"num_retries": 0}}
    with serve(config) as served:
        yield served


@pytest.fixture(params=["/v1", ""], ids=["with-v1", "without-v1"])
def client(server: RunningGateway, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    """The OpenAI client with the usual base URL, and with one without `/v1`."""
    base = f"{server.url}{request.param}"
    with openai.OpenAI(api_key="anything", base_url=base, max_retries=0) as made:
        yield made


@pytest.fixture(params=["sync-plain", "sync-streamed", "async-plain", "async-streamed"])
def ask(server: RunningGateway, request: pytest.FixtureRequest) -> Ask:
    return Ask(server.url, request.param)

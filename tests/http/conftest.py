"""One scripted provider and one gateway over it for the whole session; scripts are a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.served import Served, entry, serve
from tests.upstream import Upstream, open_upstream

NAMES = ("a", "b", "c", "d", "gpt-4o", "groq-llama")


@pytest.fixture(scope="session")
def provider() -> Iterator[Upstream]:
    with open_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    """The provider, with nothing scripted and nobody asked."""
    provider.reset()
    return provider


@pytest.fixture(scope="session")
def server(provider: Upstream) -> Iterator[Served]:
    """A gateway without keys, whose models (`NAMES`, `claude`) are asked once each."""
    listed = [entry(provider, name) for name in NAMES]
    claude = entry(provider, "claude", "anthropic/claude-x")
    config = {"model_list": [*listed, claude], "router_settings": {"num_retries": 0}}
    with serve(config) as served:
        yield served

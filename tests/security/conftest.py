"""One scripted provider for the session; scripts are a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.upstream import Upstream, open_upstream


@pytest.fixture(scope="session")
def provider() -> Iterator[Upstream]:
    with open_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    """The provider, with nothing scripted and nobody asked."""
    provider.reset()
    return provider

"""One scripted provider for the session, and each function both ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.completions.ways import Plain, Twin, Way
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


@pytest.fixture(params=[Plain(), Twin()], ids=["plain", "async"])
def call(request: pytest.FixtureRequest) -> Way:
    """The functions, plain and async."""
    way: Way = request.param
    return way

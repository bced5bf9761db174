"""
For every test: a scripted provider, one for the session; scripts are a test's own. And no proxy of
the machine's stands between a test and its own servers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.scripted_provider import Upstream, open_upstream

for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
    os.environ.pop(name, None)
    os.environ.pop(name.lower(), None)


@pytest.fixture(scope="session")
def provider() -> Iterator[Upstream]:
    with open_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    """The provider, with nothing scripted and nobody asked."""
    provider.reset()
    return provider

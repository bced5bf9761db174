"""Scripted providers over TLS, with certificates that only the tests trust."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trustme

from tests.support.scripted_provider import Upstream, open_upstream
from tests.transport.engine_calls import serve_tls


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def http1(ca: trustme.CA) -> Iterator[Upstream]:
    """A provider that offers HTTP/1.1 only."""
    with open_upstream(serve_tls(ca, "http/1.1")) as upstream:
        yield upstream


@pytest.fixture
def http2(ca: trustme.CA) -> Iterator[Upstream]:
    """A provider that speaks HTTP/2."""
    with open_upstream(serve_tls(ca, "h2", "http/1.1")) as upstream:
        yield upstream


@pytest.fixture
def plain() -> Iterator[Upstream]:
    """A provider without TLS."""
    with open_upstream() as upstream:
        yield upstream

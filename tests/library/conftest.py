"""One scripted provider for the session, and each function both ways."""

from __future__ import annotations

import pytest

from tests.library.ways import Plain, Twin, Way


@pytest.fixture(params=[Plain(), Twin()], ids=["plain", "async"])
def call(request: pytest.FixtureRequest) -> Way:
    """The functions, plain and async."""
    way: Way = request.param
    return way

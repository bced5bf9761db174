"""One scripted provider for the session, and each function both ways."""

from __future__ import annotations

import pytest

from tests.library.client_caller import CALLERS, Caller
from tests.library.ways import Plain, Twin, Way


@pytest.fixture(params=[Plain(), Twin()], ids=["plain", "async"])
def call(request: pytest.FixtureRequest) -> Way:
    """The functions, plain and async."""
    way: Way = request.param
    return way


@pytest.fixture(params=CALLERS, ids=str)
def caller(request: pytest.FixtureRequest) -> Caller:
    """The functions, plain and async, with a client of each kind."""
    found: Caller = request.param
    return found


@pytest.fixture(params=[each for each in CALLERS if each.is_twin], ids=str)
def twin(request: pytest.FixtureRequest) -> Caller:
    """The async functions, with a client of each kind."""
    found: Caller = request.param
    return found

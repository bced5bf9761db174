"""Stacks that many tests look at; each is synthesised once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from scripts.aws.check import EVERYTHING

# Before jsii looks for Node.js: it comes out of a wheel.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

from tests.infra.synth import Synthesised, synthesise


@pytest.fixture(scope="session")
def stack() -> Synthesised:
    """The stack as it is."""
    return synthesise()


@pytest.fixture(scope="session")
def everything() -> Synthesised:
    """The stack with every choice taken."""
    return synthesise(EVERYTHING | {"stack": "Everything"})


@pytest.fixture(scope="session", params=["stack", "everything"])
def either(request: pytest.FixtureRequest) -> Synthesised:
    found: Synthesised = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def without_log_role() -> Synthesised:
    return synthesise({"api_log_role": "false"})


@pytest.fixture(scope="session")
def without_jobs() -> Synthesised:
    return synthesise({"bulk": "false"})

"""
The real model, once for the session: installed if it is missing, on a free port, on one thread.

Where it cannot be had its tests are skipped with the reason; in CI they fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fanout.cli.local_run import installed
from fanout.local.child_process import engine_child
from fanout.local.models import SMOL, LocalError
from fanout.local.running_engine import RunningEngine


@pytest.fixture(scope="session")
def model_env() -> dict[str, str]:
    """The environment of whoever runs the tests, the model installed in its cache."""
    env = dict(os.environ)
    try:
        installed(SMOL, env)
    except LocalError as error:
        _without_model(error)
    return env


@pytest.fixture(scope="session")
def engine(model_env: dict[str, str]) -> Iterator[RunningEngine]:
    """The engine, running."""
    try:
        with engine_child(SMOL, model_env, words=["--threads", "1"]) as child:
            yield child.engine
    except LocalError as error:
        _without_model(error)


def _without_model(error: LocalError) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"the real model cannot be had: {error}")
    pytest.skip(f"the real model cannot be had: {error}")

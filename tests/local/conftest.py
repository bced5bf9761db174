"""
The real model, started once for the session on a free port and one thread.

It is downloaded if it is missing. If that fails, its tests are skipped with the reason; in CI they
fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fanout.cli.local_run import ensure_installed
from fanout.local.child_process import engine_child
from fanout.local.models import SMOL, LocalError, cache_home, weights_path
from fanout.local.running_engine import RunningEngine
from tests.support.clean_environment import USER_CACHE, USER_ENVIRONMENT


@pytest.fixture(scope="session")
def model_env() -> dict[str, str]:
    """
    The tests' environment, with the model's weights in its home.

    They are a link to the user's own, which are downloaded first if they are missing.
    """
    env = dict(os.environ)
    link = weights_path(SMOL, cache_home(env))
    try:
        weights = ensure_installed(SMOL, {**USER_ENVIRONMENT, "XDG_CACHE_HOME": str(USER_CACHE)})
    except LocalError as error:
        _without_model(error)
    else:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(weights.absolute())
    return env


@pytest.fixture(scope="session")
def engine(model_env: dict[str, str]) -> Iterator[RunningEngine]:
    """The engine, running."""
    try:
        with engine_child(SMOL, model_env, extra_arguments=["--threads", "1"]) as child:
            yield child.engine
    except LocalError as error:
        _without_model(error)


def _without_model(error: LocalError) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"the real model cannot be had: {error}")
    pytest.skip(f"the real model cannot be had: {error}")

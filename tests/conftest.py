"""
For every test: an environment without anything of the user's, and a scripted provider.

The provider is started once for the session; each test writes its own scripts.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from tests.support.case_groups import group
from tests.support.clean_environment import USER_ENVIRONMENT, clean_environment
from tests.support.processes import restore_signals, same_signals
from tests.support.scripted_provider import Upstream, open_upstream
from tests.support.temporary_folder import make_temporary_folder

# Not a fixture: pytest imports the tests' modules, and with them Fanout, before any fixture runs.
HOME = make_temporary_folder()
os.environ.clear()
os.environ.update(clean_environment(USER_ENVIRONMENT, HOME))
(HOME / "tmp").mkdir()
os.environ["TMPDIR"] = str(HOME / "tmp")  # pytest's `tmp_path`, too, unless it has --basetemp
tempfile.tempdir = None  # it is read again
restore_signals()
sys.dont_write_bytecode = False  # otherwise each run compiles all tests again
if find_spec("hypothesis"):  # the tests of the stack run without it
    from hypothesis import HealthCheck, settings

    # The same examples each time, however busy the machine is.
    slow = [HealthCheck.too_slow]
    settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=slow)
    settings.load_profile("tests")


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Make one test of many small ones; `tests/support/case_groups.py` says which."""
    made = yield
    return list(group(collector, made)) if isinstance(made, list) else made


def pytest_collection() -> None:
    """Collect no garbage while modules are imported: they leave hardly any."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave what was collected out of each garbage collection from now on."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Remove the home that the tests had, and their files."""
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, Any, Any]:
    """
    Let signals do after each test what they did before: else its children would ignore them.

    Not a fixture: a case that has any does not run in a group.
    """
    with same_signals():
        return (yield)


@pytest.fixture(scope="session")
def provider() -> Iterator[Upstream]:
    with open_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    """The provider, with nothing scripted and no requests yet."""
    provider.reset()
    return provider

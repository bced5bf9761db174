"""Independent cases run as one test, which names each case that fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

CONFTEST = """
import pytest
from tests.support.case_groups import group

@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector):
    made = yield
    return list(group(collector, made)) if isinstance(made, list) else made
"""

TESTS = """
import pytest

@pytest.mark.parametrize("x", range(7))
def test_cases(x):
    assert x not in (2, 5)

@pytest.mark.parametrize("x", range(3))
def test_with_a_fixture(x, tmp_path):
    pass
"""


def test_each_case_that_fails_is_named_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    outputs = [
        subprocess.run(  # noqa: S603 -- only this interpreter
            [*command, *chosen],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        for chosen in ([], ["test_some.py::test_cases"])
    ]
    assert "2 of 7 cases failed" in outputs[0]
    assert "test_cases[2] - " in outputs[0]
    assert "test_cases[5] - " in outputs[0]
    assert "1 failed, 3 passed" in outputs[0]
    assert "2 failed, 5 passed" in outputs[1]


def test_no_fixture_of_all_tests_keeps_their_cases_out_of_groups(
    request: pytest.FixtureRequest,
) -> None:
    assert request.fixturenames == ["request"]

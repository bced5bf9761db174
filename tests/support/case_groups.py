"""
Runs the cases of a parametrized test in groups, because pytest needs milliseconds for each test.

A test whose arguments are all in `pytest.mark.parametrize` needs no fixture, so its cases run one
after the other in one test of pytest. A group fails if any of its cases fails; it runs the others
too, and names each that fails. A command line that names a test, or selects with `-k`, runs each
case as a test of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from .processes import same_signals

SIZE = 500
"""The most cases in a group: its tests end within pytest's timeout, and show their progress."""

LONG_REPORTS = 5
"""So many failures of a group are shown whole; of the others, the last line."""

Error = pytest.ExceptionInfo[BaseException]


class CasesFailed(Exception):
    """Some cases of a group failed."""

    def __init__(self, failures: Sequence[tuple[pytest.Function, Error]]) -> None:
        super().__init__(f"{len(failures)} cases failed")
        self.failures = failures


class CaseGroup(pytest.Item):
    """One test of pytest, which runs the cases of a parametrized test."""

    def __init__(self, *, cases: Sequence[pytest.Function], **more: Any) -> None:
        super().__init__(**more)
        self.cases = cases

    def runtest(self) -> None:
        """Run each case; raise `CasesFailed` if some failed."""
        failures = [(case, error) for case in self.cases if (error := _error_of(case))]
        if failures:
            raise CasesFailed(failures)

    def repr_failure(self, excinfo: Error, *args: Any, **more: Any) -> Any:
        """Name each case that failed, and show the first ones as pytest does."""
        if not isinstance(excinfo.value, CasesFailed):
            return super().repr_failure(excinfo, *args, **more)
        failures = excinfo.value.failures
        long = [f"{case.nodeid}\n{case.repr_failure(error)}" for case, error in failures]
        short = [f"{case.nodeid} - {error.exconly()}" for case, error in failures]
        head = f"{len(failures)} of {len(self.cases)} cases failed:"
        return "\n\n".join([head, *long[:LONG_REPORTS], *short])

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return file, line and name of the test."""
        path, line, _ = self.cases[0].reportinfo()
        return path, line, self.name


def _error_of(case: pytest.Function) -> Error | None:
    """Run a case; return how it failed. One that skips fails, since its group cannot skip it."""
    try:
        with same_signals():
            case.obj(**case.callspec.params)
    except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
        if str(error).startswith("Timeout"):
            raise  # pytest-timeout's, for the whole group
        return pytest.ExceptionInfo.from_exception(error)
    return None


def _is_independent(case: pytest.Function) -> bool:
    """Return whether a case takes only its parameters, and has no other marks."""
    if not hasattr(case, "callspec") or hasattr(case.obj, "hypothesis"):
        return False
    marks = list(case.iter_markers())
    if any(mark.name != "parametrize" or mark.kwargs.get("indirect") for mark in marks):
        return False
    names = (names for mark in marks for names in mark.args[:1])
    given = {
        name.strip() for one in names for name in (one.split(",") if isinstance(one, str) else one)
    }
    return given.issuperset(case.fixturenames)


def group(collector: pytest.Collector, items: Sequence[Any]) -> Iterator[Any]:
    """Yield what pytest made of one test function: its cases, or groups of them."""
    arguments = collector.config.invocation_params.args
    is_selection = bool(collector.config.getoption("keyword")) or any("::" in a for a in arguments)
    cases = [one for one in items if isinstance(one, pytest.Function)]
    if is_selection or len(cases) != len(items) or not all(map(_is_independent, cases)):
        yield from items
        return
    for start in range(0, len(cases), SIZE):
        part = cases[start : start + SIZE]
        name = f"{part[0].originalname}[{start + 1}-{start + len(part)}]"
        yield CaseGroup.from_parent(collector, name=name, cases=part)

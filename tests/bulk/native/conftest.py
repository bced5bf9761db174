"""Jobs that last up to a day of virtual time."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _rare_reports(rare_reports: None) -> None:
    """Each test here has such a job."""

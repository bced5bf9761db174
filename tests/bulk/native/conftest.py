"""Jobs that last up to a day of virtual time."""

from __future__ import annotations

import pytest

from fanout.bulk.local import activity_files


@pytest.fixture(autouse=True)
def rare_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job does is looked at every five seconds and not several times a second."""
    monkeypatch.setattr(activity_files, "INTERVAL", 5.0)

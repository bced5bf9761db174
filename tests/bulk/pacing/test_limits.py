"""Limits in the headers of responses."""

from __future__ import annotations

import pytest

from fanout.bulk.pacing.limits import parse_duration, read_limit


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "minute"),
    [
        ("5000", "4999", "12ms", 5000),
        ("160000", "159000", "375ms", 160000),
        ("14400", "14370", "2m59.56s", 10),  # a limit a day
        ("100", "100", "0s", None),
        ("100", "50", "1s", None),  # neither a minute nor a day
        ("", "1", "1s", None),
        ("100", "x", "1s", None),
        ("100", "99", "soon", None),
    ],
)
def test_a_limit_a_minute_is_read_from_its_headers(
    limit: str, remaining: str, reset: str, minute: float | None
) -> None:
    headers = {
        "x-ratelimit-limit-tokens": limit,
        "x-ratelimit-remaining-tokens": remaining,
        "x-ratelimit-reset-tokens": reset,
    }
    assert read_limit(headers, "tokens") == minute


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6m0s", 360.0), ("1h2m3.5s", 3723.5), ("20ms", 0.02), ("7", None), ("", None), ("1s!", None)],
)
def test_a_duration_is_parsed_as_providers_write_it(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds

"""
The windows of budgets: durations as LiteLLM writes them, aligned with the calendar. Pure.

A day ends at midnight, seven days on Monday, a month and 30 days on the 1st, all in the config's
time zone. Other numbers of days end at a midnight; seconds, minutes and hours are counted since
1970. Source: docs.litellm.ai/docs/proxy/users, 2026-11.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from ..errors import RequestError

NEVER = 253_402_300_799
"""The end of the year 9999, in seconds since 1970: the end of a window that has none."""

DURATION = re.compile(r"([1-9]\d{0,5})(s|m|h|d|w|mo)")
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "mo": 2_592_000}
WEEK, MONTH = 7, 30
LONGEST = 100 * 366 * 86_400


def parts_of(duration: str, param: str) -> tuple[int, str]:
    """The number and the unit of a duration; raises `RequestError`, which names `param`."""
    found = DURATION.fullmatch(duration)
    if found is None:
        raise RequestError(
            f"`{param}` must be a number with s, m, h, d, w or mo, such as `30d`", param
        )
    number, unit = int(found[1]), found[2]
    if number * SECONDS[unit] > LONGEST:
        raise RequestError(f"`{param}` may be a hundred years at most", param)
    return number, unit


def seconds_of(duration: str, param: str) -> int:
    """A duration in seconds; a month has 30 days."""
    number, unit = parts_of(duration, param)
    return number * SECONDS[unit]


def window_end(duration: str, now: float, zone: tzinfo) -> int:
    """When the window that contains `now` ends, in seconds since 1970; `NEVER` without one."""
    if not duration:
        return NEVER
    number, unit = parts_of(duration, "budget_duration")
    if unit in {"s", "m", "h"}:
        size = number * SECONDS[unit]
        return (int(now) // size + 1) * size
    today = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    days = number * WEEK if unit == "w" else number
    if unit == "mo" or days == MONTH:
        months = today.month - 1 + (number if unit == "mo" else 1)
        end = today.replace(year=today.year + months // 12, month=months % 12 + 1, day=1)
    elif days % WEEK == 0:
        end = today + timedelta(days=days - today.weekday())
    else:
        end = today + timedelta(days=days)
    return min(int(end.timestamp()), NEVER)

"""Time zones by the names of the IANA database."""

from __future__ import annotations

from datetime import UTC, tzinfo


def find_zone(name: str) -> tzinfo | None:
    """The time zone with this name; `None` if this machine knows none."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder
        return None

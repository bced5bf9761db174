"""
A provider's rate limits and pauses, as its responses have them.

Each vendor's header names are a table in its folder or in `row_rate_limits.py`; without one,
OpenAI's count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isinf
from typing import Any, Literal, TypeAlias

from msgspec import Struct

SECOND, MINUTE, DAY = 1.0, 60.0, 86_400.0

LimitKind: TypeAlias = Literal["requests", "tokens", "input_tokens", "output_tokens"]

RATE_TOLERANCE = 0.25
"""By how much the rate that a header implies may differ from a minute's or a day's."""

EPOCH_SECONDS, EPOCH_MILLISECONDS = 1e9, 1e12
"""A greater number in a reset header is no pause but a time since 1970."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": SECOND, "m": MINUTE, "h": 3600.0, "d": DAY}
# "Please try again in 20s", "Please retry after 6 seconds", "Please wait 30 seconds"
_PAUSE = re.compile(
    r"(?:try again|retry)(?:ing)? (?:in|after) (?P<duration>(?:\d+(?:\.\d+)?(?:ms|[smhd]))+)\b"
    r"|(?:(?:try again|retry)(?:ing)? (?:in|after)|please wait) (?P<seconds>\d+(?:\.\d+)?) sec",
    re.IGNORECASE,
)
_PAUSE_FIELDS = ("retry_after", "retry_after_seconds", "retryAfter")


class Limits(Struct, frozen=True):
    """
    Requests and tokens a minute; `None` means no limit, or an unknown one.

    If the requests a minute are known from 429s alone, they hold from `estimated_at` on. If the
    `evidence` is positive, that limit seems to be one of tokens, and they are requests of mean
    size.
    """

    requests: float | None = None
    tokens: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    estimated_at: float | None = None
    evidence: float | None = None

    @property
    def is_estimate(self) -> bool:
        """Whether the requests are not stated."""
        return self.estimated_at is not None

    @property
    def counts_tokens(self) -> bool:
        """Whether the requests are of mean size, and others count by their size."""
        return self.evidence is not None and self.evidence > 0 and not self.has_tokens

    @property
    def has_tokens(self) -> bool:
        """Whether a limit of tokens is known."""
        return bool(self.tokens or self.input_tokens or self.output_tokens)

    @property
    def are_known(self) -> bool:
        """Whether there is a limit on requests or on tokens."""
        return self != Limits()

    def or_else(self, other: Limits) -> Limits:
        """These limits, completed by the other's where one is unknown."""
        return Limits(
            self.requests or other.requests,
            self.tokens or other.tokens,
            self.input_tokens or other.input_tokens,
            self.output_tokens or other.output_tokens,
            self.estimated_at if self.requests else other.estimated_at,
            self.evidence if self.requests else other.evidence,
        )


class LimitHeader(Struct, frozen=True):
    """
    The names of the headers of one limit, which holds for `window` seconds.

    A window of 0 is unknown: what has been used, divided by the time until it is available again,
    shows it.
    """

    kind: LimitKind
    limit: str
    remaining: str = ""
    reset: str = ""
    window: float = 0.0


class RateLimitTable(Struct, frozen=True):
    """
    Where one vendor has its limits: in headers, and perhaps in the body of a 429.

    `headers_in_body` are the headers that such a body repeats, with small names.
    """

    headers: tuple[LimitHeader, ...] = ()
    read_body: Callable[[Any], Limits] | None = None
    headers_in_body: Callable[[Any], Mapping[str, str]] | None = None


def openai_headers(
    requests_window: float = 0.0, tokens_window: float = 0.0
) -> tuple[LimitHeader, ...]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, OpenAI's names."""
    windows: tuple[tuple[LimitKind, float], ...] = (
        ("requests", requests_window),
        ("tokens", tokens_window),
    )
    return tuple(
        LimitHeader(
            kind,
            f"x-ratelimit-limit-{kind}",
            f"x-ratelimit-remaining-{kind}",
            f"x-ratelimit-reset-{kind}",
            window,
        )
        for kind, window in windows
    )


OPENAI = RateLimitTable(openai_headers())
"""platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers"""


def read_limits(headers: Mapping[str, str], table: RateLimitTable = OPENAI) -> Limits:
    """The limits in the headers of a response; of several of a kind, the lowest."""
    kinds = {row.kind for row in table.headers if row.limit in headers}
    found: dict[str, Any] = {kind: read_limit(headers, kind, table) for kind in kinds}
    return Limits(**found)


def read_limit(
    headers: Mapping[str, str], kind: LimitKind, table: RateLimitTable = OPENAI
) -> float | None:
    """The limit a minute of one kind; `None` if the headers are incomplete or fit no window."""
    limits = [_read_limit(headers, row) for row in table.headers if row.kind == kind]
    return min((limit for limit in limits if limit is not None), default=None)


def _read_limit(headers: Mapping[str, str], row: LimitHeader) -> float | None:
    limit = _number(headers.get(row.limit, ""))
    if not limit:
        return None
    if row.window:
        return limit * MINUTE / row.window
    remaining = _number(headers.get(row.remaining, ""))
    reset = parse_reset(headers.get(row.reset, ""), headers.get("date", ""))
    if remaining is None or not reset or limit <= remaining:
        return None
    rate = (limit - remaining) / reset
    for window in (MINUTE, DAY):
        if abs(rate * window / limit - 1) <= RATE_TOLERANCE:
            return limit * MINUTE / window
    return None


def read_pause(headers: Mapping[str, str], table: RateLimitTable = OPENAI) -> float | None:
    """
    Seconds until every limit that is used up is reset; `None` if no header says so.

    For a 429 without a `Retry-After`. The vendor's own headers come before those of anyone.
    """
    pauses = [
        parse_reset(headers.get(row.reset, ""), headers.get("date", ""))
        for row in table.headers
        if headers.get(row.remaining) == "0"
    ]
    return max((pause for pause in pauses if pause is not None), default=_shared_pause(headers))


# Names that no vendor owns: `RateLimit-Reset` and `RateLimit` are those of several versions of
# datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers; read on 2026-11-29.
_SHARED = ("ratelimit", "x-ratelimit", "x-rate-limit")
_REMAINING = re.compile(r"\b(?:r|remaining)\s*=\s*(\d+)")
_RESET = re.compile(r"\b(?:t|reset)\s*=\s*(\d+)")


def _shared_pause(headers: Mapping[str, str]) -> float | None:
    """
    Seconds until the limit of a 429 is reset, by headers that several vendors and proxies have.

    `RateLimit: "default";r=0;t=21` may have several limits, with commas between them.
    """
    resets = [
        headers.get(f"{name}-reset", "")
        for name in _SHARED
        if headers.get(f"{name}-remaining", "0") == "0"
    ]
    field = headers.get("ratelimit", "")
    for limit in field.split(",") if ";" in field else [field]:
        remaining, reset = _REMAINING.search(limit), _RESET.search(limit)
        if reset and (remaining is None or not int(remaining[1])):
            resets.append(reset[1])
    pauses = [parse_reset(reset, headers.get("date", "")) for reset in resets]
    return max((pause for pause in pauses if pause is not None), default=None)


def pause_in_body(value: Any, texts: Sequence[str]) -> float | None:
    """The pause that an error body asks for, in a field or in words."""
    while isinstance(value, dict):
        for name in _PAUSE_FIELDS:
            if isinstance(found := value.get(name), int | float):
                return float(found)
        value = value.get("error") or value.get("metadata")
    for text in texts:
        if match := _PAUSE.search(text):
            return parse_duration(match["duration"] or f"{match['seconds']}s")
    return None


def parse_reset(text: str, now: str = "") -> float | None:
    """
    Seconds until a limit is reset: `1m30s`, `59.7`, a time since 1970, or an RFC 3339 date.

    `now` is the response's `Date` header, which a point in time needs: this needs no clock.
    """
    if (seconds := parse_duration(text)) is not None:
        return seconds
    number = _number(text)
    if number is not None and number < EPOCH_SECONDS:
        return number
    from email.utils import parsedate_to_datetime

    try:
        if number is None:
            at = datetime.fromisoformat(text).timestamp()
        else:
            at = number / 1000 if number > EPOCH_MILLISECONDS else number
        return max(0.0, at - parsedate_to_datetime(now).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def parse_duration(text: str) -> float | None:
    """The seconds in `1m30s`, `20ms` or `7.66s`; `None` for any other text."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _number(text: str) -> float | None:
    number = float(text) if text.replace(".", "", 1).isdecimal() else None
    return None if number is None or isinf(number) else number

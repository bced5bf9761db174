from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from fanout.errors import Broken
from fanout.transport.engine import EngineError, StreamReset, join
from fanout.transport.error_mapping import from_engine_error, retry_after
from tests.unit.config.sections import deployment

DATE = "Mon, 23 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://h/v1", "/chat/completions", "https://h/v1/chat/completions"),
        ("https://h", "/v1/messages", "https://h/v1/messages"),
        ("https://h/v1", "/v1/messages", "https://h/v1/messages"),
        ("https://h/openai/v1", "/v1/chat", "https://h/openai/v1/chat"),
        ("https://h/v1", "/v2/chat", "https://h/v1/v2/chat"),
        ("https://h/av1", "/v1/chat", "https://h/av1/v1/chat"),
        ("https://h/v1beta", "/v1beta/models/m", "https://h/v1beta/models/m"),
        ("https://h/openai/v1", "/openai/v1/chat", "https://h/openai/v1/chat"),
        ("https://v1", "/v1/chat", "https://v1/v1/chat"),
        ("https://h", "", "https://h"),
    ],
)
def test_what_base_url_and_path_share_is_not_repeated(base: str, path: str, url: str) -> None:
    assert join(base, path) == url


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 09:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:30 +0100", "date": DATE}, 30.0),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after": "9999999"}, 2_592_000.0),
        ({"retry-after-ms": "9999999999"}, 2_592_000.0),
        ({"retry-after": "Mon, 23 Nov 2036 10:00:00 GMT", "date": DATE}, 2_592_000.0),
        ({"retry-after-ms": "-5"}, 0.0),
    ],
)
def test_retry_after_is_read_in_milliseconds_seconds_or_as_a_date(
    headers: dict[str, str], seconds: float
) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": ""},
        {"retry-after": "soon"},
        {"retry-after": "-3"},
        {"retry-after": "1.2.3"},
        {"retry-after": "²"},
        {"retry-after": "nan"},
        {"retry-after-ms": "nan"},
        {"retry-after-ms": "soon"},
        {"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT"},
        {"retry-after": "Mon, 23 Nov 2026 10:00:30 -0000", "date": DATE},
        {"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": "yesterday"},
    ],
)
def test_an_invalid_retry_after_is_ignored(headers: dict[str, str]) -> None:
    assert retry_after(headers) is None


@pytest.mark.parametrize("value", ["inf", "1e999", "9" * 400])
def test_an_infinite_retry_after_is_cut_to_the_longest(value: str) -> None:
    seconds = retry_after({"retry-after-ms": value})
    assert seconds is not None
    assert math.isfinite(seconds)
    assert seconds <= 2_592_000.0


def every_kind(kind: type[EngineError]) -> Iterator[type[EngineError]]:
    for one in kind.__subclasses__():
        yield one
        yield from every_kind(one)


@pytest.mark.parametrize("kind", list(every_kind(EngineError)))
def test_every_failure_below_http_is_a_providers_error(kind: type[EngineError]) -> None:
    error = from_engine_error(deployment("openai/m"), kind())
    assert error.code in {
        "provider_unreachable",
        "provider_timeout",
        "provider_stream_broken",
        "provider_answer_too_large",
    }


def test_a_reset_http_2_stream_is_a_broken_response() -> None:
    assert isinstance(from_engine_error(deployment("openai/m"), StreamReset()), Broken)

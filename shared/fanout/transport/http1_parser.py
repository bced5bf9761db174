"""The parser of HTTP/1.1 responses, with what it accepts beyond the standard."""

from __future__ import annotations

from typing import Any

import httptools

FIRST_FINAL = 200
"""The first status that is not of an interim response, such as `103 Early Hints`."""


NO_BODY = frozenset({204, 304})
"""Statuses of responses that have no body, whatever their headers say."""


VERSIONS = frozenset({"1.0", "1.1"})


def response_parser(calls: object) -> Any:
    """
    A parser that calls `calls`. It accepts what other clients do, as far as the meaning is clear.

    That is a line end without its CR, blanks behind a chunk's size, and a `Content-Length` beside
    `Transfer-Encoding: chunked`, which then does not count (RFC 9112, 2.2, 6.3 and 7.1.1). What it
    still rejects may be repaired.
    """
    parser = httptools.HttpResponseParser(calls)
    parser.set_dangerous_leniencies(
        lenient_chunked_length=True,
        lenient_optional_cr_before_lf=True,
        lenient_spaces_after_chunk_size=True,
    )
    return parser

"""Sends some of the raw connections of `make fuzz`."""

from __future__ import annotations

import pytest

from .raw_http import SMUGGLED, RawClient, fuzz_connections, read_responses
from .serving import gateway_process


def test_raw_bytes_get_one_response_for_each_request_and_take_no_memory() -> None:
    with gateway_process() as (port, pid):
        client = RawClient(port, pid, seed=1)
        fuzz_connections(client, count=120, held=1, seconds=240)
    assert client.sent > 130


def test_a_response_too_many_would_be_found() -> None:
    one = b"HTTP/1.1 200 OK\r\nx-request-id: r1\r\ncontent-length: 2\r\n\r\n{}"
    assert [found.request_id for found in read_responses(one * 2, frozenset())] == ["r1", "r1"]
    assert b"smuggled" in SMUGGLED
    for broken in (one[:-1], b"x" + one, one + b"{}"):
        with pytest.raises(AssertionError):
            read_responses(broken, frozenset())

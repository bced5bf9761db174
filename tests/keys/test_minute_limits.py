"""The requests and tokens a minute of a key: what a client is told when it is over them."""

from __future__ import annotations

import re
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanout.errors import KeyRateLimited
from fanout.keys.rate_limits import MINUTE, over_rate
from tests.keys.test_keys_over_http import HI, bearer, manage
from tests.keys.test_keys_over_http import gateway as gateway  # noqa: PLC0414 -- fixtures
from tests.keys.test_keys_over_http import home as home  # noqa: PLC0414
from tests.keys.test_keys_over_http import willing as willing  # noqa: PLC0414
from tests.support.gateway_server import RunningGateway

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
PARTS: Any = [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]

TOO_LARGE: list[tuple[str, dict[str, Any], str]] = [
    (CHAT, {"messages": HI}, "max_tokens"),
    (CHAT, {"messages": HI, "max_tokens": 8}, "max_tokens"),
    (CHAT, {"messages": HI, "max_completion_tokens": 8}, "max_completion_tokens"),
    (CHAT, {"messages": PARTS, "max_completion_tokens": 8}, "max_completion_tokens"),
    (CHAT, {"messages": PARTS}, "max_tokens"),
    (CHAT, {"messages": [HI, HI]}, "max_tokens"),
    ("/v1/messages", {"messages": HI, "max_tokens": 8}, "max_tokens"),
    (RESPONSES, {"input": "Hi"}, "max_output_tokens"),
    (RESPONSES, {"input": "Hi", "max_output_tokens": 16}, "max_output_tokens"),
    (EMBEDDINGS, {"input": "Hi " * 50}, "input"),
]
"""Requests of each endpoint, and the client's field that makes them need fewer tokens."""


@pytest.mark.parametrize("case", TOO_LARGE, ids=str)
def test_a_request_for_too_many_tokens_names_the_clients_field(
    gateway: RunningGateway, case: tuple[str, dict[str, Any], str]
) -> None:
    path, body, field = case
    key = manage(gateway, "/key/generate", {"tpm_limit": 5})["key"]
    status, _, answer = gateway.json({"model": "a", **body}, path, headers=bearer(key))
    assert status == 400, answer
    error = answer["error"]
    assert re.findall(r"`(.*?)`", error["message"]) == [field]
    assert error.get("param", field) == field


@given(now=st.floats(0, 10**10), minute=st.integers(0, 1))
def test_the_seconds_in_the_message_are_those_of_the_header(now: float, minute: int) -> None:
    begun = int(now // MINUTE) - minute
    item = {"rpm_limit": 1, "rpm_left": 0, "tpm_limit": 9, "tpm_left": 9, "minute": begun}
    error = over_rate(item, 1, now, "key", "max_tokens")
    assert isinstance(error, KeyRateLimited)
    assert error.retry_after is not None
    assert str(error).endswith(f"try again in {ceil(error.retry_after)} s")

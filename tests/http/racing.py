"""What the tests of races share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway_response import ParsedResponse
from tests.support.gateway_server import RunningGateway

HI = [{"role": "user", "content": "Hi"}]
SETTLE = 0.05
"""Seconds after which what one connection was sent has been read, before another speaks."""

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


def race(server: RunningGateway, *models: str, stream: bool, **more: Any) -> ParsedResponse:
    """Race the models, with the report."""
    body = {"model": ", ".join(models), "messages": HI, "fastest_response": True, **more}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return server.chat(body)

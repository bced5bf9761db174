"""Sends races; shared by the tests of races."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway_response import ParsedResponse
from tests.support.gateway_server import RunningGateway

HI = [{"role": "user", "content": "Hi"}]
SETTLE = 0.05
"""Seconds after which the gateway has read one provider's bytes, before another sends any."""

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


def outcomes(response: ParsedResponse) -> dict[str, str]:
    """What became of each model, by the report."""
    assert response.report is not None, response
    return {one["model"]: one["outcome"] for one in response.report["attempts"]}


def race(server: RunningGateway, *models: str, stream: bool, **more: Any) -> ParsedResponse:
    """Send a race and return its response, with usage and the report."""
    body = {"model": ", ".join(models), "messages": HI, "fastest_response": True, **more}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return server.chat(body)

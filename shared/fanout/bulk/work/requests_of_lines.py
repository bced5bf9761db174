"""The requests that lines stand for."""

from __future__ import annotations

from msgspec.structs import replace

from ...errors import RequestError
from ...schema.fanout import FanOutRequest, parse_request
from ...telemetry.prices import FLEX
from ..pacing.line_attempt import LineRequest
from ..pacing.prompt_caches import with_cache


def request_of(sent: LineRequest) -> FanOutRequest:
    """
    The line as a request; raises if it is unreadable.

    On the flex tier it has no fallbacks, because the same model in real time comes before them.
    """
    line = sent.line
    if line.parse_error is not None:
        raise RequestError(line.parse_error)
    body = {**line.body, "stream": False}
    if sent.prefix is not None and sent.prefix.mark:
        body = with_cache(body, sent.prefix)
    if sent.tier is not None:
        body.pop("service_tier", None)
    request = parse_request(body)
    if sent.tier == FLEX:
        request = replace(request, fallbacks={})
    if request.num_retries is None:
        return replace(request, num_retries=0)  # the worker retries, within the rate limits
    return request


def as_stream(sent: LineRequest, request: FanOutRequest) -> FanOutRequest:
    """
    The request, to be received as a stream if other lines wait for its first token.

    Calls on the flex tier are no streams.
    """
    prefix = sent.prefix
    waits = prefix is not None and prefix.is_warming and sent.tier != FLEX
    return replace(request, stream=True) if waits else request

"""Sends a line through the gateway, with the same checks as a client's request."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

from msgspec.structs import replace

from ...config.resolve import Catalog, ClientKey
from ...errors import (
    AllFailed,
    FanoutError,
    Malformed,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    Rejected,
    RequestError,
)
from ...gateway.gateway import Context, Gateway
from ...providers.registry import rate_limits_of
from ...routing.leg import Leg, Outcome
from ...schema.fanout import FanOutRequest, parse_request
from ...telemetry.observers import Observer
from ..input.estimates import BYTES_PER_TOKEN, DEFAULT_OUTPUT_TOKENS, conversations_of, max_tokens
from ..input.lines import BadLine, Line
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.limits import Limits
from ..pacing.line_retry import LineRequest, SendLine
from ..pacing.rate_limiter import MemoryRateLimitStore, Permit, RateLimiter
from ..totals import CallCounts

SMOOTHING = 0.1
"""The weight of the latest response in the moving average of output tokens."""

_ACCEPTED = (Rejected, Overloaded, Malformed)
"""Errors of calls that were within the rate limit."""


def make_line_sender(
    gateway: Gateway,
    owner: str,
    observer: Observer,
    limiter: RateLimiter | None = None,
    calls: CallCounts | None = None,
    job: str = "",
) -> SendLine:
    """
    Returns the function that sends one line.

    `owner` is the name of the job's key; the lines have the rights that this key has now.
    Without a limiter, only the providers' 429s slow the job down.
    """
    calls = calls or CallCounts()
    client = gateway.catalog.client(owner)
    limiter = limiter or RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), time.time)
    output_tokens: dict[str, float] = {}  # the moving average of each model

    async def send(sent: LineRequest, concurrency: AdaptiveConcurrency) -> object:
        request = gateway.prepare(_parse(sent.line), client)
        watcher = _CallWatcher(concurrency, limiter, calls)
        context = Context(sent.request_id, client, sent.deadline, watcher)
        input_tokens, conversations = sent.size / BYTES_PER_TOKEN, len(conversations_of(sent.line))
        permits: dict[str, Permit] = {}
        async with AsyncExitStack() as stack:
            for name in request.models:
                expected = output_tokens.get(name, max_tokens(sent.line) or DEFAULT_OUTPUT_TOKENS)
                tokens = round(input_tokens + conversations * expected)
                permit = limiter.permit(name, tokens, conversations, round(input_tokens), job)
                permits[name] = await stack.enter_async_context(permit)
            try:
                body = (await gateway.chat(request, context)).body
            except FanoutError as error:
                for name, seconds in _rate_limited_models(error):
                    await limiter.rejected(name, watcher.starts.get(name, 0.0), seconds)
                raise
            except Exception as error:
                observer.bug(sent.request_id, error)
                raise
            else:
                sent.received(body)
                return body
            finally:
                for name in permits.keys() & watcher.tokens.keys():
                    permits[name].tokens_used = watcher.tokens[name]
                    got = (watcher.tokens[name] - input_tokens) / conversations
                    average = output_tokens.get(name, got)
                    output_tokens[name] = max(1.0, average + (got - average) * SMOOTHING)

    return send


def _parse(line: Line) -> FanOutRequest:
    """The line as a request; raises if it is unreadable."""
    if line.parse_error is not None:
        raise RequestError(line.parse_error)
    request = parse_request({**line.body, "stream": False})
    if request.num_retries is None:
        return replace(request, num_retries=0)  # the worker retries, within the rate limits
    return request


class _CallWatcher:
    """
    Reports each call of a line.

    By model, `tokens` are the tokens used, and `starts` when its last call was started.
    """

    def __init__(
        self, concurrency: AdaptiveConcurrency, limiter: RateLimiter, calls: CallCounts
    ) -> None:
        self._concurrency = concurrency
        self._limiter = limiter
        self._calls = calls
        self.tokens: dict[str, int] = {}
        self.starts: dict[str, float] = {}

    def started(self, leg: Leg) -> None:
        """A call starts."""
        self.starts[leg.model] = self._limiter.now()
        self._limiter.sent(leg.model)
        self._calls.in_flight += 1
        self._concurrency.started(leg)

    def first_token(self, leg: Leg) -> None:
        """A call has its first token."""

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """A call has ended."""
        self._calls.in_flight -= 1
        self._calls.refused += isinstance(error, RateLimited)
        self._concurrency.ended(leg, outcome, error)
        if outcome == "ok" or isinstance(error, _ACCEPTED):
            self._limiter.responded(leg.model, self.starts[leg.model])
        if leg.headers and leg.deployment:
            table = rate_limits_of(leg.deployment.provider.name)
            self._limiter.record_headers(leg.model, leg.deployment.id, leg.headers, table)
        if isinstance(error, RateLimited) and error.rate_limits and leg.deployment:
            limits = Limits(**error.rate_limits)
            self._limiter.record_limits(leg.model, leg.deployment.id, limits)
        if leg.usage:
            used = self.tokens.get(leg.model, 0)
            self.tokens[leg.model] = used + leg.usage["total_tokens"]


def _rate_limited_models(error: FanoutError) -> list[tuple[str, float | None]]:
    """The models that responded with a 429, each with its `Retry-After` in seconds."""
    errors = [c.error for c in error.failures] if isinstance(error, AllFailed) else [error]
    return [
        (e.deployment.name, e.retry_after)
        for e in errors
        if isinstance(e, RateLimited) and not isinstance(e, QuotaExceeded)
    ]


def check_model(catalog: Catalog, client: ClientKey, name: str) -> None:
    """Raise `BadLine` for a model that is unknown or that this client may not use."""
    if not client.may_use(name):
        message = f"The key `{client.name}` may not use the model `{name}`."
        raise BadLine("model_not_allowed", message, "body.model")
    try:
        catalog.check_name(name)
    except FanoutError as error:
        raise BadLine("model_not_found", f"{error}.", "body.model") from None

"""
Makes the calls of a checked line, each with a permit, and further ones within the cost cap.

A line whose response does not fit its schema needs more calls than were expected when it was sent.
Each of them waits for the model's rate limit, is repeated while the provider is down, and its cost
is reserved; what the calls before it have cost is counted first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

from msgspec import Struct, field

from ...errors import FanoutError, QuotaExceeded, RateLimited
from ...routing.leg import Leg
from ...schema.chat import ChatCompletion
from ...schema.request import ChatRequest
from ...wire import json
from ..input.lines import Line
from ..pacing.line_retry import LineRequest
from ..pacing.rate_limiter import Permit, RateLimiter

MakePermit: TypeAlias = Callable[[str, int], AbstractAsyncContextManager[Permit]]
"""A permit for one call to a model, with a request of so many bytes."""


class PacedCalls(Struct, eq=False):
    """
    The calls of one checked line: a `gateway.checked_cell.Pace`.

    `ready` waits until calls may start, `used_tokens` gets the tokens of each call. `stopped` is
    what ended a cell that is not an error of a call, so that the line has no result yet.
    """

    sent: LineRequest
    limiter: RateLimiter
    permit: MakePermit
    ready: Callable[[], Awaitable[None]]
    used_tokens: Callable[[str, int, int], None]
    used: list[Mapping[str, Any]] = field(default_factory=list)
    stopped: Exception | None = None

    async def __call__(
        self,
        call: Callable[[], Awaitable[ChatCompletion]],
        leg: Leg,
        chat: ChatRequest,
        *,
        is_extra: bool,
    ) -> ChatCompletion:
        """One call's response."""
        size = len(json.encode(chat.body["messages"]))
        try:
            if not is_extra:
                return await self._once(call, leg, size)
            line = Line(self.sent.line.custom_id, {**chat.body, "model": leg.model})
            await self.sent.pay(self.used, line, size)
            return await self.sent.repeat(leg.model, partial(self._once, call, leg, size))
        except FanoutError:
            raise
        except Exception as error:
            self.stopped = error
            raise

    async def _once(
        self, call: Callable[[], Awaitable[ChatCompletion]], leg: Leg, size: int
    ) -> ChatCompletion:
        async with self.permit(leg.model, size) as permit:
            await self.ready()
            started = self.limiter.clock()
            async with self._noted(leg.model, started, permit):
                completion = await call()
            usage = completion.get("usage")
            self.used.append({"model": leg.model, "usage": usage})
            if usage and isinstance(tokens := usage.get("total_tokens"), int):
                permit.tokens_used = tokens
                self.used_tokens(leg.model, tokens, size)
            return completion

    @asynccontextmanager
    async def _noted(self, model: str, started: float, permit: Permit) -> AsyncIterator[None]:
        """The block's 429 pauses all workers."""
        try:
            yield
        except RateLimited as error:
            if not isinstance(error, QuotaExceeded):
                await self.limiter.rejected(model, started, error.retry_after, permit.size)
            raise

"""Makes calls of a line that its own permit is not for, each with a permit of its model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from ...errors import FanoutError, QuotaExceeded, RateLimited
from ...routing.leg import Leg
from ...schema.chat import ChatCompletion
from ...schema.request import ChatRequest
from ...wire import json
from ..pacing.permit import Permit
from ..pacing.rate_limiter import RateLimiter
from .checked_lines import MakePermit


class PermittedCalls(Struct, frozen=True):
    """
    What calls need that wait for their model's rate limit.

    `ready` waits until calls may start, `used_tokens` gets the tokens of each call.
    """

    limiter: RateLimiter
    permit: MakePermit
    ready: Callable[[], Awaitable[None]]
    used_tokens: Callable[[str, int, int], None]

    async def make(
        self, call: Callable[[], Awaitable[ChatCompletion]], leg: Leg, size: int
    ) -> ChatCompletion:
        """The response of a call to the leg's model, whose request has so many bytes."""
        async with self.permit(leg.model, size) as permit:
            await self.ready()
            completion = await self.noted(call, leg, permit)
            usage = completion.get("usage")
            if usage and isinstance(tokens := usage.get("total_tokens"), int):
                permit.tokens_used = tokens
                self.used_tokens(leg.model, tokens, size)
            return completion

    async def noted(
        self, call: Callable[[], Awaitable[ChatCompletion]], leg: Leg, permit: Permit
    ) -> ChatCompletion:
        """The response of a call that has its permit; a 429 pauses all workers."""
        started = self.limiter.clock()
        try:
            return await call()
        except RateLimited as error:
            if not isinstance(error, QuotaExceeded):
                await self.limiter.rejected(leg.model, started, error.retry_after, permit.size)
            raise


class LaterCalls(Struct, eq=False):
    """
    The calls of a line that is a hedge or has fallbacks: a `gateway.timed_pace.Pace`.

    The line has the permit of its `first` model, for so many `calls`. Another model's call waits
    for its own when it is made, so a model that is not called uses nothing of its rate limit.
    `stopped` is what ended a call that is not its error, so that the line has no result yet.
    """

    others: PermittedCalls
    model: str
    first: Permit
    calls: int
    stopped: Exception | None = None

    async def __call__(
        self,
        call: Callable[[], Awaitable[ChatCompletion]],
        leg: Leg,
        chat: ChatRequest,
        *,
        is_extra: bool,  # noqa: ARG002 -- the interface
    ) -> ChatCompletion:
        """One call's response."""
        try:
            if leg.model == self.model and self.calls:
                self.calls -= 1
                return await self.others.noted(call, leg, self.first)
            return await self.others.make(call, leg, len(json.encode(chat.body["messages"])))
        except FanoutError:
            raise
        except Exception as error:
            self.stopped = error
            raise

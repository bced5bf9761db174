"""
Makes the calls of a line one by one, each with a permit, and further ones within the cost cap.

Of the models that are to agree, only those are called that can still decide, so the rate limit of
each one counts when it is called. After a rate limit or another error that may pass, the call is
repeated, because the responses before it are paid for.

A line whose response does not fit its schema needs more calls than were expected when it was sent.
Each of them waits for the model's rate limit, is repeated while the provider is down, and its cost
is reserved; what the calls before it have cost is counted first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

from msgspec import Struct

from ...config.deployment import Deployment
from ...errors import FanoutError, QuotaExceeded, RateLimited
from ...routing.leg import Leg
from ...schema.chat import ChatCompletion
from ...schema.request import ChatRequest
from ...wire import json
from ..input.line_parser import Line
from ..pacing.line_attempt import LineRequest
from ..pacing.permit import Permit
from ..pacing.prompt_caches import without_cache
from ..pacing.rate_limiter import RateLimiter
from ..paid_calls import PaidCall, call_hash

MakePermit: TypeAlias = Callable[[str, int], AbstractAsyncContextManager[Permit]]
"""A permit for one call to a model, with a request of so many bytes."""


class PacedCalls(Struct, eq=False):
    """
    The calls of a line that is checked, or whose models are to agree: a `gateway.timed_pace.Pace`.

    `ready` waits until calls may start, `used_tokens` gets the tokens of each call. `deployment`
    finds a model's deployment by its id. `stopped` is what ended a cell that is not an error of a
    call, so that the line has no result yet. A call that the line has paid for before is not made.
    With `retries`, a first call is repeated, too: that often after errors that may pass, and after
    a rate limit as long as it takes.
    """

    sent: LineRequest
    limiter: RateLimiter
    permit: MakePermit
    ready: Callable[[], Awaitable[None]]
    used_tokens: Callable[[str, int, int], None]
    deployment: Callable[[str, str], Deployment | None]
    retries: int | None = None
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
        paid, request = self.sent.paid, call_hash(leg.model, without_cache(chat.body))
        if (known := paid.take(request)) is not None:
            return self._known(known, leg)
        size = len(json.encode(chat.body["messages"]))
        once = self._paid_again(partial(self._once, call, leg, size, request))
        try:
            if not is_extra and self.retries is not None:
                return await self.sent.repeat(leg.model, once, self.retries)
            if not is_extra:
                return await once()
            line = Line(self.sent.line.custom_id, {**chat.body, "model": leg.model})
            await self.sent.pay(line, size)
            return await self.sent.repeat(leg.model, once)
        except FanoutError:
            raise
        except Exception as error:
            self.stopped = error
            raise

    def _paid_again(
        self, once: Callable[[], Awaitable[ChatCompletion]]
    ) -> Callable[[], Awaitable[ChatCompletion]]:
        """The call, for which what a failed one has cost is reserved before it is made again."""
        is_again = False

        async def call() -> ChatCompletion:
            nonlocal is_again
            while is_again and not await self.sent.pay_again():
                pass
            is_again = True
            return await once()

        return call

    def _known(self, known: PaidCall, leg: Leg) -> ChatCompletion:
        """The response of a call that is paid for."""
        body: Any = known.body
        completion: ChatCompletion = body
        leg.deployment = self.deployment(leg.model, known.deployment)
        leg.usage = completion.get("usage")
        return completion

    async def _once(
        self,
        call: Callable[[], Awaitable[ChatCompletion]],
        leg: Leg,
        size: int,
        request: str,
    ) -> ChatCompletion:
        async with self.permit(leg.model, size) as permit:
            await self.ready()
            started = self.limiter.clock()
            async with self._noted(leg.model, started, permit):
                completion = await call()
            deployment = leg.deployment.id if leg.deployment else ""
            self.sent.paid.add(PaidCall(request, leg.model, deployment, {**completion}))
            usage = completion.get("usage")
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

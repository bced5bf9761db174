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
from typing import Any, TypeAlias

from msgspec import Struct, field

from ...config.deployment import Deployment
from ...errors import FanoutError, QuotaExceeded, RateLimited
from ...routing.leg import Leg
from ...schema.chat import ChatCompletion
from ...schema.request import ChatRequest
from ...wire import json
from ..input.line_parser import Line
from ..pacing.line_attempt import LineRequest, PricedCall
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
    a rate limit as long as it takes. The line has reserved all its first calls until one
    `is_released`, then those that are `reserved`. `failures` is how many failed calls are counted.
    """

    sent: LineRequest
    limiter: RateLimiter
    permit: MakePermit
    ready: Callable[[], Awaitable[None]]
    used_tokens: Callable[[str, int, int], None]
    deployment: Callable[[str, str], Deployment | None]
    retries: int | None = None
    stopped: Exception | None = None
    reserved: dict[object, PricedCall] = field(default_factory=dict)
    is_released: bool = False
    failures: int = 0

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
        name, line = object(), Line(self.sent.line.custom_id, {**chat.body, "model": leg.model})

        async def once() -> ChatCompletion:
            """The call; what failed ones have cost is counted before it is made again."""
            if len(paid.failures) > self.failures:
                await self._pay(name, (line, size))
            return await self._once(call, leg, size, request)

        try:
            if is_extra or self.is_released:
                await self._pay(name, (line, size))
            self.reserved[name] = line, size
            if not is_extra and self.retries is None:
                return await once()
            return await self.sent.repeat(leg.model, once, None if is_extra else self.retries)
        except FanoutError:
            raise
        except Exception as error:
            self.stopped = error
            raise
        finally:
            self.reserved.pop(name, None)

    async def _pay(self, name: object, call: PricedCall) -> None:
        """Reserve what the call may cost; meanwhile only those stay reserved that are made."""
        self.reserved.pop(name, None)
        self.is_released, self.failures = True, len(self.sent.paid.failures)
        await self.sent.pay(call, self.reserved.values())
        self.reserved[name] = call

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

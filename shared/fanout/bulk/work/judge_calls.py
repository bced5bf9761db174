"""
Makes the calls of a line's judge, each with a permit, and again after a rate limit.

The line's own models have their permits when it is sent, and a 429 of theirs fails the line, which
is sent again. The judge comes after their responses, which are paid for: only its call is repeated.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from ...errors import QuotaExceeded, RateLimited
from ...routing.leg import Leg
from ...schema.chat import ChatCompletion
from ...schema.request import ChatRequest
from ...wire import json
from .permitted_calls import PermittedCalls


class JudgeCalls(Struct, eq=False):
    """
    The judge's calls of one line: a `gateway.timed_pace.Pace`.

    A call is repeated until the judge's share of the line's time is over: the gateway cancels it
    then.
    """

    calls: PermittedCalls

    async def __call__(
        self,
        call: Callable[[], Awaitable[ChatCompletion]],
        leg: Leg,
        chat: ChatRequest,
        *,
        is_extra: bool,  # noqa: ARG002 -- the interface
    ) -> ChatCompletion:
        """The judge's response."""
        size = len(json.encode(chat.body["messages"]))
        while True:
            try:
                return await self.calls.make(call, leg, size)
            except RateLimited as error:
                if isinstance(error, QuotaExceeded):
                    raise

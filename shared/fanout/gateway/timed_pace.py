"""The pace of a request's calls: each is made when it may be made, and then has its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from msgspec import Struct

from ..concurrency import Deadline
from ..errors import DeadlineExceeded
from ..routing.leg import Leg
from ..schema.chat import ChatCompletion
from ..schema.request import ChatRequest

Call: TypeAlias = Callable[[Leg, ChatRequest], Awaitable[ChatCompletion]]
"""Makes a call with the leg's model, and its retries after errors."""


class Pace(Protocol):
    """Makes each call when it may be made."""

    async def __call__(
        self,
        call: Callable[[], Awaitable[ChatCompletion]],
        leg: Leg,
        chat: ChatRequest,
        *,
        is_extra: bool,
    ) -> ChatCompletion:
        """
        The result of `call`, which sends `chat` to the leg's model.

        An extra call follows one whose response does not fit. An exception that is no `FanoutError`
        ends the whole cell.
        """
        ...


class TimedPace(Struct, frozen=True):
    """A pace; each call has so many seconds, because it may have to wait for its turn."""

    pace: Pace
    seconds: float

    async def make(
        self, call: Call, leg: Leg, chat: ChatRequest, *, is_extra: bool = False
    ) -> ChatCompletion:
        """The result of the call."""

        async def timed() -> ChatCompletion:
            leg.deadline = asyncio.get_running_loop().time() + self.seconds
            try:
                with Deadline(leg.deadline):
                    return await call(leg, chat)
            except TimeoutError:
                message = f"no response within the request's {self.seconds:g} s"
                raise DeadlineExceeded(message) from None

        return await self.pace(timed, leg, chat, is_extra=is_extra)

    def paced(self, call: Call) -> Call:
        """The call, made when it may be made."""

        async def run(leg: Leg, chat: ChatRequest) -> ChatCompletion:
            return await self.make(call, leg, chat)

        return run

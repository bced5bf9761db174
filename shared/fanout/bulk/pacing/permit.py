"""The permission to send some requests to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from msgspec import Struct

from .ramp import Ramp
from .rate_limit_state import Reservation

if TYPE_CHECKING:
    from .rate_limiter import RateLimiter


class Permit(Struct, eq=False):
    """
    Permission for some requests of about `tokens` tokens together; entering it waits for it.

    `input_tokens` of them are those of the prompts. Set `tokens_used` once the real usage is known:
    what was not used is refunded at the end. `size` is that of one request, 1 for the mean one.
    """

    limiter: RateLimiter
    model: str
    tokens: int
    requests: int
    input_tokens: int = 0
    reservations: list[Reservation] = []
    tokens_used: int | None = None
    ramp: Ramp | None = None
    job: str = ""
    latest: float | None = None
    size: float = 1.0

    async def __aenter__(self) -> Self:
        self.reservations, self.ramp = await self.limiter.acquire(self)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.ramp is not None:
            self.ramp.leave()
        if kind is None and self.tokens_used is not None:
            for one in self.reservations:
                if one.kind == "tokens":
                    unused = 1 - self.tokens_used / max(1, self.tokens)
                    refund = Reservation("tokens", one.amount * unused, one.rate, one.burst)
                    await self.limiter.store.refund(self.model, refund)

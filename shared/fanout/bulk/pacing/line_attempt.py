"""One attempt at a line: what is sent, and what its sender may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct, field

from ...routing.leg import HeldSlots
from ..input.line_parser import Line
from ..paid_calls import PaidCalls
from .adaptive_concurrency import AdaptiveConcurrency
from .prefix_groups import PrefixCall

T = TypeVar("T")


class Repeat(Protocol):
    """Repeats a call to a model while its provider is down or rate limits it."""

    async def __call__(
        self, model: str, call: Callable[[], Awaitable[T]], retries: int | None = None, /
    ) -> T:
        """
        The result of the call; raises its last error, or `LineDeferred`.

        After another error than a rate limit, it is repeated `retries` times, or for minutes.
        """
        ...


PricedCall: TypeAlias = tuple[Line, int]
"""A call as a line of its own, and its bytes: what it may cost is estimated from both."""


Pay: TypeAlias = Callable[[PricedCall, Collection[PricedCall]], Awaitable[None]]
"""
Counts what the line's calls have cost so far, and reserves the cost of a further one. Meanwhile
only that of the others stays reserved, which are in flight. Raises `LineDeferred` if the further
one may not be sent.
"""


PayAgain: TypeAlias = Callable[[], Awaitable[bool]]
"""
Reserves what failed calls of the line have cost, which no estimate has. `False` if others hold
the budget for long, so that no further call is made now; raises `LineDeferred` if none may be.
"""


async def _call_once(
    _model: str, call: Callable[[], Awaitable[T]], _retries: int | None = None, /
) -> T:
    return await call()


async def _pay_nothing(_call: PricedCall, _others: Collection[PricedCall]) -> None:
    """For lines without a cost."""


async def _paid() -> bool:
    return True


async def _keep_nothing() -> None:
    """For lines whose calls are not stored."""


class LineRequest(Struct, frozen=True):
    """
    One attempt at a line: its request id, the seconds it may take, its size in bytes.

    `received` is called with the response's body as soon as it is there. From then on the response
    is paid for, whatever happens to the attempt. `held` gets the call's slots, which its owner
    releases when the response is stored. `paid` gets the calls that cost something, `pay` and
    `repeat` are for further ones, if a response does not fit its schema. `pay_again` comes before a
    call after one that failed. `failed` comes before the pause after a failed attempt, or call that
    is repeated, and `restart` before all calls are made again. `tier` is to be asked for, whatever
    the line names. `prefix` is the beginning that it shares with other lines. It `is_retry` if the
    line has failed before.
    """

    line: Line
    request_id: str
    deadline: float | None
    size: int = 0
    received: Callable[[object], None] = lambda _: None
    held: HeldSlots | None = None
    paid: PaidCalls = field(default_factory=PaidCalls)
    pay: Pay = _pay_nothing
    repeat: Repeat = _call_once
    pay_again: PayAgain = _paid
    failed: Callable[[], Awaitable[None]] = _keep_nothing
    restart: PayAgain = _paid
    tier: Literal["flex", "standard"] | None = None
    prefix: PrefixCall | None = None
    is_retry: bool = False


SendLine: TypeAlias = Callable[[LineRequest, AdaptiveConcurrency], Awaitable[object]]
"""Sends one line and returns the body of its response; raises the error of a failed one."""

"""
Shares the times of adaptive hedges, and their budget, with the other Lambda environments.

Nothing is loaded or called before the first request that asks for such a hedge.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from fanout.aws.open_requests import TABLE_VARIABLE
from fanout.concurrency import Success, attempt
from fanout.transport.credentials import Signer
from fanout.transport.engine import Engine

if TYPE_CHECKING:
    from fanout.routing.first_token_times import FirstTokenTimes
    from fanout.routing.shared_times import SharedTimes

T = TypeVar("T")

CHECKED_EVERY = 1.0
"""Seconds between two looks of a worker whether there is something to share."""


class LambdaHedges:
    """
    The times of this environment; `share_times` is for `open_gateway`.

    `report` gets an error if the table cannot be used, once.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        engine: Engine,
        signer: Signer,
        report: Callable[[str, BaseException], None],
    ) -> None:
        self._env, self._engine, self._signer = env, engine, signer
        self._report = report
        self._shared: SharedTimes | None = None

    def share_times(self, times: FirstTokenTimes) -> None:
        """Share these times from now on, unless the stack is of an older version."""
        from fanout.aws.dynamodb import DynamoDB
        from fanout.aws.hedge_counts import HedgeCounts
        from fanout.routing.shared_times import SharedTimes

        if table := self._env.get(TABLE_VARIABLE):
            store = HedgeCounts(table, DynamoDB(self._env, self._engine, self._signer))
            self._shared = SharedTimes(times, store, time.time, self._report)

    async def share_if_due(self) -> None:
        """Share what is new, if it is time for that."""
        if self._shared is not None:
            await self._shared.share_if_due()

    async def shared_during(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returns; meanwhile, what is new is shared whenever it is time for that."""
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._keep_sharing())
            try:
                outcome = await attempt(work)
            finally:
                keeping.cancel()
        await self.share_if_due()
        if isinstance(outcome, Success):
            value: T = outcome.value
            return value
        raise outcome.error

    async def _keep_sharing(self) -> None:
        while True:
            await asyncio.sleep(CHECKED_EVERY)
            await self.share_if_due()

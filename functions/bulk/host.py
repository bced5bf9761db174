"""
A stack's machine for the functions of jobs: opened by the first event, kept for those that follow.

boto3 is the managed runtime's own; it is not in the zip.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

import msgspec
import uvloop

from fanout.aws.credentials import AWSSigner
from fanout.aws.secrets_manager import Place, SecretsManager
from fanout.bulk.aws.batch_service import AWSBatchService
from fanout.bulk.aws.job_start import OWNER, JobStarter
from fanout.bulk.aws.lazy_service import open_stores
from fanout.bulk.aws.step_handlers import StepHandlers
from fanout.bulk.aws.step_payloads import Steps
from fanout.bulk.work.line_requests import check_model
from fanout.gateway.factory import load_catalog, make_engine, open_gateway
from fanout.settings import Settings
from functions.powertools import PowertoolsTotals

T = TypeVar("T")


class Host:
    """One event loop for the life of the environment, so that connections stay warm."""

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._settings = settings
        self._catalog = load_catalog(settings)
        self._engine = make_engine(self._catalog.general)
        place = Place.of(settings.env, settings.env["FANOUT_SECRET_PREFIX"])
        names, signer = self._catalog.secret_names, AWSSigner(settings.env)
        self._secrets = SecretsManager(self._engine, signer, place, names, draw=random.random)
        self._observer = PowertoolsTotals(settings.env["FANOUT_SERVICE"])
        self._open = AsyncExitStack()
        self._machine: StepHandlers | None = None

    def run(self, step: Callable[[StepHandlers], Awaitable[object]]) -> Any:
        """Take a step; what it says, as the state machine reads it."""
        return self._runner.run(self._run(step))

    def take(self, step: Callable[[Steps], Awaitable[object]]) -> Any:
        """Take a step in which jobs begin or end."""
        return self.run(lambda machine: step(self._steps(machine)))

    def look(self) -> Any:
        """Say how many jobs hang, if any do."""

        async def stuck(machine: StepHandlers) -> int:
            if count := await machine.stuck():
                self._observer.stuck(count)
            return count

        return self.run(stuck)

    async def _run(self, step: Callable[[StepHandlers], Awaitable[object]]) -> Any:
        machine = self._machine = self._machine or await self._make()
        try:
            async with self._secrets.fresh():
                return msgspec.to_builtins(await step(machine))
        except BaseExceptionGroup as raised:  # the state machine is told the error itself
            raise raised.exceptions[0] from None
        finally:
            self._observer.flush()

    async def _make(self) -> StepHandlers:
        gateway = await self._open.enter_async_context(
            open_gateway(
                self._settings,
                catalog=self._catalog,
                engine=self._engine,
                secrets=self._secrets,
                observer=self._observer,
            )
        )
        self._stores = open_stores(self._settings.env)
        return StepHandlers(gateway, self._stores, self._observer, tell=self._observer.lines)

    def _steps(self, machine: StepHandlers) -> Steps:
        bulk = AWSBatchService(self._stores, _not_here)
        check = partial(check_model, self._catalog, OWNER, None)
        return Steps(machine, JobStarter(bulk, self._settings.env["FANOUT_BUCKET"], check))


async def _not_here(job_id: str) -> None:
    raise AssertionError(f"`{job_id}` runs already")


host = Host(Settings.read())

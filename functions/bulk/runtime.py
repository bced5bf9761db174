"""
Runs the steps of jobs in a Lambda environment: opens everything with the first event and keeps it.

boto3 comes with Lambda's Python runtime; it is not in the zip.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import msgspec
import uvloop

from fanout.aws.credentials import AWSSigner
from fanout.aws.secrets_manager import SecretsLocation, SecretsManager
from fanout.bulk.aws.batch_service import AWSBatchService
from fanout.bulk.aws.clients import make_client
from fanout.bulk.aws.job_starter import OWNER, JobStarter
from fanout.bulk.aws.lazy_service import open_stores
from fanout.bulk.aws.repeated_steps import make_notifier, make_starter
from fanout.bulk.aws.state_transitions import StateTransitions
from fanout.bulk.aws.step_handlers import StepHandlers
from fanout.bulk.aws.worker_slots import (
    NoSlot,
    SlotRequest,
    WorkerLimits,
    WorkerSlots,
    read_account_limit,
)
from fanout.bulk.input.line_checks import check_model
from fanout.bulk.input.planner import Shard
from fanout.bulk.service.webhooks import rules_of
from fanout.bulk.steps.accounts import JobAccounts
from fanout.bulk.work.spec import WorkResult
from fanout.concurrency.garbage import collecting_rarely
from fanout.gateway.factory import load_catalog, open_gateway
from fanout.keys.opening import open_table_accounts
from fanout.settings import Settings
from functions.engine import make_lambda_engine
from functions.hedges import LambdaHedges
from functions.powertools import PowertoolsBulkObserver


class JobRuntime:
    """Keeps one event loop for the life of the environment, so that connections stay open."""

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._settings = settings
        self._catalog = load_catalog(settings)
        self._engine = make_lambda_engine(self._catalog.general)
        location = SecretsLocation.from_env(settings.env, settings.env["FANOUT_SECRET_PREFIX"])
        names, signer = self._catalog.provider_secret_names, AWSSigner(settings.env)
        self._signer = signer
        self._secrets = SecretsManager(self._engine, signer, location, names, rng=random.random)
        self._observer = PowertoolsBulkObserver(settings.env["FANOUT_SERVICE"])
        self._hedges = LambdaHedges(
            settings.env, self._engine, signer, self._observer.unexpected_error
        )
        self._open = AsyncExitStack()
        self._handlers: StepHandlers | None = None

    def run(self, step: Callable[[StepHandlers], Awaitable[object]]) -> Any:
        """Run a step; return its result as plain values, which Lambda serializes to JSON."""
        with collecting_rarely():
            return self._runner.run(self._run(step))

    def run_transition(self, step: Callable[[StateTransitions], Awaitable[object]]) -> Any:
        """Run a step in which jobs start or end."""
        return self.run(lambda handlers: step(self._transitions(handlers)))

    def run_worker(
        self,
        job_id: str,
        shard: Shard,
        seconds: float,
        *,
        workers: int,
        slots: int,
        waits: int,
    ) -> Any:
        """Run a worker, if there is a slot for it."""

        async def work(handlers: StepHandlers) -> WorkResult | NoSlot:
            request = SlotRequest(job_id, shard.index, waits)
            async with self._slots.slot(request, slots, seconds) as wait:
                if wait:
                    return NoSlot(shard.lines, wait, waits + 1)
                send = partial(handlers.work, job_id, shard, seconds, workers)
                return await self._hedges.shared_during(send)

        return self.run(work)

    def report_overdue(self) -> Any:
        """
        Count the overdue jobs, and write a metric if there are any.

        It also starts the deliveries of webhooks that could not be started at their jobs' end.
        """

        async def report(handlers: StepHandlers) -> int:
            await handlers.webhooks.start_all()
            if count := await handlers.count_overdue():
                self._observer.overdue(count)
            return count

        return self.run(report)

    async def _run(self, step: Callable[[StepHandlers], Awaitable[object]]) -> Any:
        handlers = self._handlers = self._handlers or await self._make()
        try:
            async with self._secrets.renewing():
                return msgspec.to_builtins(await step(handlers))
        except BaseExceptionGroup as raised:  # so that the state machine sees the error itself
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
                share_times=self._hedges.share_times,
            )
        )
        self._stores = open_stores(self._settings.env)
        self._slots = WorkerSlots(self._stores.table, self._stores.now)
        env = self._settings.env
        webhooks, batches = env.get("FANOUT_WEBHOOK_MACHINE"), env.get("FANOUT_BATCHES_MACHINE")
        states = make_client("stepfunctions") if webhooks or batches else None
        return StepHandlers(
            gateway,
            self._stores,
            self._observer,
            on_worked=self._observer.lines,
            notify=make_notifier(states, webhooks) if webhooks else None,
            start_batches=make_starter(states, batches) if batches else None,
            accounts=self._open_accounts(),
        )

    def _open_accounts(self) -> JobAccounts | None:
        """The accounts of the stack's virtual keys, if it has a table of them."""
        env = self._settings.env
        if "FANOUT_KEYS_TABLE" not in env:
            return None
        accounts = open_table_accounts(env, self._engine, self._signer, self._catalog)
        accounts.ledger.on_soft_budget = self._observer.soft_budget
        return accounts

    def _transitions(self, handlers: StepHandlers) -> StateTransitions:
        service = AWSBatchService(self._stores, _never_start)
        check = partial(check_model, self._catalog, self._catalog.client(OWNER))
        bucket, rules = self._settings.env["FANOUT_BUCKET"], rules_of(self._catalog)
        starter = JobStarter(service, bucket, check, rules)
        return StateTransitions(handlers, starter, self._worker_limits)

    async def _worker_limits(self, starting: Collection[str]) -> WorkerLimits:
        account = await read_account_limit(make_client("lambda"))
        return await self._slots.limits(
            int(self._settings.env["FANOUT_WORKERS"]), account, starting
        )


async def _never_start(job_id: str) -> None:
    raise AssertionError(f"`{job_id}` is running already")


runtime = JobRuntime(Settings.read())

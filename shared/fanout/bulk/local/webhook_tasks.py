"""Delivers the webhooks of this machine's jobs, in tasks beside the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from ...config.catalog import Catalog
from ...errors import NotFound
from ...telemetry.observers import Observer
from ..service.records import Job
from ..service.registry import Registry
from ..service.webhooks import rules_of

FAULT_PAUSE = 30.0
"""Seconds after which a delivery goes on if this machine failed, for example on a full disk."""


class WebhookTasks:
    """The tasks, one for each job that owes its webhook; `stopping` ends all of them."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        registry: Registry[Job],
        catalog: Catalog,
        observer: Observer,
        *,
        now: Callable[[], float],
        stopping: asyncio.Event,
    ) -> None:
        self._group = group
        self._observer = observer
        self._stopping = stopping
        self._registry = registry
        self._catalog = catalog
        self._now = now
        self._tried: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, job: Job) -> None:
        """Deliver the webhook of a job that owes it, unless that is being done."""
        if job.owed_webhook is None or job.id in self.tasks or self._stopping.is_set():
            return
        self._tried[job.id] = asyncio.Event()
        task = self.tasks[job.id] = self._group.create_task(self._deliver(job.id))
        task.add_done_callback(lambda _: self.tasks.pop(job.id, None))

    async def first_attempt(self, job: Job) -> None:
        """Wait until a delivery has made its first attempt in this process, or has ended."""
        self.start(job)
        task, tried = self.tasks.get(job.id), self._tried.get(job.id)
        if task is not None and tried is not None and not task.done():
            waiting = asyncio.ensure_future(tried.wait())
            try:
                await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()

    async def _deliver(self, job_id: str) -> None:
        """Attempt it until it is delivered or given up, or this process stops."""
        from ...transport.public_post import post
        from ..service.webhook_sender import WebhookSender

        rules = rules_of(self._catalog).addresses
        sender = WebhookSender(self._registry, self._secrets, partial(post, rules=rules), self._now)
        while not self._stopping.is_set():
            pause: float | None = FAULT_PAUSE
            try:
                pause = await sender.attempt(job_id)
            except NotFound:
                pause = None
            except Exception as error:  # noqa: BLE001 -- it is attempted again
                self._observer.unexpected_error(job_id, error)
            self._tried[job_id].set()
            if pause is None:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    async def _secrets(self, name: str) -> Sequence[str]:
        """The secrets in this variable of the environment."""
        from ...aws.secrets_manager import parse_keys

        return parse_keys(self._catalog.env.get(name, ""))

"""
The function that delivers a job's webhook: one attempt for each invocation.

It has a runtime of its own, because it may read neither providers' keys nor files.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import uvloop
from aws_lambda_powertools.utilities.parser import event_parser

from fanout.aws.credentials import AWSSigner
from fanout.aws.secrets_manager import SecretsLocation, SecretsManager
from fanout.bulk.aws.clients import make_client
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.service.batches import job_registry
from fanout.bulk.service.webhook_sender import WebhookSender
from fanout.bulk.service.webhooks import rules_of
from fanout.errors import NotFound
from fanout.gateway.factory import load_catalog
from fanout.secret import Secret
from fanout.settings import Settings
from fanout.transport.public_post import post
from functions.engine import make_lambda_engine

from .events import JobEvent


class WebhookRuntime:
    """Opens what a delivery needs, once for the life of the environment."""

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        catalog, env = load_catalog(settings), settings.env
        self._secrets = SecretsManager(
            make_lambda_engine(catalog.general),
            AWSSigner(env),
            SecretsLocation.from_env(env, env["FANOUT_SECRET_PREFIX"]),
            catalog.general.webhook_secrets,
            rng=random.random,
        )
        lifetime = int(env["FANOUT_FILE_DAYS"]) * 24 * 3600
        table = DynamoTable(make_client("dynamodb"), env["FANOUT_TABLE"], retention=lifetime)
        self._sender = WebhookSender(
            job_registry(table),
            self._values,
            partial(post, rules=rules_of(catalog).addresses),
            time.time,
        )

    def send(self, job_id: str) -> dict[str, object]:
        """Make one attempt; return whether to wait for the next one, and how many seconds."""
        wait = self._runner.run(self._send(job_id))
        return {"next": "done" if wait is None else "wait", "wait": int(wait or 0) + 1}

    async def _send(self, job_id: str) -> float | None:
        async with self._secrets.renewing():
            try:
                return await self._sender.attempt(job_id)
            except NotFound:  # the job is deleted
                return None

    async def _values(self, name: str) -> Sequence[str]:
        return await self._secrets.values(Secret(name))


runtime = WebhookRuntime(Settings.read())


@event_parser(model=JobEvent)
def handler(event: JobEvent, _context: object) -> Any:
    """Handle the invocation; return the next state."""
    return runtime.send(event.job)

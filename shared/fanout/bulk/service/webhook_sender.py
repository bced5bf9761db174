"""
Delivers the webhooks of jobs that have ended; a job's record says how far its delivery is.

So a delivery goes on after a restart, and each attempt is claimed by one process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from msgspec.structs import replace

from ...transport.engine import Outgoing
from ...transport.public_post import POST_TIMEOUT, PostFailed
from .records import Job
from .registry import Registry
from .webhooks import DELAYS, GONE, Webhook, event_body, event_id, signed_headers

CLAIM = 2 * POST_TIMEOUT
"""Seconds after which an attempt whose process has stopped is made again."""

Post: TypeAlias = Callable[[Outgoing], Awaitable[int]]
"""Sends a request to a public address and returns the status; raises `PostFailed`."""

Secrets: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""The secrets of a name: none if it has no value, several while one is replaced by another."""


class WebhookSender:
    """Sends events of jobs to their webhooks."""

    def __init__(
        self, jobs: Registry[Job], secrets: Secrets, post: Post, now: Callable[[], float]
    ) -> None:
        self._jobs = jobs
        self._secrets = secrets
        self._post = post
        self._now = now

    async def attempt(self, job_id: str) -> float | None:
        """
        Send a job's event if it is due.

        Returns the seconds until the next attempt; `None` if there is none, because the event is
        delivered or given up, or the job has not ended. Raises `NotFound` if the job is deleted.
        """
        claimed: list[Webhook] = []

        def claim(job: Job) -> Job | None:
            claimed.clear()
            webhook = job.owed_webhook
            if webhook is None or webhook.next_at > self._now():
                return None
            claimed.append(webhook)
            return replace(
                job,
                webhook=replace(
                    webhook, attempts=webhook.attempts + 1, next_at=self._now() + CLAIM
                ),
            )

        job = await self._jobs.change(job_id, claim)
        if claimed and job.webhook is not None:
            status, error = await self._send(job, job.webhook)
            number = job.webhook.attempts

            def settle(now: Job) -> Job | None:
                webhook = now.owed_webhook
                if webhook is None:
                    return None
                return replace(now, webhook=self._settled(webhook, number, status, error))

            job = await self._jobs.change(job_id, settle)
        webhook = job.owed_webhook
        return None if webhook is None else max(0.0, webhook.next_at - self._now())

    def _settled(
        self, webhook: Webhook, number: int, status: int | None, error: str | None
    ) -> Webhook:
        """The webhook after an attempt."""
        now = self._now()
        if error is None:
            return replace(webhook, delivered_at=int(now), error=None)
        if status == GONE or number > len(DELAYS):
            return replace(webhook, failed_at=int(now), error=error)
        return replace(webhook, next_at=now + DELAYS[number - 1], error=error)

    async def _send(self, job: Job, webhook: Webhook) -> tuple[int | None, str | None]:
        """Send the event; the response's status, and why the attempt failed, if it did."""
        secrets = await self._secrets(webhook.secret)
        if not secrets:
            return None, f"the secret `{webhook.secret}` has no value"
        body = event_body(job.id, job.status, job.ended_at or int(self._now()))
        try:
            headers = signed_headers(event_id(job.id), int(self._now()), body, secrets)
        except ValueError:
            return None, f"the secret `{webhook.secret}` begins with `whsec_` and is not base64"
        try:
            status = await self._post(Outgoing("POST", webhook.url, headers, body))
        except PostFailed as error:
            return None, str(error)
        is_ok = 200 <= status < 300  # noqa: PLR2004
        return status, None if is_ok else f"the response has the status {status}"

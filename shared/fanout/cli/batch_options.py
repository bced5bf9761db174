"""What a command changes in a job that it resumes: its cap, lanes, order and webhook."""

from __future__ import annotations

from msgspec.structs import replace

from ..bulk.lanes import NO_BATCHES_HERE, choose_native
from ..bulk.service.records import Job
from ..bulk.service.webhooks import FieldNames, NewWebhook, Webhook, check_webhook, rules_of
from ..errors import RequestError
from .batch_backend import (
    BatchBackend,
)
from .batch_input import BatchInput

KEEPS_BATCHES = (
    "the job {job} may have batches at its providers, which would be paid for twice: resume it "
    "with the lane and `--native` that it has, or cancel it"
)


WEBHOOK_OPTIONS = FieldNames("--webhook", "--webhook-secret")


async def checked_webhook(backend: BatchBackend, given: NewWebhook | None) -> Webhook | None:
    """The webhook, by the rules of the config; on this machine, its secret must be there."""
    if given is None:
        return None
    catalog = await backend.catalog()
    rules = rules_of(catalog)
    if not backend.is_remote and not catalog.client_keys:
        rules = replace(rules, secrets=None)
    webhook = check_webhook(given, rules, WEBHOOK_OPTIONS)
    if not backend.is_remote and not catalog.env.get(webhook.secret):
        raise RequestError(
            f"`--webhook-secret`: the environment has no `{webhook.secret}`", "webhook-secret"
        )
    return webhook


def check_native(backend: BatchBackend, given: BatchInput) -> None:
    """Raise `RequestError` if batches are asked for where there are none."""
    if given.native not in {None, "never"} and not backend.jobs.has_batches:
        raise RequestError(NO_BATCHES_HERE.format(name="--native"), "native")


async def with_higher_cap(
    backend: BatchBackend, job: Job, cap: int | None
) -> tuple[Job, int | None]:
    """
    The job, and its cap; of a job that ended at a lower cap, the retry with what is left of this.

    Both are in nanodollars; a retry's cap does not include what was spent before.
    """
    spent = 0
    while (
        cap is not None
        and job.reason == "capped"
        and job.error_file_id is not None
        and cap > spent + (job.max_cost or 0)
    ):
        spent += (await backend.jobs.totals(job)).cost
        job = await backend.jobs.retry(job.id, backend.owner, max_cost=cap - spent)
    return job, None if cap is None else cap - spent


async def with_options(
    backend: BatchBackend,
    job: Job,
    cap: int | None,
    given: BatchInput,
    webhook: Webhook | None,
) -> Job:
    """A resumed job takes the new command's cap, and its lanes, order and webhook if any."""
    if job.is_over:
        return job
    lane, webhook = given.lane or job.lane, webhook or job.webhook
    native = job.native
    if given.native is not None or job.lane != lane:
        native = choose_native(
            given.native, lane, has_batches=backend.jobs.has_batches, name="--native"
        )
    order = given.order or job.order
    changes = {"max_cost": cap, "lane": lane, "native": native, "webhook": webhook, "order": order}
    if all(getattr(job, name) == value for name, value in changes.items()):
        return job
    if native == "never" != job.native:
        raise RequestError(KEEPS_BATCHES.format(job=job.id), "native")
    return await backend.jobs.registry.change(
        job.id,
        lambda now: replace(now, **changes),
    )

"""Starts the state machine that delivers webhooks: one execution for each job that has one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ...wire import json
from .clients import ClientError, call, error_code


def make_notifier(client: Any, machine: str) -> Callable[[str], Awaitable[None]]:
    """A function that starts the delivery of a job's webhook, unless it was started before."""

    async def notify(job_id: str) -> None:
        text = json.encode({"job": job_id}).decode()
        try:
            await call(client.start_execution, stateMachineArn=machine, name=job_id, input=text)
        except ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise

    return notify

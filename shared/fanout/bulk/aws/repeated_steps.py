"""Starts the state machines that repeat a step of a job: webhooks, and native batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ...wire import json
from .clients import ClientError, call, error_code


def make_starter(client: Any, machine: str) -> Callable[[str, str], Awaitable[None]]:
    """A function that starts an execution for a job, unless one of that name was started before."""

    async def start(name: str, job_id: str) -> None:
        text = json.encode({"job": job_id}).decode()
        try:
            await call(client.start_execution, stateMachineArn=machine, name=name, input=text)
        except ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise

    return start


def make_notifier(client: Any, machine: str) -> Callable[[str], Awaitable[None]]:
    """A function that starts the delivery of a job's webhook, unless it was started before."""
    start = make_starter(client, machine)
    return lambda job_id: start(job_id, job_id)

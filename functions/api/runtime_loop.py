"""
The loop that serves invocations: ask for one, run the app, stream its response, ask again.

On classic Lambda one invocation is served at a time. On Lambda Managed Instances many are served at
once, in one process:
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-managed-instances
(2026-11).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fanout.http.asgi import Receive, Scope, Send
from fanout.server.lifespan import Lifespan
from fanout.wire import json

from .idle_threads import wait_for_idle_threads
from .proxy_event import NotHTTP, read_event
from .runtime_api import FunctionError, Invocation, RuntimeAPI, RuntimeAPIError
from .streamed_response import StreamedResponse

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
ReportBug: TypeAlias = Callable[[str, BaseException], None]

TRACE_VARIABLE = "_X_AMZN_TRACE_ID"
"""Where AWS's libraries look for the trace of the invocation."""

END_MARGIN = 1.0
"""
Seconds before an invocation's end at which the loop cancels the app, which should have responded by
then. On Managed Instances nothing else would stop it:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-execution-environment.html
(2026-11).
"""

MAX_EXTRA_TASKS = 64
"""Tasks that finish a response, or have connected already, beside those that ask or serve."""

MAX_FAILURES = 5
RETRY_DELAY = 0.1
"""Seconds until a task asks again after a second failure in a row; each further time is longer."""

LATE = FunctionError(
    "Function.TimedOut", "the app had not ended when the invocation's time was over"
)


class StartError(Exception):
    """The app cannot start; the message says why."""


def log_warning(message: str, request_id: str) -> None:
    """Write a line of JSON to standard error, which Lambda logs."""
    line = {"level": "WARNING", "message": message, "function_request_id": request_id}
    sys.stderr.write(f"{json.encode(line).decode()}\n")


class RuntimeLoop:
    """
    Serves invocations of the Runtime API with an ASGI app, `concurrency` at the same time.

    `report_bug` gets the exceptions that the app raises, `warn` what the Runtime API rejects and
    what the app has not ended in time. A process that serves one invocation at a time is frozen
    after it: `settle` waits for what the app has left to other threads. `now` is the time in
    seconds since 1970, in which the invocations' deadlines are.
    """

    def __init__(
        self,
        app: App,
        api: RuntimeAPI,
        *,
        report_bug: ReportBug,
        warn: Callable[[str, str], None] = log_warning,
        settle: Callable[[], Awaitable[None]] = wait_for_idle_threads,
        concurrency: int = 1,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._api = api
        self._report_bug = report_bug
        self._warn = warn
        self._settle = settle
        self._concurrency = concurrency
        self._now = now
        self._slots = asyncio.Semaphore(concurrency)

    async def serve(self) -> str:
        """
        Start the app and serve until the Runtime API is gone; return how that was noticed.

        Raises `StartError` if the app cannot start.
        """
        lifespan = Lifespan()
        reason = ""
        async with asyncio.TaskGroup() as group:
            group.create_task(lifespan.run(self._app))
            failure = await lifespan.started
            if failure is None:
                reason = await self._serve_all()
            lifespan.ended.set()
        if failure is not None:
            raise StartError(failure)
        return reason

    async def _serve_all(self) -> str:
        reasons: list[str] = []
        extra = min(self._concurrency, MAX_EXTRA_TASKS) if self._concurrency > 1 else 0
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency + extra):
                    group.create_task(self._serve_forever(group))
        except* RuntimeAPIError as gone:
            reasons += [str(error) for error in gone.exceptions]
        return reasons[0]

    async def _serve_forever(self, group: asyncio.TaskGroup) -> None:
        """Serve one invocation after the other; a failure of one connection ends no other."""
        failures = 0
        while True:
            try:
                await self._serve_one(group)
            except RuntimeAPIError:
                failures += 1
                if self._concurrency == 1 or failures == MAX_FAILURES:
                    raise
                await asyncio.sleep(RETRY_DELAY * (failures - 1))
            else:
                failures = 0

    async def _serve_one(self, group: asyncio.TaskGroup) -> None:
        """
        Ask for an invocation and serve it.

        A slot is held from asking until the whole response is written. Then another task, which has
        connected already, asks at once: Lambda rejects requests that no task has asked for.
        """
        async with self._api.connect() as connection:
            async with self._slots:
                invocation = await connection.next()
                if self._concurrency == 1:  # the variable is that of the whole process
                    os.environ[TRACE_VARIABLE] = invocation.trace_id
                response = StreamedResponse(connection, invocation)
                watching = group.create_task(response.watch())
                await self._serve_invocation(invocation, response)
            await watching
        if response.rejection is not None:
            self._warn(response.rejection, invocation.id)

    async def _serve_invocation(self, invocation: Invocation, response: StreamedResponse) -> None:
        """Send the whole response; what is not sent when the invocation ends is dropped."""
        left = invocation.deadline - self._now()
        try:
            async with asyncio.timeout(left):
                error = await self._respond(invocation, response, left - END_MARGIN)
                if self._concurrency == 1:
                    await self._settle()
                await response.end(error)
        except TimeoutError:
            response.drop()

    async def _respond(
        self, invocation: Invocation, response: StreamedResponse, seconds: float
    ) -> FunctionError | None:
        """Let the app respond within `seconds`; return the error of an invocation that failed."""
        response.close_after(seconds)
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                scope, body = read_event(invocation.event, invocation.deadline)
                response.expect(scope["method"], body)
                await self._app(scope, response.receive, response.send)
        except NotHTTP as error:
            return FunctionError("Function.NotAnHTTPRequest", str(error))
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return self._failed(invocation, error)
        except Exception as error:  # noqa: BLE001 -- a bug of one request must not end the others
            if not limit.expired():
                return self._failed(invocation, error)
        if limit.expired():
            self._warn(LATE.message, invocation.id)
            return LATE
        return None

    def _failed(self, invocation: Invocation, error: BaseException) -> FunctionError:
        """Report what the app has raised; return the invocation's error."""
        self._report_bug(invocation.id, error)
        kind = type(error).__name__
        return FunctionError("Function.UnhandledError", f"the app raised {kind}; see its log")


def _is_cancelled() -> bool:
    """Whether the task itself is cancelled; an app may raise `CancelledError` without that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

"""
Runs the app in the loop over invocations: `python -m functions.api`, by `runtime.sh`.

AWS sends no signal before it ends an environment without extensions, so nothing depends on one.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Mapping

from fanout.wire import json

from .runtime_api import FunctionError, RuntimeAPI, RuntimeAPIError
from .runtime_loop import RuntimeLoop, StartError
from .snapshot import wait_for_restore


async def main(env: Mapping[str, str]) -> int:
    """
    Serve invocations until the Runtime API is gone; return the process's exit code.

    If the app cannot start, the Runtime API gets the reason, which Lambda shows and logs.
    """
    api = RuntimeAPI(env["AWS_LAMBDA_RUNTIME_API"])
    restored = False
    try:
        from .app import app, concurrency, observer

        restored = await wait_for_restore(api, env)
        loop = RuntimeLoop(app, api, report_bug=observer.unexpected_error, concurrency=concurrency)
        _log(await loop.serve())
    except Exception as error:  # noqa: BLE001 -- whatever it is, Lambda shows it
        _log("the function cannot start", stack_trace=traceback.format_exc())
        await _report(api, error, restored=restored)
    return 1


async def _report(api: RuntimeAPI, error: Exception, *, restored: bool) -> None:
    """Report why the app does not start: the message if it is written for users, else its type."""
    from fanout.errors import FanoutError

    is_public = isinstance(error, FanoutError | StartError)
    message = str(error) if is_public else f"{type(error).__name__}; see the function's log"
    try:
        await api.report_start_failure(
            FunctionError("Runtime.StartFailed", message), restored=restored
        )
    except RuntimeAPIError as gone:
        _log(str(gone))


def _log(message: str, **more: str) -> None:
    """Write a line of JSON, the only format that Managed Instances take."""
    line = {"level": "ERROR", "message": message, **more}
    sys.stderr.write(f"{json.encode(line).decode()}\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main(os.environ)))

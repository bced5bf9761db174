"""Calls that block, such as those on files, outside the event loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """
    Run the call in a thread.

    A cancelled wait ends when the call has ended: no file is closed while it is written.
    """
    running = asyncio.get_running_loop().run_in_executor(None, partial(call, *args, **options))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # it is not raised: the caller is cancelled
        raise

"""Time limits."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

_UNLIMITED: AbstractAsyncContextManager[object] = nullcontext()


def within(seconds: float | None) -> AbstractAsyncContextManager[object]:
    """`asyncio.timeout` for the block; no limit costs nothing."""
    return _UNLIMITED if seconds is None else asyncio.timeout(seconds)

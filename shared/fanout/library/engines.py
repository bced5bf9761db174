"""The engine of a call: the running loop's own, or one over the caller's httpx client."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from weakref import WeakKeyDictionary

from ..errors import RequestError
from ..transport.engine import Engine
from .errors import ForkedProcess

_engines: WeakKeyDictionary[asyncio.AbstractEventLoop, Engine] = WeakKeyDictionary()
_processes: set[int] = set()


def client_of(options: dict[str, Any]) -> Any:
    """The option `http_client`, which is taken out."""
    if (client := options.pop("http_client", None)) is not None:
        from ..transport.client_engine import is_client  # few calls have one

        if not is_client(client):
            raise RequestError("`http_client` must be a client of httpx or httpx2", "http_client")
    return client


def engine_of(client: Any) -> Engine:
    """The engine over this client, or the loop's own one if it is `None`."""
    if client is None:
        return loop_engine()
    from ..transport.client_engine import ClientEngine

    return ClientEngine(client)


def loop_engine() -> Engine:
    """The running loop's engine: its connections are shared by all calls on that loop."""
    _processes.add(os.getpid())
    if len(_processes) > 1:
        raise ForkedProcess
    loop = asyncio.get_running_loop()
    if (engine := _engines.get(loop)) is None:
        for old in [each for each in _engines if each.is_closed()]:
            del _engines[old]
        from ..transport.connection_pool import PyqwestEngine

        engine = _engines[loop] = PyqwestEngine()
    return engine

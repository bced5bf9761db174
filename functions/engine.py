"""The HTTP engine of a Lambda's process."""

from __future__ import annotations

from fanout.config.model import GeneralSettings
from fanout.gateway.factory import make_engine
from fanout.transport.engine import IDLE_TIMEOUT, Engine

FROZEN_IDLE_TIMEOUT = 15.0
"""
Seconds for which a process that Lambda freezes between invocations keeps an unused connection.

A frozen process does not see that a provider closes a connection, and the next call over it would
fail. The shorter the time, the fewer such calls: https://github.com/awslabs/llrt/issues/209
(2026-11).
"""


def make_lambda_engine(general: GeneralSettings, *, is_frozen: bool = True) -> Engine:
    """
    An engine with the config's limits and timeouts.

    It soon closes unused connections, unless the process is never frozen.

    pyqwest, which providers with TLS need, is loaded here and not with the first request: the start
    of a function's process has a whole core.
    """
    if general.http_client != "httpx":
        import fanout.transport.pyqwest_connection  # noqa: F401 -- only loads it
    return make_engine(general, idle_timeout=FROZEN_IDLE_TIMEOUT if is_frozen else IDLE_TIMEOUT)

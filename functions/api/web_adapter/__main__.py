"""
Runs the app under uvicorn, where the Web Adapter expects it.

`python -m functions.api.web_adapter PORT` does it.

The socket listens before the app is imported, so the adapter's first readiness check waits instead
of failing and being repeated. Several environments may share a port: an emulator runs them on one
machine.
"""

from __future__ import annotations

import socket
import sys

import uvicorn

from fanout.server.limits import BACKLOG

SHUTDOWN = 0.2
"""
Seconds for requests in flight when the environment is shut down.

Under an external extension, such as the Web Adapter, a runtime gets 300 ms of AWS's 2 s:
https://github.com/aws-samples/graceful-shutdown-with-aws-lambda (2026-11).
"""

KEEP_ALIVE = 65
"""Seconds for which an idle connection stays open; the Web Adapter reuses one for up to 4 s."""


def main() -> None:
    """Serve until the environment is shut down."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", int(sys.argv[1])))
        listener.listen(BACKLOG)
        config = uvicorn.Config(
            "functions.api.web_adapter.served:app",
            log_level="warning",
            access_log=False,
            lifespan="on",
            server_header=False,
            ws="none",
            # Only passed to `asyncio.wait_for`, though typed as an int.
            timeout_graceful_shutdown=SHUTDOWN,  # type: ignore[arg-type]
            timeout_keep_alive=KEEP_ALIVE,
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

"""
Runs the app under uvicorn, where the Web Adapter expects it: `python -m functions.api PORT`.

The socket listens before the app is imported, so the adapter's first readiness check waits instead
of failing and being repeated. Several environments may share a port: an emulator runs them on one
machine.
"""

from __future__ import annotations

import socket
import sys

import uvicorn

BACKLOG = 2048
SHUTDOWN = 2
"""Seconds for requests in flight when the environment is shut down; AWS gives no more."""


def main() -> None:
    """Serve until the environment is shut down."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", int(sys.argv[1])))
        listener.listen(BACKLOG)
        config = uvicorn.Config(
            "functions.api.app:app",
            log_level="warning",
            access_log=False,
            lifespan="on",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=SHUTDOWN,
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

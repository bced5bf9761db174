"""
The app under uvicorn, where the Web Adapter looks for it: `python -m functions.api PORT`.

The socket listens before the app is imported, so the adapter's first question waits and is not
asked again. Environments of one function may share it, as those do that rehearse on one machine.
"""

from __future__ import annotations

import socket
import sys

import uvicorn

BACKLOG = 2048
GRACE = 2
"""Seconds for what is under way when the environment is taken down: AWS gives no more."""


def main() -> None:
    """Serve until the environment is taken down."""
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
            timeout_graceful_shutdown=GRACE,
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

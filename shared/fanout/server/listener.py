"""Sets the options of sockets that listen. Opens none."""

from __future__ import annotations

import socket
import sys


def claim_address(listener: socket.socket) -> None:
    """
    Let the socket have its address for itself, also right after an earlier owner's end.

    POSIX needs `SO_REUSEADDR` for the latter. On Windows that option would take the address from a
    process that uses it:
    https://learn.microsoft.com/en-us/windows/win32/winsock/using-so-reuseaddr-and-so-exclusiveaddruse
    """
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

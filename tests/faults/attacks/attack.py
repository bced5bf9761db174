"""What attacks have in common: what they report, raw connections, and the gateway's memory."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any

from msgspec import Struct

from tests.faults.gateway_process import Gateway
from tests.faults.report import Figure
from tests.support.patience import PATIENCE

MB = 1_000_000
PIECE = 1 << 16
KEY = {"authorization": "Bearer sk-master"}
HI = [{"role": "user", "content": "Hi"}]
SPACING = 0.02
"""Seconds between two requests of another client."""


class Attack(Struct, frozen=True):
    """An attack or a fault: its name, what was done, and what was measured."""

    name: str
    what: str
    figures: Sequence[Figure]


def count(what: str, value: float, most: float = 0) -> Figure:
    """A number that may be at most `most`."""
    return Figure(what, value, most)


def fails(what: str, *, if_not: bool) -> Figure:
    """A fact that must hold: 0 if it does."""
    return Figure(what, int(not if_not), 0)


def seconds(what: str, value: float, most: float) -> Figure:
    """A time, which is not judged on a busy machine."""
    return Figure(what, value, most, "s", timed=True)


def megabytes(what: str, value: float, most: float) -> Figure:
    return Figure(what, value, most, "MB")


class Usage(Struct):
    """How much the gateway's memory grew in a block, and how long other clients waited."""

    growth: float = 0.0
    longest: float = 0.0

    def figures(self, most_mb: float, most_seconds: float = 1.0) -> list[Figure]:
        return [
            megabytes("memory", self.growth, most_mb),
            seconds("another client waits", self.longest, most_seconds),
        ]


@contextmanager
def watched(served: Gateway, headers: Mapping[str, str] = KEY) -> Iterator[Usage]:
    """Measure the peak of the gateway's memory, and what a small request takes meanwhile."""
    usage, ended = Usage(), threading.Event()

    def ask() -> None:
        while not ended.wait(SPACING):
            began = time.perf_counter()
            with suppress(OSError, HTTPException), served.ask(None, "/v1/models", "GET", headers):
                pass
            usage.longest = max(usage.longest, time.perf_counter() - began)

    other = threading.Thread(target=ask)
    before = served.memory()
    served.reset_peak()
    other.start()
    try:
        yield usage
    finally:
        ended.set()
        other.join()
    usage.growth = max(served.memory("VmHWM") - before, 0.0)


def connect(port: int, patience: float = 15.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=patience)


def read_all(sock: socket.socket) -> bytes:
    """What comes until the end of the connection, or until nothing comes."""
    received = b""
    with suppress(OSError):
        while part := sock.recv(PIECE):
            received += part
    return received


def raw(port: int, *parts: bytes, between: float = 0.0, patience: float = 15.0) -> bytes:
    """
    Send bytes as they are, and return what comes until the connection ends.

    If something has come and nothing more comes for `patience` seconds, that is all.
    """
    with connect(port, PATIENCE) as sock:
        for index, part in enumerate(parts):
            time.sleep(between if index else 0)
            with suppress(OSError):
                sock.sendall(part)
        with suppress(OSError):
            sock.recv(1, socket.MSG_PEEK)
        sock.settimeout(patience)
        return read_all(sock)


def flood(port: int, begin: bytes, piece: bytes, most: int) -> tuple[float, bytes]:
    """Send until the gateway closes, or `most` bytes are sent: the MB sent, and the responses."""
    block = piece * max(1, PIECE // len(piece))
    sent = 0
    with connect(port) as sock:
        with suppress(OSError):
            sock.sendall(begin)
            while sent < most:
                sock.sendall(block)
                sent += len(block)
        return sent / MB, read_all(sock)


def statuses(received: bytes) -> list[int]:
    """The statuses of all responses in these bytes."""
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


def others(found: Sequence[int], *expected: int) -> int:
    """How many statuses are not among the expected ones; a missing response is one, too."""
    return sum(status not in expected for status in found) + (not found)


def named(names: Sequence[str]) -> str:
    """What failed, for the end of a figure's text."""
    return f" ({', '.join(names)})" if names else ""


def until(fact: Callable[[], Any], patience: float = 30.0) -> Any:
    """Wait until the fact holds."""
    end = time.perf_counter() + patience
    while not (found := fact()):
        if time.perf_counter() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)
    return found


def form(data: bytes, name: str = "in.jsonl") -> tuple[bytes, dict[str, str]]:
    """A file for jobs as a form, and its headers."""
    part = '--B\r\ncontent-disposition: form-data; name="'
    head = f'{part}purpose"\r\n\r\nbatch\r\n{part}file"; filename="{name}"\r\n\r\n'
    content = {"content-type": "multipart/form-data; boundary=B"}
    return head.encode() + data + b"\r\n--B--\r\n", content

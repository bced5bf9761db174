"""
Sends raw bytes to `fanout serve`: pipelined, cut, broken and endless requests, the same each time.

Every request has an id, which its response repeats. So the ids of a connection's responses show
whether each complete request got exactly one response, in order, and whether bytes of a body were
taken for a request (request smuggling). The process's memory and sockets are watched from outside.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from tests.support.patience import PATIENCE

SMUGGLED = b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-request-id: smuggled\r\n\r\n"
MEMORY = 40_000_000
"""Bytes by which the process may grow in a run."""

ENDLESS = 3_000_000
"""Bytes sent of what has no end."""


class Sent(Struct, frozen=True):
    """The bytes of one connection, the ids of its complete requests, and whether junk follows."""

    data: bytes
    ids: list[str]
    has_head: frozenset[str]
    has_junk: bool = False


# ---- valid requests ----


class Generator:
    """Makes requests; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 -- not for secrets
        self._count = 0

    def connection(self) -> Sent:
        """Some requests behind one another, the last of which ends the connection."""
        rng, parts, ids, heads = self.random, [], [], set()
        count = rng.randint(1, 12)
        has_junk = rng.random() < 0.3
        for index in range(count):
            is_last = index == count - 1 and not has_junk
            data, name, is_head = self._request(is_last=is_last)
            parts.append(data)
            ids.append(name)
            heads |= {name} if is_head else set()
        junk = rng.choice(JUNK)(rng) if has_junk else b""
        return Sent(b"".join(parts) + junk, ids, frozenset(heads), has_junk)

    def _request(self, *, is_last: bool) -> tuple[bytes, str, bool]:
        rng = self.random
        self._count += 1
        name = f"r{self._count}"
        method, path = rng.choice(
            [("GET", "/health"), ("HEAD", "/health"), ("POST", "/v1/chat/completions"),
             ("GET", "/nope"), ("POST", "/v1/files"), ("DELETE", "/v1/files/x"),
             ("GET", "http://localhost/health")]
        )  # fmt: skip
        version = "1.0" if is_last and rng.random() < 0.2 else "1.1"
        lines = [f"{method} {path} HTTP/{version}", self._spelled("Host: localhost")]
        lines += [f"X-Request-Id: {name}", *self._noise()]
        if is_last:
            lines += ["Connection: close"]
        body_lines, body = self._body(is_old=version == "1.0")
        if rng.random() < 0.25 and not is_last:
            lines += ["Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQ"]
            lines += [f"Upgrade: {rng.choice(['h2c', 'websocket', 'anything'])}"]
        lines += body_lines
        rng.shuffle(tail := lines[1:])
        head = "\r\n".join([lines[0], *tail, "", ""]).encode("latin-1")
        return b"\r\n" * rng.choice([0, 0, 0, 1]) + head + body, name, method == "HEAD"

    def _body(self, *, is_old: bool) -> tuple[list[str], bytes]:
        rng = self.random
        content = rng.choice(
            [b"", b"{}", SMUGGLED, SMUGGLED * 3, rng.randbytes(rng.randint(1, 3_000)),
             b"0\r\n\r\n" + SMUGGLED, bytes(rng.randint(1, 200_000))]
        )  # fmt: skip
        if is_old or rng.random() < 0.5:
            return ([f"Content-Length: {len(content)}"] if content else []), content
        chunks, at = b"", 0
        while at < len(content):
            size = rng.choice([1, 7, 1_000, 100_000]) if at + 50 < len(content) else len(content)
            part = content[at : at + size]
            extension = rng.choice([b"", b"", b";a", b';a="b"'])
            chunks += b"%x%b\r\n%b\r\n" % (len(part), extension, part)
            at += len(part)
            if len(chunks) > 400_000:
                break
        trailer = rng.choice([b"", b"authorization: Bearer x\r\n", b"x-request-id: smuggled\r\n"])
        return ["Transfer-Encoding: chunked"], chunks + b"0\r\n" + trailer + b"\r\n"

    def _noise(self) -> list[str]:
        rng = self.random
        return [
            f"X-{rng.randint(0, 99)}: {'y' * rng.randint(0, 300)}" for _ in range(rng.randint(0, 9))
        ]

    def _spelled(self, line: str) -> str:
        name, colon, value = line.partition(":")
        spelled = self.random.choice([str.lower, str.upper, str.title])(name)
        return spelled + colon + self.random.choice(["", " ", "  ", "\t"]) + value.strip()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The bytes in random pieces."""
        cuts = sorted({self.random.randint(1, len(data)) for _ in range(self.random.randint(0, 8))})
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            if start < end:
                yield data[start:end]

    def mutated(self, data: bytes) -> bytes:
        """The bytes with a few changes."""
        changed = bytearray(data)
        for _ in range(self.random.randint(1, 5)):
            at = self.random.randrange(len(changed))
            what = self.random.randrange(3)
            if what == 0:
                changed[at] = self.random.randrange(256)
            elif what == 1:
                del changed[at : at + self.random.randint(1, 20)]
            else:
                changed[at:at] = self.random.choice(
                    [
                        b"\r\n",
                        b"\n",
                        b" ",
                        b"\x00",
                        b":",
                        b"transfer-encoding: chunked\r\n",
                        SMUGGLED,
                    ]
                )
            if not changed:
                break
        return bytes(changed)


Junk = Callable[[random.Random], bytes]
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
JUNK: list[Junk] = [
    lambda rng: b"\x16\x03\x01" + rng.randbytes(50),
    lambda _: b"nonsense\r\n\r\n" + SMUGGLED,
    lambda _: HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    lambda _: HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\n" + SMUGGLED,
    lambda _: HEAD + b"host: other\r\n\r\n" + SMUGGLED,
    lambda _: HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    lambda _: HEAD + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    lambda _: HEAD + b"x: y\r\n z\r\n\r\n" + SMUGGLED,
    lambda _: b"GET / HTTP/1.1\r\n\r\n" + SMUGGLED,
    lambda _: b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n" + SMUGGLED,
    lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
]
"""What ends a connection with one error. None of them may let the request behind it through."""

CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
WITHOUT_END = {
    "a head": (b"GET / HTTP/1.1\r\nx: ", b"y" * 1_000),
    "headers": (b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 100),
    "a path": (b"GET /", b"y" * 1_000),
    "trailers": (CHUNKED + b"0\r\n", b"x: y\r\n" * 100),
    "a trailer": (CHUNKED + b"0\r\nx: ", b"y" * 1_000),
    "an extension": (CHUNKED + b"3;", b"y" * 1_000),
    "small chunks": (CHUNKED, b"1\r\nx\r\n" * 100),
    "small chunks with extensions": (CHUNKED, b"1;xxxxxxxxxxxxxxxxxxx\r\nz\r\n" * 30),
    "a chunk": (CHUNKED + b"fffffff\r\n", b"x" * 1_000),
    "a body": (HEAD + b"content-length: 999999999\r\n\r\n", b"x" * 1_000),
    "requests": (b"", b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n" * 20),
    "big responses": (b"", b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 20),
    "upgrades": (b"", HEAD + b"connection: upgrade\r\nupgrade: x\r\n\r\n" * 20),
    "empty lines": (b"", b"\r\n" * 500),
    "zeros": (b"", bytes(1_000)),
}


# ---- what comes back ----


class Response(Struct, frozen=True):
    status: int
    request_id: str


def read_responses(received: bytes, has_head: frozenset[str]) -> list[Response]:
    """All responses in these bytes; raises if they are not whole HTTP responses."""
    found = []
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        assert end, head
        first, *lines = head.split(b"\r\n")
        assert first.startswith(b"HTTP/1.1 "), first
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        response = Response(int(first.split()[1]), headers[b"x-request-id"].decode())
        if response.status >= 400:
            assert headers[b"content-type"] == b"application/json", head
        if response.request_id not in has_head:
            length = int(headers[b"content-length"])
            assert len(received) >= length, (head, received[:1_000])
            received = received[length:]
        found.append(response)
    return found


class RawClient:
    """Sends to a gateway with a key on `port`, which runs as the process `pid`."""

    def __init__(self, port: int, pid: int, seed: int) -> None:
        self._port = port
        self._pid = pid
        self._make = Generator(seed)
        self.sent = 0

    def _connect(self) -> socket.socket:
        self.sent += 1
        return socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)

    def memory(self) -> int:
        """The bytes of memory that the process holds."""
        return int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * 4096

    def files(self) -> int:
        """How many files and sockets the process has open."""
        return len(os.listdir(f"/proc/{self._pid}/fd"))  # noqa: PTH208 -- entries may vanish

    def valid(self) -> None:
        """Each request gets one response, in order; junk behind them gets one error."""
        sent = self._make.connection()
        found = read_responses(self._exchange(sent.data), sent.has_head)
        ids = [response.request_id for response in found]
        assert ids[: len(sent.ids)] == sent.ids, (ids, sent.ids, sent.data[:5_000])
        rest = found[len(sent.ids) :]
        assert len(rest) == sent.has_junk, (rest, sent.data[-2_000:])
        assert all(response.status in {400, 431} for response in rest), (rest, sent.data[-2_000:])

    def broken(self) -> None:
        """Whatever the bytes are, responses are whole, and no request has two."""
        sent = self._make.connection()
        data = self._make.mutated(sent.data)
        received = self._exchange(data, is_whole=False)
        heads = frozenset(sent.has_head)
        if received and not heads:  # a changed method may be HEAD, or a HEAD another method
            ids = [one.request_id for one in _whole_responses(received)]
            known = [name for name in ids if name in sent.ids]
            assert len(known) == len(set(known)), (known, data[:5_000])

    def _exchange(self, data: bytes, *, is_whole: bool = True) -> bytes:
        """Send the bytes in pieces, and return what comes until the end of the connection."""
        received = b""
        with self._connect() as sock:
            try:
                for piece in self._make.pieces(data):
                    sock.sendall(piece)
                if not is_whole:
                    sock.shutdown(socket.SHUT_WR)
                while part := sock.recv(65_536):
                    received += part
            except OSError:
                if is_whole:
                    raise
        return received

    def endless(self, name: str) -> socket.socket:
        """Send something without end, unread; returns the connection."""
        begin, on = WITHOUT_END[name]
        sock = self._connect()
        sock.settimeout(0.2)  # the server may stop reading: then the rest is not sent
        try:
            sock.sendall(begin)
            for _ in range(ENDLESS // len(on)):
                sock.sendall(on)
        except (ConnectionError, TimeoutError):
            pass
        return sock

    def is_serving(self) -> bool:
        """Whether a new client is served."""
        received = self._exchange(
            b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        return received.startswith(b"HTTP/1.1 200 ")


def _whole_responses(received: bytes) -> list[Response]:
    """The responses before the first one that is cut or has no id."""
    try:
        return read_responses(received, frozenset())
    except (AssertionError, KeyError, ValueError):
        return []


def fuzz_connections(client: RawClient, count: int, held: int, seconds: float) -> None:
    """
    Send `count` connections with requests and hold `held` endless ones open, for at most `seconds`.

    Raises if a response is wrong, if the process grows, or if it keeps sockets.
    """
    until = time.monotonic() + seconds
    client.valid()  # what is loaded at the first request is no leak
    files, memory = client.files(), client.memory()
    for index in range(count):
        client.valid() if index % 3 else client.broken()
        if time.monotonic() > until:
            break
    endless = [client.endless(name) for _ in range(held) for name in WITHOUT_END]
    assert client.is_serving()
    grown = client.memory() - memory
    for sock in endless:
        sock.close()
    assert grown < MEMORY, f"the process grew by {grown / 1_000_000:.0f} MB"
    end = time.monotonic() + PATIENCE
    while client.files() > files and time.monotonic() < end:
        time.sleep(0.05)
    assert client.files() <= files, "sockets are left open"
    assert client.is_serving()

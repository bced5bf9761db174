"""Raw bytes of clients without a key: endless, cut, pipelined, ambiguous."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.faults.gateway_process import Gateway, gateway, model_list
from tests.faults.report import Figure
from tests.support.provider_steps import answers
from tests.support.scripted_provider import open_upstream

from .attack import (
    HI,
    KEY,
    MB,
    Attack,
    connect,
    count,
    fails,
    flood,
    megabytes,
    named,
    others,
    raw,
    read_all,
    seconds,
    statuses,
    watched,
)

POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
GET = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
AUTHORIZATION = b"authorization: Bearer sk-master\r\n"

DROPPED = "a body without a key"
ENDLESS = {
    "trailers without end": (CHUNKED + b"0\r\n", b"a: b\r\n"),
    "one trailer without end": (CHUNKED + b"0\r\na: ", b"b" * 100),
    "a chunk's extension without end": (CHUNKED + b"5;", b"a" * 100),
    "chunks of one byte": (CHUNKED, b"1\r\nx\r\n"),
    "headers without end": (b"GET / HTTP/1.1\r\n", b"a: b\r\n"),
    "one header without end": (b"GET / HTTP/1.1\r\na: ", b"b" * 100),
    "a path without end": (b"GET /", b"a" * 100),
    DROPPED: (POST + b"content-length: 999999999\r\n\r\n", b"x" * 1_000),
}
MOST = 30 * MB
AFTER = 8.0
"""
MB that the system's buffers and the gateway may take before the connection is closed. A body whose
response is sent is read and dropped for 30 s.
"""

PIPELINED = GET.replace(b"/v1/models", b"/openapi.json") + b"\r\n"
SMUGGLED = GET + AUTHORIZATION + b"\r\n"

AMBIGUOUS = {
    "two keys": GET + AUTHORIZATION + b"authorization: Bearer x\r\n\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\n" + AUTHORIZATION + b"\r\n",
    "two hosts": GET + b"host: other\r\n" + AUTHORIZATION + b"\r\n",
    "two lengths": POST + AUTHORIZATION + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}}",
    "a length and chunks": POST
    + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": GET + b"x: y\r\n z\r\n" + AUTHORIZATION + b"\r\n",
    "no HTTP": b"nonsense\r\n\r\n",
}


def measure(folder: Path, *, quick: bool = False) -> Iterator[Attack]:
    """All of them, on one gateway with a key; without the slow ones if `quick`."""
    with open_upstream() as upstream:
        upstream.script("ok", answers("Hello"))
        models = model_list([("ok", upstream.url, {"api_key": "none"})])
        general = {"master_key": "sk-master", "max_requests": 1_000}
        config = {"model_list": models, "general_settings": general}
        with gateway(config, folder, quiet=True) as served:
            served.chat({"model": "ok", "messages": HI}, KEY)
            for name, (begin, piece) in ENDLESS.items():
                yield _endless(served, name, begin, piece, MOST // 10 if quick else MOST)
            yield _pipelined(served)
            yield _upgrade(served)
            yield _trailer_key(served)
            yield _ambiguous(served)
            yield _old_http(served)
            if not quick:
                yield _silent(served)
        if not quick:
            yield _half_heads(config, folder)


def _endless(served: Gateway, name: str, begin: bytes, piece: bytes, most: int) -> Attack:
    with watched(served) as usage:
        sent, received = flood(served.port, begin, piece, most)
    figures = [
        megabytes(
            "sent before the connection is closed",
            sent,
            most / MB + 1 if name == DROPPED else AFTER,
        ),
        count("responses of 200", statuses(received).count(200)),
        *usage.figures(6),
    ]
    return Attack(name, f"one connection sends up to {most / MB:.0f} MB", figures)


def _pipelined(served: Gateway) -> Attack:
    with watched(served) as usage, connect(served.port, 2) as sock:
        sock.setblocking(False)
        data = memoryview(PIPELINED * 8_333)
        sent = 0
        for _ in range(40):
            try:
                sent += sock.send(data[sent:])
            except BlockingIOError:
                time.sleep(0.05)
        sock.settimeout(2)
        found = statuses(read_all(sock))
    return Attack(
        "pipelined requests",
        "8,333 requests at once, and no response is read for 2 s",
        [count("responses", len(found), 17), *usage.figures(10)],
    )


def _upgrade(served: Gateway) -> Attack:
    head = POST + AUTHORIZATION + b"connection: Upgrade\r\nupgrade: h2c\r\n"
    length = b"content-length: %d\r\n\r\n"
    attack = raw(served.port, head + length % len(SMUGGLED), SMUGGLED, between=0.3, patience=1)
    body = b'{"model": "ok", "messages": [{"role": "user", "content": "Hi"}]}'
    good = raw(served.port, head + length % len(body), body, between=0.3, patience=2)
    return Attack(
        "`Upgrade`, and a request as the body",
        "a POST with `Upgrade: h2c`, whose body is a request that comes 0.3 s later",
        [
            count("responses", len(statuses(attack)), 1),
            count("responses of 200 to the body", statuses(attack).count(200)),
            fails("a correct POST with `Upgrade` fails", if_not=statuses(good) == [200]),
        ],
    )


def _trailer_key(served: Gateway) -> Attack:
    body = b"2\r\n{}\r\n0\r\n"
    request = POST + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    found = statuses(raw(served.port, request + body + AUTHORIZATION + b"\r\n"))
    return Attack(
        "a key in a trailer",
        "the key comes behind the body only",
        [count("responses other than 401", others(found, 401))],
    )


def _ambiguous(served: Gateway) -> Attack:
    found = {name: raw(served.port, data, patience=3) for name, data in AMBIGUOUS.items()}
    wrong = [name for name, data in found.items() if statuses(data) != [400]]
    plain = [name for name, data in found.items() if b"application/json" not in data]
    return Attack(
        "requests that two servers could read differently",
        ", ".join(AMBIGUOUS),
        [
            count("responses other than one 400" + named(wrong), len(wrong)),
            count("400s that are no JSON" + named(plain), len(plain)),
        ],
    )


def _old_http(served: Gateway) -> Attack:
    body = b'{"model": "ok", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}'
    head = POST.replace(b"HTTP/1.1", b"HTTP/1.0") + AUTHORIZATION
    received = raw(served.port, head + b"content-length: %d\r\n\r\n" % len(body) + body)
    return Attack(
        "HTTP/1.0",
        "a client of HTTP/1.0 asks for a stream",
        [
            fails("it is not complete", if_not=b"[DONE]" in received),
            fails("it is in chunks", if_not=b"transfer-encoding" not in received.lower()),
        ],
    )


def _silent(served: Gateway) -> Attack:
    """Connections that send nothing or half a head, and 500 heads of 60 kB."""
    begins = [b"", b"GET / HTTP/1.1\r\nhost: x\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\nx: "]
    with watched(served) as usage, ExitStack() as stack:
        socks = [stack.enter_context(connect(served.port, 30)) for _ in range(500)]
        for index, sock in enumerate(socks):
            begin = begins[index % len(begins)]
            sock.sendall(begin + (b"y" * 60_000 if begin.endswith(b": ") else b""))
        began = time.perf_counter()
        received = [read_all(sock) for sock in socks]
        took = time.perf_counter() - began
    found = [statuses(one) for one in received]
    return Attack(
        "connections that say nothing, or half",
        "500 connections with nothing, empty lines, or half a head of up to 60 kB",
        [
            Figure("closed after", took, 15, "s", timed=True),
            count("responses other than 408", sum(one not in ([408], []) for one in found)),
            *usage.figures(60),
        ],
    )


def _half_heads(config: Mapping[str, object], folder: Path) -> Attack:
    with gateway(config, folder, quiet=True, max_files=300) as served, ExitStack() as stack:
        before = served.files()
        for _ in range(300):
            sock = stack.enter_context(connect(served.port))
            sock.sendall(b"GET / HTTP/1.1\r\n")
        began = time.perf_counter()
        found = [served.chat({"model": "ok", "messages": HI}, KEY).status for _ in range(10)]
        took = time.perf_counter() - began
        more = served.files() - before
    return Attack(
        "half heads take all sockets",
        "300 half heads on a process with 300 file descriptors, then 10 requests with a key",
        [
            count("responses other than 200", others(found, 200)),
            count("sockets", more, 200),
            seconds("all 10 are served within", took, 5),
        ],
    )

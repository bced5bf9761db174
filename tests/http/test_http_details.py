"""HEAD, compressed bodies, the way out in a 404, two keys, and how a body is weighed."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools
import json
import socket
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fanout.http.asgi import Message, Receive, read_body
from fanout.http.content_encoding import PIECE, unpacked
from fanout.wire.json import decode, decode_strict
from fanout.wire.json_size import decoded_size
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

CHAT = {"model": "a", "messages": [{"role": "user", "content": "Hi"}]}
BODY = json.dumps(CHAT).encode()
KEY = {"authorization": "Bearer sk-master"}


@pytest.fixture(scope="module")
def keyed(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway with a key and small limits."""
    general = {"master_key": "sk-master", "max_request_size_mb": 2, "max_body_memory_mb": 8}
    with serve({"model_list": [entry(provider, "a")], "general_settings": general}) as served:
        yield served


# ---- HEAD ----


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/models/a", "/openapi.json"])
def test_head_has_gets_status_and_headers_and_no_body(server: RunningGateway, path: str) -> None:
    changing = {"x-request-id", "date"}
    found = []
    for method in ("GET", "HEAD"):
        with server.ask(None, path, method) as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            kept = {name: value for name, value in headers.items() if name not in changing}
            found.append((response.status, kept))
            if method == "HEAD":
                assert response.read() == b""
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/models/nope", 404), ("/nope", 404), ("/v1/chat/completions", 405)]
)
def test_head_of_what_get_has_not_is_the_same_error(
    server: RunningGateway, path: str, status: int
) -> None:
    with server.ask(None, path, "HEAD") as response:
        assert (response.status, response.read()) == (status, b"")


def test_a_head_request_needs_the_key(keyed: RunningGateway) -> None:
    with keyed.ask(None, "/v1/models", "HEAD") as response:
        assert response.status == 401


# ---- Content-Encoding ----


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "two members": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without a head": ("deflate", raw_deflate),
    "identity": ("identity", lambda data: data),
}


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_packed_body_is_unpacked(
    server: RunningGateway,
    upstream: Upstream,
    encoding: str,
    pack: Callable[[bytes], bytes],
    *,
    is_chunked: bool,
) -> None:
    upstream.script("a", answers("read"))
    content = "".join(chr(97 + index * index % 26) for index in range(300_000))
    body = {"model": "a", "messages": [{"role": "user", "content": content}]}
    packed = pack(json.dumps(body).encode())
    sent: Any = iter([packed[at : at + 7] for at in range(0, len(packed), 7)])
    status = send(server, sent if is_chunked else packed, {"content-encoding": encoding})
    assert status == 200
    assert upstream.calls[0].body["messages"] == body["messages"]


def send(server: RunningGateway, body: Any, headers: dict[str, str]) -> int:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        chunked = not isinstance(body, bytes)
        connection.request("POST", "/v1/chat/completions", body, headers, encode_chunked=chunked)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    "body",
    [BODY, gzip.compress(BODY)[:-4], gzip.compress(BODY) + b"more", b"", gzip.compress(BODY)[:20]],
    ids=["plain", "cut", "more", "empty", "half"],
)
def test_a_body_that_is_not_packed_so_is_a_400(server: RunningGateway, body: bytes) -> None:
    status, _, response = server.json(body, headers={"content-encoding": "gzip"})
    assert (status, response["error"]["message"]) == (
        400,
        "the body is not valid `gzip`, its `Content-Encoding`",
    )


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", ""])
def test_another_encoding_is_a_415_that_names_what_is_accepted(
    server: RunningGateway, encoding: str
) -> None:
    status, headers, response = server.json(BODY, headers={"content-encoding": encoding})
    assert (status, headers["accept-encoding"]) == (415, "gzip, deflate")
    assert "`gzip` or `deflate`" in response["error"]["message"]


def test_a_bomb_is_a_413_within_the_limit_of_a_body(keyed: RunningGateway) -> None:
    bomb = gzip.compress(b'{"model": "' + b"x" * 100_000_000 + b'"}')
    before = resident()
    status, _, response = keyed.json(bomb, headers=KEY | {"content-encoding": "gzip"})
    assert (status, response["error"]["code"]) == (413, "request_too_large")
    assert resident() - before < 40_000_000


EMPTY_MEMBER, EMPTY_BLOCK = gzip.compress(b""), b"\x00\x00\x00\xff\xff"

FILLED = {
    "empty gzip members": ("gzip", gzip.compress(BODY) + EMPTY_MEMBER * 10_000),
    "empty members first": ("gzip", EMPTY_MEMBER * 10_000 + gzip.compress(BODY)),
    "empty blocks of deflate": ("deflate", EMPTY_BLOCK * 100_000 + raw_deflate(BODY)),
}


@pytest.mark.parametrize(("encoding", "body"), FILLED.values(), ids=FILLED)
def test_a_packed_body_has_a_bounded_share_of_bytes_that_unpack_to_nothing(
    server: RunningGateway, encoding: str, body: bytes
) -> None:
    status, _, response = server.json(body, headers={"content-encoding": encoding})
    assert (status, response["error"]["message"]) == (
        400,
        f"the body has too many bytes of `{encoding}` for its content",
    )


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.values(), ids=PACKERS)
def test_a_packed_body_may_come_in_any_parts(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    texts = [b"", b"{}", b"x" * PIECE, b"x" * (PIECE + 1), hashlib.shake_256().digest(PIECE * 2)]
    for text, size in itertools.product(texts, [1, 2, 7, 8_192, 1 << 20]):
        packed = pack(text)
        if size < 8 and len(packed) > 10_000:  # it would take long
            continue
        assert asyncio.run(read_unpacked(packed, size, encoding)) == text


async def read_unpacked(packed: bytes, size: int, encoding: str) -> bytes:
    receive = receive_parts(packed, size)
    if encoding != "identity":
        receive = unpacked(receive, encoding)
    return await read_body(receive, {}, 1 << 20, lambda _: None)


def receive_parts(data: bytes, size: int) -> Receive:
    """`receive` for a body that comes in parts of so many bytes."""
    starts = iter(range(0, len(data) or 1, size))

    async def receive() -> Message:
        part = data[(start := next(starts)) : start + size]
        return {"type": "http.request", "body": part, "more_body": start + size < len(data)}

    return receive


def test_a_body_in_small_parts_takes_little_more_memory_than_its_bytes() -> None:
    body = bytes(range(256)) * 2_000
    tracemalloc.start()
    try:
        assert asyncio.run(read_body(receive_parts(body, 2), {}, 1 << 20, lambda _: None)) == body
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(body)


def resident() -> int:
    """The bytes that this process holds in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096


# ---- what a body becomes ----

SHAPES = {
    "empty objects": b"[" + b",".join([b"{}"] * 50_000) + b"]",
    "empty lists": b"[" + b",".join([b"[]"] * 50_000) + b"]",
    "lists in lists": b"[" + b",".join([b"[[]]"] * 50_000) + b"]",
    "objects": b"[" + b",".join([b'{"a":1}'] * 50_000) + b"]",
    "strings": b"[" + b",".join([b'"ab"'] * 50_000) + b"]",
    "numbers": b"[" + b",".join([b"1.5"] * 50_000) + b"]",
    "messages": b"[" + b",".join([b'{"role":"user","content":"hi"}'] * 50_000) + b"]",
}


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_the_size_of_decoded_values_is_estimated_without_decoding(data: bytes) -> None:
    tracemalloc.start()
    value = decode(data)
    real = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(value) == 50_000
    assert 0.8 * real < decoded_size(data) + len(data) < 6 * real


@pytest.mark.parametrize(
    "text", ["a,b:{c[", '\\"', "\\\\", '"{"a":[1,2]}"', "\\" * 65_535, '\\"' * 40_000]
)
def test_separators_in_strings_do_not_count(text: str) -> None:
    commas = "," * (len(text) // 40 + 1)
    data = json.dumps([(text + commas) * (2_000_000 // len(text))]).encode()
    for shift in range(3):
        assert decoded_size(b" " * shift + data) <= 64


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("x" * 99_999 + "😀", 3),
        ("x" * 99_999 + "ű", 1),
        ("é" * 100_000, 0),
        ("😀" * 50_000, 0),
        (r"\u00e9" * 50_000, 0),
        (r"\\ud83d" * 50_000, 0),
        (r"\ud83d\ude00" + "x" * 100_000, 3),
        (r"\u0151" + "x" * 100_000, 1),
    ],
)
def test_a_text_is_counted_by_the_width_of_its_characters(text: str, size: int) -> None:
    data = b'{"a":"' + text.encode() + b'"}'
    assert decoded_size(data) / len(data) == pytest.approx(size, abs=0.02)
    real = sys.getsizeof(decode(data)["a"])
    assert 0.98 * real < decoded_size(data) + len(data)


def test_strings_of_escapes_are_checked_in_the_memory_of_their_text() -> None:
    data = b'{"a":"' + rb"\u00e9" * 500_000 + b'"}'
    tracemalloc.start()
    try:
        decode_strict(data)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data)
    finally:
        tracemalloc.stop()


def test_many_small_values_are_a_413(keyed: RunningGateway) -> None:
    body = b'{"model": "a", "messages": [' + b"{}," * 600_000 + b"{}]}"
    before = resident()
    status, _, response = keyed.json(body, headers=KEY)
    assert (status, response["error"]["code"]) == (413, "request_too_large")
    assert "max_body_memory_mb" in response["error"]["message"]
    assert resident() - before < 20_000_000


def test_a_long_text_with_commas_is_not_many_values(
    keyed: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("read"))
    text = {"role": "user", "content": '{"a": [1, 2, 3]}, ' * 90_000}
    assert keyed.json({"model": "a", "messages": [text]}, headers=KEY)[0] == 200


# ---- two keys, and paths ----


@pytest.mark.parametrize("header", ["authorization", "Api-Key", "x-api-key", "x-litellm-api-key"])
def test_two_keys_are_a_400(keyed: RunningGateway, header: str) -> None:
    key = f"{header}: Bearer sk-master\r\n".encode()
    with socket.create_connection(("127.0.0.1", keyed.port), timeout=PATIENCE) as sock:
        sock.sendall(
            b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + key * 2 + b"\r\n"
        )
        assert sock.recv(65_536).split()[1] == b"400"


def test_a_key_in_a_trailer_is_none(keyed: RunningGateway) -> None:
    with socket.create_connection(("127.0.0.1", keyed.port), timeout=PATIENCE) as sock:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        chunk = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
        key = b"authorization: Bearer sk-master\r\n\r\n"
        sock.sendall(head + b"transfer-encoding: chunked\r\n\r\n" + chunk + key)
        assert sock.recv(65_536).split()[1] == b"401"


@pytest.mark.parametrize(
    ("path", "way_out"),
    [
        ("/v1/responses/resp_1", "nothing is stored"),
        ("/v1/messages/batches", "count_tokens"),
        ("/v1/completions", "`user` message"),
        ("/v1/images/generations", "for chat and for embeddings only"),
        ("/v1/audio/transcriptions", "for chat and for embeddings only"),
        ("/api/chat", "not Ollama's"),
        ("/v1/v1/chat/completions", "base URL"),
        ("/nope", "POST /v1/chat/completions"),
    ],
)
def test_an_unknown_path_names_the_way_out(server: RunningGateway, path: str, way_out: str) -> None:
    status, _, response = server.json({}, path)
    assert status == 404
    assert way_out in response["error"]["message"]
    assert "`POST /v1/chat/completions`" in response["error"]["message"]

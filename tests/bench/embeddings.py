"""
Measures one request for the vectors of many texts, next to the provider's calls without a gateway.

The stub is cheap: it has each entry of a response ready. `python -m tests.bench.embeddings PORT`
serves it; without a port, the module measures and prints.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Self

from .report import Figure, Section, page
from .servers import OURS, ROOT, Server, free_port, run_server

TEXTS, LENGTH, WIDTH = 100_000, 200, 1_536
PART, AT_ONCE = 2_048, 7
"""Inputs of a call, as OpenAI allows; calls at a time, as many as the gateway makes."""

LATENCY = 1.0
"""Seconds after which the provider responds; 0 shows what the gateway itself takes."""

TIMES = 1.3
MEGABYTES = 700.0
"""What the gateway may take: of the bare calls' time, and of memory."""

MODELS = {"0": "at once", "m": f"after {LATENCY:g} s"}
"""The names of the models, and when each responds; the last one is compared with the target."""

VECTOR = base64.b64encode(struct.pack(f"<{WIDTH}f", *([0.0123] * WIDTH)))
PATH = "/v1/embeddings"
_HEALTH = b"GET /v1/health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


async def serve_stub(port: int) -> None:
    """Serve the provider until the process ends."""
    entry = b'{"object":"embedding","index":%d,"embedding":"' + VECTOR + b'"}'
    entries = [entry % index for index in range(PART)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            body = await reader.readexactly(_length(head))
            content = b"{}"
            if body:
                await asyncio.sleep(0 if head.startswith(b"POST /0/") else LATENCY)
                count = len(json.loads(body)["input"])
                usage = b'],"usage":{"prompt_tokens":%d,"total_tokens":%d}}' % (count, count)
                content = b'{"object":"list","data":[' + b",".join(entries[:count]) + usage
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            writer.write(b"content-length: %d\r\n\r\n" % len(content))
            writer.write(content)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20)
    await server.serve_forever()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _length(head: bytes) -> int:
    found = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return int(found or 0)


async def send(port: int, texts: Sequence[str], model: str, path: str = PATH) -> int:
    """Send one request, and read its response; the number of bytes."""
    body = json.dumps({"model": model, "input": texts, "encoding_format": "base64"}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    head = (f"POST {path} HTTP/1.1", "host: 127.0.0.1", "connection: close")
    more = ("content-type: application/json", f"content-length: {len(body)}", "", "")
    writer.write("\r\n".join([*head, *more]).encode() + body)
    size = 0
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"{status!r} {(await reader.read(2000))!r}")
    received = await reader.readuntil(b"\r\n\r\n")
    length = _length(received)
    while data := await reader.read(1 << 20):
        size += len(data)
        if length and size >= length:
            break
    writer.close()
    return size


async def send_bare(port: int, texts: Sequence[str], model: str) -> int:
    """Send the calls to the provider itself, `AT_ONCE` at a time; the number of bytes."""
    parts = iter([texts[at : at + PART] for at in range(0, len(texts), PART)])
    sizes: list[int] = []

    async def work() -> None:
        for part in parts:
            size = await send(port, part, model, f"/{model}{PATH}")
            sizes.append(size)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return sum(sizes)


def measure(repeats: int = 3) -> Section:
    """The time of one request next to that of the bare calls, and the gateway's memory."""
    texts = [f"{index:06d} ".ljust(LENGTH, "x") for index in range(TEXTS)]
    stub_port, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        entries = [
            {
                "model_name": model,
                "litellm_params": {
                    "model": "openai/text-embedding-3-small",
                    "api_base": f"http://127.0.0.1:{stub_port}/{model}/v1",
                    "api_key": "k",
                },
            }
            for model in MODELS
        ]
        config.write_text(json.dumps({"model_list": entries}))
        stub: list[str | Path] = [sys.executable, "-m", "tests.bench.embeddings", str(stub_port)]
        own: list[str | Path] = [
            OURS / "python",
            "-m",
            "fanout",
            "serve",
            "--quiet",
            "--port",
            str(port),
        ]
        with (
            run_server("stub", stub, stub_port, _HEALTH),
            run_server(
                "fanout",
                [*own, "--config", config],
                port,
                _HEALTH,
                env={"PYTHONPATH": str(ROOT / "shared")},
            ) as server,
        ):
            return _section(stub_port, server, texts, repeats)


def _section(stub_port: int, server: Server, texts: Sequence[str], repeats: int) -> Section:
    bare: dict[str, list[float]] = {model: [] for model in MODELS}
    ours: dict[str, list[float]] = {model: [] for model in MODELS}
    before = server.memory()
    with _Peak(server) as peak:
        for _ in range(repeats):
            for model in MODELS:
                began = time.perf_counter()
                asyncio.run(send_bare(stub_port, texts, model))
                bare[model].append(time.perf_counter() - began)
                began = time.perf_counter()
                size = asyncio.run(send(server.port, texts, model))
                ours[model].append(time.perf_counter() - began)
    rows = []
    for model, what in MODELS.items():
        times = median(one / other for one, other in zip(ours[model], bare[model], strict=True))
        seconds = f"{median(bare[model]):.2f} s", f"{median(ours[model]):.2f} s"
        rows.append([what, *seconds, f"{times:.2f} x"])
    note = (
        f"{TEXTS:,} texts of {LENGTH} characters; vectors of {WIDTH:,} numbers in base64, "
        f"{size / 1e6:.0f} MB in all. The calls without a gateway have {PART:,} texts each, "
        f"{AT_ONCE} at a time. Medians of {repeats} rounds. The gateway takes {before:.0f} MB "
        f"before, and at most {peak.most:.0f} MB. If the provider responds at once, all the time "
        "is that of bytes, and one process reads and writes them here. So that row has no target."
    )
    figures = [
        Figure("embeddings: time next to the bare calls", times, TIMES, "x"),
        Figure("embeddings: the gateway's memory", peak.most, MEGABYTES, "MB"),
    ]
    header = ["the provider responds", "bare calls", "**Fanout**, one request", ""]
    return Section("Embeddings", note, header, rows, figures)


class _Peak:
    """The most memory of a server during a block, in megabytes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.05):
            self.most = max(self.most, self._server.memory())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(serve_stub(int(sys.argv[1])))
    else:
        print(page([], [measure()]))

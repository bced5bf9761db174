"""A response that is read as it arrives may be larger than one that is read as a whole."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import ProviderError
from fanout.gateway.factory import open_gateway
from fanout.settings import Settings
from fanout.transport.engine import MAX_RESPONSE_BYTES
from fanout.wire.http import WireRequest

PART = b"x" * 1_000_000
PARTS = MAX_RESPONSE_BYTES // len(PART) + 3


class _Files(BaseHTTPRequestHandler):
    """A large file; `/missing` is none, and `/cut` breaks off."""

    def do_GET(self) -> None:
        assert self.headers["authorization"] == "Bearer k"
        is_there = not self.path.endswith("/missing")
        self.send_response(200 if is_there else 404)
        self.send_header("content-length", str(PARTS * len(PART) if is_there else 0))
        self.end_headers()
        for _ in range(0 if not is_there else 2 if self.path.endswith("/cut") else PARTS):
            self.wfile.write(PART)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def test_a_file_is_read_as_it_arrives_whatever_its_size_and_status() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    entry = {"model": "openai/m", "api_base": url, "api_key": "k"}
    settings = {"model_list": [{"model_name": "m", "litellm_params": entry}]}
    catalog = resolve(check(settings, {}), {})
    (deployment,) = catalog.find("m")

    async def main() -> None:
        async with open_gateway(Settings(), catalog=catalog) as gateway:

            async def size(name: str) -> tuple[int, int]:
                found = 0
                request = WireRequest(f"/files/{name}", b"", "GET")
                async with gateway.open(deployment, request) as response:
                    async for part in response.body:
                        found += len(part)
                    return response.status, found

            assert await size("large") == (200, PARTS * len(PART))
            assert await size("missing") == (404, 0)
            with pytest.raises(ProviderError):
                await size("cut")
            with pytest.raises(ProviderError):
                await gateway.exchange(deployment, WireRequest("/files/large", b"", "GET"))

    try:
        asyncio.run(main())
    finally:
        server.shutdown()
        server.server_close()

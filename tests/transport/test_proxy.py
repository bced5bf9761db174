"""Proxies from the environment, as curl reads them; each case runs in its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.forward_proxy import Proxy, open_proxy
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

SHARED = Path(__file__).parents[2] / "shared"
SCRIPT = """
import asyncio, pathlib, sys
from fanout.transport.engine import Outgoing
from fanout.transport.connection_pool import PyqwestEngine

async def main():
    engine = PyqwestEngine(ca_pem=pathlib.Path(sys.argv[2]).read_bytes())
    headers = {"authorization": "Bearer marker"}
    request = Outgoing("POST", sys.argv[1] + "/v1/chat/completions", headers, b'{"model": "a"}')
    print((await engine.send(request)).status)
    async with engine.stream(request) as incoming:
        print(incoming.status)
    await engine.aclose()

asyncio.run(main())
"""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with open_proxy() as serving:
        yield serving


def statuses(url: str, pem: Path, **env: str) -> list[str]:
    """The statuses that a process with this environment gets from `url`."""
    command = [sys.executable, "-c", SCRIPT, url, str(pem)]
    env["PYTHONPATH"] = str(SHARED)
    done = subprocess.run(  # noqa: S603 -- our own
        command, env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def pem(ca: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


def test_a_plain_http_request_goes_to_the_proxy_with_its_whole_url(proxy: Proxy, pem: Path) -> None:
    assert statuses("http://provider.test", pem, HTTP_PROXY=proxy.url) == ["200", "200"]
    assert proxy.targets == ["POST http://provider.test/v1/chat/completions"] * 2


@pytest.mark.parametrize("kind", ["http1", "http2"])
def test_https_goes_through_a_tunnel_that_sees_no_key(
    proxy: Proxy, pem: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)
    upstream.script("a", answers())
    assert statuses(upstream.url, pem, HTTPS_PROXY=proxy.url) == ["200", "200"]
    host = upstream.url.removeprefix("https://")
    assert set(proxy.targets) == {f"CONNECT {host}"}
    assert b"marker" not in b"".join(proxy.heads)
    assert {call.protocol for call in upstream.calls} == {"h2" if kind == "http2" else "http/1.1"}


def test_no_proxy_is_respected(proxy: Proxy, pem: Path, http2: Upstream) -> None:
    http2.script("a", answers())
    env = {"HTTPS_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}
    assert statuses(http2.url, pem, **env) == ["200", "200"]
    assert proxy.targets == []

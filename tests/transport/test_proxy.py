"""Proxies from the environment, as curl reads them; each case runs in its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.forward_proxy import Proxy, behind_proxy, open_proxy
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

SHARED = Path(__file__).parents[2] / "shared"
SCRIPT = """
import asyncio, pathlib, sys
from fanout.transport.engine import EngineError, Outgoing
from fanout.transport.connection_pool import PyqwestEngine

async def main():
    engine = PyqwestEngine(ca_pem=pathlib.Path(sys.argv[2]).read_bytes())
    headers = {"authorization": "Bearer marker"}
    request = Outgoing("POST", sys.argv[1] + "/v1/chat/completions", headers, b'{"model": "a"}')
    try:
        print((await engine.send(request)).status)
        async with engine.stream(request) as incoming:
            print(incoming.status)
    except EngineError as error:
        print(type(error).__name__)
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
        command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
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
    url = behind_proxy(upstream.url)
    assert statuses(url, pem, HTTPS_PROXY=proxy.url) == ["200", "200"]
    host = url.removeprefix("https://")
    assert set(proxy.targets) == {f"CONNECT {host}"}
    assert b"marker" not in b"".join(proxy.heads)
    assert {call.protocol for call in upstream.calls} == {"h2" if kind == "http2" else "http/1.1"}


def test_no_proxy_is_respected(proxy: Proxy, pem: Path) -> None:
    env = {"HTTP_PROXY": proxy.url, "NO_PROXY": "other.test"}
    assert statuses("http://provider.test", pem, **env) == ["200", "200"]
    assert len(proxy.targets) == 2
    env["NO_PROXY"] = "provider.test"
    assert statuses("http://provider.test", pem, **env) == ["ConnectFailed"]
    assert len(proxy.targets) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "127.1.2.3"])
def test_a_server_on_this_machine_is_called_without_a_proxy(
    proxy: Proxy, pem: Path, plain: Upstream, host: str
) -> None:
    plain.script("a", answers())
    url = plain.url.replace("127.0.0.1", host)
    env = dict.fromkeys(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"], proxy.url)
    found = statuses(url, pem, **env)
    assert proxy.targets == []
    assert found == ["200", "200"] if host != "127.1.2.3" else ["ConnectFailed"]


@pytest.mark.parametrize("kind", ["http1", "http2"])
def test_a_tls_server_on_this_machine_is_called_without_a_proxy(
    proxy: Proxy, pem: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)
    upstream.script("a", answers())
    assert statuses(upstream.url, pem, HTTPS_PROXY=proxy.url) == ["200", "200"]
    assert proxy.targets == []
    assert {call.protocol for call in upstream.calls} == {"h2" if kind == "http2" else "http/1.1"}

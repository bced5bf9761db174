"""Which hosts and web pages may use a gateway, with a key and without, and CORS."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import ConfigError
from fanout.http.web_origins import WebOrigins
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.in_process import AppResponse, InProcess, run_in_process
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

BODY = json.dumps({"model": "a", "messages": [{"role": "user", "content": "Hi"}]}).encode()
MODELS = {"model_name": "a", "litellm_params": {"model": "openai/a", "api_key": "k"}}
PAGE = "https://app.example.com"


class Asker:
    """Requests to gateways with different settings, each of which runs until the last test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._apps: dict[str, InProcess] = {}

    def __call__(
        self,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        general: Mapping[str, Any] = {},
        **headers: Any,
    ) -> AppResponse:
        """The response of a gateway with these settings; `_` in a header's name becomes `-`."""
        given = [
            (name.replace("_", "-").encode(), str(text).encode()) for name, text in headers.items()
        ]
        key = json.dumps(general)
        if key not in self._apps:
            config = {"model_list": [MODELS], "general_settings": dict(general)}
            self._apps[key] = self._stack.enter_context(run_in_process(config))
        return self._apps[key].ask(method, path, [BODY if method == "POST" else b""], given)


@pytest.fixture(scope="module")
def ask() -> Iterator[Asker]:
    with ExitStack() as stack:
        yield Asker(stack)


# ---- without a key ----

OWN = ["localhost", "localhost:4000", "LOCALHOST:80", "127.0.0.1:4000", "127.1.2.3", "[::1]:4000"]
FOREIGN = [
    "evil.example",
    "evil.example:4000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.168.1.7:4000",
    "[::2]",
    "0.0.0.0",  # noqa: S104 -- a host of a URL
    "xlocalhost",
    "localhost:4000:80",
]


@pytest.mark.parametrize("host", OWN)
def test_without_a_key_this_machines_names_are_served(ask: Asker, host: str) -> None:
    assert ask(host=host).status == 200


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/chat/completions"), ("GET", "/v1/files"), ("GET", "/health")]
)
def test_without_a_key_a_foreign_host_is_a_421(
    ask: Asker, host: str, method: str, path: str
) -> None:
    response = ask(method, path, host=host)
    assert (response.status, response.error["code"]) == (421, "unknown_host")
    assert "allowed_hosts" in response.error["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1:4000"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {
            "sec_fetch_site": "cross-site",
            "sec_fetch_mode": "navigate",
            "sec_fetch_dest": "document",
        },
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/files"),
        ("DELETE", "/v1/files/x"),
        ("OPTIONS", "/v1/chat/completions"),
        ("GET", "/v1/models"),
    ],
)
def test_without_a_key_other_pages_are_a_403(
    ask: Asker, headers: dict[str, Any], method: str, path: str
) -> None:
    response = ask(method, path, host="localhost:4000", **headers)
    assert (response.status, response.error["code"]) == (403, "cross_site_request")
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost:4000", "sec_fetch_site": "same-origin"},
        {"origin": "http://localhost:4000"},
        {"sec_fetch_site": "none"},
        {},
    ],
)
def test_the_gateways_own_page_and_programs_are_served(ask: Asker, headers: dict[str, Any]) -> None:
    assert ask(host="localhost:4000", **headers).status == 200


@pytest.mark.parametrize(
    ("mode", "dest", "is_open"),
    [("navigate", "document", True), ("navigate", "iframe", False), ("no-cors", "script", False)],
)
def test_a_link_on_another_page_opens_the_gateways_page(
    ask: Asker, mode: str, dest: str, *, is_open: bool
) -> None:
    fetch = {"sec_fetch_site": "cross-site", "sec_fetch_mode": mode, "sec_fetch_dest": dest}
    response = ask("GET", "/", {"page": True}, host="localhost", **fetch)
    assert response.status == (200 if is_open else 403)


def test_more_hosts_can_be_allowed(ask: Asker) -> None:
    allowed = {"allowed_hosts": ["host.docker.internal", "lan.example:81"]}
    for host, status in {
        "host.docker.internal:4000": 200,
        "Host.Docker.Internal": 200,
        "lan.example:81": 200,
        "lan.example:82": 421,
        "localhost": 200,
        "evil.example": 421,
    }.items():
        assert ask(general=allowed, host=host).status == status, host


def test_every_host_can_be_allowed(ask: Asker) -> None:
    assert ask(general={"allowed_hosts": ["*"]}, host="evil.example").status == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("host: evil.example", b"421"),
        ("host: localhost\r\nsec-fetch-site: cross-site", b"403"),
        ("host: localhost\r\norigin: https://evil.example", b"403"),
    ],
)
def test_they_are_rejected_before_the_body_has_come(
    server: RunningGateway, upstream: Upstream, header: str, status: bytes
) -> None:
    upstream.script("a", answers())
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        head = f"POST /v1/chat/completions HTTP/1.1\r\n{header}\r\ncontent-length: 1000\r\n\r\n"
        sock.sendall(head.encode())
        assert sock.recv(65_536).split()[1] == status
    assert upstream.calls == []


def test_the_host_of_a_full_url_counts(server: RunningGateway) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(b"GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert sock.recv(65_536).split()[1] == b"421"


NO_HOST = {
    "HTTP/1.0 without a host": "HTTP/1.0\r\n",
    "HTTP/1.0 with an empty one": "HTTP/1.0\r\nhost:\r\n",
    "HTTP/1.1 with an empty one": "HTTP/1.1\r\nhost:\r\n",
    "HTTP/1.1 with a blank one": "HTTP/1.1\r\nhost:  \r\n",
}
REQUESTS = ["GET /", "GET /v1/models", "GET /v1/files", "POST /v1/chat/completions", "GET /healthy"]


def status_of(server: RunningGateway, head: str) -> int:
    """The status of the response to these lines."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(f"{head}connection: close\r\ncontent-length: 0\r\n\r\n".encode())
        return int(sock.recv(65_536).split()[1])


@pytest.mark.parametrize("rest", NO_HOST.values(), ids=NO_HOST)
def test_without_a_key_and_a_host_only_a_load_balancers_check_is_served(
    server: RunningGateway, rest: str
) -> None:
    assert [status_of(server, f"{request} {rest}") for request in REQUESTS] == [421] * len(REQUESTS)
    assert status_of(server, f"GET /health {rest}") == 200
    assert status_of(server, f"HEAD /health {rest}") == 200


def test_without_a_host_http_1_1_is_a_400_also_for_a_load_balancer(server: RunningGateway) -> None:
    assert status_of(server, "GET /health HTTP/1.1\r\n") == 400
    assert status_of(server, "GET http:///health HTTP/1.1\r\nhost: localhost\r\n") in {400, 421}


# ---- with a key ----

KEYED = {"master_key": "sk-master"}
BEARER = {"authorization": "Bearer sk-master"}
KEY_LINE = "authorization: Bearer sk-master\r\n"


@pytest.fixture(scope="module")
def keyed(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway with a key."""
    with serve({"model_list": [entry(provider, "a")], "general_settings": KEYED}) as served:
        yield served


def test_with_a_key_hosts_and_pages_are_free(ask: Asker) -> None:
    headers = {"host": "any.example", "origin": PAGE, "sec_fetch_site": "cross-site"}
    response = ask(general=KEYED, **BEARER, **headers)
    assert response.status == 200
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("rest", NO_HOST.values(), ids=NO_HOST)
def test_with_a_key_no_host_is_needed(keyed: RunningGateway, rest: str) -> None:
    assert status_of(keyed, f"GET /v1/models {rest}{KEY_LINE}") == 200
    assert status_of(keyed, f"GET /v1/models {rest}") == 401


def test_with_a_key_hosts_can_be_limited_too(ask: Asker) -> None:
    general = KEYED | {"allowed_hosts": ["api.example"]}
    assert ask(general=general, **BEARER, host="api.example").status == 200
    assert ask(general=general, **BEARER, host="evil.example").status == 421


# ---- CORS ----


@pytest.mark.parametrize("key", [KEYED, {}], ids=["key", "no key"])
def test_a_page_of_an_allowed_origin_can_read_responses(ask: Asker, key: dict[str, str]) -> None:
    general = key | {"cors_origins": [PAGE]}
    headers = {"host": "localhost", "origin": PAGE, "sec_fetch_site": "cross-site"}
    response = ask(general=general, **BEARER, **headers)
    assert response.status == 200
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "x-request-id" in response.headers["access-control-expose-headers"]
    assert response.headers["vary"] == "origin"


def test_a_page_of_an_allowed_origin_can_read_errors(ask: Asker) -> None:
    response = ask(general=KEYED | {"cors_origins": [PAGE]}, origin=PAGE)
    assert (response.status, response.headers["access-control-allow-origin"]) == (401, PAGE)


def test_a_preflight_needs_no_key(ask: Asker) -> None:
    headers = {
        "origin": PAGE,
        "access_control_request_method": "POST",
        "access_control_request_headers": "authorization, content-type, x-stainless-os",
    }
    response = ask("OPTIONS", general=KEYED | {"cors_origins": [PAGE]}, **headers)
    assert (response.status, response.body) == (204, b"")
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "POST" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"].endswith("x-stainless-os")


@pytest.mark.parametrize("origin", ["https://evil.example", f"{PAGE}.evil.example", "null"])
def test_other_origins_get_no_permission(ask: Asker, origin: str) -> None:
    general = KEYED | {"cors_origins": [PAGE]}
    preflight = {"origin": origin, "access_control_request_method": "POST"}
    for response in (
        ask(general=general, **BEARER, origin=origin),
        ask("OPTIONS", general=general, **preflight),
    ):
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["vary"] == "origin"
    assert response.status == 405


def test_every_origin_can_be_allowed_if_there_is_a_key(ask: Asker) -> None:
    general = KEYED | {"cors_origins": ["*"]}
    response = ask(general=general, **BEARER, origin=PAGE)
    assert response.headers["access-control-allow-origin"] == "*"
    with pytest.raises(ConfigError, match="master_key"):
        WebOrigins(["*"], None, is_open=True)


# ---- keys that are none ----


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_an_empty_master_key_is_a_config_error(blank: str) -> None:
    with pytest.raises(ConfigError, match="`master_key` is empty: set a key, or leave it out"):
        resolve(check({"general_settings": {"master_key": blank}}, {}), {})


@pytest.mark.parametrize("value", ["", " "])
def test_a_master_key_that_is_empty_in_the_environment_lets_nobody_in(value: str) -> None:
    env = {"KEY": value}
    config = {"general_settings": {"master_key": "os.environ/KEY"}}
    assert len(resolve(check(config, env), env).client_keys) == 1

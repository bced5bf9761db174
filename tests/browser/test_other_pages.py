"""What a web page of another origin can do to a gateway without a key, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

from .conftest import config_of
from .harness import serve_gateway

CHAT = '{"model": "a", "messages": [{"role": "user", "content": "Hi"}]}'

FETCH = """async ([url, mode, type, body]) => {
  const headers = type ? {"content-type": type} : {};
  try {
    const method = body === null ? "GET" : "POST";
    const response = await fetch(url, {method, mode, headers, body});
    return [response.type, response.status, await response.text()];
  } catch (error) { return [error.name, 0, ""]; }
}"""


class EmptyPage(BaseHTTPRequestHandler):
    """An empty page for every path."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Log nothing."""


@contextmanager
def other_site() -> Iterator[int]:
    """The port of another site on this machine."""
    with HTTPServer(("127.0.0.1", 0), EmptyPage) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def page_of(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(url)
        yield page
    finally:
        context.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"], ids=["same-site", "cross-site"])
def test_another_page_can_neither_use_nor_read_a_gateway_without_a_key(
    browser: Browser, gateway: RunningGateway, upstream: Upstream, name: str
) -> None:
    upstream.script("a", answers("paid"))
    chat = f"{gateway.url}/v1/chat/completions"
    with other_site() as port, page_of(browser, f"http://{name}:{port}/") as page:
        for mode, kind, url, body in (
            ("no-cors", "text/plain", chat, CHAT),
            ("cors", "text/plain", chat, CHAT),
            ("cors", "application/json", chat, CHAT),
            ("no-cors", "", f"{gateway.url}/v1/files", None),
            ("cors", "", f"{gateway.url}/v1/models", None),
        ):
            _, status, text = page.evaluate(FETCH, [url, mode, kind, body])
            assert (status, text) == (0, "")
        page.evaluate(
            """([url, body]) => {
              const form = document.createElement("form");
              Object.assign(form, {action: url, method: "POST", enctype: "text/plain"});
              const field = Object.assign(document.createElement("input"), {name: body});
              form.append(field);
              document.body.append(form);
              form.submit();
            }""",
            [chat, CHAT],
        )
        page.wait_for_url(chat)
        assert "cross_site_request" in page.content()
    assert upstream.calls == []
    assert min(record.status for record in gateway.observer.requests) == 403  # 404: its icon


def test_a_name_that_resolves_to_this_machine_is_not_the_gateway(
    browser: Browser, gateway: RunningGateway
) -> None:
    with page_of(browser, f"http://rebound.localhost:{gateway.port}/") as page:
        assert "unknown_host" in page.content()


def test_a_link_on_another_page_opens_the_gateways_page(
    browser: Browser, gateway: RunningGateway
) -> None:
    with other_site() as port, page_of(browser, f"http://localhost:{port}/") as page:
        page.evaluate(f"location.href = '{gateway.url}/'")
        page.wait_for_url(f"{gateway.url}/*")
        assert page.locator("main").count() == 1


def test_a_page_of_an_allowed_origin_can_use_the_gateway(
    browser: Browser, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", answers("read"))
    with other_site() as port:
        origin = f"http://localhost:{port}"
        config = config_of(upstream, "a", cors_origins=[origin])
        with serve_gateway(config, tmp_path / "home") as served, page_of(browser, origin) as page:
            url = f"{served.url}/v1/chat/completions"
            kind, status, text = page.evaluate(FETCH, [url, "cors", "application/json", CHAT])
    assert (kind, status) == ("cors", 200)
    assert "read" in text

"""Starts what the browser tests need: a gateway with its page and jobs, Chromium, and a tab."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from playwright.sync_api import Browser, Page, sync_playwright

from fanout.bulk.local.lazy_service import open_local_batches
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.settings import Settings
from tests.support.background_loop import background
from tests.support.gateway_server import RecordingObserver, RunningGateway, _serving
from tests.support.patience import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # it opens pages of 127.0.0.1 only
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_MS = 1_000 * PATIENCE
"""How long a test waits for an element or an expected state."""

MISSING = (
    "the browser tests need Chromium: install it (Debian, Ubuntu: `apt-get install chromium`), "
    "or set CHROMIUM to the path of a browser"
)


@contextmanager
def serve_gateway(
    config: Mapping[str, Any],
    home: Path,
    env: Mapping[str, str] = {},
    port: int = 0,
    *,
    sees_disconnects: bool = True,
) -> Iterator[RunningGateway]:
    """
    A gateway with this config, its page, and its jobs in `home`, for the block.

    On AWS, a gateway does not see that a browser has disconnected.
    """
    observer = RecordingObserver()
    catalog = resolve(check(config, env), env)
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, observer=observer),
        observer=observer,
        jobs=lambda gateway: open_local_batches(gateway, home, observer=observer),
        page=True,
    )
    served_app = app if sees_disconnects else _without_disconnects(app)
    with background(lambda: _serving(served_app, observer, port), uvloop.new_event_loop) as served:
        yield served
    assert observer.unexpected_errors == []


def _without_disconnects(app: Any) -> Any:
    """The app, which is never told that a client has disconnected."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def hide() -> Any:
            message = await receive()
            if message["type"] == "http.disconnect":
                await asyncio.Event().wait()
            return message

        await app(scope, hide if scope["type"] == "http" else receive, send)

    return serve


def find_chromium() -> str:
    """The path of Chromium. Installs Debian's if there is none and the user is root."""
    if found := os.environ.get("CHROMIUM") or _installed():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        for words in ("update", "install --yes --no-install-recommends chromium"):
            subprocess.run(["apt-get", "-qq", *words.split()], check=True)  # noqa: S603, S607
    if found := _installed():
        return found
    raise SystemExit(MISSING)


def _installed() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A headless Chromium for the block."""
    path = find_chromium()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, url: str, *, strict: bool = True, **options: Any) -> Iterator[Page]:
    """
    The gateway's page in a new tab without stored data.

    At the end it checks that no script failed, that nothing broke the Content-Security-Policy and
    that no other host got a request; with `strict=False`, for tests that try to do so, it does not.
    """
    errors: list[str] = []
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.extend([line.text] if "Policy" in line.text else []))
    requested: set[str] = set()
    page.on("request", lambda request: requested.add(request.url))
    try:
        page.goto(f"{url}/")
        yield page
    finally:
        context.close()
    if not strict:
        return
    assert errors == []
    web = {one for one in requested if not one.startswith(("data:", "blob:"))}
    assert {one for one in web if not one.startswith(f"{url}/")} == set()

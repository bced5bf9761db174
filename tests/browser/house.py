"""The gateway with its page and its jobs, and a browser; found, or installed where that can be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from playwright.sync_api import Browser, Page, sync_playwright

from fanout.bulk.local.batch_service import open_local
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.settings import Settings
from tests.support.background_loop import background
from tests.support.gateway_server import Notes, Served, _serving

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # it opens nothing but 127.0.0.1
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 10_000
"""Milliseconds that a test waits for what must come."""

MISSING = (
    "the browser's tests need Chromium: install it (Debian, Ubuntu: `apt-get install chromium`), "
    "or name another in CHROMIUM"
)


@contextmanager
def open_house(
    config: Mapping[str, Any], home: Path, env: Mapping[str, str] = {}, port: int = 0
) -> Iterator[Served]:
    """The gateway of a config, for the block."""
    notes = Notes()
    catalog = resolve(check(config, env), env)
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, observer=notes),
        observer=notes,
        jobs=lambda gateway: open_local(gateway, home, observer=notes),
        page=True,
    )
    with background(lambda: _serving(app, notes, port), uvloop.new_event_loop) as served:
        yield served
    assert notes.bugs == []


def find_chromium() -> str:
    """Where a Chromium is; Debian's is installed if there is none and this is root's machine."""
    if found := os.environ.get("CHROMIUM") or _found():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        for words in ("update", "install --yes --no-install-recommends chromium"):
            subprocess.run(["apt-get", "-qq", *words.split()], check=True)  # noqa: S603, S607
    if found := _found():
        return found
    raise SystemExit(MISSING)


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A Chromium without a screen, for the block."""
    path = find_chromium()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, url: str, *, judged: bool = True, **options: Any) -> Iterator[Page]:
    """
    The gateway's page in a new tab of an empty browser.

    Whatever the block does: no script may fail, no policy be broken, no other host be asked; but
    not where the block itself tries to (`judged`).
    """
    faults: list[str] = []
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.extend([said.text] if "Policy" in said.text else []))
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url))
    try:
        page.goto(f"{url}/")
        yield page
    finally:
        context.close()
    if not judged:
        return
    assert faults == []
    web = {one for one in asked if not one.startswith(("data:", "blob:"))}
    assert {one for one in web if not one.startswith(f"{url}/")} == set()

"""The gateway with its page and its jobs, on a port that may be a given one, and a browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from playwright.sync_api import Browser, sync_playwright

from fanout.bulk.local.engine import open_local
from fanout.compose import open_gateway
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.http.app import App
from fanout.settings import Settings
from tests.background import background
from tests.served import Notes, Served, _serving

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",  # it opens nothing but 127.0.0.1
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
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


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A Chromium without a screen, for the block."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()

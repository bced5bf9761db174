"""The Spend view: a plot, a table and CSV of what keys have spent; a key sees its own only."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fanout.keys.opening import open_local
from tests.support.gateway_server import RunningGateway, serve
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

from .conftest import config_of
from .harness import open_page

MASTER = "sk-master-of-the-page"
ADMIN = {"authorization": f"Bearer {MASTER}"}


@pytest.fixture
def keyed(upstream: Upstream, tmp_path: Path) -> Iterator[RunningGateway]:
    opened = partial(open_local, {"FANOUT_HOME": str(tmp_path)})
    config = config_of(upstream, "a", "b", master_key=MASTER)
    with serve(config, virtual_keys=opened, page=True) as served:
        yield served


def make_key(gateway: RunningGateway, alias: str, *models: str) -> str:
    """A key that has called these models."""
    body: dict[str, Any] = {"key_alias": alias, "team_id": "red", "tags": ["nightly"]}
    key: str = gateway.json(body, "/key/generate", headers=ADMIN)[2]["key"]
    for model in models:
        chat = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        assert gateway.json(chat, headers={"authorization": f"Bearer {key}"})[0] == 200
    return key


def use_key(page: Page, key: str) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("dialog")).to_be_hidden()


def names(page: Page) -> list[str]:
    found: list[str] = page.locator(".spend tbody th").all_inner_texts()
    return found


def test_spend_is_a_plot_a_table_and_csv_and_a_key_sees_its_own(
    browser: Browser, keyed: RunningGateway, upstream: Upstream
) -> None:
    for model in ("a", "b"):
        upstream.script(model, answers("one two three"))
    make_key(keyed, "search", "a", "b", "a")
    own = make_key(keyed, "=own", "b")
    with open_page(browser, keyed.url) as page:
        use_key(page, MASTER)
        page.get_by_role("link", name="Spend").click()
        expect(page).to_have_title("Spend – Fanout")
        expect(page.locator(".spend tbody tr")).to_have_count(2)
        assert names(page) == ["search", "=own"]
        expect(page.get_by_text("for 4 requests")).to_be_visible()
        picture = page.get_by_role("img", name="Spend a day, All")
        assert picture.locator("rect").count() == 31
        row = page.get_by_role("button", name="=own")
        row.press("Enter")
        expect(row).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("img", name="Spend a day, =own")).to_be_visible()
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Save as CSV").click()
        assert waiting.value.suggested_filename.startswith("spend-by-key-")
        lines = Path(waiting.value.path()).read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["key", "search", "'=own"]
        for group, shown in (("Model", ["a", "b"]), ("Team", ["red"]), ("Tag", ["nightly"])):
            page.get_by_label("By").select_option(group)
            assert sorted(names(page)) == shown
        page.get_by_label("To").fill("2026-01-31")
        page.get_by_label("From").fill("2026-01-01")
        page.get_by_role("button", name="Show").click()
        expect(page.locator(".spend > .hint")).to_have_text(
            "No key has spent anything in this time."
        )
    with open_page(browser, keyed.url, viewport={"width": 360, "height": 740}) as page:
        use_key(page, own)
        page.get_by_role("link", name="Spend").click()
        expect(page.locator(".spend tbody tr")).to_have_count(1)
        assert names(page) == ["=own"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_virtual_keys_the_view_says_so(page: Page) -> None:
    page.get_by_role("link", name="Spend").click()
    expect(page.get_by_text("This gateway has no virtual keys")).to_be_visible()

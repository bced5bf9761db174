"""The page with the small real model: checks that there is a response, not what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fanout.local.running_engine import ADDRESS, KEY, RunningEngine
from tests.local.conftest import engine, model_env  # noqa: F401 -- fixtures

from .harness import open_page, serve_gateway
from .test_compare import card
from .test_jobs import tile

TIMEOUT_MS = 100_000
"""For a small model on one thread of a busy machine."""


def model_entry(name: str, model: str) -> dict[str, object]:
    at = {"api_base": f"os.environ/{ADDRESS}", "api_key": f"os.environ/{KEY}"}
    return {"model_name": name, "litellm_params": {"model": model, "timeout": 120, **at}}


CONFIG = {
    "model_list": [
        model_entry("smol", "local/smollm2-135m"),
        model_entry("smol-claude", "anthropic/smollm2-135m"),
    ]
}


@pytest.fixture
def page(browser: Browser, engine: RunningEngine, tmp_path: Path) -> Iterator[Page]:  # noqa: F811
    with (
        serve_gateway(CONFIG, tmp_path / "home", engine.env) as gateway,
        open_page(browser, gateway.url) as opened,
    ):
        yield opened


def test_a_comparison_a_race_and_a_job_with_a_real_model(page: Page) -> None:
    page.get_by_label("System message").fill("Answer in one short sentence.")
    page.get_by_label("Prompt", exact=True).fill("Write a slogan for a bakery.")
    page.get_by_text("Parameters").click()
    page.get_by_label("Max tokens", exact=True).fill("24")
    page.get_by_role("button", name="Ask 2 models").click()
    for name in ("smol", "smol-claude"):
        expect(card(page, name)).to_contain_text("done", timeout=TIMEOUT_MS)
        assert (card(page, name).locator(".text").text_content() or "").strip()
    page.get_by_label("Race").check(force=True)
    page.get_by_role("button", name="Race 2 models").click()
    rows = page.get_by_role("region", name="Models in this race").get_by_role("row")
    expect(rows.filter(has_text="won")).to_have_count(1, timeout=TIMEOUT_MS)
    expect(rows.filter(has_text="cancelled")).to_have_count(1, timeout=TIMEOUT_MS)
    expect(page.locator(".winner .card")).to_contain_text("done", timeout=TIMEOUT_MS)
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name="Use a sample file").click()
    page.get_by_role("button", name="Start 5 lines").click()
    expect(tile(page, "Done")).to_have_text("5 of 5", timeout=TIMEOUT_MS)

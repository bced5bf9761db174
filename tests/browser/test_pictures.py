"""The pictures of docs/page.md: taken anew where the page is another than the one they show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fanout.http.page_assets import load
from tests.support.gateway_server import Served, entry
from tests.support.provider_steps import refuse
from tests.support.scripted_provider import Script, Upstream

from .house import open_house, open_page
from .talk import speaks
from .test_compare import card
from .test_jobs import give, tile

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SHOWN = FOLDER / "version.txt"
MOST = 400_000
"""Bytes of all pictures."""

ANSWER = """Three, from plain to playful:

1. **Warm by seven, gone by nine.**
2. Flour, water, salt, time.
3. *We knead you.*

| Slogan | Says |
|---|---|
| 1 | come early |
| 2 | nothing hidden |

> Good bread needs no advertising; it needs a window.
"""
SHORT = (
    "**Bread worth getting up for.** Or, if the shop is in the old town: "
    "*baked here since the street had no name.*"
)
LONG = f"""{ANSWER}
The first is the one to paint on the door: it promises something, and it hurries.

```text
Warm by seven,
gone by nine.
```
"""


def model(upstream: Upstream, name: str, sent: float, got: float) -> dict[str, Any]:
    """A priced model; dollars a million tokens."""
    prices: dict[str, Any] = {
        "input_cost_per_token": sent / 1e6,
        "output_cost_per_token": got / 1e6,
    }
    return entry(upstream, name, **prices)


@pytest.fixture
def house(upstream: Upstream, tmp_path: Path) -> Iterator[Served]:
    """Scripted models with names that belong to nobody."""
    names = [
        ("swift", 0.5, 0.8),
        ("steady", 2.5, 10.0),
        ("thorough", 3.0, 15.0),
        ("strict", 1.0, 4.0),
    ]
    config = {
        "model_list": [model(upstream, *one) for one in names],
        "router_settings": {"num_retries": 0},
    }
    with open_house(config, tmp_path / "home") as served:
        yield served


def take(page: Page, name: str) -> None:
    """A picture, if the page is another than the one that is shown."""
    FOLDER.mkdir(exist_ok=True)
    if not SHOWN.exists() or SHOWN.read_text().strip() != load().version:
        page.mouse.move(0, 0)
        page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


def compare(page: Page) -> None:
    page.get_by_label("System").fill("You write short and dry.")
    page.get_by_label("Prompt", exact=True).fill("Write three slogans for a bakery.")
    expect(page.locator(".pill")).to_have_count(4)
    page.get_by_label("strict", exact=True).check(force=True)


@pytest.mark.timeout(120)
def test_pictures_are_taken(
    browser: Browser, house: Served, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("swift", speaks(SHORT, after=0.12, between=0.012))
    upstream.script("steady", speaks(ANSWER, after=0.4, between=0.014))
    upstream.script("thorough", speaks(LONG, after=0.7, between=0.011))
    upstream.script("strict", [refuse(429, "slow down", headers={"retry-after": "20"})])
    with open_page(browser, house.url) as page:
        compare(page)
        page.get_by_role("button", name="Ask 4 models").click()
        expect(card(page, "thorough")).to_contain_text("done")
        page.get_by_role("button", name="My choice: steady").click()
        take(page, "compare")
        page.get_by_label("Race").check(force=True)
        page.get_by_role("button", name="Race 4 models").click()
        expect(page.locator(".winner .card")).to_contain_text("done")
        take(page, "race")
    phone: dict[str, Any] = {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "color_scheme": "dark",
    }
    with open_page(browser, house.url, **phone) as page:
        compare(page)
        page.get_by_role("button", name="Ask 4 models").click()
        expect(card(page, "thorough")).to_contain_text("done")
        take(page, "phone")
    with open_page(browser, house.url) as page:
        job(page, upstream, tmp_path)
        take(page, "job")
    SHOWN.write_text(f"{load().version}\n")
    assert sum(path.stat().st_size for path in FOLDER.glob("*.png")) < MOST


def job(page: Page, upstream: Upstream, folder: Path) -> None:
    """A job of 300 lines at its two thirds: some calls were refused, some lines have failed."""
    fine: Script = speaks("Bread worth getting up for.", after=0.9, sent=31)
    busy = [refuse(429, "slow down")]
    bad = [refuse(400, "this prompt is 140,211 tokens", code="context_length_exceeded")]
    odd = [refuse(400, "not this one", code="content_policy_violation")]
    scripts = [busy if n % 41 == 40 else bad if n % 23 == 11 else fine for n in range(210)]
    scripts[77] = odd
    upstream.script("steady", *scripts, [*fine[:1], *speaks("Later.", after=60.0)])
    lines = [
        json.dumps(
            {"custom_id": f"shop-{n}", "messages": [{"role": "user", "content": f"Shop {n}"}]}
        )
        for n in range(300)
    ]
    give(page, "slogans.jsonl", "\n".join(lines) + "\n", folder)
    page.get_by_label("Model of lines that name none").select_option("steady")
    page.get_by_label("Cap in US dollars").fill("0.25")
    page.get_by_role("button", name="Start 300 lines").click()
    page.wait_for_function(
        "() => Number(document.querySelector('.bar').ariaValueNow) > 60", timeout=60_000
    )
    page.wait_for_timeout(1500)
    expect(tile(page, "Failed")).not_to_have_text("0")

"""Takes the pictures for docs/page.md again if the page has changed since they were taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fanout.http.page_assets import load
from tests.support.gateway_server import RunningGateway, entry
from tests.support.provider_steps import refuse
from tests.support.scripted_provider import Script, Upstream

from .harness import open_page, serve_gateway
from .scripted_responses import streamed
from .test_compare import card
from .test_jobs import give, tile

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
VERSION_FILE = FOLDER / "version.txt"
MAX_BYTES = 550_000
"""Of all pictures together."""

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


def model(upstream: Upstream, name: str, input_usd: float, output_usd: float) -> dict[str, Any]:
    """A model with prices in dollars per million tokens."""
    prices: dict[str, Any] = {
        "input_cost_per_token": input_usd / 1e6,
        "output_cost_per_token": output_usd / 1e6,
    }
    return entry(upstream, name, **prices)


@pytest.fixture
def gateway(upstream: Upstream, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway with scripted models whose names belong to no vendor."""
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
    with serve_gateway(config, tmp_path / "home") as served:
        yield served


def screenshot(page: Page, name: str) -> None:
    """Take a picture if the page has changed since the last one."""
    FOLDER.mkdir(exist_ok=True)
    if not VERSION_FILE.exists() or VERSION_FILE.read_text().strip() != load().version:
        page.mouse.move(0, 0)
        page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


def fill_in(page: Page) -> None:
    page.get_by_label("System message").fill("Be brief and dry.")
    page.get_by_label("Prompt", exact=True).fill("Write three slogans for a bakery.")
    expect(page.locator(".pill")).to_have_count(4)
    page.get_by_label("strict", exact=True).check(force=True)


def test_the_pictures_show_the_current_page(
    browser: Browser, gateway: RunningGateway, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("swift", streamed(SHORT, delay=0.12, interval=0.012))
    upstream.script("steady", streamed(ANSWER, delay=0.4, interval=0.014))
    upstream.script("thorough", streamed(LONG, delay=0.7, interval=0.011))
    upstream.script("strict", [refuse(429, "slow down", headers={"retry-after": "20"})])
    with open_page(browser, gateway.url) as page:
        fill_in(page)
        page.get_by_role("button", name="Ask 4 models").click()
        expect(card(page, "thorough")).to_contain_text("done")
        page.get_by_role("button", name="Choose steady").click()
        screenshot(page, "compare")
        page.get_by_label("Race").check(force=True)
        page.get_by_role("button", name="Race 4 models").click()
        expect(page.locator(".winner .card")).to_contain_text("done")
        screenshot(page, "race")
        for name, answer in {"swift": "Yes.", "steady": "No.", "thorough": "yes"}.items():
            upstream.script(name, streamed(answer, delay=0.3))
        page.get_by_label("Agree").check(force=True)
        page.get_by_label("Prompt", exact=True).fill("Is rye bread sour? Answer yes or no.")
        page.get_by_role("button", name="Ask 4 models").click()
        expect(page.locator(".decision")).to_contain_text("The models agree")
        screenshot(page, "votes")
    phone: dict[str, Any] = {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "color_scheme": "dark",
    }
    with open_page(browser, gateway.url, **phone) as page:
        fill_in(page)
        page.get_by_role("button", name="Ask 4 models").click()
        expect(card(page, "thorough")).to_contain_text("done")
        screenshot(page, "phone")
    with open_page(browser, gateway.url) as page:
        run_job(page, upstream, tmp_path)
        screenshot(page, "job")
    VERSION_FILE.write_text(f"{load().version}\n")
    assert sum(path.stat().st_size for path in FOLDER.glob("*.png")) < MAX_BYTES


def run_job(page: Page, upstream: Upstream, folder: Path) -> None:
    """Run a job of 300 lines to two thirds, with some rejected calls and some failed lines."""
    good: Script = streamed("Bread worth getting up for.", delay=0.9, prompt_tokens=31)
    busy = [refuse(429, "slow down")]
    too_long = [refuse(400, "this prompt is 140,211 tokens", code="context_length_exceeded")]
    unwanted = [refuse(400, "not this one", code="content_policy_violation")]
    scripts = [busy if n % 41 == 40 else too_long if n % 23 == 11 else good for n in range(210)]
    scripts[77] = unwanted
    upstream.script("steady", *scripts, [*good[:1], *streamed("Later.", delay=60.0)])
    lines = [
        json.dumps(
            {"custom_id": f"shop-{n}", "messages": [{"role": "user", "content": f"Shop {n}"}]}
        )
        for n in range(300)
    ]
    give(page, "slogans.jsonl", "\n".join(lines) + "\n", folder)
    page.get_by_label("Model for lines without one").select_option("steady")
    page.get_by_label("Cost cap in US dollars").fill("0.25")
    page.get_by_role("button", name="Start 300 lines").click()
    page.wait_for_function("() => Number(document.querySelector('.bar')?.ariaValueNow) > 60")
    page.wait_for_timeout(1500)
    expect(tile(page, "Failed")).not_to_have_text("0")

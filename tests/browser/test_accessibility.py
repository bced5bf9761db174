"""Keyboard, screen readers, contrast in light and dark mode, and narrow screens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

from . import injected_scripts
from .conftest import script_each
from .harness import open_page
from .scripted_responses import streamed
from .test_compare import ask, card
from .test_jobs import give, line, tile

PAIRS = [
    ("--text", "--background"),
    ("--text", "--surface"),
    ("--text-muted", "--surface"),
    ("--text-muted", "--background"),
    ("--text-muted", "--inset"),
    ("--text-muted", "--danger-tint"),
    ("--accent", "--surface"),
    ("--accent", "--accent-tint"),
    ("--on-accent", "--accent"),
    ("--text-muted", "--accent-tint"),
    ("--danger", "--danger-tint"),
    ("--warning", "--warning-tint"),
]
"""Text colors, each with a background that it is used on."""


def focused(page: Page) -> str:
    """The element that has the focus, by its tag and its name."""
    found: str = page.evaluate(
        "() => { const e = document.activeElement; "
        "return `${e.tagName} ${e.ariaLabel ?? e.value ?? ''} ${e.textContent}`.trim() }"
    )
    return found


def tab_to(page: Page, words: str) -> None:
    """Press Tab until an element with these words has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if words in focused(page):
            return
    raise AssertionError(f"Tab does not reach `{words}`; the focus is on {focused(page)}")


def test_everything_can_be_done_with_the_keyboard_alone(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    script_each(upstream, lambda name: answers(f"I am {name}"))
    expect(page.locator(".pill")).to_have_count(3)
    page.keyboard.press("Tab")
    assert focused(page).endswith("Skip to content")
    tab_to(page, "INPUT c")
    page.keyboard.press("Space")
    expect(page.get_by_text("2 of 8")).to_be_visible()
    page.get_by_label("Prompt", exact=True).focus()
    page.keyboard.type("Hello")
    page.keyboard.press("Control+Enter")
    expect(card(page, "b").locator(".text")).to_have_text("I am b")
    tab_to(page, "Choose b")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your choices: b 1")).to_be_visible()
    page.get_by_role("link", name="Jobs").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    tab_to(page, "Use a sample file")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start 5 lines")).to_be_visible()
    tab_to(page, "Start 5 lines")
    page.keyboard.press("Enter")
    expect(tile(page, "Done")).to_have_text("5 of 5")


def test_a_screen_reader_reads_the_start_and_the_end_and_not_every_word(
    page: Page, upstream: Upstream
) -> None:
    page.evaluate(injected_scripts.RECORD_ANNOUNCEMENTS)
    script_each(upstream, lambda _: streamed("many words " * 50))
    ask(page)
    expect(page.get_by_role("status").last).to_contain_text("3 responses are complete; fastest:")
    assert len(page.evaluate("window.announcements")) == 2
    assert page.evaluate("window.announcements")[0] == "Asking 3 models."
    assert page.locator("[aria-live]").count() == 0  # only the `status` regions
    assert page.locator("[role=status]").count() <= 3
    assert page.locator(injected_scripts.UNNAMED).count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_in_light_and_dark_mode(
    browser: Browser, gateway: RunningGateway, scheme: str
) -> None:
    with open_page(browser, gateway.url, color_scheme=scheme) as page:
        for text, background in PAIRS:
            contrast = page.evaluate(injected_scripts.CONTRAST, [text, background])
            assert contrast >= 4.5, f"{text} on {background}: {contrast:.2f}"


def test_the_page_fits_a_phone(
    browser: Browser, gateway: RunningGateway, upstream: Upstream, tmp_path: Path
) -> None:
    script_each(upstream, lambda _: answers("x" * 400, "\n\n```\n" + "y" * 400 + "\n```\n"))
    phone: dict[str, Any] = {
        "viewport": {"width": 360, "height": 740},
        "has_touch": True,
        "is_mobile": True,
    }
    with open_page(browser, gateway.url, **phone) as page:

        def fits() -> None:
            assert page.evaluate("document.documentElement.scrollWidth") <= 360

        ask(page)
        expect(card(page, "c")).to_contain_text("done")
        fits()
        page.get_by_label("Race").check(force=True)
        page.get_by_role("button", name="Race 3 models").click()
        expect(page.locator(".winner .card")).to_contain_text("done")
        fits()
        give(page, "a-file-with-a-rather-long-name-for-a-phone.jsonl", line("one", "1"), tmp_path)
        page.get_by_role("button", name="Start 1 line").wait_for()
        fits()
        page.get_by_role("button", name="Start 1 line").click()
        expect(page.locator(".job .state")).to_have_text("Done")
        fits()

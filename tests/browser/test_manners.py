"""Keyboard, narrow screens, both schemes, long answers, and a gateway that goes away."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.gateway_server import Served
from tests.support.provider_steps import answers, hang, role, say, wait
from tests.support.scripted_provider import Upstream

from . import probes
from .conftest import MODELS, config_of
from .house import open_house, open_page
from .talk import speaks
from .test_compare import ask, card
from .test_jobs import give, line, tile

PAIRS = [
    ("--ink", "--paper"),
    ("--ink", "--sheet"),
    ("--soft", "--sheet"),
    ("--soft", "--paper"),
    ("--soft", "--well"),
    ("--soft", "--bad-tint"),
    ("--accent", "--sheet"),
    ("--accent", "--accent-tint"),
    ("--accent-ink", "--accent"),
    ("--bad", "--bad-tint"),
    ("--note", "--note-tint"),
]
"""Colours that are text, and what is behind them."""


def focused(page: Page) -> str:
    """What has the focus, by its tag and its name."""
    said: str = page.evaluate(
        "() => { const e = document.activeElement; "
        "return `${e.tagName} ${e.ariaLabel ?? e.value ?? ''} ${e.textContent}`.trim() }"
    )
    return said


def walk_to(page: Page, words: str) -> None:
    """Tab until this has the focus, which is shown."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if words in focused(page):
            return
    raise AssertionError(f"no way to `{words}` by Tab; at {focused(page)}")


def test_all_of_it_can_be_done_by_keyboard_alone(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    for name in MODELS:
        upstream.script(name, answers(f"I am {name}"))
    expect(page.locator(".pill")).to_have_count(3)
    page.keyboard.press("Tab")
    assert focused(page).endswith("Skip to the content")
    walk_to(page, "INPUT c")
    page.keyboard.press("Space")
    expect(page.get_by_text("2 of 8")).to_be_visible()
    page.get_by_label("Prompt", exact=True).focus()
    page.keyboard.type("Hello")
    page.keyboard.press("Control+Enter")
    expect(card(page, "b").locator(".text")).to_have_text("I am b")
    walk_to(page, "My choice: b")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your choices: b 1")).to_be_visible()
    page.get_by_role("link", name="Jobs").focus()
    page.keyboard.press("Enter")
    walk_to(page, "Try a sample")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start 5 lines")).to_be_visible()
    walk_to(page, "Start 5 lines")
    page.keyboard.press("Enter")
    expect(tile(page, "Done")).to_have_text("5 of 5")


def test_a_screen_reader_hears_beginnings_and_ends_and_not_every_word(
    page: Page, upstream: Upstream
) -> None:
    page.evaluate(probes.HEARD)
    for name in MODELS:
        upstream.script(name, speaks("many words " * 50))
    ask(page)
    expect(page.get_by_role("status").last).to_contain_text("3 answers are there; the fastest:")
    assert len(page.evaluate("window.heard")) == 2
    assert page.evaluate("window.heard")[0] == "Asking 3 models."
    assert page.locator("[aria-live]").count() == 0  # but for the two `status` regions
    assert page.locator("[role=status]").count() <= 3
    assert page.locator(probes.UNNAMED).count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_readable_in_light_and_dark(browser: Browser, house: Served, scheme: str) -> None:
    with open_page(browser, house.url, color_scheme=scheme) as page:
        for text, ground in PAIRS:
            contrast = page.evaluate(probes.CONTRAST, [text, ground])
            assert contrast >= 4.5, f"{text} on {ground}: {contrast:.2f}"


def test_nothing_is_wider_than_a_phone(
    browser: Browser, house: Served, upstream: Upstream, tmp_path: Path
) -> None:
    for name in MODELS:
        upstream.script(name, answers("x" * 400, "\n\n```\n" + "y" * 400 + "\n```\n"))
    phone: dict[str, Any] = {
        "viewport": {"width": 360, "height": 740},
        "has_touch": True,
        "is_mobile": True,
    }
    with open_page(browser, house.url, **phone) as page:

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


def test_nothing_moves_while_answers_come_and_what_is_finished_is_not_made_again(
    page: Page, upstream: Upstream
) -> None:
    gate = upstream.gate()
    upstream.script(
        "a", speaks("First paragraph.\n\n" + "many words come here\n\n" * 60, first=wait(gate))
    )
    upstream.script("b", [role, say("short"), wait(gate), *answers("")])
    upstream.script("c", [role, say("short"), wait(gate), *answers("")])
    ask(page)
    expect(card(page, "a")).to_contain_text("First")
    page.wait_for_function("() => document.querySelectorAll('.is-streaming.card').length === 3")
    before = page.evaluate(probes.SHAPES)
    page.evaluate(probes.SHIFTS)
    gate.open()
    page.wait_for_function("() => document.querySelectorAll('article .block').length > 30")
    page.evaluate("window.first = document.querySelector('article .block')")
    expect(card(page, "a")).to_contain_text("done")
    assert page.evaluate(probes.SHAPES) == before
    assert page.evaluate("window.first === document.querySelector('article .block')")
    assert page.evaluate("window.shifts") < 0.02


def test_ten_thousand_tokens_in_each_column_stay_smooth(page: Page, upstream: Upstream) -> None:
    """At most one change a frame, however many pieces come."""
    text = ("Words in a paragraph, and **more** of them. " * 12 + "\n\n") * 110
    for name in MODELS:
        upstream.script(name, speaks(text))
    page.evaluate(probes.FRAMES)
    ask(page)
    expect(page.get_by_role("status").last).to_contain_text("3 answers are there", timeout=60_000)
    assert page.evaluate("window.changes") == 0
    assert len(card(page, "a").locator(".text").text_content() or "") > 50_000
    assert card(page, "a").locator(".block").count() == 111


def test_a_lost_gateway_is_said_and_picked_up_again(
    browser: Browser, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", [role, say("so far"), hang])
    upstream.script("b", answers("whole"))
    config = config_of(upstream, "a", "b")
    with ExitStack() as stack:
        first = ExitStack()
        house = first.enter_context(open_house(config, tmp_path / "home"))
        page = stack.enter_context(open_page(browser, house.url))
        ask(page, "Hi", "Ask 2 models")
        expect(card(page, "a").locator(".text")).to_have_text("so far")
        expect(card(page, "b").locator(".text")).to_have_text("whole")
        first.close()
        expect(page.get_by_text("No connection to the gateway.")).to_be_visible()
        expect(card(page, "a")).to_contain_text("The connection to the gateway was lost.")
        expect(card(page, "a").locator(".text")).to_have_text("so far")
        expect(card(page, "b")).to_contain_text("done")
        upstream.script("a", answers("again"))
        stack.enter_context(open_house(config, tmp_path / "home", port=house.port))
        expect(page.get_by_text("The connection is back.")).to_be_visible()
        card(page, "a").get_by_role("button", name="Ask again").click()
        expect(card(page, "a").locator(".text")).to_have_text("again")


def test_a_job_that_is_watched_goes_on_when_the_gateway_is_back(
    browser: Browser, upstream: Upstream, tmp_path: Path
) -> None:
    gate = upstream.gate()
    upstream.script("a", answers("one"), [wait(gate), *answers("two")])
    config = config_of(upstream, "a")
    with ExitStack() as stack:
        first = ExitStack()
        house = first.enter_context(open_house(config, tmp_path / "home"))
        page = stack.enter_context(open_page(browser, house.url))
        give(page, "two.jsonl", line("one", "1") + line("two", "2"), tmp_path)
        page.get_by_role("button", name="Start 2 lines").click()
        expect(tile(page, "Done")).to_have_text("1 of 2")
        gate.open()
        first.close()
        expect(page.get_by_text("No connection to the gateway.")).to_be_visible()
        stack.enter_context(open_house(config, tmp_path / "home", port=house.port))
        expect(tile(page, "Done")).to_have_text("2 of 2")
        expect(page.locator(".job .state")).to_have_text("Done")

"""How the page renders long responses: without layout shifts, and with one change per frame."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.provider_steps import answers, role, say, wait
from tests.support.scripted_provider import Upstream

from . import injected_scripts
from .conftest import script_each
from .scripted_responses import streamed
from .test_compare import ask, card


def test_nothing_moves_while_responses_stream_and_finished_blocks_are_not_rendered_again(
    page: Page, upstream: Upstream
) -> None:
    gate = upstream.gate()
    upstream.script(
        "a",
        streamed("First paragraph.\n\n" + "many words come here\n\n" * 60, after_first=wait(gate)),
    )
    upstream.script("b", [role, say("short"), wait(gate), *answers("")])
    upstream.script("c", [role, say("short"), wait(gate), *answers("")])
    ask(page)
    expect(card(page, "a")).to_contain_text("First")
    page.wait_for_function("() => document.querySelectorAll('.is-streaming.card').length === 3")
    before = page.evaluate(injected_scripts.POSITIONS)
    page.evaluate(injected_scripts.RECORD_LAYOUT_SHIFTS)
    gate.open()
    page.wait_for_function("() => document.querySelectorAll('article .block').length > 30")
    page.evaluate("window.firstBlock = document.querySelector('article .block')")
    expect(card(page, "a")).to_contain_text("done")
    assert page.evaluate(injected_scripts.POSITIONS) == before
    assert page.evaluate("window.firstBlock === document.querySelector('article .block')")
    assert page.evaluate("window.layoutShift") < 0.02


def test_ten_thousand_tokens_in_each_column_stay_smooth(page: Page, upstream: Upstream) -> None:
    """At most one change per frame, however many chunks arrive."""
    text = ("Words in a paragraph, and **more** of them. " * 12 + "\n\n") * 110
    script_each(upstream, lambda _: streamed(text))
    page.evaluate(injected_scripts.COUNT_EXTRA_CHANGES)
    ask(page)
    expect(page.get_by_role("status").last).to_contain_text("3 responses are complete")
    assert page.evaluate("window.extraChanges") == 0
    assert len(card(page, "a").locator(".text").text_content() or "") > 50_000
    assert card(page, "a").locator(".block").count() == 111

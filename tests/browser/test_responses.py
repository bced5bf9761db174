"""How responses are shown: their space, copying, full screen, conversations, and after a reload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import answers, opens, refuse, role, say, stalls, stop, wait
from tests.support.scripted_provider import Upstream

from . import injected_scripts
from .conftest import MODELS, config_of, script_each
from .harness import open_page, serve_gateway
from .test_compare import ask, card

LONG = "\n\n".join(f"Paragraph {number} of a long response." for number in range(80))


def body(page: Page, model: str) -> Locator:
    return card(page, model).locator(".body")


def scroll_top(page: Page, model: str) -> float:
    found: float = body(page, model).evaluate("body => body.scrollTop")
    return found


def test_a_response_is_as_high_as_the_window_and_starts_at_its_first_line(
    page: Page, upstream: Upstream
) -> None:
    script_each(upstream, lambda _: answers(LONG))
    ask(page)
    for name in MODELS:
        expect(card(page, name)).to_contain_text("done")
        box = card(page, name).bounding_box()
        assert box is not None
        assert 0.9 * 800 < box["height"] <= 800
        assert scroll_top(page, name) == 0


def test_a_response_that_is_scrolled_to_its_end_follows_the_text(
    page: Page, upstream: Upstream
) -> None:
    more = upstream.gate()
    upstream.script("a", [role, say(LONG), wait(more), say("\n\nThe last line."), stop])
    ask(page)
    expect(body(page, "a")).to_contain_text("Paragraph 79")
    # The end moves when the last paragraphs are laid out, which they are when they are in view.
    page.wait_for_function(
        "body => { const end = body.scrollHeight - body.clientHeight;"
        " const isThere = Math.abs(body.scrollTop - end) < 2;"
        " body.scrollTop = end; return isThere }",
        arg=body(page, "a").element_handle(),
    )
    more.open()
    expect(body(page, "a")).to_contain_text("The last line.")
    page.wait_for_function(
        "body => body.scrollTop > 0"
        " && Math.abs(body.scrollHeight - body.clientHeight - body.scrollTop) < 2",
        arg=body(page, "a").element_handle(),
    )


def test_four_models_are_shown_two_by_two(
    browser: Browser, upstream: Upstream, tmp_path: Path
) -> None:
    names = "abcd"
    script_each(upstream, lambda name: answers(f"I am {name}"), names)
    with (
        serve_gateway(config_of(upstream, *names), tmp_path / "home") as served,
        open_page(browser, served.url, viewport={"width": 1400, "height": 900}) as page,
    ):
        page.get_by_label("d", exact=True).check(force=True)
        ask(page, button="Ask 4 models")
        boxes = [card(page, name).bounding_box() for name in names]
        a, b, c, d = [(box["x"], box["y"]) for box in boxes if box]
        assert (a[1], a[0]) == (b[1], c[0])
        assert (d[0], d[1]) == (b[0], c[1])
        assert a[1] < c[1]


def test_a_response_is_copied_as_the_model_wrote_it(page: Page, upstream: Upstream) -> None:
    script_each(upstream, lambda name: answers(f"**{name}** and `code`"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page)
    button = page.get_by_role("button", name="Copy the response of b")
    button.click()
    expect(button).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "**b** and `code`"


def test_a_response_fills_the_window_in_full_screen_and_returns_to_its_place(
    page: Page, upstream: Upstream
) -> None:
    script_each(upstream, lambda _: answers(LONG))
    ask(page)
    expect(card(page, "b")).to_contain_text("done")
    body(page, "b").evaluate("body => { body.scrollTop = 100 }")
    page.get_by_role("button", name="Show in full screen: b").click()
    dialog = page.get_by_role("dialog", name="Response of b")
    box = dialog.locator(".card").bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1280, 800)
    assert scroll_top(page, "b") == 100
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    names = page.locator(".columns .card h3").all_inner_texts()
    assert names == list(MODELS)
    assert scroll_top(page, "b") == 100
    expect(page.get_by_role("button", name="Show in full screen: b")).to_be_focused()


def test_responses_scroll_together_if_asked_to(page: Page, upstream: Upstream) -> None:
    upstream.script("a", answers(LONG))
    upstream.script("b", answers(f"{LONG}\n\n{LONG}"))
    upstream.script("c", answers("short"))
    ask(page)
    for name in MODELS:
        expect(card(page, name)).to_contain_text("done")
    to_end = "body => { body.scrollTop = body.scrollHeight }"
    next_frame = "() => new Promise(requestAnimationFrame)"  # scroll events come before it
    body(page, "a").evaluate(to_end)
    page.evaluate(next_frame)
    page.get_by_label("Scroll together").check()
    assert scroll_top(page, "b") == 0
    body(page, "a").evaluate("body => { body.scrollTop = 0 }")
    page.evaluate(next_frame)
    body(page, "b").evaluate(to_end)
    page.wait_for_function(
        "([a, b]) => [a, b].every(one => "
        "Math.abs(one.scrollHeight - one.clientHeight - one.scrollTop) < 2)",
        arg=[body(page, "a").element_handle(), body(page, "b").element_handle()],
    )


def test_each_model_gets_the_next_message_with_its_own_conversation(
    page: Page, upstream: Upstream
) -> None:
    upstream.script("a", answers("I am a"), answers("A again"))
    upstream.script("b", answers("I am b"), answers("B again"))
    upstream.script("c", [refuse(400)])
    page.get_by_label("System message").fill("Be brief.")
    ask(page, "Who are you?")
    expect(card(page, "c")).to_contain_text("failed")
    page.get_by_label("Next message").fill("And now?")
    page.get_by_role("button", name="Send to 2 models").click()
    expect(card(page, "a").locator(".text")).to_have_text("A again")
    expect(card(page, "b").locator(".text")).to_have_text("B again")
    expect(page.get_by_role("heading", name="Asked 2 models, message 2")).to_be_visible()
    for name in "ab":
        (_, second) = upstream.calls_to(name)
        said = [(one["role"], one["content"]) for one in second.body["messages"]]
        assert said == [
            ("system", "Be brief."),
            ("user", "Who are you?"),
            ("assistant", f"I am {name}"),
            ("user", "And now?"),
        ]
    page.get_by_label("Next message").fill("Third")
    page.get_by_label("Next message").press("Control+Enter")
    expect(page.get_by_role("heading", name="Asked 2 models, message 3")).to_be_visible()


def test_the_next_message_moves_the_view_to_its_responses_and_shows_the_conversation(
    page: Page, upstream: Upstream
) -> None:
    script_each(upstream, lambda name: answers(f"I am {name}\n\n{LONG}"))
    ask(page, "Who are you?")
    expect(page.locator(".question")).to_have_text("Who are you?")
    message = page.get_by_label("Next message")
    message.scroll_into_view_if_needed()
    message.fill("And now?")
    message.press("Control+Enter")
    expect(page.locator(".question")).to_have_text("And now?")
    expect(card(page, "a")).to_contain_text("done")
    top: float = page.locator(".runs").evaluate("one => one.getBoundingClientRect().top")
    assert 0 <= top < 100
    card(page, "b").get_by_text("2 earlier messages").click()
    expect(card(page, "b").locator(".history dd")).to_contain_text(["Who are you?", "I am b"])


LONG_NAMES = ("groq/llama-3.3-70b-versatile", "openai/gpt-4o-mini-2024", "anthropic/claude-opus")


@pytest.mark.parametrize("width", [390, 1100, 1280, 1366, 1920])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_part_of_a_card_is_cut(
    browser: Browser, upstream: Upstream, tmp_path: Path, width: int, count: int
) -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n\n```\n" + "code " * 60 + "\n```\n\n" + "words " * 200
    names = LONG_NAMES[:count]
    script_each(upstream, lambda _: answers(table), names)
    with (
        serve_gateway(config_of(upstream, *names), tmp_path / "home") as served,
        open_page(browser, served.url) as page,
    ):
        page.set_viewport_size({"width": width, "height": 800})
        ask(page, button=f"Ask {count} model")
        for name in names:
            expect(card(page, name)).to_contain_text("done")
            parts = card(page, name).evaluate(
                "card => { const right = card.getBoundingClientRect().right; return"
                " [...card.querySelectorAll('button, h3, .state, .body, .text, .figures dd')]"
                " .filter((one) => one.getBoundingClientRect().right > right)"
                " .map((one) => one.textContent) }"
            )
            assert parts == []


def test_after_a_race_all_models_continue_the_winners_conversation(
    page: Page, upstream: Upstream
) -> None:
    asked = upstream.gate()
    upstream.script("a", answers("I am a"), [wait(asked), *answers("A again")])
    upstream.script("b", stalls(), stalls(opens(asked)))
    upstream.script("c", stalls())
    page.get_by_label("Race").check(force=True)
    ask(page, button="Race 3 models")
    page.get_by_label("Next message").fill("And now?")
    page.get_by_role("button", name="Send to 3 models").click()
    expect(page.locator(".winner .card .text")).to_have_text("A again")
    (*_, last) = upstream.calls_to("b")
    assert [one["content"] for one in last.body["messages"]] == ["Hi", "I am a", "And now?"]


def test_runs_survive_a_reload(page: Page, upstream: Upstream) -> None:
    upstream.script("a", answers("I am a"), answers("A again"))
    upstream.script("b", stalls(*answers("part")[:-1]))
    upstream.script("c", answers("I am c"))
    ask(page)
    expect(card(page, "a")).to_contain_text("done")
    expect(card(page, "c")).to_contain_text("done")
    expect(card(page, "b").locator(".text")).to_have_text("part")
    page.get_by_role("button", name="Choose c").click()
    page.reload()
    for name, text in {"a": "I am a", "b": "part", "c": "I am c"}.items():
        expect(card(page, name).locator(".text")).to_have_text(text)
    expect(card(page, "b").get_by_role("button", name="Try again")).to_be_visible()
    expect(card(page, "b")).to_contain_text("The page was closed or loaded again.")
    expect(page.get_by_text("Your choices: c 1")).to_be_visible()
    page.get_by_label("Next message").fill("And now?")
    page.get_by_role("button", name="Send to 2 models").click()
    expect(card(page, "a").locator(".text")).to_have_text("A again")
    expect(page.get_by_role("button", name="Run 2")).to_be_visible()


def test_more_runs_than_the_browser_stores_lose_the_oldest(page: Page, upstream: Upstream) -> None:
    upstream.script("a", answers("x" * 3_000_000), answers("y" * 3_000_000))
    for name in "bc":
        page.get_by_label(name, exact=True).uncheck(force=True)
    for _ in range(2):
        ask(page, button="Ask 1 model")
        expect(card(page, "a")).to_contain_text("done")
    page.reload()
    expect(page.get_by_role("button", name="Run 2")).to_be_visible()
    expect(page.get_by_role("button", name="Run 1")).to_have_count(0)


def test_a_model_has_its_own_parameters(page: Page, upstream: Upstream) -> None:
    script_each(upstream, lambda name: answers(f"I am {name}"))
    page.get_by_text("Parameters").click()
    page.get_by_label("Temperature", exact=True).fill("1")
    page.get_by_text("Single models").click()
    page.get_by_label("Temperature of b").fill("0.2")
    page.get_by_label("Max tokens of c").fill("7")
    page.reload()
    ask(page)
    for name in MODELS:
        expect(card(page, name).locator(".text")).to_have_text(f"I am {name}")
    sent = {name: upstream.calls_to(name)[0].body for name in MODELS}
    assert {name: body["temperature"] for name, body in sent.items()} == {"a": 1, "b": 0.2, "c": 1}
    assert {name: body.get("max_tokens") for name, body in sent.items()} == {
        "a": None,
        "b": None,
        "c": 7,
    }
    page.get_by_label("Race").check(force=True)
    expect(page.get_by_text("A race asks all models alike")).to_be_visible()


def test_the_first_visit_offers_sample_prompts(page: Page) -> None:
    sample = page.get_by_role("button", name="Explain in three sentences")
    text = sample.inner_text()
    sample.click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(text)
    expect(page.get_by_role("button", name="Ask 3 models")).to_be_focused()


@pytest.fixture
def phone(browser: Browser, gateway: RunningGateway) -> Iterator[Page]:
    options: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}
    with open_page(browser, gateway.url, has_touch=True, **options) as page:
        yield page


def test_on_a_phone_the_view_moves_to_the_responses_and_no_box_scrolls_in_the_page(
    phone: Page, upstream: Upstream
) -> None:
    script_each(upstream, lambda _: answers(LONG))
    ask(phone)
    expect(card(phone, "c")).to_contain_text("done")
    expect(phone.get_by_role("heading", name="Asked 3 models")).to_be_in_viewport()
    for name in MODELS:
        assert body(phone, name).evaluate("body => body.scrollHeight - body.clientHeight") <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_have_enough_contrast_in_light_and_dark_mode(
    browser: Browser, gateway: RunningGateway, scheme: str
) -> None:
    """At least 3:1: https://www.w3.org/TR/WCAG22/#non-text-contrast."""
    with open_page(browser, gateway.url, color_scheme=scheme) as page:
        for bar in ("--bar-waiting", "--bar-streaming", "--accent"):
            for background in ("--inset", "--surface"):
                contrast = page.evaluate(injected_scripts.CONTRAST, [bar, background])
                assert contrast >= 3, f"{bar} on {background}: {contrast:.2f}"

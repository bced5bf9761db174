"""Responses that must fit a JSON schema, in the Compare view and in jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.provider_steps import answers, hang
from tests.support.scripted_provider import Call, Upstream

from . import injected_scripts
from .test_accessibility import tab_to
from .test_compare import ask, card
from .test_jobs import give

SCHEMA = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}}
STRICT = {**SCHEMA, "required": ["label"], "additionalProperties": False}
GOOD, BAD = '{"label": "good"}', '{"label": "great"}'
REASON = 'the value is not one of ["good","bad"]'


def open_format(page: Page, schema: Any = STRICT, *escalate: str) -> None:
    page.get_by_text("Response format").click()
    page.get_by_label("JSON schema").fill(json.dumps(schema))
    for name in escalate:
        page.get_by_label("Ask next if no response fits").last.fill(name)
        page.get_by_label("Ask next if no response fits").last.press("Enter")


def calls(of: Locator) -> list[str]:
    return [text.split(",")[0] for text in of.locator(".calls li").all_inner_texts()]


def test_each_response_shows_whether_it_fits_and_which_calls_were_made(
    page: Page, upstream: Upstream
) -> None:
    upstream.script("a", answers(BAD), answers(GOOD))
    upstream.script("b", answers("never"))
    upstream.script("c", answers("no JSON"), answers(GOOD))
    page.evaluate(injected_scripts.RECORD_ANNOUNCEMENTS)
    page.get_by_label("c", exact=True).uncheck(force=True)
    open_format(page, STRICT, "c")
    page.get_by_label("Attempts of each model").fill("2")
    ask(page, button="Ask 2 models")
    a, b = card(page, "a"), card(page, "b")
    expect(a.locator(".state")).to_have_text("valid")
    expect(a.locator(".text")).to_have_text(GOOD)
    expect(a.locator(".check-result summary")).to_have_text("✓ Valid · 2 calls")
    expect(b.locator(".check-result summary")).to_have_text("✓ Valid, from c · 4 calls")
    expect(a.locator(".calls")).to_be_hidden()
    a.get_by_text("2 calls").click()
    expect(a.locator(".calls")).to_contain_text(REASON)
    b.get_by_text("4 calls").click()
    assert calls(b) == ["b invalid", "b invalid", "c invalid", "c valid"]
    (first, _) = upstream.calls_to("a")
    named = {"name": "response", "schema": STRICT, "strict": True}
    assert first.body["response_format"] == {"type": "json_schema", "json_schema": named}
    page.reload()
    expect(a.locator(".check-result summary")).to_have_text("✓ Valid · 2 calls")
    expect(page.get_by_label("JSON schema")).to_have_value(json.dumps(STRICT))
    expect(page.get_by_role("button", name="Do not ask c")).to_be_visible()


def test_a_response_that_does_not_fit_shows_its_text_the_reason_and_the_way_out(
    page: Page, upstream: Upstream
) -> None:
    upstream.script("a", answers(BAD), answers(BAD), answers(GOOD))
    for name in "bc":
        page.get_by_label(name, exact=True).uncheck(force=True)
    page.evaluate(injected_scripts.RECORD_ANNOUNCEMENTS)
    open_format(page)
    ask(page, button="Ask 1 model")
    a = card(page, "a")
    expect(a.locator(".state")).to_have_text("invalid")
    expect(a.locator(".text")).to_have_text(BAD)
    expect(a.locator(".check-result summary")).to_have_text("✗ Invalid · 2 calls")
    expect(a.locator(".check-result > p")).to_contain_text(REASON)
    expect(a.locator(".error-box")).to_contain_text("The response does not fit the schema.")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("invalid, ")
    a.get_by_text("2 calls").click()
    assert calls(a) == ["a invalid", "a invalid"]
    assert "1 invalid" in page.evaluate("window.announcements")[-1]
    a.get_by_role("button", name="Try again").click()
    expect(a.locator(".state")).to_have_text("valid")
    expect(a.locator(".check-result summary")).to_have_text("✓ Valid · 1 call")


def test_a_checked_race_shows_the_calls_of_all_models(page: Page, upstream: Upstream) -> None:
    upstream.script("a", answers(BAD), answers(GOOD))
    upstream.script("b", [hang])
    upstream.script("c", [hang])
    page.get_by_label("Race").check(force=True)
    open_format(page)
    ask(page, button="Race 3 models")
    winner = page.locator(".winner .card")
    expect(winner.locator(".text")).to_have_text(GOOD)
    expect(winner.locator(".check-result summary")).to_have_text("✓ Valid · 4 calls")
    rows = page.locator(".race-table tbody tr")
    expect(rows.nth(0)).to_contain_text("won")
    expect(rows.nth(1)).to_contain_text("cancelled")


def test_a_schema_that_cannot_be_used_is_not_sent(page: Page, upstream: Upstream) -> None:
    page.get_by_label("Prompt", exact=True).fill("Hi")
    open_format(page, {"type": "object", "properties": {"a": {"type": "text"}}})
    field = page.get_by_label("JSON schema")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".response-format .error")).to_contain_text("`properties.a.type` is")
    expect(page.get_by_text("Correct the JSON schema.")).to_be_visible()
    field.press("Control+Enter")
    expect(page.locator(".card")).to_have_count(0)
    field.fill(json.dumps(STRICT))
    expect(field).to_have_attribute("aria-invalid", "false")
    page.get_by_label("Attempts of each model").fill("11")
    expect(page.get_by_text("Attempts must be from 1 to 10.")).to_be_visible()
    field.fill("")
    expect(page.get_by_text("Ctrl + Enter sends the request.")).to_be_visible()
    assert upstream.calls == []


def test_the_response_format_can_be_set_with_the_keyboard_alone(page: Page) -> None:
    page.get_by_label("Prompt", exact=True).focus()
    tab_to(page, "Response format")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type('{"type": "object"}')
    tab_to(page, "INPUT Ask next if no response fits")
    page.keyboard.type("c")
    page.keyboard.press("Enter")
    expect(page.locator(".sequence li")).to_have_text(["c×"])
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".sequence li")).to_have_count(0)
    expect(page.get_by_label("Ask next if no response fits").last).to_be_focused()
    expect(page.get_by_role("status").last).to_have_text("c removed.")
    assert page.locator(injected_scripts.UNNAMED).count() == 0


def test_the_rows_of_a_table_are_checked_and_show_their_calls(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    async def respond(call: Call) -> None:
        first, *more = call.body["messages"]
        for step in answers(GOOD if more and "nice" in first["content"] else BAD):
            await step(call)

    upstream.script("a", [respond])
    give(page, "reviews.csv", "id,review\n1,nice\n2,odd\n", tmp_path)
    page.get_by_label("Prompt for each row").fill("Classify: {review}")
    form = page.locator(".card-form")
    form.get_by_text("Response format").click()
    schema = form.get_by_label("JSON schema")
    schema.fill("{")
    expect(page.get_by_role("button", name="Get a quote")).to_be_disabled()
    schema.fill(json.dumps(SCHEMA))
    form.get_by_label("Attempts of each model").fill("2")
    page.get_by_role("button", name="Get a quote").click()
    page.get_by_role("button", name="Start 2 lines").click()
    expect(page.locator(".job .state")).to_have_text("Done, 1 failed")
    sent = upstream.calls[0].body
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    rows = page.get_by_role("region", name="Rows").locator("tbody tr")
    expect(rows).to_have_count(2)
    failed = rows.and_(page.locator(".is-failed"))
    expect(failed).to_contain_text(REASON)
    expect(failed).to_contain_text(BAD)
    expect(failed).to_contain_text("Invalid · 2 calls")
    expect(rows.and_(page.locator(":not(.is-failed)"))).to_contain_text("Valid · 2 calls")

"""The Compare view: one prompt or several to several models, side by side, and races."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.provider_steps import answers, hang, refuse, role, say, stalls, wait
from tests.support.scripted_provider import Upstream

from .conftest import config_of, script_each
from .harness import open_page, serve_gateway
from .scripted_responses import streamed

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def ask(page: Page, prompt: str = "Hi", button: str = "Ask 3 models") -> None:
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_role("button", name=button).click()


def card(page: Page | Locator, model: str) -> Locator:
    return page.get_by_role("article", name=model, exact=True)


def figure(of: Locator, name: str) -> Locator:
    return of.locator(f"dl.figures div:has(dt:text-is('{name}')) dd")


def test_responses_stream_side_by_side_each_with_its_figures(
    page: Page, upstream: Upstream
) -> None:
    more, last = upstream.gate(), upstream.gate()
    upstream.script("a", streamed("Good **bread** takes time.", after_first=wait(more)))
    upstream.script("b", [wait(last), *answers("late")])
    upstream.script("c", answers("done"))
    ask(page)
    expect(card(page, "a")).to_contain_text("streaming")
    expect(card(page, "a").locator(".text")).to_have_text("Good ")
    expect(card(page, "b")).to_contain_text("waiting")
    expect(figure(card(page, "a"), "Tokens")).to_have_text("≈ 1")
    expect(figure(card(page, "a"), "First token")).to_have_text(re.compile(r"^\d.*s$"))
    expect(figure(card(page, "a"), "Cost")).to_have_text("–")
    more.open()
    expect(card(page, "a").locator("strong")).to_have_text("bread")
    expect(card(page, "a").locator(".text")).to_have_text("Good bread takes time.")
    expect(figure(card(page, "a"), "Tokens")).to_have_text("4")
    expect(figure(card(page, "a"), "Cost")).to_have_text("$0.000064")
    expect(figure(card(page, "a"), "Finish")).to_have_text("complete")
    expect(card(page, "b")).to_contain_text("waiting")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    last.open()
    expect(card(page, "b").locator(".text")).to_have_text("late")
    rows = page.get_by_role("region", name="Timeline").get_by_role("listitem")
    expect(rows).to_have_text([re.compile(f"^{name}") for name in "abc"])
    expect(rows.filter(has_text="fastest")).to_have_count(1)
    expect(rows.nth(2)).to_contain_text("fastest")
    expect(page.get_by_role("button", name="Ask 3 models")).to_be_visible()


def test_a_failed_model_shows_why_and_what_to_do_and_can_be_retried(
    page: Page, upstream: Upstream
) -> None:
    upstream.script("a", answers("fine"))
    upstream.script(
        "b", [refuse(429, "slow down", headers={"retry-after": "20"})], answers("better")
    )
    upstream.script("c", answers("fine"))
    ask(page)
    failed = card(page, "b")
    expect(failed).to_contain_text("The provider's rate limit was exceeded.")
    expect(card(page, "a").locator(".text")).to_have_text("fine")
    expect(failed.get_by_role("button")).to_have_text(["Try again"])
    failed.get_by_role("button", name="Try again").click()
    expect(failed.locator(".text")).to_have_text("better")
    expect(failed).not_to_contain_text("rate limit")
    assert len(upstream.calls_to("a")) == 1


def test_when_all_models_fail_each_shows_its_own_reason(page: Page, upstream: Upstream) -> None:
    upstream.script("a", [refuse(401, "bad key")])
    upstream.script("b", [refuse(429, "no more", code="insufficient_quota")])
    upstream.script("c", [refuse(503, "busy")])
    ask(page)
    expect(card(page, "a")).to_contain_text("The provider rejected the gateway's API key.")
    expect(card(page, "b")).to_contain_text("The provider's quota is used up.")
    expect(card(page, "c")).to_contain_text("The provider failed or is overloaded.")


def test_one_response_per_prompt_can_be_chosen_and_the_choices_are_counted(
    page: Page, upstream: Upstream
) -> None:
    script_each(upstream, lambda name: answers(f"I am {name}"))
    ask(page)
    choice = page.get_by_role("button", name="Choose b")
    choice.click()
    expect(choice).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Choose c").click()
    expect(choice).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_text("Your choices: c 1")).to_be_visible()
    ask(page, "Once more")
    page.get_by_role("button", name="Choose c").click()
    expect(page.get_by_text("Your choices: c 2")).to_be_visible()
    page.get_by_role("button", name="Run 1").click()
    expect(page.get_by_role("button", name="Choose c")).to_have_attribute("aria-pressed", "true")


def test_several_prompts_make_a_grid(page: Page, upstream: Upstream) -> None:
    script_each(upstream, lambda name: answers(f"I am {name}"), "ab")
    page.get_by_label("c", exact=True).uncheck(force=True)
    page.get_by_role("button", name="Add a prompt").click()
    page.get_by_role("textbox", name="Prompt 1").fill("First")
    page.get_by_role("textbox", name="Prompt 2").fill("Second")
    page.get_by_role("button", name="Ask 2 models, 2 prompts").click()
    for at, prompt in enumerate(["First", "Second"], 1):
        row = page.get_by_role("region", name=f"Prompt {at}")
        expect(row.get_by_role("heading", name=f"{at}. {prompt}")).to_be_visible()
        for name in "ab":
            expect(card(row, name).locator(".text")).to_have_text(f"I am {name}")
    sent = sorted(call.body["messages"][-1]["content"] for call in upstream.calls_to("a"))
    assert sent == ["First", "Second"]


def test_the_system_message_pictures_and_parameters_reach_the_models(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    script_each(upstream, lambda _: answers("a dot"))
    (tmp_path / "dot.png").write_bytes(DOT)
    page.get_by_label("System message").fill("Be brief.")
    page.locator(".prompt input[type=file]").set_input_files(tmp_path / "dot.png")
    expect(page.get_by_role("img", name="Picture 1")).to_be_visible()
    page.get_by_text("Parameters").click()
    page.get_by_label("Max tokens", exact=True).fill("50")
    page.get_by_label("Temperature", exact=True).fill("0.5")
    ask(page, "What is it?")
    expect(card(page, "a").locator(".text")).to_have_text("a dot")
    body = upstream.calls_to("a")[0].body
    assert (body["max_tokens"], body["temperature"]) == (50, 0.5)
    system, user = body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    url = user["content"][1]["image_url"]["url"]
    assert base64.b64decode(url.removeprefix("data:image/png;base64,")) == DOT


@pytest.mark.parametrize("mode", ["Compare", "Race"])
def test_a_model_that_is_not_listed_can_be_entered_and_fails_alone(
    page: Page, upstream: Upstream, mode: str
) -> None:
    script_each(upstream, lambda name: answers(f"I am {name}") if name == "a" else stalls())
    if mode == "Race":
        page.get_by_label("Race").check(force=True)
        for name in "bc":
            page.locator(f"input[name=model][value={name}]").uncheck(force=True)
    page.get_by_label("Another model").fill("unknown/model")
    page.get_by_role("button", name="Add", exact=True).click()
    if mode == "Race":
        ask(page, button="Race 2 models")
        expect(page.locator(".race-table")).to_contain_text("The gateway has no such model.")
        expect(page.locator(".winner .card .text")).to_have_text("I am a")
        return
    expect(page.get_by_text("4 of 8")).to_be_visible()
    ask(page, button="Ask 4 models")
    expect(card(page, "unknown/model")).to_contain_text("The gateway has no such model.")
    expect(card(page, "a").locator(".text")).to_have_text("I am a")
    assert upstream.calls_to("b")


def test_stopping_closes_every_call_and_keeps_the_text_so_far(
    page: Page, upstream: Upstream
) -> None:
    script_each(upstream, lambda _: [role, say("so far"), hang])
    ask(page)
    for name in "abc":
        expect(card(page, name).locator(".text")).to_have_text("so far")
    page.get_by_role("button", name="Stop").click()
    upstream.wait_disconnected("a", "b", "c")
    expect(card(page, "a")).to_contain_text("You stopped this response.")
    expect(card(page, "a").locator(".text")).to_have_text("so far")


@pytest.fixture
def blind(browser: Browser, upstream: Upstream, tmp_path: Path) -> Iterator[Page]:
    """The page of a gateway that does not see that a browser disconnects, as on AWS."""
    config = config_of(upstream, *"abc")
    with (
        serve_gateway(config, tmp_path / "home", sees_disconnects=False) as served,
        open_page(browser, served.url) as opened,
    ):
        yield opened


def test_stopping_and_closing_the_tab_cancel_where_a_disconnect_is_not_seen(
    blind: Page, upstream: Upstream
) -> None:
    script_each(upstream, lambda _: [role, say("so far"), hang])
    ask(blind)
    for name in "abc":
        expect(card(blind, name).locator(".text")).to_have_text("so far")
    blind.get_by_role("button", name="Stop").click()
    upstream.wait_disconnected("a", "b", "c")
    ask(blind)
    upstream.wait(lambda: [call.disconnected_at for call in upstream.calls].count(None) == 3)
    blind.goto("about:blank")
    upstream.wait_disconnected("a", "b", "c")


def test_the_lease_of_an_open_request_is_renewed(blind: Page, upstream: Upstream) -> None:
    script_each(upstream, lambda _: stalls(role))
    blind.clock.install()
    with blind.expect_request("**/v1/chat/completions") as asked:
        ask(blind)
    request_id = asked.value.headers["x-request-id"]
    assert asked.value.post_data_json["fanout"] == {"lease": 150}
    upstream.wait_called("a", "b", "c")
    with blind.expect_response(f"**/v1/chat/completions/{request_id}/renew") as renewed:
        blind.clock.fast_forward(30_000)
    assert renewed.value.status == 200


def test_a_race_shows_its_models_the_winner_and_what_the_others_cost(
    page: Page, upstream: Upstream
) -> None:
    start, rest = upstream.gate(), upstream.gate()
    upstream.script("a", stalls(role))
    upstream.script("b", [wait(start), *streamed("First words win.", after_first=wait(rest))])
    upstream.script("c", [refuse(500, "broken")])
    page.get_by_label("Race").check(force=True)
    ask(page, button="Race 3 models")
    table = page.get_by_role("region", name="Models in this race")
    row = {name: table.get_by_role("row", name=re.compile(f"^{name} ")) for name in "abc"}
    for name in "abc":
        expect(row[name]).to_contain_text("running")
    upstream.wait(lambda: bool(upstream.calls_to("c")) and upstream.calls_to("c")[-1].ended)
    start.open()
    expect(row["b"]).to_contain_text("won")
    expect(row["a"]).to_contain_text("cancelled")
    upstream.wait_disconnected("a")
    rest.open()
    expect(row["a"]).to_contain_text("cancelled; billing stops")
    expect(row["a"]).to_contain_text("unknown: cancelled before it reported usage")
    expect(row["b"]).to_contain_text("$0.000054")
    expect(row["c"]).to_contain_text("The provider failed or is overloaded.")
    expect(page.locator(".winner").get_by_role("article", name="b")).to_contain_text(
        "First words win."
    )
    expect(page.get_by_role("article")).to_have_count(1)
    rows = page.get_by_role("region", name="Timeline").get_by_role("listitem")
    expect(rows).to_have_text(
        [re.compile(text) for text in ("^acancelled, ", "^bwon, ", "^cfailed, ")]
    )


def test_a_race_needs_two_models(page: Page, upstream: Upstream) -> None:
    page.get_by_label("Race").check(force=True)
    page.get_by_label("Prompt", exact=True).fill("Hi")
    for name in "bc":
        page.get_by_label(name, exact=True).uncheck(force=True)
    expect(page.get_by_text("A race needs at least two models.")).to_be_visible()
    page.get_by_role("button", name="Race 1 model").click(force=True)
    assert upstream.calls == []


def test_a_run_can_be_copied_as_curl_python_and_json(page: Page, upstream: Upstream) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    script_each(upstream, lambda name: answers(f"I am {name}"))
    ask(page, "It's me")
    expect(card(page, "c").locator(".text")).to_have_text("I am c")
    page.get_by_role("button", name="Choose c").click()
    page.get_by_role("button", name="Copy as").click()
    dialog = page.get_by_role("dialog", name="Copy this run")
    copied = {}
    for form in ("curl", "Python", "JSON"):
        dialog.get_by_role("button", name=form).click()
        dialog.get_by_role("button", name="Copy", exact=True).click()
        expect(dialog.get_by_text("Copied.")).to_be_visible()
        copied[form] = page.evaluate("navigator.clipboard.readText()")
    assert copied["curl"].startswith("curl -N 'http://127.0.0.1:")
    compile(copied["Python"], "snippet", "exec")
    answers_copied = json.loads(copied["JSON"])["answers"]
    assert [(one["model"], one["text"], one["chosen"]) for one in answers_copied] == [
        ("a", "I am a", False),
        ("b", "I am b", False),
        ("c", "I am c", True),
    ]
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Copy as")).to_be_focused()

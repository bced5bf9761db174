"""Votes and judges in the Compare view: what is asked for, who agreed, and the judge's verdict."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.provider_steps import answers, hang, refuse
from tests.support.scripted_provider import Upstream

from . import injected_scripts
from .test_checked_responses import GOOD, STRICT, open_format
from .test_compare import ask, card


def choose(page: Page, mode: str) -> None:
    page.get_by_role("radio", name=re.compile(f"^{mode} ")).check(force=True)


def row(page: Page, model: str) -> Locator:
    table = page.get_by_role("region", name="Models", exact=True)
    return table.get_by_role("row", name=re.compile(f"^{model} "))


def verdict(**given: Any) -> str:
    return json.dumps(given)


def test_votes_show_who_agreed_who_did_not_and_which_calls_were_not_made(
    page: Page, upstream: Upstream
) -> None:
    upstream.script("a", answers("Good"))
    upstream.script("b", answers("Bad"))
    upstream.script("c", answers("good."))
    page.evaluate(injected_scripts.RECORD_ANNOUNCEMENTS)
    choose(page, "Agree")
    ask(page, button="Ask 3 models")
    decision = page.get_by_role("region", name="Decision")
    expect(decision.get_by_role("heading")).to_have_text("The models agree, with 2 votes.")
    votes = decision.get_by_role("list", name="Votes").get_by_role("listitem")
    expect(votes).to_have_text([re.compile("^2 votesgooda, c$"), re.compile("^1 votebadb$")])
    expect(card(page, "a").locator(".text")).to_have_text("Good")
    outcomes = {"a": "chosen", "b": "disagrees", "c": "agrees"}
    for model, outcome in outcomes.items():
        expect(row(page, model)).to_contain_text(outcome)
        expect(row(page, model)).to_contain_text("$0.0000")
    timeline = page.get_by_role("region", name="Timeline")
    expect(timeline.get_by_role("listitem").nth(1)).to_contain_text("disagrees, ")
    assert upstream.calls[0].body["messages"][-1]["content"] == "Hi"
    assert page.evaluate("window.announcements")[-1] == "The models agree, with 2 votes."

    upstream.script("b", answers("good"))
    ask(page, button="Ask 3 models")
    expect(row(page, "c")).to_contain_text("not started")
    expect(decision).to_contain_text("2 calls; 1 not made, $0.0000")
    page.reload()
    expect(decision.get_by_role("heading")).to_have_text("The models agree, with 2 votes.")
    expect(row(page, "b")).to_contain_text("agrees")
    expect(card(page, "a").locator(".text")).to_have_text("Good")
    page.get_by_label("Next message").fill("Sure?")
    page.get_by_role("button", name="Send to 3 models").click()
    upstream.wait(lambda: len(upstream.calls) == 7)
    said = [message["content"] for message in upstream.calls[-1].body["messages"]]
    assert said == ["Hi", "Good", "Sure?"]


def test_models_that_disagree_are_shown_as_undecided_with_their_votes(
    page: Page, upstream: Upstream
) -> None:
    upstream.script("a", answers("red"))
    upstream.script("b", [refuse(500, "broken")])
    upstream.script("c", answers("blue"))
    choose(page, "Agree")
    ask(page, button="Ask 3 models")
    decision = page.get_by_role("region", name="Decision")
    expect(decision.get_by_role("heading")).to_have_text("Undecided: no answer has 2 votes.")
    expect(decision.get_by_role("listitem")).to_have_count(2)
    expect(row(page, "b")).to_contain_text("The provider failed or is overloaded.")
    expect(row(page, "a")).to_contain_text("disagrees")
    expect(page.locator(".winner .text")).to_contain_text("The models did not agree")
    expect(page.get_by_label("Next message")).to_be_hidden()


def test_without_a_possible_answer_the_other_calls_are_cancelled(
    page: Page, upstream: Upstream
) -> None:
    upstream.script("a", answers("red"))
    upstream.script("b", answers("blue"))
    upstream.script("c", [hang])
    choose(page, "Agree")
    page.get_by_label("Votes for one answer").fill("3")
    ask(page, button="Ask 3 models")
    expect(page.get_by_role("region", name="Decision")).to_contain_text("Undecided")
    expect(row(page, "c")).to_contain_text("cancelled; billing stops")


def test_checked_responses_of_a_decision_show_their_calls(page: Page, upstream: Upstream) -> None:
    upstream.script("a", answers("no JSON"), answers(GOOD))
    upstream.script("b", answers(GOOD))
    choose(page, "Agree")
    open_format(page, STRICT)
    ask(page, button="Ask 3 models")
    winner = page.locator(".winner .card")
    expect(winner.locator(".text")).to_have_text(GOOD)
    expect(winner.locator(".check-result summary")).to_have_text("✓ Valid · 3 calls")
    expect(row(page, "a")).to_contain_text("chosen")
    expect(row(page, "b")).to_contain_text("agrees")
    expect(page.get_by_role("region", name="Decision")).to_contain_text("compared: label")


def test_a_judge_shows_its_scores_its_reason_and_its_cost(page: Page, upstream: Upstream) -> None:
    upstream.script("a", answers("Bread takes time."))
    upstream.script("b", answers("Time makes bread."))
    upstream.script("c", answers(verdict(scores=[7, 7], best=1, reason="Both are right.")))
    page.get_by_label("c", exact=True).uncheck(force=True)
    choose(page, "Best")
    page.get_by_label("Prompt", exact=True).fill("Hi")
    expect(page.get_by_text("Name a judge.")).to_be_visible()
    page.get_by_label("Judge", exact=True).fill("c")
    page.get_by_label("Criteria").fill("Short.")
    ask(page, button="Ask 2 models")
    decision = page.get_by_role("region", name="Decision")
    expect(decision.get_by_role("heading")).to_have_text(re.compile("^The judge c prefers [ab].$"))
    expect(decision).to_contain_text("Both are right.")
    expect(decision.get_by_role("list", name="Scores").get_by_role("listitem")).to_have_text(
        ["7a", "7b"]
    )
    expect(decision).to_contain_text("tie: a, b; the judge costs $0.0000")
    sent = [call for call in upstream.calls if "Short." in json.dumps(call.body)]
    assert [call.model for call in sent] == ["c"]


def test_a_merged_response_streams_and_belongs_to_the_judge(page: Page, upstream: Upstream) -> None:
    upstream.script("a", answers("One."))
    upstream.script("b", answers("Two."))
    upstream.script("c", answers("One and two."))
    page.get_by_label("c", exact=True).uncheck(force=True)
    choose(page, "Merge")
    page.get_by_label("Judge", exact=True).fill("c")
    ask(page, button="Ask 2 models")
    decision = page.get_by_role("region", name="Decision")
    expect(decision.get_by_role("heading")).to_have_text("The judge c has merged the responses.")
    expect(card(page, "c").locator(".text")).to_have_text("One and two.")
    expect(row(page, "a")).to_contain_text("merged")


def test_if_all_models_fail_the_response_can_be_asked_for_again(
    page: Page, upstream: Upstream
) -> None:
    for name in "abc":
        upstream.script(name, [refuse(500, "broken")], answers("yes"))
    choose(page, "Agree")
    page.get_by_label("Votes for one answer").fill("9")
    page.get_by_label("Prompt", exact=True).fill("Hi")
    expect(page.get_by_text("Votes must be from 2 to 3.")).to_be_visible()
    page.get_by_label("Votes for one answer").fill("3")
    ask(page, button="Ask 3 models")
    failed = card(page, "No response")
    expect(failed).to_contain_text("failed")
    failed.get_by_role("button", name="Try again").click()
    expect(card(page, "a").locator(".text")).to_have_text("yes")
    expect(page.get_by_role("region", name="Decision")).to_contain_text("with 3 votes")

"""The page while the gateway is unreachable, and after it is back."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.provider_steps import answers, hang, role, say, wait
from tests.support.scripted_provider import Upstream

from .conftest import config_of
from .harness import open_page, serve_gateway
from .test_compare import ask, card
from .test_jobs import give, line, tile


def test_the_page_reports_a_gateway_that_stops_and_asks_the_next_one(
    browser: Browser, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", [role, say("so far"), hang])
    upstream.script("b", answers("whole"))
    config = config_of(upstream, "a", "b")
    with ExitStack() as stack:
        first = ExitStack()
        gateway = first.enter_context(serve_gateway(config, tmp_path / "home"))
        page = stack.enter_context(open_page(browser, gateway.url))
        ask(page, "Hi", "Ask 2 models")
        expect(card(page, "a").locator(".text")).to_have_text("so far")
        expect(card(page, "b").locator(".text")).to_have_text("whole")
        first.close()
        expect(card(page, "a")).to_contain_text("The gateway is shutting down.")
        expect(card(page, "a")).not_to_contain_text("provider")
        expect(card(page, "a").locator(".text")).to_have_text("so far")
        expect(card(page, "b")).to_contain_text("done")
        upstream.script("a", answers("again"))
        stack.enter_context(serve_gateway(config, tmp_path / "home", port=gateway.port))
        card(page, "a").get_by_role("button", name="Try again").click()
        expect(card(page, "a").locator(".text")).to_have_text("again")


def test_a_job_in_view_continues_when_the_gateway_is_back(
    browser: Browser, upstream: Upstream, tmp_path: Path
) -> None:
    gate = upstream.gate()
    upstream.script("a", answers("one"), [wait(gate), *answers("two")])
    config = config_of(upstream, "a")
    with ExitStack() as stack:
        first = ExitStack()
        gateway = first.enter_context(serve_gateway(config, tmp_path / "home"))
        page = stack.enter_context(open_page(browser, gateway.url))
        give(page, "two.jsonl", line("one", "1") + line("two", "2"), tmp_path)
        page.get_by_role("button", name="Start 2 lines").click()
        expect(tile(page, "Done")).to_have_text("1 of 2")
        gate.open()
        first.close()
        expect(page.get_by_text("Cannot reach the gateway.")).to_be_visible()
        stack.enter_context(serve_gateway(config, tmp_path / "home", port=gateway.port))
        expect(tile(page, "Done")).to_have_text("2 of 2")
        expect(page.locator(".job .state")).to_have_text("Done")

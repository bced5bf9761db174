"""Text from models, files and errors never becomes HTML, and the API key stays in the tab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

from .conftest import config_of, script_each
from .harness import open_page, serve_gateway
from .test_compare import ask, card
from .test_jobs import give, line

EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
WRONG_KEY = "The gateway does not accept this API key."
MARKDOWN = f"""{EVIL}

[a](javascript:window.hacked=1) ![p](https://evil.test/p.png) <https://evil.test>

**{EVIL}** `{EVIL}`

| a |
|---|
| {EVIL} |

- {EVIL}

> {EVIL}

```html
{EVIL}
```

# {EVIL}"""


def assert_harmless(page: Page) -> None:
    """No script ran, and the page has no element that could run one or load anything."""
    assert page.evaluate("window.hacked") is None
    assert (
        page.locator("main :is(script, iframe, object, embed, [onerror], img[src^=http])").count()
        == 0
    )
    assert page.locator("a[href^='javascript:' i]").count() == 0


def test_a_models_response_is_text_whatever_it_contains(page: Page, upstream: Upstream) -> None:
    script_each(upstream, lambda _: answers(*MARKDOWN), "ab")
    upstream.script("c", [refuse(400, EVIL)])
    ask(page, EVIL)
    text = card(page, "a").locator(".text")
    expect(text.locator("h4")).to_have_text(EVIL)
    assert (text.text_content() or "").count(EVIL) == 8
    expect(text.locator("p").nth(1)).to_contain_text("[a](javascript:window.hacked=1)")
    links = [one.get_attribute("href") for one in text.locator("a").all()]
    assert links == ["https://evil.test/p.png", "https://evil.test"]
    assert {one.get_attribute("rel") for one in text.locator("a").all()} == {
        "noopener noreferrer nofollow"
    }
    expect(card(page, "c").locator(".details")).to_contain_text(EVIL)
    assert_harmless(page)


def test_a_file_name_a_line_and_its_error_are_text(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", [refuse(400, EVIL, code=EVIL)])
    name = EVIL.replace("/", "_").replace('"', "'") + ".jsonl"
    give(page, name, line(EVIL[:60], EVIL), tmp_path)
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    assert_harmless(page)
    page.get_by_role("button", name="Start 1 line").click()
    causes = page.get_by_role("region", name="Failures")
    expect(causes).to_contain_text(EVIL)
    expect(causes).to_contain_text(EVIL[:60])
    expect(page.get_by_role("complementary", name="Jobs")).to_contain_text(name)
    assert_harmless(page)


def test_a_csvs_columns_and_rows_are_text(page: Page, tmp_path: Path) -> None:
    quoted = EVIL.replace('"', '""')
    give(page, "evil.csv", f'"{quoted}",n\n"{quoted}",1\n', tmp_path)
    expect(page.locator(".preview li")).to_have_text([EVIL])
    assert_harmless(page)


def test_the_browser_itself_blocks_html_and_inline_scripts(
    browser: Browser, gateway: RunningGateway
) -> None:
    with open_page(browser, gateway.url, strict=False) as page:
        try_attacks(page)


def try_attacks(page: Page) -> None:
    for attack in (
        "document.body.innerHTML = '<b>x</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
        "document.body.appendChild(document.createElement('script')).textContent = 'hacked = 1'",
    ):
        result = page.evaluate(
            f"() => {{ try {{ {attack}; return 'done' }} catch (e) {{ return e.name }} }}"
        )
        assert result == "TypeError", attack
    assert (
        page.evaluate("fetch('https://evil.test/').then(() => 'allowed', () => 'blocked')")
        == "blocked"
    )
    assert page.evaluate("window.hacked") is None


@pytest.fixture
def locked(upstream: Upstream, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway with an API key."""
    with serve_gateway(
        config_of(upstream, "a", "b", master_key="sk-gateway"), tmp_path / "home"
    ) as served:
        yield served


def test_the_key_is_requested_kept_in_the_tab_only_and_sent_nowhere_else(
    browser: Browser, locked: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("open"))
    upstream.script("b", answers("open"))
    with open_page(browser, locked.url) as page:
        dialog = page.get_by_role("dialog", name="Gateway API key")
        dialog.get_by_label("Key", exact=True).fill("sk-wrong")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog.get_by_role("alert")).to_contain_text(WRONG_KEY)
        sent: list[str] = []
        page.on(
            "request",
            lambda one: sent.extend([one.url] if "sk-gateway" in str(one.all_headers()) else []),
        )
        dialog.get_by_label("Key", exact=True).fill("sk-gateway")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_be_hidden()
        ask(page, "Hi", "Ask 2 models")
        expect(card(page, "a").locator(".text")).to_have_text("open")
        assert sent
        assert all(url.startswith(f"{locked.url}/v1/") for url in sent)
        assert page.evaluate("JSON.stringify([localStorage, document.cookie])") == '[{},""]'
        assert "sk-gateway" not in page.content()
        page.get_by_role("button", name="Copy as").click()
        page.get_by_role("dialog", name="Copy this run").get_by_role(
            "button", name="Python"
        ).click()
        assert "sk-gateway" not in page.content()
        page.keyboard.press("Escape")
        page.reload()
        expect(page.get_by_role("button", name="API key: set")).to_be_visible()
        other = page.context.new_page()
        other.goto(f"{locked.url}/")
        second = other.get_by_role("dialog", name="Gateway API key")
        expect(second).to_be_visible()
        second.get_by_role("button", name="Not now").click()
        for _ in range(2):  # after "Not now" the dialog stays closed
            with other.expect_response("**/v1/batches?*"):
                other.evaluate("location.hash = '#/jobs'")
        expect(other.get_by_text(WRONG_KEY)).to_be_visible()
        expect(second).to_be_hidden()
        page.get_by_role("button", name="API key: set").click()
        page.get_by_role("button", name="Forget the key").click()
        expect(page.get_by_role("dialog", name="Gateway API key")).to_be_visible()
        assert page.evaluate("sessionStorage.getItem('fanout.key')") is None
    received = [call.headers["authorization"] for call in upstream.calls]
    assert set(received) == {"Bearer sk-provider-a", "Bearer sk-provider-b"}
